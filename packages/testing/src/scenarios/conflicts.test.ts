import { sqliteStorage } from '@holdfast/client/node'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { createShopWorld, itemsOf, type ShopClient, type ShopWorld } from './shop-world.ts'

let world: ShopWorld
let ann: ShopClient
let bob: ShopClient
beforeEach(async () => {
  world = createShopWorld()
  ann = await world.open()
  bob = await world.open({ user: 'bob' })
})
afterEach(() => world.close())

async function rounds(count = 2): Promise<void> {
  for (let round = 0; round < count; round++) {
    await world.sync(ann)
    await world.sync(bob)
  }
}

/** Ann and bob changed the price of one item; bob was first. */
async function givenConflict(): Promise<{ id: string; conflict: string }> {
  const id = await ann.items.insert({ name: 'Rope', price: '1.00', stock: 5 })
  await rounds(1)
  await bob.items.update(id, { price: '2.00' })
  await world.sync(bob)
  await ann.items.update(id, { price: '3.00' })
  await world.sync(ann)
  const [conflict] = await ann.conflicts.list()
  return { id, conflict: conflict?.id ?? '' }
}

describe('a conflict', () => {
  test('[CF-1] is listed with both sides, their fields and the rule in a sentence; the author goes on seeing mine', async () => {
    const { id } = await givenConflict()
    expect(await ann.conflicts.list()).toMatchObject([
      {
        collection: 'items',
        record: id,
        kind: 'fields',
        status: 'open',
        author: 'ann',
        parts: [
          {
            record: id,
            op: 'update',
            fields: ['price'],
            base: { price: '1.00' },
            mine: { price: '3.00' },
            theirs: { price: '2.00' },
            explanations: { price: 'If both sides changed it, a person decides.' },
          },
        ],
      },
    ])
    expect(await itemsOf(ann)).toMatchObject([{ price: '3.00', _state: 'conflicted' }])
    await world.sync(bob)
    expect(await itemsOf(bob)).toMatchObject([{ price: '2.00', _state: 'clean' }])
    expect(await bob.conflicts.list()).toHaveLength(1)
    expect(await ann.status.get()).toMatchObject({ conflictCount: 1, pendingCount: 0 })
  })

  test('[CF-1] is there at once when the push is answered, before any pull', async () => {
    const id = await ann.items.insert({ name: 'Rope', price: '1.00' })
    await rounds(1)
    await bob.items.update(id, { price: '2.00' })
    await world.sync(bob)
    await ann.items.update(id, { price: '3.00' })
    world.server.script({ on: 'pull', times: 1, fault: { kind: 'cut', when: 'before' } })
    expect(await world.sync(ann)).toMatchObject({ status: 'offline' })
    expect(await ann.conflicts.list()).toMatchObject([{ record: id, parts: [{ theirs: { price: '2.00' } }] }])
    await world.sync(ann)
    expect(await ann.conflicts.list()).toHaveLength(1)
  })

  test('[CF-4] holds back later edits of the same field only; they go when it is settled', async () => {
    const { id, conflict } = await givenConflict()
    await ann.items.update(id, { price: '4.00' })
    await ann.items.update(id, { note: 'free to go' })
    await ann.items.increment(id, { stock: 1 })
    await rounds(1)
    expect(world.server.record('items', id)).toMatchObject({ price: '2.00', note: 'free to go', stock: 6 })
    expect(await itemsOf(ann)).toMatchObject([
      { price: '4.00', note: 'free to go', stock: 6, _state: 'conflicted' },
    ])
    await ann.conflicts.keepMine(conflict)
    await rounds(3)
    expect(await ann.outbox.list()).toEqual([])
    expect(await itemsOf(ann)).toMatchObject([{ price: '4.00', _state: 'clean' }])
    expect(await itemsOf(bob)).toEqual(await itemsOf(ann))
  })

  test('[CF-4] what waited on the device goes as soon as it hears that somebody settled it', async () => {
    const own = await world.open({ auto: true })
    const id = await own.items.insert({ name: 'Rope', price: '1.00' })
    await world.env.advance(5_000)
    await world.sync(bob)
    await bob.items.update(id, { price: '2.00' })
    await world.sync(bob)
    await own.items.update(id, { price: '3.00' })
    await world.env.advance(5_000)
    await own.items.update(id, { price: '4.00' })
    await world.env.advance(5_000)
    expect((await own.outbox.list()).map(({ status }) => status)).toEqual(['conflicted', 'pending'])
    await world.sync(bob)
    await bob.conflicts.keepMine((await bob.conflicts.list())[0]?.id ?? '')
    await world.sync(bob)
    world.server.poke()
    await world.env.advance(5_000)
    expect(await own.outbox.list()).toEqual([])
    expect(world.server.record('items', id)).toMatchObject({ price: '4.00' })
  })

  test('[CF-12] holds back what it held also where a decision met another edit and became a conflict of its own', async () => {
    const { id, conflict } = await givenConflict()
    await ann.items.update(id, { price: '4.00' })
    await world.sync(bob)
    await ann.conflicts.keepMine(conflict)
    await bob.items.update(id, { price: '5.00' })
    await world.sync(bob)
    await rounds(2)
    const [second] = await bob.conflicts.list()
    expect(await bob.conflicts.get(conflict)).toMatchObject({
      status: 'resolved',
      resolution: { kind: 'superseded', by: second?.id },
    })
    expect(world.server.record('items', id)).toMatchObject({ price: '5.00' })
    expect(await itemsOf(ann)).toMatchObject([{ price: '3.00', _state: 'conflicted' }])
    await bob.conflicts.keepMine(second?.id ?? '')
    await rounds(3)
    expect(await ann.outbox.list()).toEqual([])
    expect(await itemsOf(ann)).toMatchObject([{ price: '4.00', _state: 'clean' }])
  })

  const settlements: Record<string, [(id: string, record: string) => Promise<unknown>, string]> = {
    keepMine: [(id) => ann.conflicts.keepMine(id), '3.00'],
    keepTheirs: [(id) => ann.conflicts.keepTheirs(id), '2.00'],
    merge: [(id) => ann.conflicts.merge(id, { price: '2.50' }), '2.50'],
    'merge by record': [(id, record) => ann.conflicts.merge(id, { [record]: { price: '2.50' } }), '2.50'],
    'keepMine by the other': [(id) => bob.conflicts.keepMine(id), '3.00'],
    'keepTheirs by the other': [(id) => bob.conflicts.keepTheirs(id), '2.00'],
  }
  test.each(Object.keys(settlements))('[CF-3] is settled by %s, for everybody', async (name) => {
    const { id, conflict } = await givenConflict()
    await world.sync(bob)
    const [settle, price] = settlements[name]!
    await settle(conflict, id)
    await rounds(3)
    expect(world.server.record('items', id)).toMatchObject({ price })
    for (const db of [ann, bob]) {
      expect(await itemsOf(db)).toMatchObject([{ price, _state: 'clean' }])
      expect(await db.conflicts.list()).toEqual([])
      expect(await db.conflicts.list({ status: 'all' })).toMatchObject([{ id: conflict, status: 'resolved' }])
      expect(await db.outbox.list()).toEqual([])
    }
  })

  test('[CF-5] keepBoth leaves theirs and makes mine a record of its own', async () => {
    const { id, conflict } = await givenConflict()
    const { copies } = await ann.conflicts.keepBoth(conflict)
    await rounds(3)
    expect(world.server.record('items', id)).toMatchObject({ name: 'Rope', price: '2.00' })
    expect(copies).toHaveLength(1)
    expect(world.server.record('items', copies[0] ?? '')).toMatchObject({
      name: 'Rope',
      price: '3.00',
      stock: 5,
    })
    expect(await itemsOf(bob)).toHaveLength(2)
  })

  test('[CF-3] is settled once: the second decision is refused here, or by the server', async () => {
    const { conflict } = await givenConflict()
    await world.sync(bob)
    await ann.conflicts.keepMine(conflict)
    await expect(ann.conflicts.keepTheirs(conflict)).rejects.toMatchObject({ code: 'CONFLICT_CLOSED' })
    await world.sync(ann)
    await bob.conflicts.keepTheirs(conflict)
    await rounds(3)
    expect(await itemsOf(bob)).toMatchObject([{ price: '3.00' }])
    expect(await bob.deadLetters.list()).toMatchObject([{ error: { code: 'CONFLICT_CLOSED' } }])
    await expect(ann.conflicts.keepMine(conflict)).rejects.toMatchObject({ code: 'CONFLICT_CLOSED' })
    await expect(ann.conflicts.keepMine('nothing')).rejects.toMatchObject({ code: 'CONFLICT_UNKNOWN' })
  })

  test.each(['keepMine', 'keepTheirs'] as const)(
    '[CF-3] of an edit with a delete is settled by %s',
    async (name) => {
      const id = await ann.items.insert({ name: 'Rope', price: '1.00', stock: 5 })
      await rounds(1)
      await bob.items.delete(id)
      await world.sync(bob)
      await ann.items.update(id, { price: '3.00' })
      await world.sync(ann)
      const [conflict] = await ann.conflicts.list()
      expect(conflict).toMatchObject({
        kind: 'delete',
        parts: [{ theirs: null, explanation: expect.stringContaining('a person decides') }],
      })
      await ann.conflicts[name](conflict?.id ?? '')
      await rounds(3)
      const expected =
        name === 'keepMine' ? [{ id, name: 'Rope', price: '3.00', stock: 5, _state: 'clean' }] : []
      expect(await itemsOf(ann)).toMatchObject(expected)
      expect(await itemsOf(bob)).toMatchObject(expected)
      expect(await ann.outbox.list()).toEqual([])
    },
  )

  test.each(['keepMine', 'keepTheirs'] as const)(
    '[CF-3] of a delete with an edit is settled by %s',
    async (name) => {
      const id = await ann.items.insert({ name: 'Rope', price: '1.00' })
      await rounds(1)
      await bob.items.update(id, { price: '2.00' })
      await world.sync(bob)
      await ann.items.delete(id)
      await world.sync(ann)
      const [conflict] = await ann.conflicts.list()
      expect(conflict).toMatchObject({ kind: 'delete', parts: [{ mine: null }] })
      await ann.conflicts[name](conflict?.id ?? '')
      await rounds(3)
      const expected = name === 'keepMine' ? [] : [{ id, price: '2.00', _state: 'clean' }]
      expect(await itemsOf(ann)).toMatchObject(expected)
      expect(await itemsOf(bob)).toMatchObject(expected)
      expect(await ann.outbox.list()).toEqual([])
    },
  )

  test('[CF-2] watchers are told when one is opened and when it is settled', async () => {
    const told: number[] = []
    const stop = ann.conflicts.watch((conflicts) => told.push(conflicts.length))
    const { conflict } = await givenConflict()
    await ann.conflicts.keepTheirs(conflict)
    await rounds(2)
    await world.env.settle()
    stop()
    expect(told[0]).toBe(0)
    expect(told).toContain(1)
    expect(told.at(-1)).toBe(0)
  })

  test('[CF-4] survives a restart with everything held behind it', async () => {
    const path = world.path('held.sqlite')
    const own = await world.open({ storage: sqliteStorage(path) })
    const id = await own.items.insert({ name: 'Rope', price: '1.00' })
    await world.sync(own)
    world.server.write('items', id, { price: '2.00' })
    await own.items.update(id, { price: '3.00' })
    await world.sync(own)
    await own.items.update(id, { price: '4.00' })
    await world.sync(own)
    await own.close()
    const again = await world.open({ storage: sqliteStorage(path) })
    const [conflict] = await again.conflicts.list()
    await again.conflicts.keepMine(conflict?.id ?? '')
    for (let round = 0; round < 3; round++) await world.sync(again)
    expect(world.server.record('items', id)).toMatchObject({ price: '4.00' })
    expect(await itemsOf(again)).toMatchObject([{ price: '4.00', _state: 'clean' }])
  })

  test('[CF-1] injected by the fake server looks like any other', async () => {
    const id = await ann.items.insert({ name: 'Rope' })
    await world.sync(ann)
    world.server.injectConflicts(1)
    await ann.items.update(id, { note: 'mine' })
    await world.sync(ann)
    expect(await ann.conflicts.list()).toMatchObject([
      { parts: [{ fields: ['note'], mine: { note: 'mine' }, theirs: { note: null } }] },
    ])
  })
})

