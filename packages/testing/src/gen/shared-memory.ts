import { type CollectionSchema, type Schema, uniqueKeyText, type Values } from '@holdfast/core'

import { FormMemory } from './form-memory.ts'
import { pairsOf } from './mix-schema.ts'

/** A record somebody made. */
export interface KnownRecord {
  readonly id: string
  readonly collection: string
  /** Whether somebody deleted it; devices that have not heard of that still work on it. */
  isDeleted: boolean
  /** How often it was looked for where it was not, since it was deleted. */
  missCount: number
}

/** Two rows that are only ever written together. */
export interface KnownPair {
  readonly one: string
  readonly other: string
}

/** Where a pick falls: `roll` in [0, 1). */
export interface Roll {
  readonly roll: number
  /** A few records get most of it, the oldest first. */
  readonly isHot: boolean
}

/** A deleted record is forgotten once nobody found it this often. */
const missMax = 3

/** Deleted records that somebody may make anew. */
const deletedMax = 40

interface Tenant {
  readonly records: Map<string, KnownRecord[]>
  readonly deleted: Map<string, KnownRecord[]>
  readonly pairs: KnownPair[]
}

/**
 * What the people of a run know of each other's work: which records there are. It holds what was told to be done, so
 * that a record whose insert never returned is not in it. One for each run.
 */
export class SharedMemory {
  readonly schema: Schema
  /** The collection of pairs; undefined when the schema has none. */
  readonly pairs: string | undefined
  /** How many values of a unique key each tenant wants; as few as usual unless said. */
  readonly codeCount: number | undefined
  readonly forms: FormMemory = new FormMemory()
  readonly #tenants = new Map<number, Tenant>()
  readonly #keys = new Set<string>()
  #callCount = 0
  #nonceCount = 0

  constructor(schema: Schema, codeCount?: number) {
    this.schema = schema
    this.codeCount = codeCount
    this.pairs = pairsOf(schema)
  }

  /** The number of the next call. */
  nextCall(): number {
    this.#callCount += 1
    return this.#callCount
  }

  /** A short text that no value of this run has yet. */
  readonly nonce = (): string => {
    this.#nonceCount += 1
    return this.#nonceCount.toString(36)
  }

  add(tenant: number, collection: string, id: string): void {
    const record = { id, collection, isDeleted: false, missCount: 0 }
    listOf(this.#of(tenant).records, collection).push(record)
  }

  /** Whether a new row wants no unique key that was reserved before; if so, those it wants are. */
  reserveKeys(collection: CollectionSchema, values: Values): boolean {
    const defaults = collection.fields.map(({ name, default: value }) => [name, value ?? null] as const)
    const row = { ...Object.fromEntries(defaults), ...values }
    const keys = collection.unique.flatMap((key, place) => {
      const text = uniqueKeyText(collection, key, row)
      return text === undefined ? [] : [`${collection.name} ${place} ${text}`]
    })
    if (keys.some((key) => this.#keys.has(key))) return false
    for (const key of keys) this.#keys.add(key)
    return true
  }

  /** Any record of a tenant; undefined when there is none. */
  pick(tenant: number, collection: string, { roll, isHot }: Roll): KnownRecord | undefined {
    const records = this.#of(tenant).records.get(collection)
    if (records === undefined) return undefined
    return records[Math.floor((isHot ? roll ** 4 : roll) * records.length)]
  }

  /** It was deleted on a device. */
  markDeleted(tenant: number, record: KnownRecord): void {
    record.isDeleted = true
    record.missCount = 0
    const deleted = listOf(this.#of(tenant).deleted, record.collection)
    deleted.push(record)
    if (deleted.length > deletedMax) deleted.shift()
  }

  pickDeleted(tenant: number, collection: string, roll: number): KnownRecord | undefined {
    const deleted = this.#of(tenant).deleted.get(collection)
    return deleted?.[Math.floor(roll * deleted.length)]
  }

  /** It is there again. */
  markRecreated(tenant: number, record: KnownRecord): void {
    const { deleted, records } = this.#of(tenant)
    remove(listOf(deleted, record.collection), record)
    record.isDeleted = false
    const known = listOf(records, record.collection)
    if (!known.includes(record)) known.push(record)
  }

  /** A device does not have it. */
  markMissing(tenant: number, record: KnownRecord): void {
    if (!record.isDeleted) return
    record.missCount += 1
    if (record.missCount >= missMax) remove(listOf(this.#of(tenant).records, record.collection), record)
  }

  addPair(tenant: number, pair: KnownPair): void {
    this.#of(tenant).pairs.push(pair)
  }

  pickPair(tenant: number, roll: number): KnownPair | undefined {
    const { pairs } = this.#of(tenant)
    return pairs[Math.floor(roll * pairs.length)]
  }

  pairCount(tenant: number): number {
    return this.#of(tenant).pairs.length
  }

  #of(number: number): Tenant {
    let tenant = this.#tenants.get(number)
    if (tenant === undefined) {
      tenant = { records: new Map(), deleted: new Map(), pairs: [] }
      this.#tenants.set(number, tenant)
    }
    return tenant
  }
}

function listOf(lists: Map<string, KnownRecord[]>, collection: string): KnownRecord[] {
  let list = lists.get(collection)
  if (list === undefined) lists.set(collection, (list = []))
  return list
}

function remove(list: KnownRecord[], record: KnownRecord): void {
  const place = list.indexOf(record)
  if (place >= 0) list.splice(place, 1)
}
