import { systemEnvironment } from '@holdfast/client'
import {
  type Change,
  collection,
  counter,
  defineSchema,
  formatHlc,
  newUuid,
  type PullResponse,
  type PushResult,
  reference,
  type Schema,
  text,
  type Values,
} from '@holdfast/core'
import { type Caller, createEngine, type Engine, type Grants, postgresStore } from '@holdfast/server'
import { Client } from 'pg'

import { preparedStore } from './prepared-store.ts'

/** Items that move between warehouses, and lines that go for good with their item. */
export const warehouseSchema: Schema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: {
        warehouse: text(),
        name: text({ default: '' }),
        place: text({ optional: true, merge: 'latest' }),
        stock: counter(),
      },
      scope: 'warehouse:{warehouse}',
    }),
    lines: collection({
      fields: { warehouse: text(), item: reference('items', { optional: true }), body: text() },
      scope: 'warehouse:{warehouse}',
      deletes: 'hard',
    }),
  },
})

/** An engine over a database that anybody may write to. */
export interface GivenWarehouse {
  readonly engine: Engine
  readonly url: string
  /** A session of its own, as any program would have. */
  connect(user?: string): Promise<Client>
  /** One statement in a session of its own, or in the one that the test keeps for such. */
  sql(text: string, values?: readonly unknown[]): Promise<readonly Row[]>
  reader(grants: Grants, limit?: number): Reader
  close(): Promise<void>
}

/** A row as the driver gives it. */
export type Row = Readonly<Record<string, unknown>>

/** What a warehouse is made with. */
export interface WarehouseOptions {
  /** A server of the test's own; otherwise the one that the test run shares. */
  readonly serverUrl?: string
  readonly connections?: number
  readonly schema?: Schema
}

/** An id that sorts by the time at which it was made. */
export function newId(): string {
  return newUuid(systemEnvironment)
}

/** Makes a database with the tables and opens an engine over it. */
export async function givenWarehouse(options: WarehouseOptions = {}): Promise<GivenWarehouse> {
  const { serverUrl, connections = 6, schema = warehouseSchema } = options
  const database = await preparedStore(schema, serverUrl)
  const { url } = database
  const engine = await openWarehouse(url, { connections, schema })
  const clients: Client[] = []
  const connect: GivenWarehouse['connect'] = async (user) => {
    const place = new URL(url)
    if (user !== undefined) place.username = user
    const client = new Client({ connectionString: place.href })
    client.on('error', () => undefined)
    await client.connect()
    clients.push(client)
    return client
  }
  const kept = await connect()
  return {
    engine,
    url,
    connect,
    sql: async (statement, values) => (await kept.query<Row>(statement, values && [...values])).rows,
    reader: (grants, limit) => new Reader(engine, grants, limit),
    close: async () => {
      await Promise.all(clients.map((client) => client.end().catch(() => undefined)))
      await engine.close()
      await database.drop()
    },
  }
}

/** An engine over a database that may be there already. */
export function openWarehouse(
  url: string,
  { connections = 6, schema = warehouseSchema }: WarehouseOptions = {},
): Promise<Engine> {
  const store = postgresStore({ url, migrate: true, connections, pollMs: 0, listen: false })
  return createEngine({ schema, store, scopes: () => [] })
}

/** Reads as a device does: pages to the end, each row counted by the scopes it lies in. */
export class Reader {
  readonly rows: Map<string, Values> = new Map()
  readonly #engine: Engine
  readonly #limit: number | undefined
  readonly #scopes = new Map<string, Set<string>>()
  readonly #device = newId()
  readonly grants: Grants
  cursor: string | undefined
  #seq = 0

  constructor(engine: Engine, grants: Grants, limit?: number) {
    this.#engine = engine
    this.grants = grants
    this.#limit = limit
  }

  get caller(): Caller {
    const { grants } = this
    return { user: { id: 'ann' }, device: this.#device, grants, schemaVersion: 1, requestId: 'test' }
  }

  /** The same reader at another engine, as a device whose server moved. */
  at(engine: Engine): Reader {
    const other = new Reader(engine, this.grants, this.#limit)
    for (const [key, row] of this.rows) other.rows.set(key, row)
    for (const [key, scopes] of this.#scopes) other.#scopes.set(key, new Set(scopes))
    other.cursor = this.cursor
    return other
  }

  async page(): Promise<PullResponse> {
    const asked = { ...(this.cursor !== undefined && { since: this.cursor }) }
    const { text: page } = await this.#engine.pull(this.caller, {
      ...asked,
      ...(this.#limit !== undefined && { limit: this.#limit }),
    })
    // Written by the engine of the same checkout.
    const response = JSON.parse(page) as PullResponse
    for (const change of response.changes) this.#apply(change)
    this.cursor = response.cursor
    return response
  }

  /** To a page beyond which nothing lay. */
  async pull(): Promise<readonly Change[]> {
    const changes: Change[] = []
    for (;;) {
      const page = await this.page()
      changes.push(...page.changes)
      if (!page.more) return changes
    }
  }

  /** Rows of one collection by id. */
  rowsOf(name: string): ReadonlyMap<string, Values> {
    const own = [...this.rows].filter(([key]) => key.startsWith(`${name}/`))
    return new Map(own.map(([key, row]) => [key.slice(name.length + 1), row]))
  }

  /** Texts in one field of all rows of a collection, sorted. */
  values(name: string, field: string): readonly string[] {
    return [...this.rowsOf(name).values()]
      .flatMap((row) => (typeof row[field] === 'string' ? [row[field]] : []))
      .sort()
  }

  /** Sends creates and updates of this device. A `have` of a pull would need them; readers of the tests never push. */
  async push(changes: readonly PushedChange[]): Promise<readonly PushResult[]> {
    const mutations = changes.map((change) => {
      this.#seq += 1
      const at = formatHlc({ ms: Date.now(), counter: this.#seq % 65_536 }, this.#device)
      return { id: newId(), seq: this.#seq, at, schema: 1, ...change }
    })
    const { results } = await this.#engine.push(this.caller, { ack: '', mutations })
    return results
  }

  #apply({ collection: name, record, op, scope, data }: Change): void {
    const key = `${name}/${record}`
    const scopes = this.#scopes.get(key) ?? new Set()
    this.#scopes.set(key, scopes)
    if (op === 'put' || op === 'have') {
      scopes.add(scope)
      this.rows.set(key, data ?? {})
      return
    }
    if (op === 'leave') scopes.delete(scope)
    else scopes.clear()
    if (scopes.size > 0) return
    this.rows.delete(key)
    this.#scopes.delete(key)
  }
}

/** What `Reader.push` takes. */
export interface PushedChange {
  readonly op: 'create' | 'update' | 'delete'
  readonly collection: string
  readonly record: string
  readonly changes?: Values
  readonly increments?: Readonly<Record<string, number>>
  readonly baseVersion?: number
  readonly base?: Values
  readonly group?: string
}