describe('a conflict that is coming', () => {
  test('[CF-6] is foretold after a pull and before the push, and counts in the status until the server has decided', async () => {
    const id = await ann.items.insert({ name: 'Rope', price: '1.00' })
    await rounds(1)
    await ann.items.update(id, { price: '3.00' })
    expect(await ann.conflicts.foretold()).toEqual([])
    await bob.items.update(id, { price: '2.00' })
    await world.sync(bob)
    // The push fails alone, so the next cycle begins with a pull; that cycle is cut off before it pushes again.
    world.server.script({ on: 'push', fault: { kind: 'answer', status: 500 } })
    await world.sync(ann)
    await world.sync(ann)
    await world.env.settle()
    expect(await ann.conflicts.foretold()).toMatchObject([
      {
        collection: 'items',
        record: id,
        outcome: { kind: 'conflict', fields: ['price'], theirs: { price: '2.00' } },
      },
    ])
    expect(await ann.status.get()).toMatchObject({ foretoldCount: 1, conflictCount: 0 })
    world.server.heal()
    await world.env.advance(60_000)
    await rounds(2)
    expect(await ann.status.get()).toMatchObject({ foretoldCount: 0, conflictCount: 1 })
  })
})

describe('a user transaction', () => {
  test('[SY-8] of which one part is in conflict waits as a whole', async () => {
    const [one, two] = [
      await ann.items.insert({ name: 'one', price: '1.00' }),
      await ann.items.insert({ name: 'two' }),
    ]
    await rounds(1)
    await bob.items.update(one, { price: '2.00' })
    await world.sync(bob)
    await ann.transaction(async (tx) => {
      await tx.items.update(one, { price: '3.00' })
      await tx.items.increment(two, { stock: 7 })
    })
    await rounds(2)
    expect(world.server.record('items', two)).toMatchObject({ stock: 0 })
    expect(await itemsOf(ann)).toMatchObject([
      { price: '3.00', _state: 'conflicted' },
      { stock: 7, _state: 'conflicted' },
    ])
    expect(await ann.conflicts.list()).toHaveLength(1)
  })
})
