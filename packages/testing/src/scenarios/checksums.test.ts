import { DatabaseSync } from 'node:sqlite'
import { type ClientOptions, openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import type { Schema } from '@holdfast/core'
import { createServer, type HoldfastServer, sqliteStore } from '@holdfast/server'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'
import { createShopWorld, itemsOf, type ShopClient, shopSchema } from './shop-world.ts'

let folder: string
let env: VirtualEnvironment
let server: HoldfastServer
let clients: ShopClient[]
let grants: readonly string[] | '*'
let asked: Readonly<Record<string, unknown>>[]
let serverLog: string[]
let beforePull: (request: Readonly<Record<string, unknown>>) => Promise<void>

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-checksums-'))
  env = createVirtualEnvironment({ seed: 7 })
  clients = []
  asked = []
  serverLog = []
  beforePull = async () => undefined
  grants = ['w:w1', 'w:w2']
  const note =
    (level: string) =>
    (_: object, message: string): void =>
      void serverLog.push(`${level}: ${message}`)
  server = await createServer({
    schema: shopSchema,
    store: sqliteStore(join(folder, 'server.sqlite')),
    env,
    authenticate: (request) => ({ id: request.headers.get('Authorization')?.slice('Bearer '.length) ?? '' }),
    scopes: () => grants,
    logger: { info: () => undefined, warn: note('warn'), error: note('error') },
  })
  env.connect(async (request) => {
    if (request.url.endsWith('/sync/pull')) {
      const body: Readonly<Record<string, unknown>> = JSON.parse(await request.clone().text())
      asked.push(body)
      await beforePull(body)
    }
    return server.fetch(request)
  })
})

