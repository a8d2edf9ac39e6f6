import { type Client, openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { collection, counter, defineSchema, type Field, type Schema, text } from '@holdfast/core'
import { createServer, type HoldfastServer, sqliteStore } from '@holdfast/server'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'

type StockSchema = Schema<{
  readonly items: {
    readonly name: Field<string, true>
    readonly code: Field<string, true>
    readonly stock: Field<number, false>
  }
}>

const schema: StockSchema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: { name: text(), code: text(), stock: counter() },
      unique: [{ fields: ['code'], onConflict: 'ask' }],
    }),
  },
})

let folder: string
let env: VirtualEnvironment
let server: HoldfastServer
let ann: Client<StockSchema>
let bob: Client<StockSchema>
/** Ann can push, but no page gets through to her. */
let isDeaf = false

async function open(user: string, file = user): Promise<Client<StockSchema>> {
  return openClient({
    schema,
    storage: sqliteStorage(join(folder, `${file}.sqlite`)),
    server: 'https://any.example',
    auth: user,
    env,
    durability: 'fast',
    sync: { auto: false },
  })
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-reported-'))
  env = createVirtualEnvironment({ seed: 1 })
  isDeaf = false
  server = await createServer({
    schema,
    store: sqliteStore(':memory:'),
    env,
    authenticate: (request) => ({ id: request.headers.get('Authorization')?.slice('Bearer '.length) ?? '' }),
    scopes: () => ['global'],
  })
  env.connect((request) => {
    const isLost = isDeaf && /sync\/(pull|snapshot)/.test(request.url) && isOfAnn(request)
    return isLost ? Promise.reject(new TypeError('no network')) : server.fetch(request)
  })
  ann = await open('ann')
  bob = await open('bob')
})

