import {
  type Change,
  collection,
  counter,
  decimal,
  defineSchema,
  formatHlc,
  type Json,
  newUuid,
  type PullResponse,
  type PushResult,
  reference,
  type Schema,
  set,
  text,
  type Values,
} from '@holdfast/core'
import type { Caller, Engine, Grants, PullOptions, SnapshotOptions } from './engine.ts'
import {
  type GivenDatabase,
  isOnPostgres,
  newDatabase,
  type Row,
  type Sql,
  sqliteDatabase,
} from './given-database.ts'
import { Ranks, renameVersions, versionsSql, withRanks } from './given-versions.ts'
import { createEngine, type ServerOptions } from './server.ts'
import type { SqliteStoreOptions } from './store/sqlite/sqlite-store.ts'
import { systemEnvironment } from './system-environment.ts'

/** A warehouse: items in scopes of their own columns, orders that refer to them, notes that everybody sees. */
export const stockSchema: Schema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: {
        warehouse: text(),
        sku: text(),
        name: text(),
        place: text({ optional: true, merge: 'latest' }),
        price: decimal({ optional: true }),
        stock: counter(),
        tags: set(text()),
      },
      scope: 'warehouse:{warehouse}',
      unique: [['warehouse', 'sku']],
    }),
    orders: collection({
      fields: { warehouse: text(), item: reference('items'), next: reference('orders', { optional: true }) },
      scope: 'warehouse:{warehouse}',
      deletes: 'hard',
    }),
    notes: collection({ fields: { body: text() } }),
  },
})

/** The time at which every given engine starts. */
export const startMs: number = Date.parse('2026-11-20T10:00:00.000Z')

/** What a test may set. */
export interface GivenOptions
  extends Partial<Pick<ServerOptions, 'schema' | 'authorize' | 'mayReview' | 'limits' | 'oldestSchema'>> {
  readonly store?: Partial<SqliteStoreOptions>
}

/** An engine over a real database, with a clock that a test holds in its hand. Versions are named by their rank. */
export interface GivenEngine {
  readonly engine: Engine
  readonly path: string
  /** A device of a user; what it may see can be set. */
  device(user?: string, grants?: Grants): GivenDevice
  /** What another program reads. */
  rows(sql: Sql): Promise<readonly Row[]>
  /** What another program does. */
  run(sql: Sql): Promise<void>
  /** A transaction of another program that stays open until it is ended. */
  hold(sql: Sql): Promise<() => Promise<void>>
  advance(ms: number): void
  nowMs(): number
  /** Closes and opens the same database again. */
  reopen(options?: GivenOptions): Promise<GivenEngine>
  /** Closes, puts a copy of the database aside, and opens again. */
  backup(): Promise<GivenEngine>
  /** Closes, puts the copy in the place of the database, and opens that. */
  restore(): Promise<GivenEngine>
  close(): Promise<void>
}

/** Opens an engine on a new database, or on the file at `path`. */
export async function givenEngine(options: GivenOptions = {}, path?: string): Promise<GivenEngine> {
  const database =
    path === undefined ? await newDatabase(options.schema ?? stockSchema) : sqliteDatabase(path)
  return openOn(database, options, startMs)
}

async function openOn(database: GivenDatabase, options: GivenOptions, atMs: number): Promise<GivenEngine> {
  let nowMs = atMs
  const env = { ...systemEnvironment(), now: () => nowMs }
  const schema = options.schema ?? stockSchema
  const made = await createEngine({
    ...options,
    schema,
    store: database.store(options.store),
    scopes: () => [],
    env,
  })
  const ranks = new Ranks(() => database.rows(versionsSql))
  const engine = isOnPostgres ? withRanks(made, ranks, () => database.settled()) : made
  const again = async (other: GivenOptions = options, meanwhile = async () => undefined as void) => {
    await engine.close()
    await meanwhile()
    return openOn(database, other, nowMs)
  }
  return {
    engine,
    path: database.path,
    device: (user = 'ann', grants = ['warehouse:1']) =>
      new GivenDevice({ engine, user, grants, now: () => nowMs, version: schema.version }),
    rows: async (sql) => {
      const rows = await database.rows(sql)
      if (!isOnPostgres) return rows
      await ranks.refresh()
      return rows.map((row) => renameVersions(row, ranks.rankOf) as Row)
    },
    run: (sql) => database.run(sql),
    hold: (sql) => database.hold(sql),
    advance: (ms) => {
      nowMs += ms
    },
    nowMs: () => nowMs,
    reopen: (other) => again(other),
    backup: () => again(options, () => database.backup()),
    restore: () => again(options, () => database.restore()),
    close: async () => {
      await engine.close()
      await database.remove()
    },
  }
}

interface DeviceParts {
  readonly engine: Engine
  readonly user: string
  readonly grants: Grants
  readonly now: () => number
  readonly version: number
}

/** A mutation as it travels. */
export interface RawMutation {
  readonly id: string
  readonly seq: number
  readonly collection: string
  readonly record: string
  readonly [member: string]: Json
}

/** The least device there can be: it numbers mutations, and keeps what pulls say. */
export class GivenDevice {
  readonly id: string = newUuid(systemEnvironment())
  readonly user: string
  readonly rows: Map<string, Values> = new Map()
  grants: Grants
  cursor: string | undefined
  ack: string = ''
  readonly #parts: DeviceParts
  readonly #scopes = new Map<string, Set<string>>()
  #seq = 0

