import { sqliteStorage } from '@holdfast/client/node'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { faultyStorage } from '../faulty-storage.ts'
import { createShopWorld, itemsOf, type ShopWorld } from './shop-world.ts'

let world: ShopWorld
beforeEach(() => {
  world = createShopWorld()
})
afterEach(() => world.close())

describe('the checklist of every offline app', () => {
  test('[SY-8] a record made offline survives a restart and arrives', async () => {
    const path = world.path('offline.sqlite')
    const db = await world.open({ storage: sqliteStorage(path) })
    const id = await db.items.insert({ name: 'Rope', stock: 3 })
    await db.close()
    const again = await world.open({ storage: sqliteStorage(path) })
    expect(await itemsOf(again)).toMatchObject([{ id, name: 'Rope', stock: 3, _state: 'pending' }])
    await world.sync(again)
    expect(world.server.record('items', id)).toMatchObject({ name: 'Rope', stock: 3 })
  })

  test('[SY-8] five updates made offline travel as one', async () => {
    const db = await world.open()
    const id = await db.items.insert({ name: 'Rope' })
    await world.sync(db)
    for (let n = 1; n <= 5; n++) await db.items.update(id, { note: `edit ${n}` })
    await world.sync(db)
    expect(world.server.decided).toHaveLength(2)
    expect(world.server.record('items', id)).toMatchObject({ note: 'edit 5' })
    expect(await db.outbox.list()).toEqual([])
  })

  test('[SY-8] a record deleted offline and made again is the new one, everywhere', async () => {
    const db = await world.open()
    const bob = await world.open({ user: 'bob' })
    const id = await db.items.insert({ name: 'old', stock: 9 })
    await world.sync(db)
    await world.sync(bob)
    await db.items.delete(id)
    await db.items.insert({ id, name: 'new', stock: 1 })
    await world.sync(db)
    await world.sync(db)
    await world.sync(bob)
    for (const device of [db, bob])
      expect(await itemsOf(device)).toMatchObject([{ id, name: 'new', stock: 1, _state: 'clean' }])
    expect(await db.conflicts.list({ status: 'all' })).toEqual([])
  })

  test('[SY-9] a request that times out and a process that dies in it cost nothing and double nothing', async () => {
    const path = world.path('killed.sqlite')
    let isDying = false
    const storage = faultyStorage(sqliteStorage(path), () => (isDying ? 'kill' : 'run'))
    const db = await world.open({ storage })
    const id = await db.items.insert({ name: 'Rope', stock: 1 })
    await world.sync(db)
    await db.items.increment(id, { stock: 4 })
    world.env.connect(async (request) => {
      const response = await world.server.fetch(request)
      isDying = true
      return response
    })
    void db.sync.now()
    await world.env.settle()
    world.env.connect(world.server.fetch)
    await world.env.advance(20_000)
    const again = await world.open({ storage: sqliteStorage(path) })
    expect(await itemsOf(again)).toMatchObject([{ stock: 5 }])
    await world.sync(again)
    await world.sync(again)
    expect(world.server.record('items', id)).toMatchObject({ stock: 5 })
    expect(await itemsOf(again)).toMatchObject([{ stock: 5, _state: 'clean' }])
  })

  test('[SY-15] edits of different fields on two devices both stay', async () => {
    const [ann, bob] = [await world.open(), await world.open({ user: 'bob' })]
    const id = await ann.items.insert({ name: 'Rope', price: '1.00', stock: 10 })
    await world.sync(ann)
    await world.sync(bob)
    await ann.items.update(id, { price: '2.00' })
    await ann.items.increment(id, { stock: -1 })
    await bob.items.update(id, { name: 'Long rope' })
    await bob.items.increment(id, { stock: -2 })
    for (const db of [ann, bob, ann, bob]) await world.sync(db)
    const expected = { name: 'Long rope', price: '2.00', stock: 7 }
    expect(world.server.record('items', id)).toMatchObject(expected)
    for (const db of [ann, bob]) expect(await itemsOf(db)).toMatchObject([{ ...expected, _state: 'clean' }])
  })

  test('[AP-3] nothing of a pull is seen before all of it is there', async () => {
    const db = await world.open()
    await world.sync(db)
    for (let n = 0; n < 2_500; n++) {
      const id = `00000000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`
      world.server.write('items', id, {
        name: 'x',
        stock: 0,
        price: null,
        note: null,
        tags: [],
        shelf: null,
        wh: 'w1',
      })
    }
    const counts = new Set<number>()
    db.watch(
      (q) => q.selectFrom('items').select('id'),
      (rows) => counts.add(rows.length),
    )
    world.server.script({
      on: ({ kind, index }) => kind === 'pull' && index === 3,
      fault: { kind: 'cut', when: 'before' },
    })
    expect(await world.sync(db)).toMatchObject({ status: 'offline' })
    expect(await world.sync(db)).toMatchObject({ status: 'done' })
    await world.env.settle()
    expect([...counts]).toEqual([0, 2_500])
  })

  test('[SY-6] a token that expires in the middle of a sync is renewed, and the sync goes on', async () => {
    world.server.accept('old', 'ann')
    world.server.accept('new', 'ann')
    const reasons: string[] = []
    const db = await world.open({
      auth: ({ reason }) => {
        reasons.push(reason)
        return reason === 'start' ? 'old' : 'new'
      },
    })
    await db.items.insert({ name: 'Rope' })
    await world.sync(db)
    world.server.expire('old')
    const id = await db.items.insert({ name: 'Chain' })
    expect(await world.sync(db)).toEqual({ status: 'done', code: null })
    expect(reasons).toEqual(['start', 'expired'])
    expect(world.server.record('items', id)).toMatchObject({ name: 'Chain' })
  })
})