afterEach(async () => {
  for (const db of clients) await db.close()
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

async function open(user: string, more: Partial<ClientOptions<Schema>> = {}): Promise<ShopClient> {
  const db = await openClient({
    schema: shopSchema,
    storage: sqliteStorage(join(folder, `${user}.sqlite`)),
    server: 'https://shop.example',
    auth: user,
    env,
    durability: 'fast',
    sync: { auto: false },
    logger: more.logger,
  })
  clients.push(db)
  return db
}

const sync = (db: ShopClient): Promise<unknown> => env.complete(db.sync.now())
const verify = (db: ShopClient): ReturnType<ShopClient['sync']['verify']> => env.complete(db.sync.verify())

/** Does to a file what no code of ours may do. */
function damage(file: string, ...statements: readonly string[]): void {
  const db = new DatabaseSync(join(folder, file))
  for (const statement of statements) db.exec(statement)
  db.close()
}

async function stock(db: ShopClient, count: number): Promise<readonly string[]> {
  const ids: string[] = []
  for (let n = 0; n < count; n++)
    ids.push(await db.items.insert({ name: `Rope ${n}`, stock: n, wh: n % 3 === 0 ? 'w2' : 'w1' }))
  return ids
}

describe('the copy of a device', () => {
  test('[CS-2] is compared when somebody asks, and is the same', async () => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    const [id] = await stock(ann, 30)
    await sync(ann)
    await sync(bob)
    // Edits that are not sent are no part of the copy; those that were sent are.
    await bob.items.update(id!, { name: 'Chain' })
    expect(await verify(bob)).toEqual({ status: 'done', code: null, compared: 2, repaired: 0 })
    await bob.items.update(id!, { note: 'unsent' })
    await ann.items.delete(id!)
    expect(await verify(ann)).toMatchObject({ repaired: 0 })
    expect(await verify(bob)).toMatchObject({ repaired: 0 })
    expect(await bob.status.get()).toMatchObject({ repairCount: 0 })
  })

  test.each<[what: string, statement: string]>([
    ['lacks a row', "DELETE FROM items WHERE name = 'Rope 3'"],
    [
      'has a row too many',
      `INSERT INTO items SELECT '0197a1b2-0000-7000-8000-0000000000ff', 'Ghost', stock, price, note, tags, shelf, wh,
         _created_at, _updated_at, _server_updated_at, _version, _state, _scopes FROM items WHERE name = 'Rope 4'`,
    ],
    ['has an older version', "UPDATE items SET name = 'Old', stock = 99, _version = 1 WHERE name = 'Rope 5'"],
    [
      'has a version that is not there yet',
      "UPDATE items SET name = 'New', _version = 999 WHERE name = 'Rope 5'",
    ],
    [
      'takes a row for deleted',
      `INSERT INTO _deleted SELECT 'items', id, 999, NULL, NULL FROM items WHERE name = 'Rope 7';
       DELETE FROM items WHERE name = 'Rope 7'`,
    ],
    [
      'has a row in another scope',
      "UPDATE items SET _scopes = (SELECT _scopes FROM items WHERE wh = 'w2') WHERE name = 'Rope 1'",
    ],
  ])('[CS-3] [CS-6] that %s is repaired, and that is told loudly', async (_, statement) => {
    const log: string[] = []
    const [ann, bob] = [
      await open('ann'),
      await open('bob', { logger: { log: (level, event) => void log.push(`${level}: ${event}`) } }),
    ]
    await stock(ann, 30)
    await sync(ann)
    await sync(bob)
    const before = await itemsOf(bob)
    damage('bob.sqlite', statement)
    expect(await verify(bob)).toMatchObject({ status: 'done', repaired: expect.toSatisfy((n) => n > 0) })
    expect(await itemsOf(bob)).toEqual(before)
    expect(await verify(bob)).toMatchObject({ repaired: 0 })
    const { repairCount } = await bob.status.get()
    expect(repairCount).toBeGreaterThan(0)
    expect((await bob.status.metrics()).counts.repairs).toBe(repairCount)
    expect(log).toContain('error: copy-differs')
    expect(serverLog).toContain('error: a device held other rows than the server')
    const metrics = await (await server.fetch(new Request('https://shop.example/metrics'))).text()
    expect(metrics).toContain(`holdfast_repairs_total ${repairCount}`)
  })

  test('[CS-3] of somebody who sees everything is repaired as well', async () => {
    grants = '*'
    const [ann, bob] = [await open('ann'), await open('bob')]
    await stock(ann, 30)
    await sync(ann)
    await sync(bob)
    const before = await itemsOf(bob)
    damage('bob.sqlite', "DELETE FROM items WHERE name = 'Rope 3'")
    expect(await verify(bob)).toMatchObject({ compared: 1, repaired: 1 })
    expect(await itemsOf(bob)).toEqual(before)
  })

  test('[CS-4] keeps what a person writes while it is repaired', async () => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    const ids = await stock(ann, 6)
    await sync(ann)
    await sync(bob)
    damage('bob.sqlite', "UPDATE items SET stock = 70, _version = 1 WHERE name = 'Rope 1'")
    let seen: unknown
    beforePull = async (request) => {
      if (!('ranges' in request)) return
      await bob.items.increment(ids[1]!, { stock: 5 })
      seen = (await itemsOf(bob))[1]
    }
    expect(await verify(bob)).toMatchObject({ repaired: 1 })
    expect(seen).toMatchObject({ stock: 75, _state: 'pending' })
    beforePull = async () => undefined
    await sync(bob)
    expect((await itemsOf(bob))[1]).toMatchObject({ stock: 6 })
    await sync(ann)
    expect(await itemsOf(ann)).toEqual(await itemsOf(bob))
  })

  test('[CS-3] is fetched again where it differs, and nowhere else', async () => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    await stock(ann, 1_200)
    await sync(ann)
    await sync(bob)
    damage('bob.sqlite', "DELETE FROM items WHERE name = 'Rope 400'")
    asked.length = 0
    expect(await verify(bob)).toMatchObject({ compared: 17, repaired: 1 })
    const { ranges } = asked.find((request) => 'ranges' in request) ?? {}
    expect(ranges).toMatchObject([{ collection: 'items', scope: 'w:w1', of: 16 }])
    expect(await itemsOf(bob)).toHaveLength(1_200)
  })
})

test('[CS-5] a copy is compared once a day, and by each device at a moment of its own', async () => {
  const world = createShopWorld()
  const comparedAt: Record<string, number[]> = {}
  const hourMs = 3_600_000
  world.env.connect(async (request) => {
    const device = request.headers.get('Holdfast-Device') ?? ''
    if (request.url.endsWith('/sync/pull')) {
      const isComparing = JSON.parse(await request.clone().text()).digests === true
      if (isComparing) (comparedAt[device] ??= []).push(Math.floor(world.env.now() / hourMs) % 24)
    }
    return world.server.fetch(request)
  })
  const devices = [await world.open(), await world.open()]
  for (let hour = 0; hour < 72; hour++) {
    for (const device of devices) await world.sync(device)
    await world.env.advance(hourMs)
  }
  const [ann, other] = Object.values(comparedAt)
  expect(ann).toEqual([ann?.[0], ann?.[0], ann?.[0]])
  expect(other).toEqual([other?.[0], other?.[0], other?.[0]])
  expect(ann?.[0]).not.toBe(other?.[0])
  await world.close()
})

test('[CS-7] a server that knows no digests is asked for them and nothing comes of it', async () => {
  const world = createShopWorld()
  const ann = await world.open()
  await ann.items.insert({ name: 'Rope' })
  expect(await world.env.complete(ann.sync.verify())).toEqual({
    status: 'done',
    code: null,
    compared: null,
    repaired: null,
  })
  await world.close()
})
