import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { openShop, type Shop } from './serve-shop.ts'
import { openDevice, type ShopClient } from './shop-device.ts'

let folder = ''
let shop: Shop
const opened: ShopClient[] = []
const grants = new Map<string, readonly string[] | '*'>()

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

/** Ann has put a photo into an item whose site was taken from her meanwhile; the bytes lie in her files. */
async function givenPhotoInEscrow(ann: ShopClient): Promise<string> {
  grants.set('ann', ['site:north', 'site:south'])
  const id = await ann.items.insert({ site: 'north', name: 'Lamp' })
  await ann.sync.now()
  const value = await ann.attachments.add(photo, { name: 'shelf.jpg' })
  await ann.items.update(id, { photo: value })
  grants.set('ann', ['site:south'])
  grants.set('boss', '*')
  return id
}

async function decide(kind: 'accept' | 'refuse'): Promise<void> {
  const headers = { authorization: 'Bearer boss', 'content-type': 'application/json' }
  const listed = await fetch(`${shop.url}/escrow`, { headers })
  const { escrow } = (await listed.json()) as { readonly escrow: readonly { readonly id: string }[] }
  expect(escrow).toHaveLength(1)
  for (const { id } of escrow) {
    const body = JSON.stringify({ kind, ...(kind === 'refuse' && { reason: 'no' }) })
    expect((await fetch(`${shop.url}/escrow/${id}`, { method: 'POST', headers, body })).status).toBe(200)
  }
}

/** Whether a piece of the photo can be read out of any of a device's files. */
function isInFiles(device: string): boolean {
  const files = readdirSync(folder).filter((name) => name.startsWith(`${device}.db`))
  return files.some((name) =>
    readFileSync(join(folder, name)).includes(Buffer.from(photo.subarray(500_000, 500_064))),
  )
}

test('[AT-41] a photo that only an edit in escrow names is sent, leaves the device then, and is there once the edit is accepted', async () => {
  const ann = await givenDevice('ann')
  const id = await givenPhotoInEscrow(ann)
  for (let cycle = 0; cycle < 3; cycle++) await ann.sync.now().catch(() => undefined)
  expect(await ann.escrow.list()).toMatchObject([{ record: id, status: 'waiting' }])
  await upload(ann)
  expect(sent()).toBe(4)
  expect(await ann.canSafelySignOut()).toBe(true)
  await expect.poll(() => isInFiles('ann')).toBe(false)
  await decide('accept')
  expect(await photoOf(await givenDevice('ben'), id)).toEqual(photo)
})

test('[AT-41] an edit that is accepted while its photo is on the way has it all the same', async () => {
  const ann = await givenDevice('ann')
  const id = await givenPhotoInEscrow(ann)
  let isAway = true
  shop.tamper = {
    before: ({ method }) => (isAway && method === 'PATCH' ? new Response('', { status: 503 }) : undefined),
  }
  for (let cycle = 0; cycle < 3; cycle++) await ann.sync.now().catch(() => undefined)
  await decide('accept')
  expect(await ann.canSafelySignOut()).toBe(false)
  isAway = false
  await upload(ann)
  expect(await photoOf(await givenDevice('ben'), id)).toEqual(photo)
})

test('[AT-41] a photo whose edit in escrow is refused is sent no more, and leaves the device', async () => {
  const ann = await givenDevice('ann')
  await givenPhotoInEscrow(ann)
  let isAway = true
  shop.tamper = {
    before: ({ method }) => (isAway && method === 'PATCH' ? new Response('', { status: 503 }) : undefined),
  }
  for (let cycle = 0; cycle < 3; cycle++) await ann.sync.now().catch(() => undefined)
  expect(await ann.attachments.list()).toHaveLength(1)
  await decide('refuse')
  isAway = false
  await upload(ann)
  expect(await ann.canSafelySignOut()).toBe(true)
  await expect.poll(() => isInFiles('ann')).toBe(false)
})

test('[AT-41] a photo for escrow outlives the app, and stays where another record names it', async () => {
  const ann = await givenDevice('ann')
  const id = await givenPhotoInEscrow(ann)
  const value = await ann.attachments.add(photo)
  const other = await ann.items.insert({ site: 'south', name: 'Desk', photo: value })
  shop.tamper = {
    before: ({ method }) => (method === 'PATCH' ? new Response('', { status: 503 }) : undefined),
  }
  for (let cycle = 0; cycle < 3; cycle++) await ann.sync.now().catch(() => undefined)
  await ann.close()
  shop.tamper = {}
  const again = await givenDevice('ann')
  expect((await again.attachments.list()).map(({ record }) => record).toSorted()).toEqual(
    [id, other].toSorted(),
  )
  await upload(again)
  expect(await again.attachments.has(value)).toBe(true)
  await decide('accept')
  const ben = await givenDevice('ben')
  expect(await photoOf(ben, id)).toEqual(photo)
  await ben.close()
  grants.set('ben', ['site:south'])
  expect(await photoOf(await givenDevice('ben'), other)).toEqual(photo)
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
