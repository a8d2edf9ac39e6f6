import { type CollectionSchema, SyncError } from '@holdfast/core'
import { quoteText } from '../columns.ts'
import type { Connection } from '../connection.ts'
import { readKeyNumbers } from '../key-numbers.ts'
import { numberStep } from '../system-tables.ts'
import { enterRows, type TableRows } from './enter-rows.ts'
import { countGone, countWrong, unstampedSql } from './examine.ts'
import { inTransaction } from './in-batches.ts'
import { makePlan } from './plan.ts'
import type { MigrationSetup } from './steps.ts'

/** What was mended, or with a dry run would be. */
export interface ReconcileReport {
  readonly collections: readonly CollectionReport[]
  /** Transactions that got the position they lacked. */
  readonly stamped: number
}

/** Of one collection. */
export interface CollectionReport {
  readonly name: string
  /** Rows that came into the feed as they are. */
  readonly entered: number
  /** Records that the feed had and the table had not: they are deleted now. */
  readonly deleted: number
}

const batchRows = 1_000
/** Numbers are set this many steps beyond every version: whoever takes some meanwhile stays below. */
const stepsBeyond = 1_000

/** Rules: MI-12, MI-13. Errors: STORE_FOREIGN. */
export async function mend(db: Connection, setup: MigrationSetup, isDry: boolean): Promise<ReconcileReport> {
  const { steps, refusals } = await makePlan(db, setup)
  if (steps.length > 0 || refusals.length > 0)
    throw new SyncError(
      'STORE_FOREIGN',
      'the database is not prepared for this schema, so that nothing can be mended: run `holdfast migrate` first',
    )
  const collections: CollectionReport[] = []
  if (!isDry) await raiseNumbers(db, setup)
  const keys = await readKeyNumbers(db, setup.schema)
  for (const collection of setup.schema.collections.values()) {
    const rows = { ...setup, keys, collection }
    collections.push(
      isDry
        ? { name: collection.name, entered: await countWrong(db, rows), deleted: await countGone(db, rows) }
        : {
            name: collection.name,
            entered: await enterRows(db, { ...rows, work: 'move' }),
            deleted: await deleteGone(db, rows),
          },
    )
  }
  const unstamped = await db.all(unstampedSql)
  if (!isDry) for (const { n } of unstamped) await stamp(db, Number(n))
  return { collections, stamped: unstamped.length }
}

/** Versions that another database gave lie above those that this one would give next. */
async function raiseNumbers(db: Connection, { schema, naming }: MigrationSetup): Promise<void> {
  for (const collection of schema.collections.values()) {
    const row = await db.get(
      `SELECT max(r.version) AS highest, (SELECT last_value FROM holdfast.numbers) AS last FROM ${naming.table(collection)} r`,
    )
    const highest = Number(row?.['highest'] ?? 0)
    if (highest < Number(row?.['last']) + numberStep) continue
    const next = (Math.ceil(highest / numberStep) + stepsBeyond) * numberStep
    if (!Number.isSafeInteger(next))
      throw new SyncError(
        'STORE_CORRUPT',
        `${naming.table(collection)} has versions beyond every number: set them to 0, then reconcile`,
      )
    await db.all(`SELECT setval('holdfast.numbers', $1)`, next)
  }
}

/** It is stamped as every transaction is, at the commit of this one. */
function stamp(db: Connection, n: number): Promise<unknown> {
  return inTransaction(db, () => db.all('UPDATE holdfast.transactions SET is_open = true WHERE n = $1', n))
}

/** Records without a row become deletions, with the last values that the audit knows. */
async function deleteGone(db: Connection, rows: TableRows): Promise<number> {
  const { naming, collection } = rows
  const nobody = `NOT EXISTS (SELECT 1 FROM ${naming.table(collection)} r WHERE r.id = f.record)`
  let total = 0
  for (;;) {
    const count = await inTransaction(db, async () => {
      const found = await db.all(
        `SELECT DISTINCT f.record FROM holdfast.feed f WHERE f.collection = $1 AND f.op = 'put' AND ${nobody}
         ORDER BY 1 LIMIT ${batchRows}`,
        collection.name,
      )
      if (found.length === 0) return 0
      return deleteBatch(db, collection, { ids: found.map(({ record }) => String(record)), nobody })
    })
    if (count === 0) return total
    total += count
  }
}

async function deleteBatch(
  db: Connection,
  { name, fields }: CollectionSchema,
  { ids, nobody }: { readonly ids: readonly string[]; readonly nobody: string },
): Promise<number> {
  const row = await db.get(
    `SELECT holdfast.this_transaction() AS this, nextval('holdfast.numbers') AS number`,
  )
  const nothing = JSON.stringify(Object.fromEntries(fields.map((field) => [field.name, null])))
  const now = `date_trunc('milliseconds', statement_timestamp())`
  // Entries are locked by the change; whoever brings such a row back meanwhile gives its entry another version.
  const gone = await db.all(
    `WITH changed AS (UPDATE holdfast.feed f SET op = 'delete', tx = $3::bigint, version = greatest($4::bigint, f.version + 1),
         maker = NULL, at = ${now}
       WHERE f.collection = $1 AND f.record = ANY($2::uuid[]) AND f.op = 'put' AND f.version < $4 AND ${nobody}
       RETURNING f.record, f.version),
     latest AS (SELECT record, max(version) AS version FROM changed GROUP BY record),
     made AS (INSERT INTO holdfast.tombstones AS t
         (collection, record, version, deleted_at, created_at, updated_at, server_updated_at, data)
       SELECT $1, l.record, l.version, ${now}, ${now}, ${now}, ${now}, ${quoteText(nothing)}::jsonb || coalesce(
         (SELECT jsonb_object_agg(e.key, e.value ORDER BY a.n) FROM holdfast.audit a, json_each(a.after) e
          WHERE a.collection = $1 AND a.record = l.record AND a.status IN ('applied', 'merged')
            AND json_typeof(a.after) = 'object' AND ${quoteText(nothing)}::jsonb ? e.key), '{}')
       FROM latest l
       ON CONFLICT (collection, record) DO UPDATE SET version = greatest(t.version, excluded.version))
     INSERT INTO holdfast.audit (tx, collection, record, version, op, at, received_at, status)
       SELECT $3, $1, l.record, l.version, 'delete', ${now}, ${now}, 'applied' FROM latest l RETURNING record`,
    name,
    ids,
    Number(row?.['this']),
    Number(row?.['number']),
  )
  const records = gone.map(({ record }) => String(record))
  await db.all('SELECT holdfast.ask_stamp($1)', Number(row?.['this']))
  await db.all(
    'DELETE FROM holdfast.unique_keys WHERE collection = $1 AND record = ANY($2::uuid[])',
    name,
    records,
  )
  return records.length
}
