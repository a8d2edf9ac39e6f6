import { describeSchema, type Schema, SyncError } from '@holdfast/core'
import { triggersOf } from '../capture.ts'
import type { Connection } from '../connection.ts'
import { postgresLayout } from '../system-tables.ts'
import type { MigrationSetup } from './steps.ts'

/** What a database was made for. */
export interface State {
  readonly layout: number
  readonly version: number
  readonly described: string
}

/** Null where no migration has ended yet. Errors: STORE_NEWER. */
export async function stateOf(db: Connection, schema: Schema): Promise<State | null> {
  const there = await db.get(`SELECT to_regclass('holdfast.state') IS NOT NULL AS there`)
  if (there?.['there'] !== true) return null
  const row = await db.get('SELECT layout, schema_version, described FROM holdfast.state')
  if (!row) return null
  const state = {
    layout: Number(row['layout']),
    version: Number(row['schema_version']),
    described: String(row['described']),
  }
  if (state.layout > postgresLayout || state.version > schema.version)
    throw new SyncError('STORE_NEWER', 'the database was made for a newer version; nothing was changed')
  return state
}

/**
 * Whether the last migration was for this schema and layout, and the tables are captured: without triggers a server would
 * write what nobody hears of. Errors: STORE_NEWER.
 */
export async function isMigrated(db: Connection, { schema, naming }: MigrationSetup): Promise<boolean> {
  const state = await stateOf(db, schema)
  if (state?.layout !== postgresLayout || state.described !== describeSchema(schema)) return false
  const triggers = [...schema.collections.values()].flatMap((collection) =>
    triggersOf(collection).map(([name, calls]) => ({ table: naming.table(collection), name, calls })),
  )
  const missing = await db.get(
    `SELECT 1 FROM unnest($1::text[], $2::text[], $3::text[]) n (on_table, name, calls) WHERE NOT EXISTS (
       SELECT 1 FROM pg_trigger t WHERE t.tgrelid = to_regclass(n.on_table) AND t.tgname = n.name
       AND t.tgenabled IN ('O', 'A') AND t.tgfoid = to_regproc(n.calls)::oid) LIMIT 1`,
    triggers.map(({ table }) => table),
    triggers.map(({ name }) => name),
    triggers.map(({ calls }) => calls),
  )
  return missing === undefined
}

/** Checks that the database was made for this schema. Errors: STORE_FOREIGN, STORE_NEWER. */
export async function checkMigrated(db: Connection, setup: MigrationSetup): Promise<void> {
  if (await isMigrated(db, setup)) return
  throw new SyncError(
    'STORE_FOREIGN',
    'the database is not prepared for this schema: run `holdfast migrate`, or open the store with `migrate: true`',
  )
}
