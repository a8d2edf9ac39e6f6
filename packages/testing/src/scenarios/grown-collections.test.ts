import { type Client, openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { collection, counter, defineSchema, type Schema, text } from '@holdfast/core'
import { createServer, type HoldfastServer, sqliteStore } from '@holdfast/server'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { SeededRandom } from '../seeded-random.ts'
import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'

const scoped = { wh: text() }
const fields = { ...scoped, name: text(), stock: counter() }
const note = text({ optional: true, merge: 'latest' })
const shade = text({ default: 'grey', merge: 'latest' })
const items = collection({ fields, scope: 'w:{wh}' })
const itemsWithNote = collection({ fields: { ...fields, note }, scope: 'w:{wh}' })
const itemsWithAll = collection({ fields: { ...fields, note, shade }, scope: 'w:{wh}' })
const shelves = collection({ fields: { ...scoped, label: text() }, scope: 'w:{wh}' })
const newest = defineSchema({ version: 100, collections: { items: itemsWithAll, shelves } })

/** The versions of an app, and which of them may follow which. */
const apps: readonly Parameters<typeof defineSchema>[0]['collections'][] = [
  { items, shelves },
  { items: itemsWithNote, shelves },
  { items, shelves },
  { shelves },
  { items: itemsWithAll, shelves },
  { items: itemsWithNote },
  { items: itemsWithAll, shelves },
]

interface Asked {
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
  /** Rows of the answer by collection. */
  readonly rows: Readonly<Record<string, number>>
}

let folder: string
let env: VirtualEnvironment
let server: HoldfastServer
let grants: string[]
let asked: Asked[]
let serverLog: string[]
/** The network breaks before the request with this number, counted from when it is set. */
let breakAt: number
/** Done before an answer arrives. */
let onAsked: () => unknown
/** What the server understands of a request. */
let knows: (body: Asked['body']) => Asked['body']
const open = new Set<Client<Schema>>()

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-grown-'))
  env = createVirtualEnvironment({ seed: 7 })
  grants = ['w:1', 'w:2']
  asked = []
  serverLog = []
  breakAt = Number.POSITIVE_INFINITY
  onAsked = () => undefined
  knows = (body) => body
  server = await createServer({
    schema: newest,
    store: sqliteStore(join(folder, 'server.sqlite')),
    env,
    authenticate: (request) => ({ id: request.headers.get('Authorization')?.slice('Bearer '.length) ?? '' }),
    scopes: ({ id }) => (id === 'bob' ? grants : ['w:1', 'w:2', 'w:3']),
    logger: {
      info: () => undefined,
      warn: (_, message) => void serverLog.push(message),
      error: (_, message) => void serverLog.push(message),
    },
  })
  env.connect(async (request) => {
    if (--breakAt === 0) throw new TypeError('fetch failed')
    const text = await request.clone().text()
    const body = JSON.parse(text === '' ? '{}' : text) as Asked['body']
    const { url, method, headers } = request
    const heard = 'ranges' in body ? { method, headers, body: JSON.stringify(knows(body)) } : undefined
    const response = await server.fetch(heard ? new Request(url, heard) : request)
    const answer = (await response.clone().json()) as { changes?: readonly { collection: string }[] }
    const rows = countBy((answer.changes ?? []).map((change) => change.collection))
    await onAsked()
    asked.push({ path: new URL(request.url).pathname, body, rows })
    return response
  })
})

