import { SyncError } from '@holdfast/core'
import { type Connection, RaceLost } from '../connection.ts'
import { quoteName } from '../../sql.ts'
import type { TableRows } from './enter-rows.ts'
import type { MigrationStep } from './steps.ts'
import { readTable, type TableShape } from './table-shape.ts'

/** So often two that make indexes of one table get into each other's way. */
const attempts = 12

/** What makes the indexes that a collection's table lacks: by itself, while others write, where there are rows. */
export async function planIndexes(
  db: Connection,
  { naming, collection }: TableRows,
  shape: TableShape | null,
): Promise<readonly MigrationStep[]> {
  const steps: MigrationStep[] = []
  const table = naming.table(collection)
  const [namespace] = naming.tableParts(collection)
  const hasRows = shape !== null && (await db.get(`SELECT 1 FROM ${table} LIMIT 1`)) !== undefined
  // A partitioned table takes no index concurrently.
  const isAlone = hasRows && shape.kind === 'r'
  for (const fields of collection.indexes) {
    const name = `holdfast_${collection.name}_${fields.join('_')}`.slice(0, 63)
    const there = shape?.indexes.find((index) => index.name === name)
    if (there?.isValid === true) continue
    if (there !== undefined)
      steps.push({
        kind: 'index',
        says: `drop our index ${name}, which was never finished`,
        sql: `DROP INDEX CONCURRENTLY IF EXISTS ${quoteName(namespace)}.${quoteName(name)}`,
      })
    const on = [...fields.map((field) => naming.column(collection, field)), 'id'].join(', ')
    steps.push({
      kind: isAlone ? 'index' : 'structure',
      says: `index ${table} by ${fields.join(', ')}${isAlone ? ', while others go on writing' : ''}`,
      sql: `CREATE INDEX ${isAlone ? 'CONCURRENTLY ' : ''}IF NOT EXISTS ${quoteName(name)} ON ${table} (${on})`,
    })
  }
  return steps
}

/**
 * Makes them, each outside of a transaction, as PostgreSQL wants it. One that another migration is making is waited for, and
 * two that wait for each other begin again. Errors: STORE_BUSY after the last attempt.
 */
export async function makeIndexes(
  db: Connection,
  rows: TableRows,
  onStep: (says: string) => void,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    while (await db.get(makingSql)) await db.all('SELECT pg_sleep(0.1)')
    const steps = await planIndexes(db, rows, await readTable(db, rows.naming.table(rows.collection)))
    try {
      for (const { kind, says, sql } of steps) {
        if (kind !== 'index') continue
        await db.exec(sql)
        onStep(says)
      }
      return
    } catch (error) {
      if (!(error instanceof RaceLost)) throw error
      if (attempt === attempts)
        throw new SyncError('STORE_BUSY', 'an index could not be made beside what others do', {
          cause: error,
        })
      await db.all('SELECT pg_sleep(random() / 2)')
    }
  }
}

const makingSql = `SELECT 1 FROM pg_stat_progress_create_index p JOIN pg_class c ON c.oid = p.index_relid
  WHERE p.datname = current_database() AND c.relname LIKE 'holdfast\\_%' LIMIT 1`
