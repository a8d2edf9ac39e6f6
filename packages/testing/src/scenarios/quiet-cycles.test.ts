import { sqliteStorage } from '@holdfast/client/node'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { type FaultyStorage, faultyStorage } from '../faulty-storage.ts'
import { sharedStorage } from './shared-storage.ts'
import { createShopWorld, itemsOf, type ShopClient, type ShopWorld } from './shop-world.ts'

let world: ShopWorld
beforeEach(() => {
  world = createShopWorld()
})
afterEach(() => world.close())

/** Storage that writes down what it is asked. */
function writtenDown(): { storage: FaultyStorage; take: () => readonly string[] } {
  const asked: string[] = []
  const storage = faultyStorage(sqliteStorage(':memory:'), (sql) => {
    asked.push(sql)
    return 'run'
  })
  return { storage, take: () => asked.splice(0) }
}

/** Looks through fresh entries of the outbox, and transactions that wait for the disk. */
const looks = (asked: readonly string[]): number =>
  asked.filter((sql) => sql.includes("FROM _outbox WHERE status = 'pending' AND offer IS NULL")).length
const syncs = (asked: readonly string[]): number =>
  asked.filter((sql) => sql === 'PRAGMA synchronous = FULL').length

/** The server refuses whatever holds the text, or asks to offer it again later. */
function refuse(text: string, status: 'rejected' | 'retry'): void {
  const { env, server } = world
  env.connect(async (request) => {
    const isMeant = request.url.endsWith('/push') && (await request.clone().text()).includes(text)
    if (!isMeant) return server.fetch(request)
    const { mutations } = JSON.parse(await request.text()) as { mutations: { id: string }[] }
    const error = { code: status === 'retry' ? 'STORE_BUSY' : 'FORBIDDEN', message: 'no', retry: 'never' }
    const results = mutations.map(({ id }) => ({ id, status, version: null, serverUpdatedAt: null, error }))
    return Response.json({ results, serverTime: new Date(env.now()).toISOString() })
  })
}

describe('a cycle with nothing to send', () => {
  test('[SY-22] waits for no disk and looks through nothing', async () => {
    const { storage, take } = writtenDown()
    const db = await world.open({ storage })
    await db.items.insert({ name: 'Rope' })
    await world.sync(db)
    expect(syncs(take())).toBe(1)
    await world.sync(db)
    const asked = take()
    expect([syncs(asked), looks(asked)]).toEqual([0, 0])
  })

  test('[SY-22] looks once through what waits behind a dead letter, until it is retried', async () => {
    const { storage, take } = writtenDown()
    const db = await world.open({ storage })
    refuse('Rope', 'rejected')
    const id = await db.items.insert({ name: 'Rope' })
    await world.sync(db)
    await db.items.update(id, { note: 'waits' })
    await world.sync(db)
    take()
    for (let again = 0; again < 3; again++) await world.sync(db)
    const asked = take()
    expect([syncs(asked), looks(asked)]).toEqual([0, 0])
    await db.items.insert({ name: 'Chain' })
    await world.sync(db)
    expect(world.server.rows('items').size).toBe(1)
    const [letter] = await db.deadLetters.list()
    await db.deadLetters.editAndRetry(letter?.id ?? '', { name: 'Line' })
    await world.sync(db)
    expect(world.server.record('items', id)).toMatchObject({ name: 'Line', note: 'waits' })
  })

  test('[SY-22] offers again what waits for its next attempt, once it is due', async () => {
    const { storage, take } = writtenDown()
    const db = await world.open({ storage })
    refuse('Rope', 'retry')
    await db.items.insert({ name: 'Rope' })
    await world.sync(db)
    await world.sync(db)
    take()
    await world.sync(db)
    expect(syncs(take())).toBe(0)
    world.env.connect(world.server.fetch)
    await world.env.advance(3_600_000)
    await world.sync(db)
    expect(world.server.rows('items').size).toBe(1)
  })

  test('[SY-22] sends what another process has made free', async () => {
    const storage = sharedStorage(sqliteStorage(world.path('shared.sqlite')))
    const db = await world.open({ storage })
    const tab: ShopClient = await world.open({ storage })
    refuse('Rope', 'rejected')
    const id = await db.items.insert({ name: 'Rope' })
    await world.sync(db)
    await db.items.update(id, { note: 'waits' })
    await world.sync(db)
    await world.sync(db)
    const [letter] = await tab.deadLetters.list()
    await tab.deadLetters.editAndRetry(letter?.id ?? '', { name: 'Line' })
    await world.sync(db)
    expect(world.server.record('items', id)).toMatchObject({ name: 'Line', note: 'waits' })
  })
})