afterEach(async () => {
  for (const db of open) await db.close()
  open.clear()
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

async function openApp(
  user: string,
  schema: Schema,
  { file = user }: { readonly file?: string } = {},
): Promise<Client<Schema>> {
  const db = await openClient({
    schema,
    storage: sqliteStorage(join(folder, `${file}.sqlite`)),
    server: 'https://shop.example',
    auth: user,
    env,
    durability: 'fast',
    sync: { auto: false },
  })
  open.add(db)
  return db
}

async function close(db: Client<Schema>): Promise<void> {
  open.delete(db)
  await db.close()
}

const sync = (db: Client<Schema>) => env.complete(db.sync.now())

/** Everything of a collection, without what belongs to the device alone. */
async function rowsOf(db: Client<Schema>, name: string): Promise<readonly object[]> {
  const rows = await db.query((q) => q.selectFrom(name).selectAll().orderBy('id'))
  return rows.map(({ _scopes, _server_updated_at, ...row }) => row)
}

const schemaOf = (version: number, collections: Parameters<typeof defineSchema>[0]['collections']): Schema =>
  defineSchema({ version, collections })

/** A row with a note in each of so many scopes, all of them on a device whose app knows no notes. */
async function givenOldCopy(count: number): Promise<void> {
  grants = Array.from({ length: count }, (_, n) => `w:${n}`)
  const bob = await openApp('bob', newest)
  for (let n = 0; n < count; n++)
    await bob['items']!.insert({ wh: `${n}`, name: `Rope ${n}`, note: `note ${n}` })
  await sync(bob)
  const old = await openApp('bob', schemaOf(1, { items, shelves }), { file: 'other' })
  await sync(old)
  await close(old)
}

test('[AP-12] what gained a field is fetched again, all of it at once, and nothing else; that is no repair', async () => {
  const ann = await openApp('ann', newest)
  const old = await openApp('bob', schemaOf(1, { items, shelves }))
  for (let n = 0; n < 30; n++) {
    await ann['items']!.insert({ wh: `${(n % 2) + 1}`, name: `Rope ${n}`, note: `note ${n}` })
    await ann['shelves']!.insert({ wh: '1', label: `Shelf ${n}` })
  }
  await sync(ann)
  await sync(old)
  const [row] = await rowsOf(old, 'items')
  await old['items']!.update((row as { id: string }).id, { name: 'Chain' })
  await close(old)

  const db = await openApp('bob', schemaOf(2, { items: itemsWithNote, shelves }))
  asked.length = 0
  expect(await sync(db)).toEqual({ status: 'done', code: null })

  const notes = await db.query((q) => q.selectFrom('items').select(['name', 'note']))
  expect(notes).toHaveLength(30)
  expect(notes.filter((each) => each['note'] === null)).toEqual([])
  expect(notes.filter(({ name }) => name === 'Chain')).toHaveLength(1)
  const rows = asked.map((each) => each.rows)
  expect(rows.reduce((sum, each) => sum + (each['items'] ?? 0), 0)).toBeLessThanOrEqual(31)
  expect(rows.every((each) => !('shelves' in each))).toBe(true)
  expect(asked.map(({ path }) => path)).not.toContain('/sync/snapshot')
  expect(serverLog).toEqual([])
  expect(await db.status.get()).toMatchObject({ repairCount: 0, pendingCount: 0 })
  expect(await env.complete(db.sync.verify())).toMatchObject({ repaired: 0 })
  asked.length = 0
  await sync(db)
  expect(asked.every(({ body }) => !('ranges' in body) && !('digests' in body))).toBe(true)
})

test('[SY-30] a process of the app before an update that goes on beside it fetches nothing any more, and its edits are sent by the new one', async () => {
  const ann = await openApp('ann', newest)
  const id = await ann['items']!.insert({ wh: '1', name: 'Rope', note: 'blue' })
  await sync(ann)
  const old = await openApp('bob', schemaOf(1, { items, shelves }))
  await sync(old)
  const db = await openApp('bob', schemaOf(2, { items: itemsWithNote, shelves }))
  await env.advance(1)
  expect(await sync(old)).toEqual({ status: 'paused', code: 'STORE_NEWER' })
  expect(await sync(db)).toEqual({ status: 'done', code: null })
  const notes = () => db.query((q) => q.selectFrom('items').select('note').orderBy('note'))
  expect(await notes()).toEqual([{ note: 'blue' }])

  await ann['items']!.update(id, { note: 'red' })
  await ann['items']!.insert({ wh: '1', name: 'Chain', note: 'green' })
  await sync(ann)
  await old['items']!.update(id, { name: 'Line' })
  old.sync.resume()
  expect(await sync(old)).toEqual({ status: 'paused', code: 'STORE_NEWER' })
  expect(await sync(db)).toEqual({ status: 'done', code: null })
  expect(await notes()).toEqual([{ note: 'green' }, { note: 'red' }])
  await sync(ann)
  expect(await rowsOf(ann, 'items')).toContainEqual(expect.objectContaining({ name: 'Line', note: 'red' }))
})

test('[SY-30] a cycle that an update of the app meets is over', async () => {
  const ann = await openApp('ann', newest)
  await ann['items']!.insert({ wh: '1', name: 'Rope', note: 'blue' })
  await sync(ann)
  const old = await openApp('bob', schemaOf(1, { items, shelves }))
  await sync(old)
  await ann['items']!.insert({ wh: '1', name: 'Chain', note: 'red' })
  await sync(ann)
  const update = Promise.withResolvers<Client<Schema>>()
  onAsked = () => {
    onAsked = () => undefined
    openApp('bob', schemaOf(2, { items: itemsWithNote, shelves })).then(update.resolve, update.reject)
    return update.promise
  }
  expect(await sync(old)).toEqual({ status: 'standby', code: 'LEASE_LOST' })
  const db = await update.promise
  expect(await sync(db)).toEqual({ status: 'done', code: null })
  const notes = await db.query((q) => q.selectFrom('items').select('note').orderBy('note'))
  expect(notes).toEqual([{ note: 'blue' }, { note: 'red' }])
})

test('[AP-12] an older server than the one that told which ranges there are has everything fetched instead', async () => {
  const ann = await openApp('ann', newest)
  await ann['items']!.insert({ wh: '1', name: 'Rope', note: 'blue' })
  await sync(ann)
  const old = await openApp('bob', schemaOf(1, { items, shelves }))
  await sync(old)
  await close(old)
  const db = await openApp('bob', schemaOf(2, { items: itemsWithNote, shelves }))
  asked.length = 0
  knows = ({ ranges: _, grown: __, ...body }) => body
  expect(await sync(db)).toEqual({ status: 'done', code: null })
  expect(asked.filter(({ path }) => path === '/sync/snapshot')).toHaveLength(1)
  expect(await db.query((q) => q.selectFrom('items').select('note'))).toEqual([{ note: 'blue' }])
})

test('[SY-2] [AP-12] a sync is over when what it learnt to be fetched again is there', async () => {
  const ann = await openApp('ann', newest)
  const old = await openApp('bob', schemaOf(1, { items, shelves }))
  await ann['items']!.insert({ wh: '1', name: 'Rope', note: 'blue' })
  await sync(ann)
  await sync(old)
  await close(old)
  const db = await openApp('bob', schemaOf(2, { items: itemsWithNote, shelves }))
  const synced = db.sync.now().then(() => db.query((q) => q.selectFrom('items').select('note')))
  expect(await env.complete(synced)).toEqual([{ note: 'blue' }])
})

test('[AP-12] a break does not end it: what came is not fetched twice, and an app that is updated meanwhile goes on', async () => {
  await givenOldCopy(150)

  const first = await openApp('bob', schemaOf(2, { items: itemsWithNote, shelves }), { file: 'other' })
  asked.length = 0
  breakAt = 3
  expect(await sync(first)).toMatchObject({ status: 'offline' })
  breakAt = Number.POSITIVE_INFINITY
  await close(first)
  const then = await openApp('bob', schemaOf(3, { items: itemsWithNote }), { file: 'other' })
  await sync(then)

  const ranges = asked.flatMap(({ body }) => (body['ranges'] ?? []) as readonly object[])
  expect(new Set(ranges.map((range) => JSON.stringify(range))).size).toBe(150)
  expect(ranges).toHaveLength(150)
  expect(await then.query((q) => q.selectFrom('items').select('note').where('note', 'is', null))).toEqual([])
})

test('[AP-12] [CS-3] what is still to be fetched of a collection that the next app has not is not asked for until one has it again', async () => {
  await givenOldCopy(100)
  const first = await openApp('bob', schemaOf(2, { items: itemsWithNote, shelves }), { file: 'other' })
  breakAt = 3
  expect(await sync(first)).toMatchObject({ status: 'offline' })
  breakAt = Number.POSITIVE_INFINITY
  await close(first)
  expect(await lookInto('other')).toHaveLength(36)

  const without = await openApp('bob', schemaOf(3, { shelves }), { file: 'other' })
  asked.length = 0
  expect(await sync(without)).toEqual({ status: 'done', code: null })
  expect(asked.filter(({ body }) => 'ranges' in body)).toEqual([])
  await close(without)
  const again = await openApp('bob', schemaOf(4, { items: itemsWithNote, shelves }), { file: 'other' })
  expect(await sync(again)).toEqual({ status: 'done', code: null })
  const rows = await again.query((q) => q.selectFrom('items').select('note').where('note', 'is not', null))
  expect(rows).toHaveLength(100)
})

test('[AP-12] [CS-3] what lies in a scope that is lost meanwhile does not keep the rest from coming', async () => {
  await givenOldCopy(140)
  const db = await openApp('bob', schemaOf(2, { items: itemsWithNote, shelves }), { file: 'other' })
  breakAt = 2
  await sync(db)
  // Where the ranges are known by now, those that are asked for first are of scopes that go.
  const first = new Set((await lookInto('other')).slice(0, 70).map(({ scope }) => scope))
  grants = grants.filter((scope) => !first.has(scope))
  breakAt = Number.POSITIVE_INFINITY
  await env.advance(900_000)
  await sync(db)
  const rows = await db.query((q) => q.selectFrom('items').select(['wh', 'note']))
  expect(rows).toHaveLength(70)
  expect(rows.filter((row) => row['note'] === null)).toEqual([])
})

test('[AP-12] what the server took as it was while its collection is fetched again is fetched, too', async () => {
  const ann = await openApp('ann', newest)
  const id = await ann['items']!.insert({ wh: '1', name: 'Rope', note: 'blue', shade: 'red' })
  await sync(ann)
  const old = await openApp('bob', schemaOf(1, { items, shelves }))
  await sync(old)
  await old['items']!.update(id, { name: 'Line' })
  await close(old)
  const db = await openApp('bob', newest)
  // The ranges are known once it has pulled; then an edit is sent, and another one made before its version is heard of.
  const meanwhile = [
    () => undefined,
    () => db['items']!.update(id, { name: 'Cord' }),
    () => undefined,
    () => db['items']!.increment(id, { stock: 1 }),
  ]
  onAsked = () => meanwhile.shift()?.()
  asked.length = 0
  expect(await sync(db)).toEqual({ status: 'done', code: null })
  const pulled = asked.filter(({ body }) => 'ranges' in body)
  expect(asked.indexOf(pulled[0]!)).toBe(3)
  expect(await rowsOf(db, 'items')).toMatchObject([{ note: 'blue', shade: 'red', name: 'Cord', stock: 1 }])
  await sync(db)
  await sync(ann)
  expect(await rowsOf(db, 'items')).toEqual(await rowsOf(ann, 'items'))
})

test('[LO-8] a field that an app has again has its default where the one between wrote, and shows what was written in it and not sent', async () => {
  const first = await openApp('bob', schemaOf(1, { items: itemsWithAll, shelves }))
  const id = await first['items']!.insert({ wh: '1', name: 'Rope' })
  await first['items']!.update(id, { shade: 'red', note: 'blue' })
  await close(first)
  const between = await openApp('bob', schemaOf(2, { items, shelves }))
  await between['items']!.insert({ wh: '1', name: 'Chain' })
  await between['items']!.increment(id, { stock: 1 })
  await close(between)
  const erased = await openApp('bob', schemaOf(3, { shelves }))
  await close(erased)

  const db = await openApp('bob', schemaOf(4, { items: itemsWithAll, shelves }))
  expect(
    await db.query((q) => q.selectFrom('items').select(['name', 'shade', 'note', 'stock']).orderBy('name')),
  ).toEqual([
    { name: 'Chain', shade: 'grey', note: null, stock: 0 },
    { name: 'Rope', shade: 'red', note: 'blue', stock: 1 },
  ])
  await sync(db)
  const ann = await openApp('ann', newest)
  await sync(ann)
  expect(await rowsOf(ann, 'items')).toEqual(await rowsOf(db, 'items'))
})

test('[FO-5] what was written in a field that the next app has not is sent all the same', async () => {
  const first = await openApp('bob', schemaOf(1, { items: itemsWithAll, shelves }))
  const id = await first['items']!.insert({ wh: '1', name: 'Rope' })
  await first['items']!.update(id, { shade: 'red' })
  await first['items']!.update(id, { name: 'Line', note: 'blue' })
  await close(first)
  const next = await openApp('bob', schemaOf(2, { items, shelves }))
  await sync(next)
  const ann = await openApp('ann', newest)
  await sync(ann)
  expect(await rowsOf(ann, 'items')).toMatchObject([{ name: 'Line', shade: 'red', note: 'blue' }])
})

test('[SY-30] what an app of before writes on a record beside a newer one leaves it what that one has of it', async () => {
  const ann = await openApp('ann', newest)
  const id = await ann['items']!.insert({ wh: '1', name: 'Rope', note: 'blue', shade: 'red' })
  await sync(ann)
  const old = await openApp('bob', schemaOf(1, { items, shelves }))
  await sync(old)
  const db = await openApp('bob', newest)
  await sync(db)
  await old['items']!.update(id, { name: 'Line' })
  const meanwhile = [() => undefined, () => db['items']!.increment(id, { stock: 1 })]
  onAsked = () => meanwhile.shift()?.()
  await sync(db)
  await sync(db)
  await sync(ann)
  expect(await rowsOf(db, 'items')).toMatchObject([{ name: 'Line', note: 'blue', shade: 'red', stock: 1 }])
  expect(await rowsOf(db, 'items')).toEqual(await rowsOf(ann, 'items'))
})

test('[SY-30] an app of before beside a newer one does nothing with dead letters and conflicts, which would make rows anew without the fields that it lacks', async () => {
  const ann = await openApp('ann', newest)
  const id = await ann['items']!.insert({ wh: '1', name: 'Rope', note: 'blue', shade: 'red' })
  await sync(ann)
  const old = await openApp('bob', schemaOf(1, { items, shelves }))
  await sync(old)
  await ann['items']!.update(id, { name: 'Cord' })
  await sync(ann)
  await old['items']!.update(id, { name: 'Line' })
  await old['items']!.insert({ wh: '3', name: 'out of sight' })
  await sync(old)
  const db = await openApp('bob', newest)
  await sync(db)
  await db['items']!.update(id, { note: 'mine', shade: 'black' })
  const [[letter], [conflict]] = [await old.deadLetters.list(), await old.conflicts.list()]
  const [refused, disputed] = [letter?.id ?? '', conflict?.id ?? '']
  const before = await rowsOf(db, 'items')
  for (const act of [
    () => old.deadLetters.retry(refused),
    () => old.deadLetters.editAndRetry(refused, { wh: '1' }),
    () => old.deadLetters.discard(refused),
    () => old.conflicts.keepTheirs(disputed),
    () => old.conflicts.keepMine(disputed),
  ])
    await expect(act()).rejects.toMatchObject({ code: 'STORE_NEWER' })
  expect(await rowsOf(db, 'items')).toEqual(before)

  await db.deadLetters.discard(refused)
  await db.conflicts.keepMine(disputed)
  await sync(db)
  await sync(ann)
  expect(await rowsOf(db, 'items')).toMatchObject([{ name: 'Line', note: 'mine', shade: 'black' }])
  expect(await rowsOf(db, 'items')).toEqual(await rowsOf(ann, 'items'))
})

/** The ranges that a device still has to fetch. */
async function lookInto(file: string): Promise<readonly { readonly scope: string }[]> {
  const connection = await sqliteStorage(join(folder, `${file}.sqlite`)).open()
  const [row] = await connection.all("SELECT value FROM _meta WHERE key = 'sync.renewal'")
  await connection.close()
  return JSON.parse(String(row?.['value'])) as readonly { readonly scope: string }[]
}

test.each(Array.from({ length: 12 }, (_, seed) => seed))(
  '[AP-12] whatever apps follow each other on a device, with breaks and edits of others between them, it ends with what a new device has (%i)',
  async (seed) => {
    const random = new SeededRandom(seed + 1)
    const pick = <T>(list: readonly T[]): T => list[random.below(list.length)] as T
    const ann = await openApp('ann', newest)
    const ids: string[] = []
    let version = 1
    let app = pick(apps)
    let bob = await openApp('bob', schemaOf(version, app))
    const act = async (): Promise<void> => {
      const dice = random.below(12)
      const id = ids.length > 0 ? pick(ids) : undefined
      const wh = `${random.below(3) + 1}`
      if (dice < 3 || id === undefined)
        ids.push(await ann['items']!.insert({ wh, name: `Rope ${ids.length}`, note: 'first', stock: 1 }))
      else if (dice === 3) await ann['shelves']!.insert({ wh, label: 'Shelf' })
      else if (dice === 4) await ann['items']!.delete(id).catch(() => undefined)
      else if (dice === 5) await ann['items']!.update(id, { wh }).catch(() => undefined)
      else if (dice < 9)
        await ann['items']!.update(id, { note: `n${random.below(99)}`, shade: pick(['red', 'blue']) }).catch(
          () => undefined,
        )
      else if ('items' in app) await bob['items']?.increment(id, { stock: 1 }).catch(() => undefined)
    }
    for (let round = 0; round < 40; round++) {
      for (let n = random.below(5); n > 0; n--) await act()
      if (random.below(2) === 0) await sync(ann)
      if (random.below(6) === 0) grants = ['w:1', ...['w:2', 'w:3'].filter(() => random.below(2) === 0)]
      if (random.below(2) === 0) {
        breakAt = random.below(3) === 0 ? random.below(6) + 1 : Number.POSITIVE_INFINITY
        await sync(bob)
        breakAt = Number.POSITIVE_INFINITY
        await env.advance(900_000)
      }
      if (random.below(3) > 0) continue
      await close(bob)
      app = pick(apps)
      bob = await openApp('bob', schemaOf(++version, app))
    }
    await close(bob)
    app = { items: itemsWithAll, shelves }
    bob = await openApp('bob', schemaOf(++version, app))
    await env.advance(900_000)
    for (let n = 0; n < 3; n++) for (const db of [ann, bob]) await sync(db)

    const fresh = await openApp('bob', newest, { file: 'fresh' })
    await sync(fresh)
    // What is in front of bob stays as he has it until he decides.
    const mine = (await rowsOf(bob, 'items')).filter((row) => Reflect.get(row, '_state') !== 'clean')
    const inDoubt = mine.map((row) => Reflect.get(row, 'id') as unknown)
    const settled = async (db: Client<Schema>, name: string): Promise<readonly object[]> =>
      (await rowsOf(db, name)).filter((row) => !inDoubt.includes(Reflect.get(row, 'id')))
    for (const name of ['items', 'shelves'])
      expect(await settled(bob, name)).toEqual(await settled(fresh, name))
    expect(serverLog.filter((line) => line.includes('other rows'))).toEqual([])
  },
)
