import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { freePort } from '../services/free-port.ts'
import { hasPostgres } from '../services/shared-servers.ts'
import { openShop, type Shop } from './serve-shop.ts'
import { openDevice, rowsOfDevice, type ShopClient } from './shop-device.ts'

let folder = ''
const shops: Shop[] = []
const devices: ShopClient[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-nodes-'))
})

afterEach(async () => {
  for (const db of devices.splice(0)) await db.close()
  for (const shop of shops.splice(0)) await shop.close()
  rmSync(folder, { recursive: true, force: true })
})

/** A node over the one database of this test. */
async function givenNode(port?: number): Promise<Shop> {
  const shop = await openShop({ path: join(folder, 'server.db'), port: port ?? (await freePort()) })
  shops.push(shop)
  return shop
}

async function givenDevice(name: string, { url }: Shop, isLive: boolean): Promise<ShopClient> {
  const db = await openDevice({ path: join(folder, `${name}.db`), url, auth: name, isLive })
  devices.push(db)
  return db
}

const lamp = { site: 'north', name: 'Lamp', price: '10.00', stock: 10, note: '' }
const namesOf = async (db: ShopClient): Promise<readonly string[]> =>
  (await db.query((q) => q.selectFrom('items').select('name'))).map(({ name }) => name)

describe.skipIf(!hasPostgres())('nodes over one PostgreSQL', () => {
  test('[FE-64] what one node takes, the devices of another are told at once', async () => {
    const [first, second] = [await givenNode(), await givenNode()]
    const writer = await givenDevice('ann', first, true)
    const reader = await givenDevice('ben', second, true)
    await vi.waitFor(() => expect(second.requests).toContain('GET /sync/stream'), 30_000)
    await writer.items.insert(lamp)
    // Before the minute in which a device asks by itself.
    await vi.waitFor(async () => expect(await namesOf(reader)).toEqual(['Lamp']), {
      timeout: 30_000,
      interval: 10,
    })
  })

  test('[FE-65] any node answers any request: a cursor, an acknowledgement and a repeat of another', async () => {
    const [first, second] = [await givenNode(), await givenNode()]
    let turn = 0
    const either = (request: Request): Promise<Response> =>
      [first, second][turn++ % 2]?.sync.fetch(request) ?? Promise.reject(new Error('no node'))
    const open = async (name: string): Promise<ShopClient> => {
      const path = join(folder, `${name}.db`)
      const db = await openDevice({ path, url: first.url, auth: name, fetch: either })
      devices.push(db)
      return db
    }
    const [ann, ben] = [await open('ann'), await open('ben')]
    for (let round = 0; round < 6; round++) {
      const id = await ann.items.insert({ ...lamp, name: `Lamp ${round}` })
      await ann.sync.now()
      await ben.sync.now()
      await ben.items.increment(id, { stock: 1 })
      await ben.sync.now()
      await ann.sync.now()
    }
    expect(turn).toBeGreaterThan(30)
    expect(await rowsOfDevice(ann)).toEqual(await rowsOfDevice(ben))
    expect((await ann.query((q) => q.selectFrom('items').select('stock'))).map(({ stock }) => stock)).toEqual(
      Array.from({ length: 6 }, () => 11),
    )
  })

  test('[FE-65] nodes are replaced one by one under way, and every write is there once', async () => {
    const [first, second] = [await givenNode(), await givenNode()]
    const [ann, ben] = [await givenDevice('ann', first, true), await givenDevice('ben', second, true)]
    const ids = [await ann.items.insert(lamp), await ben.items.insert({ ...lamp, name: 'Rope' })]
    let written = 0
    let isOver = false
    const write = async (db: ShopClient, id: string | undefined): Promise<void> => {
      while (!isOver && id !== undefined) {
        await db.items.increment(id, { stock: 1 })
        written += 1
        await new Promise((resolve) => setTimeout(resolve, 15))
      }
    }
    const writing = [write(ann, ids[0]), write(ben, ids[1])]
    for (const shop of [first, second]) {
      const port = Number(new URL(shop.url).port)
      await shop.close()
      shops.splice(shops.indexOf(shop), 1)
      await givenNode(port)
    }
    isOver = true
    await Promise.all(writing)
    await vi.waitFor(
      async () => {
        for (const db of [ann, ben]) await db.sync.now()
        for (const db of [ann, ben]) expect((await db.status.get()).pendingCount).toBe(0)
        expect(await rowsOfDevice(ann)).toEqual(await rowsOfDevice(ben))
      },
      { timeout: 60_000, interval: 200 },
    )
    const stocks = (await ann.query((q) => q.selectFrom('items').select('stock'))).map(({ stock }) => stock)
    expect(stocks.reduce((sum, stock) => sum + stock, 0)).toBe(20 + written)
    for (const db of [ann, ben])
      expect(await db.sync.verify()).toMatchObject({ status: 'done', compared: 1, repaired: 0 })
  }, 120_000)
})