  constructor(parts: DeviceParts) {
    this.#parts = parts
    this.user = parts.user
    this.grants = parts.grants
  }

  get caller(): Caller {
    return {
      user: { id: this.user },
      device: this.id,
      grants: this.grants,
      schemaVersion: this.#parts.version,
      requestId: 'test',
    }
  }

  create(name: string, changes: Values, more: Readonly<Record<string, Json>> = {}): RawMutation {
    return this.#mutation({
      collection: name,
      op: 'create',
      changes,
      record: newUuid(systemEnvironment()),
      ...more,
    })
  }

  update(
    of: RawMutation | { readonly collection: string; readonly record: string },
    changes: Values,
    more: Readonly<Record<string, Json>> = {},
  ): RawMutation {
    return this.#mutation({ collection: of.collection, record: of.record, op: 'update', changes, ...more })
  }

  delete(
    of: RawMutation | { readonly collection: string; readonly record: string },
    more: Readonly<Record<string, Json>> = {},
  ): RawMutation {
    return this.#mutation({ collection: of.collection, record: of.record, op: 'delete', ...more })
  }

  async push(...mutations: readonly RawMutation[]): Promise<readonly PushResult[]> {
    const response = await this.#parts.engine.push(this.caller, { ack: this.ack, mutations })
    return response.results
  }

  async pushOne(mutation: RawMutation): Promise<PushResult> {
    const [result] = await this.push(mutation)
    if (!result) throw new Error('a push of one has one result')
    return result
  }

  /** One page, as it is. */
  async page(options: PullOptions = {}): Promise<PullResponse> {
    const page = await this.#parts.engine.pull(this.caller, { since: this.cursor, ...options })
    return JSON.parse(page.text) as PullResponse
  }

  async snapshotPage(options: SnapshotOptions = {}): Promise<PullResponse> {
    const page = await this.#parts.engine.snapshot(this.caller, options)
    return JSON.parse(page.text) as PullResponse
  }

  /** Pulls to the end and keeps the rows. Returns all changes. */
  async pull(options: PullOptions = {}): Promise<readonly Change[]> {
    const changes: Change[] = []
    for (;;) {
      const page = await this.page(options)
      for (const change of page.changes) await this.apply(change)
      this.revoke(page.scopes.revoked)
      changes.push(...page.changes)
      this.cursor = page.cursor
      if (!page.more) return changes
    }
  }

  /** A snapshot to the end, in pages of `limit`; `between` runs after each but the last. */
  async snapshot(
    options: SnapshotOptions = {},
    between: () => Promise<void> = async () => undefined,
  ): Promise<readonly Change[]> {
    const changes: Change[] = []
    let { cursor } = options
    for (;;) {
      const page = await this.snapshotPage({ ...options, cursor })
      for (const change of page.changes) await this.apply(change)
      changes.push(...page.changes)
      cursor = page.cursor
      if (!page.more) break
      await between()
    }
    this.cursor = cursor
    return changes
  }

  async apply(change: Change): Promise<void> {
    const key = `${change.collection}/${change.record}`
    const scopes = this.#scopes.get(key) ?? new Set()
    this.#scopes.set(key, scopes)
    if (change.op === 'delete') this.#drop(key)
    else if (change.op === 'leave') {
      scopes.delete(change.scope)
      if (scopes.size === 0) this.#drop(key)
    } else {
      scopes.add(change.scope)
      const text =
        change.op === 'have'
          ? await this.#parts.engine.record(this.caller, change.collection, change.record)
          : null
      this.rows.set(key, change.data ?? (JSON.parse(text ?? '{}') as Values))
    }
  }

  revoke(revoked: readonly string[]): void {
    for (const [key, scopes] of this.#scopes) {
      for (const scope of revoked) scopes.delete(scope)
      if (scopes.size === 0) this.#drop(key)
    }
  }

  /** Values of one field of all rows of a collection, sorted. */
  values(name: string, field: string): readonly Json[] {
    const rows = [...this.rows].flatMap(([key, row]) => (key.startsWith(`${name}/`) ? [row] : []))
    const spelled = rows.map((row): readonly [string, Json] => [
      JSON.stringify(row[field]),
      row[field] ?? null,
    ])
    return spelled.sort(([left], [right]) => (left < right ? -1 : 1)).map(([, value]) => value)
  }

  #drop(key: string): void {
    this.rows.delete(key)
    this.#scopes.delete(key)
  }

  #mutation(members: {
    readonly collection: string
    readonly record: string
    readonly [member: string]: Json
  }): RawMutation {
    this.#seq++
    const at = formatHlc({ ms: this.#parts.now(), counter: this.#seq % 65_536 }, this.id)
    return { id: newUuid(systemEnvironment()), seq: this.#seq, at, schema: this.#parts.version, ...members }
  }
}

let skuCount = 0

/** An item of warehouse 1 with a key of its own; `values` on top. */
export function item(values: Values = {}): Values {
  skuCount++
  return {
    warehouse: '1',
    sku: `S-${skuCount}`,
    name: 'Laptop',
    place: null,
    price: '899.00',
    stock: 10,
    tags: [],
    ...values,
  }
}