afterEach(async () => {
  await ann.close()
  await bob.close()
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

function isOfAnn(request: Request): boolean {
  return request.headers.get('Authorization') === 'Bearer ann'
}

async function sync(...devices: readonly Client<StockSchema>[]): Promise<void> {
  for (const db of devices) await env.complete(db.sync.now())
}

async function itemOf(db: Client<StockSchema>, id: string): Promise<unknown> {
  const { name, code, stock } = (await db.items.get(id)) ?? {}
  return { name, code, stock }
}

/** Ann and bob gave an item another name, bob first; ann counted two more of it as well, and has heard of the conflict only. */
async function givenReported(isFresh: boolean): Promise<{ readonly id: string; readonly conflict: string }> {
  await sync(ann)
  isDeaf = isFresh
  const id = await ann.items.insert({ name: 'Rope', code: 'R', stock: 5 })
  await sync(ann, bob)
  await bob.items.update(id, { name: 'of bob' })
  await sync(bob)
  await ann.items.update(id, { name: 'of ann' })
  await ann.items.increment(id, { stock: 2 })
  isDeaf = true
  // A program that has just started pushes first, whatever the last one got through to.
  await ann.close()
  ann = await open('ann')
  await sync(ann)
  const [conflict] = await ann.conflicts.list()
  expect(await ann.outbox.list({ status: 'conflicted' })).toHaveLength(2)
  return { id, conflict: conflict?.id ?? '' }
}

for (const isFresh of [false, true]) {
  const whose = isFresh ? 'a record that never came back yet' : 'a record both had'

  test(`[CF-1] [CF-8] [CF-11] before any pull, over ${whose}: theirs is theirs, and what only waited is written`, async () => {
    const { id, conflict } = await givenReported(isFresh)
    await ann.conflicts.keepTheirs(conflict)
    isDeaf = false
    await sync(ann, ann, bob)
    for (const db of [ann, bob]) expect(await itemOf(db, id)).toMatchObject({ name: 'of bob', stock: 7 })
    expect(await ann.conflicts.list({ status: 'all' })).toMatchObject([{ resolution: { kind: 'theirs' } }])
  })

  test(`[CF-1] [CF-8] before any pull, over ${whose}: mine is mine`, async () => {
    const { id, conflict } = await givenReported(isFresh)
    await ann.conflicts.keepMine(conflict)
    isDeaf = false
    await sync(ann, ann, bob)
    for (const db of [ann, bob]) expect(await itemOf(db, id)).toMatchObject({ name: 'of ann', stock: 7 })
  })
}

test('[CF-1] [CF-5] before any pull, both are two', async () => {
  const { id, conflict } = await givenReported(false)
  const { copies } = await ann.conflicts.keepBoth(conflict)
  expect(copies).toHaveLength(1)
  isDeaf = false
  await sync(ann, ann, bob)
  expect(await itemOf(bob, id)).toMatchObject({ name: 'of bob', stock: 5 })
  expect(await itemOf(bob, copies[0] ?? '')).toMatchObject({ name: 'of ann', code: 'R (2)', stock: 7 })
})

test('[CF-1] [CF-10] before any pull, in a dispute over a key the other record is told from the own', async () => {
  const own = await ann.items.insert({ name: 'own', code: 'A', stock: 1 })
  await sync(ann, bob)
  await bob.items.insert({ name: 'other', code: 'B', stock: 100 })
  await sync(bob)
  await ann.items.update(own, { code: 'B' })
  await ann.items.increment(own, { stock: 2 })
  isDeaf = true
  await sync(ann)
  const [conflict] = await ann.conflicts.list()
  expect(conflict).toMatchObject({ kind: 'unique', record: own, parts: [{ isInDispute: true }] })
  await ann.conflicts.merge(conflict?.id ?? '', { code: 'C' })
  isDeaf = false
  await sync(ann, ann, bob)
  for (const db of [ann, bob]) expect(await itemOf(db, own)).toEqual({ name: 'own', code: 'C', stock: 3 })
})

test('[CF-1] [CF-8] before any pull, of a transaction it is told which record is in dispute', async () => {
  const [one, two] = [
    await ann.items.insert({ name: 'one', code: '1' }),
    await ann.items.insert({ name: 'two', code: '2' }),
  ]
  await sync(ann, bob)
  await bob.items.update(two, { name: 'of bob' })
  await sync(bob)
  await ann.transaction(async ({ items }) => {
    await items.increment(one, { stock: 1 })
    await items.update(two, { name: 'of ann' })
    await items.increment(two, { stock: 2 })
  })
  isDeaf = true
  await sync(ann)
  const [reported] = await ann.conflicts.list()
  isDeaf = false
  await sync(ann)
  // What the answer shows is what the row says: nothing else changes when it comes.
  expect(await ann.conflicts.list()).toEqual([reported])
  await ann.conflicts.keepTheirs(reported?.id ?? '')
  await sync(ann, ann, bob)
  expect(await itemOf(bob, one)).toMatchObject({ name: 'one', stock: 1 })
  expect(await itemOf(bob, two)).toMatchObject({ name: 'of bob', stock: 2 })
})

test('[CF-1] an answer that was acknowledged before only names the conflict: it is listed with the next pull', async () => {
  const id = await ann.items.insert({ name: 'Rope', code: 'R' })
  await sync(ann, bob)
  await bob.items.update(id, { name: 'of bob' })
  await sync(bob)
  await ann.items.update(id, { name: 'of ann' })
  // What was written leaves with the copy, too, under the same number.
  isDeaf = true
  await ann.close()
  copyFileSync(join(folder, 'ann.sqlite'), join(folder, 'copy.sqlite'))
  ann = await open('ann')
  await sync(ann)
  isDeaf = false
  await sync(ann, ann)
  await ann.items.increment(id, { stock: 1 })
  await sync(ann)
  await ann.close()
  isDeaf = true
  ann = await open('ann', 'copy')
  await sync(ann)
  expect(await ann.outbox.list()).toMatchObject([{ status: 'conflicted' }])
  expect(await ann.conflicts.list()).toEqual([])
  isDeaf = false
  await sync(ann)
  expect(await ann.conflicts.list()).toMatchObject([{ record: id, parts: [{ theirs: { name: 'of bob' } }] }])
})
