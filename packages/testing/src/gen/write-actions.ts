import type { Receipt } from '@holdfast/client'
import { type Json, membersOf, type MergeRuleName, newUuid, type Values } from '@holdfast/core'

import { placesOf } from './places.ts'
import { scopesOfTenant } from './mix-schema.ts'
import { traitsOf } from './traits.ts'
import { insertWithParents } from './transaction-actions.ts'
import {
  type AnyCollection,
  type Call,
  collectionOf,
  find,
  type Found,
  make,
  mutationsOf,
  readBehind,
  refused,
  tellEcho,
  type Turn,
} from './turn.ts'
import { randomInsert, randomMembers, randomUpdate, randomValue } from './values.ts'

/** A new record; where it must refer to one and there is none, that one too, in one transaction. */
export async function insert(turn: Turn, name: string): Promise<number> {
  const collection = collectionOf(turn, name)
  if (collection === undefined) return 0
  const lacksParent = traitsOf(collection).parents.some((parent) => turn.source.pick(parent) === undefined)
  if (lacksParent) return insertWithParents(turn, collection)
  const values = randomInsert(collection, turn.source)
  return values === undefined ? 0 : insertValues(turn, name, values)
}

/** Stores a record and remembers it; now and then under an id of the app's own making. */
async function insertValues(turn: Turn, name: string, values: Values, id?: string): Promise<number> {
  const { client, world, tenant, random } = turn
  const api: AnyCollection = client.collection(name)
  const own = id ?? (random.below(4) === 0 ? newId(turn) : undefined)
  const given = own === undefined ? values : { id: own, ...values }
  const writing = make(turn, { what: `insert ${name}`, run: () => api.insert(given) })
  const reading = own === undefined ? undefined : readBehind(turn, api, own)
  const made = await writing
  if (made === refused) return 0
  world.add(tenant, name, made)
  tellEcho(turn, { collection: name, id: made, wrote: values, row: await reading })
  return 1
}

/** An id as an app makes them itself. */
export function newId({ random, source }: Turn): string {
  return newUuid({ now: source.nowMs, randomBytes: (bytes) => random.fill(bytes) })
}

/** Some fields of a record. */
export async function update(
  turn: Turn,
  name: string,
  { fields, hot, rule }: { fields: number; hot: boolean; rule?: MergeRuleName },
): Promise<number> {
  const found = await find(turn, name, hot)
  if (found === undefined) return 0
  const changes = randomUpdate(found.collection, found.row, { count: fields, rule, source: turn.source })
  return assign(turn, found, { what: 'update', changes })
}

/** A record is edited, something it may refer to is made, and then it refers to that: three writes in a row. */
export async function adopt(turn: Turn, name: string): Promise<number> {
  const found = await find(turn, name)
  const fields = found === undefined ? [] : traitsOf(found.collection).assigned
  const links = fields.filter(({ references }) => references !== undefined && references !== name)
  const link = links[turn.random.below(links.length)]
  const parent = link && collectionOf(turn, link.references ?? '')
  const values = parent && randomInsert(parent, turn.source)
  if (found === undefined || link === undefined || parent === undefined || values === undefined) return 0
  const { collection, row } = found
  const rest = randomUpdate(collection, row, { count: 1, source: turn.source })
  const id = newId(turn)
  const writes = [
    assign(turn, found, { what: 'update', changes: { ...rest, [link.name]: row[link.name] ?? null } }),
    insertValues(turn, parent.name, values, id),
    assign(turn, found, { what: 'adopt', changes: { [link.name]: id } }),
  ]
  return (await Promise.all(writes)).reduce((sum, count) => sum + count, 0)
}

interface Assignment {
  readonly what: string
  readonly changes: Values
}

async function assign(turn: Turn, found: Found, { what, changes }: Assignment): Promise<number> {
  const { api, record } = found
  const writing = change(turn, found, { what, run: () => api.update(record.id, changes) })
  const reading = readBehind(turn, api, record.id)
  const count = await writing
  const row = await reading
  if (count > 0) tellEcho(turn, { collection: record.collection, id: record.id, wrote: changes, row })
  return count
}

/** A write with a receipt: how many mutations it wrote. */
async function change(
  turn: Turn,
  { record }: Found,
  call: Pick<Call<Receipt>, 'what' | 'run'>,
): Promise<number> {
  const { disk, observe, nowMs, random } = turn
  const receipt = await make(turn, { ...call, what: `${call.what} ${record.collection}`, told: mutationsOf })
  if (receipt === refused || receipt.mutation === null) return 0
  const { mutation } = receipt
  if (random.below(8) === 0) {
    // Nobody waits for it here: it comes when the server has spoken, or never, when the app dies or is closed before.
    receipt.verdict().then(
      ({ status }) => observe({ kind: 'verdict', atMs: nowMs(), disk, mutation, status }),
      () => undefined,
    )
  }
  return 1
}

