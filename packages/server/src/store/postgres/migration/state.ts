import { describeSchema, type Schema, SyncError } from '@holdfast/core'
import type { Connection } from '../connection.ts'
import { postgresLayout } from '../system-tables.ts'

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

/** Whether the last migration was for this schema and layout. Errors: STORE_NEWER. */
export async function isMigrated(db: Connection, schema: Schema): Promise<boolean> {
  const state = await stateOf(db, schema)
  return state?.layout === postgresLayout && state.described === describeSchema(schema)
}

/** Checks that the database was made for this schema. Errors: STORE_FOREIGN, STORE_NEWER. */
export async function checkMigrated(db: Connection, schema: Schema): Promise<void> {
  if (await isMigrated(db, schema)) return
  throw new SyncError(
    'STORE_FOREIGN',
    'the database is not prepared for this schema: run `holdfast migrate`, or open the store with `migrate: true`',
  )
}
