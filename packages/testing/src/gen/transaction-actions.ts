import type { CollectionWrites } from '@holdfast/client'
import { type CollectionSchema, type Field, limits, type Values } from '@holdfast/core'

import type { Action } from '../sim/plan.ts'
import { traitsOf } from './traits.ts'
import {
  collectionOf,
  type AnyCollection,
  type AnyTransaction,
  find,
  type Found,
  make,
  refused,
  type Turn,
} from './turn.ts'
import { randomInsert, randomPlace, randomUpdate } from './values.ts'

type AnyWrites = CollectionWrites<Readonly<Record<string, Field>>>

/** What a transaction wrote. */
interface Written {
  readonly mutations: string[]
  /** Records it made. */
  readonly made: { readonly collection: string; readonly id: string }[]
}

/** Several writes that are one. Gives what it wrote once it is done; undefined when it was refused. */
async function together(
  turn: Turn,
  what: string,
  write: (tx: AnyTransaction, written: Written) => Promise<unknown>,
): Promise<Written | undefined> {
  const { client, world, tenant } = turn
  const run = (): Promise<Written> =>
    client.transaction(async (tx) => {
      const written: Written = { mutations: [], made: [] }
      await write(tx, written)
      return written
    })
  const written = await make(turn, { what, run, told: ({ mutations }) => mutations })
  if (written === refused) return undefined
  for (const { collection, id } of written.made) {
    if (collection !== world.pairs) world.add(tenant, collection, id)
  }
  return written
}

function sizeOf(written: Written | undefined): number {
  return written === undefined ? 0 : written.mutations.length + written.made.length
}

function writesOf(tx: AnyTransaction, name: string): AnyWrites {
  const writes = tx[name]
  // Names come from the schema, and a transaction has every collection of it.
  return writes as AnyWrites
}

async function insertIn(
  tx: AnyTransaction,
  written: Written,
  row: { name: string; values: Values },
): Promise<string> {
  const id = await writesOf(tx, row.name).insert(row.values)
  written.made.push({ collection: row.name, id })
  return id
}

/** A record and those it must refer to, from the eldest down. */
export async function insertWithParents(turn: Turn, collection: CollectionSchema): Promise<number> {
  const { source } = turn
  const written = await together(turn, `insert ${collection.name} with parents`, async (tx, sofar) => {
    const fresh = new Map<string, string>()
    const pick = (name: string): string | undefined => fresh.get(name) ?? source.pick(name)
    const line = lineage(turn.schema.collections, collection)
    for (const each of line) {
      // What is there already serves; the record itself is always a new one.
      if (each !== collection && pick(each.name) !== undefined) continue
      const values = randomInsert(each, { ...source, pick })
      if (values === undefined) return
      fresh.set(each.name, await insertIn(tx, sofar, { name: each.name, values }))
    }
  })
  return sizeOf(written)
}

/** Generations that are followed up: a schema may refer in circles. */
const generationMax = 4

/** A collection behind all those its rows must refer to. */
function lineage(
  collections: ReadonlyMap<string, CollectionSchema>,
  collection: CollectionSchema,
  depth = 0,
): readonly CollectionSchema[] {
  if (depth > generationMax) return []
  const elders = traitsOf(collection).parents.flatMap((name) => {
    const parent = collections.get(name)
    return parent === undefined || parent === collection ? [] : lineage(collections, parent, depth + 1)
  })
  return [...new Set([...elders, collection])]
}

/** Many records at once: in bulk, in one transaction, or one by one without waiting for each. */
export async function importRows(
  turn: Turn,
  { collection: name, count, apart = false }: Extract<Action, { readonly kind: 'import' }>,
): Promise<number> {
  const { client, world, tenant, random, source } = turn
  const collection = collectionOf(turn, name)
  if (collection === undefined) return 0
  const rows: Values[] = []
  while (rows.length < Math.min(count, limits.groupMutations)) {
    const values = apart ? insertApart(turn, collection) : randomInsert(collection, source)
    if (values === undefined) break
    rows.push(values)
  }
  if (rows.length === 0) return 0
  const api: AnyCollection = client.collection(name)
  const what = `import ${name}`
  const way = random.below(3)
  if (way === 0) {
    const written = await together(turn, what, async (tx, sofar) => {
      for (const values of rows) await insertIn(tx, sofar, { name, values })
    })
    return sizeOf(written)
  }
  const asked =
    way === 1
      ? [make(turn, { what, run: () => api.insertMany(rows) })]
      : rows.map((row) => make(turn, { what, run: async () => [await api.insert(row)] }))
  const ids = (await Promise.all(asked)).flatMap((made) => (made === refused ? [] : made))
  for (const id of ids) world.add(tenant, name, id)
  return ids.length
}

