import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { hasPostgres } from '../services/shared-servers.ts'
import { databaseAt, openShop, type Shop } from './serve-shop.ts'
import { openDevice, rowsOfDevice, type ShopClient } from './shop-device.ts'

let folder = ''
let shop: Shop
const devices: ShopClient[] = []

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-restored-'))
  shop = await openShop({ path: join(folder, 'server.db') })
})

afterEach(async () => {
  for (const db of devices.splice(0)) await db.close()
  await shop.close()
  rmSync(folder, { recursive: true, force: true })
})

/** With the shop closed, runs statements about its database, which is called `shop` in them. */
async function whileClosed(...statements: readonly string[]): Promise<void> {
  const url = await databaseAt(join(folder, 'server.db'))
  const name = new URL(url).pathname.slice(1)
  const port = Number(new URL(shop.url).port)
  await shop.close()
  const client = new Client({ connectionString: process.env['HOLDFAST_TEST_POSTGRES'] ?? url })
  await client.connect()
  for (const statement of statements) await client.query(statement.replaceAll('shop', name))
  await client.end()
  shop = await openShop({ path: join(folder, 'server.db'), port })
}

async function syncAll(rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    // A few at a time, as a fleet does.
    for (let at = 0; at < devices.length; at += 5)
      await Promise.all(devices.slice(at, at + 5).map((db) => db.sync.now()))
  }
}

const lamp = { site: 'north', name: 'Lamp', price: '10.00', stock: 0, note: '' }

describe.skipIf(!hasPostgres())('a PostgreSQL that was put back from a backup', () => {
  test('[SY-21] B14: of 500 mutations of 20 devices that it had taken, every effect is there once', async () => {
    for (let n = 0; n < 20; n++) {
      const path = join(folder, `d${n}.db`)
      // No device loses power here.
      devices.push(await openDevice({ path, url: shop.url, auth: `user${n}`, durability: 'fast' }))
    }
    const [first] = devices
    if (!first) throw new Error('twenty devices are there')
    const shared = await first.items.insert({ ...lamp, name: 'shared' })
    await syncAll(2)
    await whileClosed('CREATE DATABASE shop_backup TEMPLATE shop')
    for (let round = 0; round < 5; round++) {
      for (const [n, db] of devices.entries()) {
        const own = await db.items.insert({ ...lamp, name: `own ${n} ${round}` })
        await db.items.increment(own, { stock: 3 })
        await db.items.increment(shared, { stock: 1 })
        await db.items.update(own, { note: `by ${n}` })
        const dropped = await db.items.insert({ ...lamp, name: `dropped ${n} ${round}` })
        await db.sync.now()
        await db.items.delete(dropped)
        await db.sync.now()
      }
    }
    await syncAll(1)
    await whileClosed('DROP DATABASE shop', 'ALTER DATABASE shop_backup RENAME TO shop')
    await syncAll(4)
    const rows = (await rowsOfDevice(first))['items'] as { name: string; stock: number; note: string }[]
    expect(rows.length).toBe(1 + 100)
    expect(rows.find(({ name }) => name === 'shared')?.stock).toBe(100)
    for (const { name, stock, note } of rows.filter(({ name }) => name !== 'shared'))
      expect([name, stock, note]).toEqual([name, 3, `by ${name.split(' ')[1]}`])
    const conflicts = await first.conflicts.list()
    expect(conflicts).toEqual([])
    for (const db of devices) {
      expect(await rowsOfDevice(db)).toEqual(await rowsOfDevice(first))
      expect(await db.status.get()).toMatchObject({ pendingCount: 0, deadLetterCount: 0 })
    }
  }, 120_000)
})
