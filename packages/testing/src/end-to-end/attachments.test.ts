import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { openShop, type Shop } from './serve-shop.ts'
import { openDevice, type ShopClient } from './shop-device.ts'

let folder = ''
let shop: Shop
const opened: ShopClient[] = []
const grants = new Map<string, readonly string[]>()

const serve = (port?: number): Promise<Shop> =>
  openShop({ path: join(folder, 'server.db'), port, scopes: (user) => grants.get(user) ?? ['site:north'] })

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-attachments-'))
  grants.clear()
  shop = await serve()
})

afterEach(async () => {
  for (const db of opened.splice(0)) await db.close()
  await shop.close()
  rmSync(folder, { recursive: true, force: true })
})

async function givenDevice(name: string): Promise<ShopClient> {
  const db = await openDevice({ path: join(folder, `${name}.db`), url: shop.url, auth: name })
  opened.push(db)
  return db
}

/** Four requests of an upload, and not a whole number of them. */
const photo = Uint8Array.from(randomBytes(1_800_001))

/** An item with the photo, taken where there is no network. */
async function takePhoto(db: ShopClient): Promise<string> {
  const value = await db.attachments.add(photo, { name: 'shelf.jpg', mediaType: 'image/jpeg' })
  return db.items.insert({ site: 'north', name: 'Lamp', photo: value })
}

/** Syncs, and tries what waits for another attempt, until nothing is left to be uploaded. */
async function upload(db: ShopClient): Promise<void> {
  const isOver = async (): Promise<boolean> => {
    await db.sync.now().catch(() => undefined)
    await db.attachments.retry()
    return (await db.attachments.list()).length === 0
  }
  await expect.poll(isOver, { timeout: 30_000, interval: 50 }).toBe(true)
}

async function photoOf(db: ShopClient, id: string): Promise<Uint8Array> {
  await db.sync.now()
  const value = (await db.items.get(id))?.photo
  if (!value) throw new Error('the item has no photo')
  return db.attachments.read({ collection: 'items', record: id }, value)
}

const sent = (): number => shop.requests.filter((request) => request.startsWith('PATCH')).length

test('[AT-2, AT-12] a photo that was taken offline follows its record, and whoever sees that reads it byte for byte', async () => {
  const ann = await givenDevice('ann')
  const id = await takePhoto(ann)
  expect(await ann.canSafelySignOut()).toBe(false)
  await upload(ann)
  expect(await ann.canSafelySignOut()).toBe(true)
  expect(sent()).toBe(4)
  const ben = await givenDevice('ben')
  expect(await photoOf(ben, id)).toEqual(photo)

  grants.set('eve', ['site:south'])
  const eve = await givenDevice('eve')
  await eve.sync.now()
  const value = (await ben.items.get(id))?.photo
  if (!value) throw new Error('the item has no photo')
  const foreign = eve.attachments.read({ collection: 'items', record: id }, value)
  await expect(foreign).rejects.toMatchObject({ code: 'ATTACHMENT_MISSING' })
})

test('[AT-5] an upload that is cut, over a server that is restarted, goes on where it was', async () => {
  const ann = await givenDevice('ann')
  const id = await takePhoto(ann)
  let patches = 0
  shop.tamper = {
    before: async (request) => {
      if (request.method !== 'PATCH' || ++patches !== 2) return undefined
      // Half of the second part arrives, and nobody hears of it.
      const { url, method, headers } = request
      const body = cutInHalf(new Uint8Array(await request.arrayBuffer()))
      await shop.sync.fetch(new Request(url, { method, headers, body, duplex: 'half' }))
      return new Response(null, { status: 502 })
    },
  }
  await ann.sync.now()
  await expect.poll(() => patches, { timeout: 30_000 }).toBeGreaterThanOrEqual(2)
  const port = Number(new URL(shop.url).port)
  await shop.close()
  shop = await serve(port)
  await upload(ann)
  // Three quarters of the way were left, and the part that was cut in its middle was not begun anew.
  expect(sent()).toBeLessThanOrEqual(3)
  expect(await photoOf(await givenDevice('ben'), id)).toEqual(photo)
})

test('[AT-7] bytes that were damaged on the way are sent again, and nobody ever reads the others', async () => {
  const ann = await givenDevice('ann')
  const id = await takePhoto(ann)
  let patches = 0
  shop.tamper = {
    before: async (request) => {
      if (request.method !== 'PATCH' || ++patches !== 3) return undefined
      const bytes = new Uint8Array(await request.arrayBuffer())
      bytes[7] = 255 - (bytes[7] ?? 0)
      return shop.sync.fetch(
        new Request(request.url, { method: 'PATCH', headers: request.headers, body: bytes }),
      )
    },
  }
  const ben = await givenDevice('ben')
  await upload(ann)
  expect(sent()).toBe(8)
  expect(await photoOf(ben, id)).toEqual(photo)
})

/** A body that ends in the middle, with the connection. */
function cutInHalf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes.slice(0, Math.floor(bytes.length / 2)))
    },
    pull(controller) {
      controller.error(new Error('cut'))
    },
  })
}