describe('a pull', () => {
  test('[AP-11] of one page is one transaction, and gives back the lease that was taken before it', async () => {
    const { storage, take } = writtenDown()
    const ann = await world.open({ storage })
    const bob = await world.open({ user: 'bob' })
    await world.sync(ann)
    await bob.items.insert({ name: 'Rope' })
    await world.sync(bob)
    take()
    await world.sync(ann)
    expect(take().filter((sql) => sql === 'BEGIN IMMEDIATE')).toHaveLength(2)
    expect(await itemsOf(ann)).toMatchObject([{ name: 'Rope' }])
    expect((await ann.status.metrics()).counts).toMatchObject({ runs: 2, successes: 2 })
    await world.sync(ann)
    expect(take().filter((sql) => sql === 'BEGIN IMMEDIATE')).toHaveLength(2)
  })

  test('[AP-11] that fails at its only page is fetched again, and counts no success', async () => {
    let isFull = false
    const storage = faultyStorage(sqliteStorage(':memory:'), (sql) =>
      isFull && sql.startsWith('DELETE FROM _staging') ? 'fail' : 'run',
    )
    const ann = await world.open({ storage })
    await world.sync(ann)
    world.server.write('items', '00000000-0000-7000-8000-000000000001', { name: 'Rope', stock: 0, wh: 'w1' })
    const pulls = world.server.requests.pull ?? 0
    isFull = true
    expect(await world.sync(ann)).toMatchObject({ status: 'waiting', code: 'STORE_FULL' })
    expect(await itemsOf(ann)).toEqual([])
    isFull = false
    await world.sync(ann)
    expect(world.server.requests.pull).toBe(pulls + 2)
    expect(await itemsOf(ann)).toMatchObject([{ name: 'Rope' }])
    expect((await ann.status.metrics()).counts).toMatchObject({ successes: 2 })
  })
})

describe('what is foretold', () => {
  test('[CF-6] is looked for when somebody asks, and a record is replayed only after it changed', async () => {
    const { storage, take } = writtenDown()
    const ann = await world.open({ storage })
    const bob = await world.open({ user: 'bob' })
    const id = await ann.items.insert({ name: 'Rope', price: '1.00' })
    await world.sync(ann)
    await world.sync(bob)
    await ann.items.update(id, { price: '3.00' })
    await bob.items.update(id, { price: '2.00' })
    await world.sync(bob)
    // The push fails alone, so the next cycle begins with a pull; that cycle is cut off before it pushes again.
    world.server.script({ on: 'push', fault: { kind: 'answer', status: 500 } })
    take()
    await world.sync(ann)
    await world.sync(ann)
    expect(take().filter((sql) => sql.includes('group_concat'))).toEqual([])
    const replays = (): number => take().filter((sql) => sql.startsWith('SELECT * FROM _shadow')).length
    expect(await ann.conflicts.foretold()).toMatchObject([{ record: id, outcome: { fields: ['price'] } }])
    expect(replays()).toBe(1)
    expect(await ann.conflicts.foretold()).toHaveLength(1)
    expect(await ann.status.get()).toMatchObject({ foretoldCount: 1 })
    expect(replays()).toBe(0)
    await ann.items.update(id, { price: '4.00' })
    take()
    expect(await ann.conflicts.foretold()).toHaveLength(1)
    expect(replays()).toBe(1)
  })
})