/** A round of counting: amounts are added to a counter. */
export async function count(turn: Turn, name: string, isHot: boolean): Promise<number> {
  const found = await find(turn, name, isHot)
  const counters = found && traitsOf(found.collection).counters
  const counter = counters?.[turn.random.below(counters.length)]
  if (found === undefined || counter === undefined) return 0
  const amount = turn.random.below(14) - 3
  const { api, record, row } = found
  // Now and then the app says what there is instead of what came: it travels as the difference.
  if (turn.random.below(5) > 0)
    return change(turn, found, {
      what: 'count',
      run: () => api.increment(record.id, { [counter.name]: amount }),
    })
  const changes = { [counter.name]: Number(row[counter.name] ?? 0) + amount }
  return change(turn, found, { what: 'count', run: () => api.update(record.id, changes) })
}

/** Members come into a set or leave it. */
export async function tag(turn: Turn, name: string): Promise<number> {
  const found = await find(turn, name)
  const sets = found && traitsOf(found.collection).sets
  const field = sets?.[turn.random.below(sets.length)]
  if (found === undefined || field === undefined) return 0
  const { api, record, row } = found
  const present = membersOf(row[field.name])
  if (present.length > 0 && turn.random.below(3) === 0) {
    const gone = present[turn.random.below(present.length)]
    return change(turn, found, { what: 'untag', run: () => api.remove(record.id, { [field.name]: [gone] }) })
  }
  const members = randomMembers(field, turn.source)
  return change(turn, found, { what: 'tag', run: () => api.add(record.id, { [field.name]: members }) })
}

/** A record goes. */
export async function remove(turn: Turn, name: string): Promise<number> {
  const found = await find(turn, name)
  if (found === undefined) return 0
  const { api, record } = found
  const writing = change(turn, found, { what: 'delete', run: () => api.delete(record.id) })
  const reading = readBehind(turn, api, record.id)
  const written = await writing
  const row = await reading
  if (written === 0) return 0
  turn.world.markDeleted(turn.tenant, record)
  tellEcho(turn, { collection: name, id: record.id, wrote: null, row })
  return written
}

/** A record that was deleted, here or elsewhere, is made anew under its id. */
export async function recreate(turn: Turn, name: string): Promise<number> {
  const { client, world, tenant } = turn
  const collection = collectionOf(turn, name)
  const record = world.pickDeleted(tenant, name, turn.recordRoll)
  const values = collection && record && randomInsert(collection, turn.source)
  if (record === undefined || values === undefined) return 0
  const api: AnyCollection = client.collection(name)
  const { id } = record
  const writing = make(turn, { what: `recreate ${name}`, run: () => api.insert({ id, ...values }) })
  const reading = readBehind(turn, api, id)
  const result = await writing
  const row = await reading
  if (result === refused) return 0
  world.markRecreated(tenant, record)
  tellEcho(turn, { collection: name, id, wrote: values, row })
  return 1
}

/** A record goes to another place: mostly one its mover sees too, now and then another of the same tenant. */
export async function move(turn: Turn, name: string): Promise<number> {
  const { world, tenant, random, scopes } = turn
  const found = await find(turn, name)
  if (found === undefined) return 0
  const goesBeyond = world.pairs !== undefined && random.below(10) === 0
  const places = placesOf(found.collection, goesBeyond ? scopesOfTenant(tenant) : scopes).flat()
  const changes = places[random.below(places.length)]
  return changes === undefined ? 0 : assign(turn, found, { what: 'move', changes })
}

/** Somebody takes one of the few codes there are, for a new record or for one that has another. */
export async function claimCode(turn: Turn): Promise<number> {
  const { random, source } = turn
  const coded = turn.collections.filter((collection) => traitsOf(collection).codes.length > 0)
  const collection = coded[random.below(coded.length)]
  if (collection === undefined) return 0
  if (random.below(3) > 0) return insert(turn, collection.name)
  const found = await find(turn, collection.name)
  if (found === undefined) return 0
  const changes: Record<string, Json> = {}
  for (const field of traitsOf(collection).codes) {
    const value = randomValue({ collection, field, seen: found.row[field.name] }, source)
    if (value !== undefined) changes[field.name] = value
  }
  return assign(turn, found, { what: 'claim-code', changes })
}
