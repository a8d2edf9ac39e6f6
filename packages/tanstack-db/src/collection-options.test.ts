import { type Client, openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { collection, counter, decimal, defineSchema, reference, set, text } from '@holdfast/core'
import {
  createFakeServer,
  createVirtualEnvironment,
  type FakeServer,
  type VirtualEnvironment,
} from '@holdfast/testing'
import { createCollection, createLiveQueryCollection, createTransaction, eq } from '@tanstack/db'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { holdfastCollectionOptions } from './index.ts'

const schema = defineSchema({
  version: 1,
  collections: {
    shelves: collection({ fields: { label: text() } }),
    items: collection({
      fields: {
        name: text(),
        price: decimal({ optional: true }),
        stock: counter(),
        tags: set(text()),
        rating: text({ optional: true, owner: 'server' }),
        shelf: reference('shelves', { optional: true }),
      },
    }),
  },
})

let env: VirtualEnvironment
let server: FakeServer
let db: Client<typeof schema>
beforeEach(async () => {
  env = createVirtualEnvironment({ seed: 1 })
  server = createFakeServer({ schema, env, scopes: { ann: ['global'] } })
  env.connect(server.fetch)
  db = await openClient({
    schema,
    storage: sqliteStorage(':memory:'),
    server: 'https://shop.example',
    auth: 'ann',
    env,
    durability: 'fast',
    sync: { auto: false },
  })
})
afterEach(() => db.close())

const itemsOf = (client = db) =>
  createCollection(holdfastCollectionOptions({ client, schema, collection: 'items', env }))
const shelvesOf = () =>
  createCollection(holdfastCollectionOptions({ client: db, schema, collection: 'shelves', env }))
const sync = async (): Promise<void> => {
  await env.complete(db.sync.now())
  await env.settle()
}

/** A transaction that is drafted now, and written when it is committed. */
const formOf = (items: ReturnType<typeof itemsOf>) =>
  createTransaction({
    autoCommit: false,
    mutationFn: async ({ transaction }) => items.utils.acceptMutations(transaction),
  })

describe('a collection', () => {
  test('[TD-1] holds the rows of the device and follows whoever writes them', async () => {
    const id = await db.items.insert({ name: 'Rope', stock: 10 })
    const items = itemsOf()
    await items.preload()
    expect(items.get(id)).toMatchObject({ id, name: 'Rope', stock: 10, _state: 'pending' })
    await sync()
    expect(items.get(id)).toMatchObject({ _state: 'clean' })
    server.write('items', id, { name: 'Long rope' })
    await sync()
    expect(items.get(id)).toMatchObject({ name: 'Long rope' })
    await db.items.delete(id)
    await env.settle()
    expect(items.has(id)).toBe(false)
  })

  test('[TD-2] an insert gets its id and defaults at once, and is settled when it is stored here', async () => {
    const items = itemsOf()
    await items.preload()
    const transaction = items.insert({ name: 'Rope' })
    const [row] = items.toArray
    expect(row).toMatchObject({ id: expect.any(String), name: 'Rope', stock: 0, price: null })
    await transaction.when('settled')
    expect(await db.items.get(row?.id ?? '')).toMatchObject({ name: 'Rope', _state: 'pending' })
    expect(server.rows('items').size).toBe(0)
    await sync()
    expect(server.record('items', row?.id ?? '')).toMatchObject({ name: 'Rope' })
    expect(await items.utils.verdicts(transaction)).toMatchObject([{ status: 'applied' }])
  })

  test('[TD-2] nothing flickers between the optimistic row, the stored one and the server', async () => {
    const items = itemsOf()
    await items.preload()
    const seen: (number | undefined)[] = []
    items.subscribeChanges((changes) => {
      for (const { value } of changes) seen.push(value.stock)
    })
    const id = await db.items.insert({ name: 'Rope', stock: 10 })
    await env.settle()
    const settled = items.update(id, (draft) => {
      draft.stock = (draft.stock ?? 0) - 3
    })
    await settled.when('settled')
    await env.settle()
    await sync()
    expect(new Set(seen.slice(0, 1))).toEqual(new Set([10]))
    expect(new Set(seen.slice(seen.indexOf(7)))).toEqual(new Set([7]))
  })

  test('[TD-2] what is settled is shown, however late the device tells what changed', async () => {
    const id = await db.items.insert({ name: 'Rope', stock: 10 })
    const late: typeof db = Object.assign(Object.create(db) as typeof db, {
      watch: (...[build, onRows, onError]: Parameters<typeof db.watch>) =>
        db.watch(build, (rows) => void env.setTimer(() => onRows(rows), 1_000), onError),
    })
    const items = itemsOf(late)
    await env.complete(items.preload())
    const change = items.update(id, (draft) => {
      draft.stock = 7
    })
    await change.when('settled')
    expect(items.get(id)?.stock).toBe(7)
    await env.advance(2_000)
    expect(items.get(id)?.stock).toBe(7)
  })

  test('[TD-3] a counter travels as the difference', async () => {
    const id = await db.items.insert({ name: 'Rope', stock: 10 })
    await sync()
    const items = itemsOf()
    await items.preload()
    server.write('items', id, { stock: 20 })
    await items
      .update(id, (draft) => {
        draft.stock = (draft.stock ?? 0) - 3
      })
      .when('settled')
    await sync()
    expect(server.record('items', id)).toMatchObject({ stock: 17 })
    expect(items.get(id)).toMatchObject({ stock: 17 })
  })

  test('[TD-3] what was drafted before others wrote is added to what they wrote', async () => {
    const id = await db.items.insert({ name: 'Rope', stock: 10, tags: ['old', 'kept'] })
    await sync()
    const items = itemsOf()
    await items.preload()
    const form = formOf(items)
    form.mutate(() =>
      items.update(id, (draft) => {
        draft.name = 'Long rope'
        draft.stock = (draft.stock ?? 0) - 3
        draft.tags = ['kept', 'mine']
      }),
    )
    server.write('items', id, { stock: 20, tags: ['old', 'kept', 'theirs'] })
    await sync()
    await form.commit()
    const { length } = await db.outbox.list()
    await sync()
    expect(length).toBe(1)
    expect(server.record('items', id)).toMatchObject({ name: 'Long rope', stock: 17 })
    expect(new Set(server.record('items', id)?.['tags'] as string[])).toEqual(
      new Set(['kept', 'mine', 'theirs']),
    )
  })

  test('[TD-3] [WR-14] what was drafted before somebody else wrote the same does not take its place unasked', async () => {
    const id = await db.items.insert({ name: 'Rope' })
    await sync()
    const items = itemsOf()
    await items.preload()
    const form = formOf(items)
    form.mutate(() =>
      items.update(id, (draft) => {
        draft.name = 'mine'
      }),
    )
    server.write('items', id, { name: 'theirs' })
    await sync()
    await form.commit()
    await sync()
    expect(await db.conflicts.list()).toMatchObject([
      { parts: [{ mine: { name: 'mine' }, theirs: { name: 'theirs' } }] },
    ])
    expect(server.record('items', id)).toMatchObject({ name: 'theirs' })
  })

  test('[TD-2] what is stored is settled, also when the row cannot be read at that moment', async () => {
    const items = itemsOf(
      Object.assign(Object.create(db) as typeof db, {
        collection: (name: 'items') => ({
          ...db.collection(name),
          get: () => Promise.reject(new Error('unreadable')),
        }),
      }),
    )
    await items.preload()
    const transaction = items.insert({ name: 'Rope' })
    await transaction.when('settled')
    await env.settle()
    expect([items.size, await db.outbox.list()]).toMatchObject([1, [{ op: 'create' }]])
  })

  test('[TD-4] what the device refuses is rolled back and rejects with its code', async () => {
    const id = await db.items.insert({ name: 'Rope', price: '1.00' })
    const items = itemsOf()
    await items.preload()
    const transaction = items.update(id, (draft) => {
      draft.price = 'cheap'
    })
    expect(items.get(id)?.price).toBe('cheap')
    await expect(transaction.when('settled')).rejects.toMatchObject({ code: 'VALUE_INVALID' })
    expect(items.get(id)?.price).toBe('1.00')
    expect(() => items.insert({ name: 7 as unknown as string })).toThrow('VALUE_INVALID')
    expect(() => items.insert({ name: 'x', rating: 'best' })).toThrow('FIELD_SERVER_OWNED')
  })

  test('[TD-5] what the server refuses stays, is failed, and says so; discarding it brings back what was', async () => {
    const id = await db.items.insert({ name: 'Rope', price: '1.00' })
    await sync()
    const items = itemsOf()
    await items.preload()
    server.injectRefusals(1, 'NOT_AUTHORIZED')
    const transaction = items.update(id, (draft) => {
      draft.price = '2.00'
    })
    await transaction.when('settled')
    await sync()
    expect(await items.utils.verdicts(transaction)).toMatchObject([
      { status: 'rejected', error: { code: 'NOT_AUTHORIZED' } },
    ])
    expect(items.get(id)).toMatchObject({ price: '2.00', _state: 'failed' })
    const [letter] = await db.deadLetters.list()
    await db.deadLetters.discard(letter?.id ?? '')
    await env.settle()
    expect(items.get(id)).toMatchObject({ price: '1.00', _state: 'clean' })
  })

  test('[TD-3] a transaction over several collections is one, here and on the server', async () => {
    const [items, shelves] = [itemsOf(), shelvesOf()]
    await Promise.all([items.preload(), shelves.preload()])
    const transaction = createTransaction({
      mutationFn: ({ transaction: pending }) => items.utils.acceptMutations(pending),
    })
    transaction.mutate(() => {
      shelves.insert({ label: 'A' })
      items.insert({ name: 'Rope', shelf: shelves.toArray[0]?.id ?? null })
    })
    await transaction.when('settled')
    const entries = await db.outbox.list()
    expect(entries.map(({ collection: name }) => name)).toEqual(['shelves', 'items'])
    expect(new Set(entries.map(({ group }) => group)).size).toBe(1)
    expect(entries[0]?.group).toEqual(expect.any(String))
    await sync()
    expect(await items.utils.verdicts(transaction)).toMatchObject([
      { status: 'applied' },
      { status: 'applied' },
    ])
  })

  test('[TD-3] a transaction of which one write is refused leaves nothing', async () => {
    const items = itemsOf()
    await items.preload()
    const transaction = createTransaction({
      mutationFn: ({ transaction: pending }) => items.utils.acceptMutations(pending),
    })
    const id = await db.items.insert({ name: 'Rope' })
    await env.settle()
    transaction.mutate(() => {
      items.insert({ name: 'Chain' })
      items.update(id, (draft) => {
        draft.price = 'cheap'
      })
    })
    await expect(transaction.when('settled')).rejects.toMatchObject({ code: 'VALUE_INVALID' })
    expect(items.toArray.map(({ name }) => name)).toEqual(['Rope'])
    expect(await db.outbox.list()).toHaveLength(1)
  })

  test('[TD-6] stops when it is cleaned up, and begins anew', async () => {
    const items = itemsOf()
    await items.preload()
    await items.cleanup()
    const id = await db.items.insert({ name: 'Rope' })
    await env.settle()
    expect(items.size).toBe(0)
    await items.preload()
    expect(items.get(id)).toMatchObject({ name: 'Rope' })
  })

  test('[TD-6] two collections over one show the same', async () => {
    const [one, other] = [
      itemsOf(),
      createCollection(
        holdfastCollectionOptions({ client: db, schema, collection: 'items', id: 'other', env }),
      ),
    ]
    await Promise.all([one.preload(), other.preload()])
    await one.insert({ name: 'Rope' }).when('settled')
    await env.settle()
    expect(other.toArray.map(({ name }) => name)).toEqual(['Rope'])
    expect(one.toArray).toHaveLength(1)
  })
})

test('[TD-1] two collections are joined, and the join follows writes to either', async () => {
  const [items, shelves] = [itemsOf(), shelvesOf()]
  const joined = createLiveQueryCollection((q) =>
    q
      .from({ item: items })
      .join({ shelf: shelves }, ({ item, shelf }) => eq(item.shelf, shelf.id), 'inner')
      .select(({ item, shelf }) => ({ name: item.name, label: shelf.label })),
  )
  const shelf = await db.shelves.insert({ label: 'A' })
  await db.items.insert({ name: 'Rope', shelf })
  await db.items.insert({ name: 'Chain' })
  await joined.preload()
  const shown = (): unknown[] => joined.toArray.map(({ name, label }) => ({ name, label }))
  expect(shown()).toEqual([{ name: 'Rope', label: 'A' }])
  await shelves
    .update(shelf, (draft) => {
      draft.label = 'B'
    })
    .when('settled')
  await env.settle()
  expect(shown()).toEqual([{ name: 'Rope', label: 'B' }])
})

test('[TD-1] rows, inserts and keys are typed from the schema', () => {
  const items = itemsOf()
  const row: { readonly name: string; readonly stock: number; readonly price: string | null } | undefined =
    items.get('none')
  expect(row).toBeUndefined()
  // @ts-expect-error A name is text.
  expect(() => items.insert({ name: 7 })).toThrow()
  // @ts-expect-error There is no such collection.
  expect(() => holdfastCollectionOptions({ client: db, schema, collection: 'nothing' })).toThrow('nothing')
})
