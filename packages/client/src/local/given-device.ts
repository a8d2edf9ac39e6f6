import {
  collection,
  conflictsCollection,
  counter,
  decimal,
  defineSchema,
  type Environment,
  type Field,
  type FieldsByCollection,
  type Json,
  boolean,
  json,
  reference,
  type Schema,
  set,
  text,
  transitions,
} from '@holdfast/core'

import { sqliteStorage } from '../drivers/node.ts'
import { type SqliteConnection, type SqliteDriver, storeError } from '../drivers/sqlite-driver.ts'
import type { Identity } from '../sync-context.ts'
import { Verdicts } from '../write/verdicts.ts'
import { type CollectionApi, collectionApi, type WriterParts } from '../write/writer.ts'
import type { Durability, LocalDatabase } from './local-database.ts'
import { openDatabase } from './open-database.ts'

/** The fields of `givenSchema`, for its types. */
export interface GivenFields extends FieldsByCollection {
  readonly items: {
    readonly name: Field<string, true>
    readonly price: Field<string | null, false>
    readonly stock: Field<number, false>
    readonly tags: Field<readonly string[], false>
    readonly note: Field<string | null, false>
    readonly state: Field<string, false>
    readonly street: Field<string | null, false>
    readonly city: Field<string | null, false>
    readonly active: Field<boolean, false>
    readonly extra: Field<Json, false>
  }
  readonly lines: { readonly item: Field<string | null, false>; readonly amount: Field<number, false> }
  readonly steps: { readonly label: Field<string, true> }
  readonly codes: { readonly code: Field<string, true>; readonly label: Field<string, false> }
}

/** A schema with one of everything a write can meet. */
export const givenSchema: Schema<GivenFields> = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: {
        name: text(),
        price: decimal({ optional: true }),
        stock: counter(),
        tags: set(text()),
        note: text({ optional: true, merge: 'latest' }),
        state: text({ default: 'draft', merge: transitions({ draft: ['sent'], sent: ['paid'], paid: [] }) }),
        street: text({ optional: true }),
        city: text({ optional: true }),
        active: boolean({ default: true }),
        extra: json({ optional: true }),
      },
      groups: { address: ['street', 'city'] },
      indexes: [['name']],
    }),
    lines: collection({ fields: { item: reference('items', { optional: true }), amount: counter() } }),
    steps: collection({ fields: { label: text() }, outbox: 'preserve' }),
    codes: collection({ fields: { code: text(), label: text({ default: '' }) }, unique: [['code']] }),
  },
})

/** A device without a server, with a clock that stands still unless it is moved. */
export interface GivenDevice {
  readonly database: LocalDatabase
  readonly identity: Identity
  readonly schema: Schema
  readonly parts: WriterParts
  readonly clock: GivenClock
  readonly items: CollectionApi<GivenFields['items']>
  readonly lines: CollectionApi<GivenFields['lines']>
  readonly steps: CollectionApi<GivenFields['steps']>
  readonly codes: CollectionApi<GivenFields['codes']>
}

/** Time as a test moves it. */
export interface GivenClock {
  nowMs: number
  /** Calls every timer that was set. */
  fire(): void
}

/** An environment whose time stands still and whose chance repeats. */
export function givenEnvironment(): { readonly env: Environment; readonly clock: GivenClock } {
  const timers = new Set<() => void>()
  const clock: GivenClock = {
    nowMs: Date.UTC(2026, 10, 20, 10),
    fire() {
      for (const timer of timers) timer()
    },
  }
  let drawn = 0
  const env: Environment = {
    now: () => clock.nowMs,
    monotonicMs: () => clock.nowMs,
    random: () => 0.5,
    randomBytes(bytes) {
      drawn++
      return bytes.map((_, index) => (drawn >> (8 * (index % 4))) & 0xff)
    },
    setTimer(callback) {
      timers.add(callback)
      return () => void timers.delete(callback)
    },
    fetch: () => Promise.reject(new Error('a device without a server')),
  }
  return { env, clock }
}

/** Opens a device. In memory unless `storage` says where. */
export async function givenDevice({
  storage = sqliteStorage(':memory:'),
  durability = 'full',
}: {
  storage?: SqliteDriver
  durability?: Durability
} = {}): Promise<GivenDevice> {
  const { env, clock } = givenEnvironment()
  const schema: Schema = {
    version: 1,
    collections: new Map([...givenSchema.collections, [conflictsCollection.name, conflictsCollection]]),
  }
  const { database, identity } = await openDatabase({
    schema,
    storage,
    env,
    durability,
    account: null,
    server: null,
  })
  const context = { schema: givenSchema, env, device: () => identity.device, trace: () => null }
  const parts = { context, database, env, verdicts: new Verdicts(database) }
  const api = <Name extends 'items' | 'lines' | 'steps' | 'codes'>(
    name: Name,
  ): CollectionApi<GivenFields[Name]> => {
    const declared = givenSchema.collections.get(name)
    if (declared === undefined) throw new Error(`no collection ${name}`)
    return collectionApi<GivenFields[Name]>(declared, parts)
  }
  const apis = { items: api('items'), lines: api('lines'), steps: api('steps'), codes: api('codes') }
  return { database, identity, schema, parts, clock, ...apis }
}

/** When a statement of a failing driver fails. */
export interface FailurePlan {
  /** Statements left before one fails; Infinity for none. */
  left: number
  /** SQLite's result code of the failure: 13 is a full disk, 10 an input or output error. */
  resultCode: number
  /** Whether SQLite has rolled the transaction back by itself, as it does on a full disk. */
  rollsBack: boolean
}

/** A driver whose statement number `plan.left` fails without being run. */
export function failingDriver(storage: SqliteDriver, plan: FailurePlan): SqliteDriver {
  return {
    name: `failing ${storage.name}`,
    async open() {
      const connection = await storage.open()
      const guard = async <T>(act: () => Promise<T>): Promise<T> => {
        if (plan.left-- > 0) return act()
        plan.left = Infinity
        if (plan.rollsBack) await connection.exec('ROLLBACK').catch(() => undefined)
        throw storeError(new Error('planned'), plan.resultCode)
      }
      const failing: SqliteConnection = {
        capabilities: connection.capabilities,
        all: (sql, params) => guard(() => connection.all(sql, params)),
        run: (sql, params) => guard(() => connection.run(sql, params)),
        exec: (sql) => guard(() => connection.exec(sql)),
        describe: (sql) => connection.describe(sql),
        close: () => connection.close(),
      }
      return failing
    },
  }
}
