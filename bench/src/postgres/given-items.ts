import { collection, counter, defineSchema, formatHlc, newUuid, text } from '@holdfast/core'
import { systemEnvironment } from '@holdfast/client'
import { type Caller, createEngine, type Engine, postgresStore } from '@holdfast/server'
import { freshDatabase } from '@holdfast/testing/services'
import { Client } from 'pg'

/** Items of 20 warehouses, which are the scopes. */
export const schema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: { warehouse: text(), name: text(), description: text(), stock: counter() },
      scope: 'warehouse:{warehouse}',
    }),
  },
})

/** A database with an engine over it, and tables of the same shape that nothing captures. */
export interface GivenItems {
  readonly url: string
  readonly sql: Client
  readonly engine: Engine
  close(): Promise<void>
}

/** One that began with so many rows. */
export interface GrownItems {
  readonly size: number
  readonly items: GivenItems
}

const bareColumns = `(id uuid PRIMARY KEY, warehouse text NOT NULL, name text NOT NULL, description text NOT NULL,
  stock bigint NOT NULL, version bigint NOT NULL DEFAULT 0, created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(), server_updated_at timestamptz NOT NULL DEFAULT now(), deleted_at timestamptz)`

/** Tables of the names `bare`, `bare_pushed` and `hand` hold rows alone; `hand_feed` and so on are like ours. */
const bareTables = `
  CREATE TABLE bare ${bareColumns}; CREATE TABLE bare_pushed ${bareColumns}; CREATE TABLE hand ${bareColumns};
  CREATE TABLE hand_feed (LIKE holdfast.feed INCLUDING ALL); CREATE TABLE hand_audit (LIKE holdfast.audit INCLUDING ALL);
  CREATE TABLE hand_outcomes (LIKE holdfast.outcomes INCLUDING ALL);
  CREATE TABLE hand_keys (LIKE holdfast.decided_keys INCLUDING ALL)`

/** `rows` rows of other writers are there, as many in a table that nothing captures, and PostgreSQL knows it. */
export async function givenItems(serverUrl: string, rows = 0): Promise<GivenItems> {
  const { url } = await freshDatabase(serverUrl)
  const sql = new Client({ connectionString: url })
  await sql.connect()
  const store = postgresStore({ url, migrate: true, pollMs: 0, listen: false })
  const engine = await createEngine({ schema, store, scopes: () => [] })
  await sql.query(bareTables)
  if (rows > 0) {
    await sql.query(makeRows('items', rows))
    await sql.query(makeRows('bare', rows))
    await sql.query('VACUUM ANALYZE')
  }
  const close = async (): Promise<void> => {
    await engine.close()
    await sql.end()
  }
  return { url, sql, engine, close }
}

export function makeRows(table: string, count: number): string {
  return `INSERT INTO ${table} (id, warehouse, name, description, stock)
    SELECT gen_random_uuid(), 'w' || n % 20, 'row ' || n, repeat('word ', 24), 0 FROM generate_series(1, ${count}) n`
}

/** A device of its own. */
export function callerOf(grants: readonly string[]): Caller {
  const device = newUuid(systemEnvironment)
  return { user: { id: 'ann' }, device, grants, schemaVersion: 1, requestId: 'bench' }
}

export const warehouses: readonly string[] = Array.from({ length: 20 }, (_, at) => `warehouse:w${at}`)

/** Mutations of a device, numbered from `first` on: creates, or increments of records that are there. */
export function mutationsOf(
  from: Caller,
  first: number,
  { count, records = [] }: { readonly count: number; readonly records?: readonly string[] },
) {
  return Array.from({ length: count }, (_, at) => {
    const record = records[at]
    return {
      id: newUuid(systemEnvironment),
      seq: first + at,
      collection: 'items',
      record: record ?? newUuid(systemEnvironment),
      at: formatHlc({ ms: Date.now(), counter: at }, from.device ?? ''),
      schema: 1,
      ...(record === undefined
        ? { op: 'create', changes: { warehouse: `w${at % 20}`, name: `row ${at}`, description, stock: 0 } }
        : { op: 'update', increments: { stock: 1 } }),
    }
  })
}

const description = 'word '.repeat(24)
