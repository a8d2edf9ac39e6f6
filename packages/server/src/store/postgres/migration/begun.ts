import { describeSchema, type Schema, SyncError } from '@holdfast/core'
import type { Connection } from '../connection.ts'
import { scopeLockClass } from '../system-tables.ts'
import { inTransaction, lockTimeoutMs } from './in-batches.ts'

/**
 * Schemas for which rows may have been gone through since a migration last ended, as `describeSchema` says them.
 * Errors: STORE_NEWER where one of them is newer than this one.
 */
export async function begunSchemas(db: Connection, { version }: Schema): Promise<readonly string[]> {
  const there = await db.get(`SELECT to_regclass('holdfast.begun') IS NOT NULL AS there`)
  if (there?.['there'] !== true) return []
  const rows = await db.all('SELECT schema_version, described FROM holdfast.begun ORDER BY n')
  if (rows.some((row) => Number(row['schema_version']) > version))
    throw new SyncError('STORE_NEWER', 'the database is being made for a newer version; nothing was changed')
  return rows.map((row) => String(row['described']))
}

/** One at a time makes the structure for its schema, while nobody goes through rows. */
export function asOnly<Result>(db: Connection, work: () => Promise<Result>): Promise<Result> {
  return inTransaction(db, async () => {
    await lock(db, 'pg_advisory_xact_lock')
    return work()
  })
}

/** Notes, with the structure, whose migration it is from now on. */
export async function begin(db: Connection, schema: Schema): Promise<void> {
  await db.all(
    `INSERT INTO holdfast.begun (schema_version, described) SELECT $1, $2
     WHERE $2 IS DISTINCT FROM (SELECT described FROM holdfast.begun ORDER BY n DESC LIMIT 1)`,
    schema.version,
    describeSchema(schema),
  )
}

/**
 * A transaction of a migration whose structure is there, for as long as no other schema's has begun since: that one goes
 * through the rows itself. Errors: STORE_NEWER when it has; STORE_BUSY.
 */
export function asBegun<Result>(
  db: Connection,
  schema: Schema,
  work: () => Promise<Result>,
): Promise<Result> {
  return inTransaction(db, async () => {
    await lock(db, 'pg_advisory_xact_lock_shared')
    const row = await db.get(
      `SELECT coalesce((SELECT b.described FROM holdfast.begun b ORDER BY b.n DESC LIMIT 1),
         (SELECT s.described FROM holdfast.state s)) AS described`,
    )
    if (row?.['described'] !== describeSchema(schema))
      throw new SyncError('STORE_NEWER', 'the database is made for another schema since')
    return work()
  })
}

/** However long another one takes. */
function lock(db: Connection, how: string): Promise<void> {
  return db.exec(
    `SET LOCAL lock_timeout = 0; SELECT ${how}(${scopeLockClass + 1}, 1); SET LOCAL lock_timeout = ${lockTimeoutMs}`,
  )
}
