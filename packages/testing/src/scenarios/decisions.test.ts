import { type Client, openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { collection, counter, defineSchema, type Schema, text } from '@holdfast/core'
import { createServer, type HoldfastServer, sqliteStore } from '@holdfast/server'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'

const shelves = collection({ fields: { label: text() } })
const fields = { name: text(), stock: counter() }
const items = collection({ fields })
const coloured = collection({ fields: { ...fields, color: text({ optional: true }) } })

const plain: Schema = defineSchema({ version: 1, collections: { items, shelves } })
const withColor: Schema = defineSchema({ version: 2, collections: { items: coloured, shelves } })
const withoutColor: Schema = defineSchema({ version: 3, collections: { items, shelves } })
const withoutShelves: Schema = defineSchema({ version: 3, collections: { items: coloured } })
const withoutItems: Schema = defineSchema({ version: 3, collections: { shelves } })

let folder: string
let env: VirtualEnvironment
let server: HoldfastServer
let clients: Map<string, Client<Schema>>

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-schema-'))
  env = createVirtualEnvironment({ seed: 1 })
  clients = new Map()
  env.connect((request) => server.fetch(request))
})

afterEach(async () => {
  for (const db of clients.values()) await db.close()
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

async function serve(schema: Schema): Promise<void> {
  server = await createServer({
    schema,
    oldestSchema: 1,
    store: sqliteStore(join(folder, 'server.sqlite')),
    env,
    authenticate: (request) => ({ id: request.headers.get('Authorization')?.slice('Bearer '.length) ?? '' }),
    scopes: () => [],
  })
}

async function open(user: string, schema: Schema): Promise<Client<Schema>> {
  await clients.get(user)?.close()
  const storage = sqliteStorage(join(folder, `${user}.sqlite`))
  const options = { schema, storage, auth: user, env, durability: 'fast', sync: { auto: false } } as const
  const db = await openClient({ ...options, server: 'https://shop.example' })
  clients.set(user, db)
  return db
}

async function sync(...devices: readonly Client<Schema>[]): Promise<void> {
  for (const db of devices) await env.complete(db.sync.now())
}

async function resolve(id: string, kind: string, values?: object): Promise<number> {
  const response = await server.fetch(
    new Request(`https://shop.example/conflicts/${id}/resolve`, {
      method: 'POST',
      headers: { authorization: 'Bearer ben', 'content-type': 'application/json' },
      body: JSON.stringify({ kind, values }),
    }),
  )
  return response.status
}

/** Ann and ben, with colours, have changed the same item, ann a shelf beside it; the conflict. */
async function givenConflict(): Promise<{
  readonly id: string
  readonly item: string
  readonly shelf: string
}> {
  await serve(withColor)
  const [ann, ben] = [await open('ann', withColor), await open('ben', withColor)]
  const item = await ann['items']!.insert({ name: 'Rope', color: 'red' })
  const shelf = await ann['shelves']!.insert({ label: 'A' })
  await sync(ann, ben)
  await ben['items']!.update(item, { color: 'green' })
  await ann.transaction(async (tx) => {
    await tx['items']!.update(item, { name: 'Rope 2', color: 'blue' })
    await tx['shelves']!.update(shelf, { label: 'B' })
  })
  await sync(ben, ann, ben)
  const [conflict] = await ann.conflicts.list()
  return { id: conflict!.id, item, shelf }
}

const rowOf = async (db: Client<Schema>, id: string): Promise<object | undefined> =>
  (await db.query((q) => q.selectFrom('items').selectAll().where('id', '=', id)))[0]

describe('a conflict over two records of one id', () => {
  async function givenTwins(): Promise<{ readonly conflict: string; readonly id: string }> {
    const both: Schema = defineSchema({ version: 1, collections: { items, crates: items } })
    await serve(both)
    const [ann, ben] = [await open('ann', both), await open('ben', both)]
    const id = await ann['items']!.insert({ name: 'Rope' })
    await ann['crates']!.insert({ id, name: 'Box' })
    await sync(ann, ben)
    for (const [db, name] of [
      [ben, 'by ben'],
      [ann, 'by ann'],
    ] as const)
      await db.transaction(async (tx) => {
        await tx['items']!.update(id, { name: `${name}, item` })
        await tx['crates']!.update(id, { name: `${name}, crate` })
      })
    await sync(ben, ann)
    const [conflict] = await ann.conflicts.list()
    return { conflict: conflict!.id, id }
  }

  const namesOf = async (id: string): Promise<readonly unknown[]> => {
    const ben = clients.get('ben')!
    await sync(clients.get('ann')!, ben)
    return [(await ben['items']!.get(id))?.['name'], (await ben['crates']!.get(id))?.['name']]
  }

  test('[CF-3, VAL-1] other values by field are for the own record of the conflict alone', async () => {
    const { conflict, id } = await givenTwins()
    await clients.get('ann')!.conflicts.merge(conflict, { name: 'chosen' })
    expect(await namesOf(id)).toEqual(['chosen', 'by ben, crate'])
  })

  test('[CF-3, VAL-1] each of the two is named with its collection, the id alone names neither', async () => {
    const { conflict, id } = await givenTwins()
    const { conflicts } = clients.get('ann')!
    await expect(conflicts.merge(conflict, { [id]: { name: 'x' } })).rejects.toMatchObject({
      code: 'FIELD_UNKNOWN',
    })
    await conflicts.merge(conflict, { [`crates/${id}`]: { name: 'chosen' } })
    expect(await namesOf(id)).toEqual(['by ben, item', 'chosen'])
  })

  test('[PH-27, VAL-1] over HTTP too, and what names no record of the conflict is refused', async () => {
    const { conflict, id } = await givenTwins()
    expect(await resolve(conflict, 'merge', { [id]: { name: 'x' } })).toBe(422)
    expect(await resolve(conflict, 'merge', { [conflict]: { name: 'x' } })).toBe(422)
    expect(await clients.get('ann')!.conflicts.list()).toHaveLength(1)
    expect(await resolve(conflict, 'merge', { [`crates/${id}`]: { name: 'chosen' } })).toBe(200)
    expect(await namesOf(id)).toEqual(['by ben, item', 'chosen'])
  })

  test('[PH-27, VAL-1] over HTTP values by field are for the own record of the conflict alone', async () => {
    const { conflict, id } = await givenTwins()
    expect(await resolve(conflict, 'merge', { name: 'chosen' })).toBe(200)
    expect(await namesOf(id)).toEqual(['chosen', 'by ben, crate'])
  })
})

describe('a conflict over what the app of who decides does not have', () => {
  test.each(['keepMine', 'keepBoth'] as const)(
    '[CF-15] an older app does not leave out what it does not know: %s is for a newer one',
    async (way) => {
      const { id, item } = await givenConflict()
      const old = await open('cleo', plain)
      await sync(old)
      await expect(old.conflicts[way](id)).rejects.toMatchObject({ code: 'SCHEMA_TOO_OLD' })
      expect(await old.outbox.list()).toEqual([])
      const ann = clients.get('ann')!
      await ann.conflicts[way](id)
      await sync(ann, ann)
      const colors = await ann.query((q) => q.selectFrom('items').select('color').orderBy('color'))
      expect(colors).toMatchObject(
        way === 'keepMine' ? [{ color: 'blue' }] : [{ color: 'blue' }, { color: 'green' }],
      )
      expect(await rowOf(ann, item)).toMatchObject({ _state: 'clean' })
    },
  )

  test('[CF-15] an older app decides where nothing is left out by that', async () => {
    const { id, item } = await givenConflict()
    const old = await open('cleo', plain)
    await sync(old)
    await old.conflicts.keepTheirs(id)
    const ann = clients.get('ann')!
    await sync(old, ann)
    expect(await rowOf(ann, item)).toMatchObject({ name: 'Rope 2', color: 'green', _state: 'clean' })
  })

  test('[CF-15] a field that is gone is left out, and the rest decided', async () => {
    const { id, item } = await givenConflict()
    await server.close()
    await serve(withoutColor)
    const ann = await open('ann', withoutColor)
    await ann.conflicts.keepMine(id)
    await sync(ann, ann)
    expect(await rowOf(ann, item)).toMatchObject({ name: 'Rope 2', _state: 'clean' })
    expect(await ann.deadLetters.list()).toEqual([])
  })

  test.each(['retry', 'editAndRetry'] as const)(
    '[OB-17] a dead letter of an older app that names a field which is gone goes without it: %s',
    async (way) => {
      await serve(withColor)
      const before = await open('ann', withColor)
      const item = await before['items']!.insert({ name: 'Rope', color: 'red' })
      await server.close()
      await serve(withoutColor)
      await sync(before)
      const ann = await open('ann', withoutColor)
      const [letter] = await ann.deadLetters.list()
      expect(letter).toMatchObject({ error: { code: 'FIELD_UNKNOWN' } })
      await ann.deadLetters[way](letter!.id, { name: 'Rope 2' })
      await sync(ann, ann)
      expect(await ann.deadLetters.list()).toEqual([])
      expect(await rowOf(ann, item)).toMatchObject({
        name: way === 'retry' ? 'Rope' : 'Rope 2',
        _state: 'clean',
      })
    },
  )

  test('[CF-15] a record of a collection that is gone is no part of the decision', async () => {
    const { id, item } = await givenConflict()
    await server.close()
    await serve(withoutShelves)
    const ann = await open('ann', withoutShelves)
    await ann.conflicts.keepMine(id)
    await sync(ann, ann)
    expect(await rowOf(ann, item)).toMatchObject({ name: 'Rope 2', color: 'blue', _state: 'clean' })
    expect(await ann.outbox.list()).toEqual([])
  })

  test.each(['mine', 'theirs', 'discard'])(
    '[PU-45] over HTTP what is gone from the schema is no part of the decision: %s',
    async (kind) => {
      const { id, item } = await givenConflict()
      await server.close()
      await serve(defineSchema({ version: 3, collections: { items } }))
      expect(await resolve(id, kind)).toBe(200)
      const ann = await open('ann', defineSchema({ version: 3, collections: { items } }))
      await sync(ann, ann)
      expect(await ann.conflicts.list()).toEqual([])
      expect(await ann.outbox.list()).toEqual([])
      const name = kind === 'discard' ? 'Rope' : 'Rope 2'
      expect(await rowOf(ann, item)).toMatchObject({ name, _state: 'clean' })
    },
  )

  test('[PU-45] a conflict of which nothing is in the schema any more is closed without a write', async () => {
    await serve(withColor)
    const [ann, ben] = [await open('ann', withColor), await open('ben', withColor)]
    const item = await ann['items']!.insert({ name: 'Rope' })
    await sync(ann, ben)
    await ann['items']!.update(item, { name: 'by ann' })
    await ben['items']!.update(item, { name: 'by ben' })
    await sync(ben, ann)
    const [conflict] = await ann.conflicts.list()
    await server.close()
    await serve(withoutItems)
    expect(await resolve(conflict!.id, 'theirs')).toBe(200)
    const later = await open('ann', withoutItems)
    await sync(later, later)
    expect(await later.conflicts.list()).toEqual([])
    expect(await later.outbox.list()).toEqual([])
  })
})