/** Rows that are drawn before there are taken to be no more keys. */
const drawMax = 20

/** Values for a row whose keys no other row has that was put in like this. */
function insertApart({ world, source }: Turn, collection: CollectionSchema): Values | undefined {
  for (let draw = 0; draw < drawMax; draw++) {
    const values = randomInsert(collection, source)
    if (values === undefined || world.reserveKeys(collection, values)) return values
  }
  return undefined
}

/** Some records of several collections change as one. */
export async function group(turn: Turn, size: number): Promise<number> {
  const found: Found[] = []
  for (let step = 0; step < size; step++) {
    const collection = anyCollection(turn)
    const each = collection && (await find({ ...turn, recordRoll: turn.random.next() }, collection.name))
    if (each && found.every(({ record }) => record.id !== each.record.id)) found.push(each)
  }
  if (found.length === 0) return 0
  const written = await together(turn, 'group', async (tx, sofar) => {
    for (const each of found) await writeOne(turn, tx, { each, written: sofar })
  })
  return sizeOf(written)
}

function anyCollection({ collections, random }: Turn): CollectionSchema | undefined {
  return collections[random.below(collections.length)]
}

async function writeOne(
  turn: Turn,
  tx: AnyTransaction,
  { each, written }: { readonly each: Found; readonly written: Written },
): Promise<void> {
  const { source, random } = turn
  const { collection, record, row } = each
  const writes = writesOf(tx, collection.name)
  const dice = random.below(8)
  const counter = traitsOf(collection).counters[0]
  const values = dice === 0 ? randomInsert(collection, source) : undefined
  if (values !== undefined) return void (await insertIn(tx, written, { name: collection.name, values }))
  const { mutation } =
    dice < 3 && counter !== undefined
      ? await writes.increment(record.id, { [counter.name]: 1 + random.below(5) })
      : await writes.update(record.id, randomUpdate(collection, row, { count: 1 + random.below(2), source }))
  if (mutation !== null) written.mutations.push(mutation)
}

/** Pairs a tenant has before they are mostly written to again. */
const pairCount = 6

/** Two rows get the same fresh mark in one transaction: new ones, or two that were made so. */
export async function pair(turn: Turn): Promise<number> {
  const { world, tenant, random, source, recordRoll } = turn
  const name = world.pairs
  if (name === undefined) return 0
  const mark = `${source.mark}${source.nonce()}`
  const isNew = random.below(pairCount) >= world.pairCount(tenant) || random.below(8) === 0
  const known = isNew ? undefined : world.pickPair(tenant, recordRoll)
  if (known !== undefined) {
    const written = await together(turn, 'pair', async (tx, { mutations }) => {
      for (const id of [known.one, known.other]) {
        const { mutation } = await writesOf(tx, name).update(id, { mark })
        if (mutation !== null) mutations.push(mutation)
      }
    })
    return sizeOf(written)
  }
  const collection = turn.schema.collections.get(name)
  const place = collection && randomPlace(collection, source)
  if (place === undefined || Object.keys(place).length === 0) return 0
  const written = await together(turn, 'pair', async (tx, sofar) => {
    for (let step = 0; step < 2; step++) await insertIn(tx, sofar, { name, values: { ...place, mark } })
  })
  const [one, other] = written?.made ?? []
  if (one && other) world.addPair(tenant, { one: one.id, other: other.id })
  return sizeOf(written)
}

/** Two records exchange their codes, which only works when it is judged at the end. */
export async function swapCodes(turn: Turn): Promise<number> {
  const { random } = turn
  const coded = turn.collections.filter((collection) => traitsOf(collection).codes.length > 0)
  const collection = coded[random.below(coded.length)]
  const one = collection && (await find(turn, collection.name))
  const other = collection && (await find({ ...turn, recordRoll: random.next() }, collection.name))
  if (!one || !other || one.record.id === other.record.id) return 0
  const codes = traitsOf(one.collection).codes
  const of = (row: Values): Values => Object.fromEntries(codes.map(({ name }) => [name, row[name] ?? null]))
  const written = await together(turn, 'swap-codes', async (tx, { mutations }) => {
    const writes = writesOf(tx, one.collection.name)
    for (const [mine, theirs] of [[one, other] as const, [other, one] as const]) {
      const { mutation } = await writes.update(mine.record.id, of(theirs.row))
      if (mutation !== null) mutations.push(mutation)
    }
  })
  return sizeOf(written)
}
