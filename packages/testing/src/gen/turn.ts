import type { Client, ClientCollection, ClientTransaction, Receipt } from '@holdfast/client'
import {
  type CollectionSchema,
  type ErrorCode,
  type Field,
  type Schema,
  SyncError,
  type Values,
} from '@holdfast/core'

import { type Observation, runStartMs } from '../check/observation.ts'
import { SeededRandom } from '../seeded-random.ts'
import { markOf } from './mix-schema.ts'
import type { KnownRecord, SharedMemory } from './shared-memory.ts'
import type { ValueSource } from './values.ts'

/** Somebody with a device in their hand. */
export interface Person {
  /** The device's storage, as observations name it. */
  readonly disk: string
  readonly user: string
  readonly tenant: number
  /** Scopes the person believes to have. */
  readonly scopes: readonly string[]
  readonly client: Client<Schema>
  /** What the app in their hand knows. */
  readonly schema: Schema
  readonly world: SharedMemory
  readonly observe: (observation: Observation) => void
  /** Virtual ms since the run began. */
  readonly nowMs: () => number
}

/** One action of a person, and the chance it is made from. */
export interface Turn extends Person {
  readonly random: SeededRandom
  readonly source: ValueSource
  /** What people work on one row at a time with that app, in the order of its schema: all but the pairs. */
  readonly collections: readonly CollectionSchema[]
  /** What decides which record: the same for all draws that differ in their last 8 bits only. */
  readonly recordRoll: number
}

/** A collection of a client whose schema is not known to the types. */
export type AnyCollection = ClientCollection<Readonly<Record<string, Field>>>

/** A transaction of such a client. */
export type AnyTransaction = ClientTransaction<Schema>

/** What a refused call leaves: nothing. */
export const refused: unique symbol = Symbol('refused')

/** The turn of a person. */
export function takeTurn(person: Person, draw: number): Turn {
  const random = new SeededRandom(draw)
  const { world, tenant, nowMs, scopes, schema } = person
  const source: ValueSource = {
    random,
    mark: markOf(tenant),
    nonce: world.nonce,
    codeCount: world.codeCount,
    nowMs: () => runStartMs + nowMs(),
    scopes,
    pick: (collection) => world.pick(tenant, collection, { roll: random.next(), isHot: false })?.id,
  }
  const collections = [...schema.collections.values()].filter(({ name }) => name !== world.pairs)
  return { ...person, random, source, collections, recordRoll: scatter(draw >>> 8) }
}

/** A collection people work on one row at a time; undefined for the pairs, and for what their app does not know. */
export function collectionOf({ collections }: Turn, name: string): CollectionSchema | undefined {
  return collections.find((collection) => collection.name === name)
}

/** A number in [0, 1) that neighbours do not share. Source: lowbias32 by Chris Wellons. */
function scatter(seed: number): number {
  let bits = Math.imul(seed ^ (seed >>> 16), 0x7feb352d)
  bits = Math.imul(bits ^ (bits >>> 15), 0x846ca68b)
  return ((bits ^ (bits >>> 16)) >>> 0) / 0x1_0000_0000
}

/** Refusals any write may meet: the record went away, somebody was faster, the disk is full, the app was closed. */
const usual: ReadonlySet<string> = new Set<ErrorCode>([
  'RECORD_NOT_FOUND',
  'RECORD_EXISTS',
  'TRANSITION_REFUSED',
  'VALUE_TOO_LARGE',
  'GROUP_TOO_LARGE',
  'TRANSACTION_OVER',
  'STORE_FULL',
  'CLIENT_CLOSED',
])

/** Whether an error is one that people meet in their life; anything else is a defect. */
export function isExpected(error: unknown, also: readonly ErrorCode[] = []): boolean {
  return error instanceof SyncError && (usual.has(error.code) || also.includes(error.code))
}

/** A call that writes. */
export interface Call<Value> {
  /** Action and collection. */
  readonly what: string
  readonly run: () => Promise<Value>
  /** Ids of mutations that it says it wrote. */
  readonly told?: (value: Value) => readonly string[]
  /** Refusals that may also come of it. */
  readonly expected?: readonly ErrorCode[]
}

/**
 * Makes a call and says so before and after. Runs to the call itself without a pause, so that whatever is asked for
 * right behind it comes right behind it. Gives `refused` for refusals that are to be expected, throws for others; when
 * the app dies in it, never anything.
 */
export async function make<Value>(
  turn: Turn,
  { what, run, told, expected }: Call<Value>,
): Promise<Value | typeof refused> {
  const { disk, observe, nowMs, world } = turn
  const call = world.nextCall()
  observe({ kind: 'call', atMs: nowMs(), disk, call, what })
  try {
    const value = await run()
    const mutations = told?.(value) ?? []
    observe({ kind: 'call-ended', atMs: nowMs(), disk, call, result: 'done', code: null, mutations })
    return value
  } catch (error) {
    const code = error instanceof SyncError ? error.code : null
    observe({ kind: 'call-ended', atMs: nowMs(), disk, call, result: 'refused', code, mutations: [] })
    if (isExpected(error, expected)) return refused
    throw error
  }
}

/** The mutation of a receipt, if it wrote one. */
export function mutationsOf({ mutation }: Receipt): readonly string[] {
  return mutation === null ? [] : [mutation]
}

/** A record and what the device has of it. */
export interface Found {
  readonly record: KnownRecord
  readonly collection: CollectionSchema
  readonly api: AnyCollection
  readonly row: Values
}

/** Records that are tried before a person gives up looking. */
const lookMax = 3

/** A record the device has; undefined when there is none, or luck was bad. */
export async function find(turn: Turn, name: string, isHot = false): Promise<Found | undefined> {
  const { client, world, tenant, random } = turn
  const collection = collectionOf(turn, name)
  if (collection === undefined) return undefined
  const api: AnyCollection = client.collection(name)
  for (let attempt = 0; attempt < lookMax; attempt++) {
    const roll = attempt === 0 ? turn.recordRoll : random.next()
    const record = world.pick(tenant, name, { roll, isHot })
    if (record === undefined) return undefined
    const row = await api.get(record.id)
    // A row holds what the schema says, which is JSON.
    if (row !== undefined) return { record, collection, api, row: row as Values }
    world.markMissing(tenant, record)
  }
  return undefined
}

/** Asks for a record in the same breath as it is written, if this turn is one that looks. */
export function readBehind(turn: Turn, api: AnyCollection, id: string): Promise<Values | null | undefined> {
  if (turn.random.below(4) !== 0) return Promise.resolve(undefined)
  // As above.
  return unlessRefused(api.get(id).then((row) => (row === undefined ? null : (row as Values))))
}

/** Whoever looks in the same breath as they write may be refused like that, before anybody waits for it. */
export function unlessRefused<Value>(looking: Promise<Value>): Promise<Value | undefined> {
  return looking.catch((error: unknown) => {
    if (isExpected(error)) return undefined
    throw error
  })
}

/** What was written and what was read right behind it. */
export interface Echo {
  readonly collection: string
  readonly id: string
  readonly wrote: Values | null
  /** undefined: nobody looked. */
  readonly row: Values | null | undefined
}

/** Tells what was read right behind a write: of the row only what was written. */
export function tellEcho({ disk, observe, nowMs }: Turn, { collection, id, wrote, row }: Echo): void {
  if (row === undefined) return
  const read =
    row === null || wrote === null
      ? row
      : Object.fromEntries(Object.keys(wrote).map((name) => [name, row[name] ?? null]))
  observe({ kind: 'own-read', atMs: nowMs(), disk, collection, record: id, wrote, read })
}
