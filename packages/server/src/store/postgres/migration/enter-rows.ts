import { type CollectionSchema, globalScope } from '@holdfast/core'
import { captureOf } from '../capture.ts'
import { puts } from '../capture-sql.ts'
import { iso, type Naming, quoteText, scopeExpressions } from '../columns.ts'
import type { Connection } from '../connection.ts'
import type { Tables } from '../read-records.ts'
import { readAllNotes, readNotes } from '../write-unique.ts'
import { hasDeletedAt } from '../../sql.ts'
import { asBegun } from './begun.ts'
import type { RowWork } from './steps.ts'

/** Whose rows. */
export interface TableRows {
  readonly naming: Naming
  readonly collection: CollectionSchema
}

/** How rows are gone through. */
export interface RowsRun extends TableRows, Tables {
  readonly work: RowWork
  /** Told after each batch how many rows it had. */
  readonly onRows?: ((rows: number) => void) | undefined
}

const batchRows = 1_000

/**
 * Brings rows into the feed that are not in it as they are: unknown ones, those that have another version than the feed
 * says, and those that lie in other scopes. Each batch is a transaction like any other writer's, with a position of its
 * own and without lines in the audit; writers go on meanwhile, and it may end anywhere and be begun again. An adopted
 * row keeps the version it has, so that its table is not written to; any other gets a new one.
 * Rules: MI-4, MI-5, MI-12.
 */
export async function enterRows(db: Connection, run: RowsRun): Promise<number> {
  const { collection } = run
  const keys = run.keys.get(collection.name) ?? []
  const sql = statements(run, run.work)
  let after: string | null = null
  let total = 0
  for (;;) {
    const batch: Batch = await asBegun(db, run.schema, async () => {
      // Locked first: what is decided on then is of after every wait.
      const rows = after === null ? await db.all(sql.lock('true')) : await db.all(sql.lock(beyond), after)
      const ids = rows.map((row) => String(row['id']))
      const entered =
        run.work === 'unique' ? ids : (await db.all(sql.check, ids)).map((row) => String(row['id']))
      if (entered.length > 0 && run.work !== 'unique') await enterBatch(db, { sql, keys }, entered)
      if (entered.length > 0 && collection.unique.length > 0) {
        await db.all(sql.noteUnique, entered, keys)
        await readAllNotes((from) => readNotes(db, run, from))
      }
      return { last: ids.at(-1) ?? null, entered: entered.length }
    })
    if (batch.last === null) return total
    after = batch.last
    total += batch.entered
    run.onRows?.(batch.entered)
  }
}

interface Batch {
  readonly last: string | null
  readonly entered: number
}

async function enterBatch(
  db: Connection,
  { sql, keys }: { readonly sql: Statements; readonly keys: readonly number[] },
  ids: readonly string[],
): Promise<void> {
  const row = await db.get(
    `SELECT holdfast.this_transaction() AS this, nextval('holdfast.numbers') AS number`,
  )
  const [current, number] = [Number(row?.['this']), Number(row?.['number'])]
  await db.all(`SELECT set_config('holdfast.own', $1, true)`, `0:${number}:{${keys.join(',')}}`)
  const renewed = (await db.all(sql.renew, ids, number)).map(({ id }) => String(id))
  await db.all(`SELECT set_config('holdfast.own', '', true)`)
  await db.all(sql.put, ids, current)
  if (sql.clocks !== undefined) await db.all(sql.clocks, ids)
  if (renewed.length > 0) {
    await db.all(sql.leave, renewed, current)
    await db.all(sql.untomb, renewed)
    await db.all(sql.unkey, renewed, keys)
    await db.all('SELECT holdfast.move_conflicts($1)', current)
  }
  await db.all('SELECT holdfast.ask_stamp($1)', current)
}

interface Statements {
  readonly lock: (beyond: string) => string
  readonly check: string
  readonly renew: string
  readonly put: string
  readonly leave: string
  readonly untomb: string
  readonly unkey: string
  readonly noteUnique: string
  readonly clocks: string | undefined
}

const beyond = 'r.id > $1::uuid'
const among = 'r.id = ANY($1::uuid[])'
const now = `date_trunc('milliseconds', statement_timestamp())`

function statements(rows: TableRows, work: RowWork): Statements {
  const { naming, collection } = rows
  const capture = captureOf(naming, collection)
  const { table, name, latest } = capture
  const wrong = work === 'unique' ? isLive(collection, 'r') : isWrong(rows)
  const live = `(SELECT r.* FROM ${table} r WHERE ${among} AND ${isLive(collection, 'r')}) n`
  const stamps = latest.map((field) => `${quoteText(field)}, ${iso('n.updated_at')} || '-0000--'`)
  const mayKeep =
    work === 'adopt'
      ? `r.version BETWEEN 1 AND (SELECT last_value FROM holdfast.numbers)
        AND NOT EXISTS (SELECT 1 FROM holdfast.feed f WHERE f.collection = ${name} AND f.record = r.id)
        AND NOT EXISTS (SELECT 1 FROM holdfast.tombstones t WHERE t.collection = ${name} AND t.record = r.id)`
      : 'false'
  const bound = (sql: string): string =>
    sql
      .replaceAll('{this}', '$2::bigint')
      .replaceAll('{at}', now)
      .replaceAll('{maker}', 'NULL')
      .replaceAll('{first}', 'NULL')
  return {
    lock: (from) =>
      `SELECT r.id FROM ${table} r WHERE ${from} AND ${wrong} ORDER BY r.id LIMIT ${batchRows} FOR NO KEY UPDATE OF r`,
    check: `SELECT r.id FROM ${table} r WHERE ${among} AND ${wrong}`,
    renew: `UPDATE ${table} r SET version = greatest($2::bigint, r.version + 1), server_updated_at = ${now}
      WHERE ${among} AND NOT (${mayKeep}) RETURNING r.id`,
    put: bound(puts(capture, live)),
    leave: `UPDATE holdfast.feed f SET op = 'leave', tx = $2::bigint, version = r.version, maker = NULL, at = ${now}
      FROM ${table} r WHERE ${among} AND f.collection = ${name} AND f.record = r.id AND f.op <> 'leave' AND f.version < r.version`,
    untomb: `DELETE FROM holdfast.tombstones t WHERE t.collection = ${name} AND t.record = ANY($1::uuid[])`,
    unkey: `DELETE FROM holdfast.unique_keys u WHERE u.collection = ${name} AND u.record = ANY($1::uuid[]) AND u.key = ANY($2::integer[])`,
    noteUnique: `INSERT INTO holdfast.foreign_writes (collection, record, keys) SELECT ${name}, n.id, $2::integer[] FROM ${live}`,
    // A stamp that is there says more than the row's time.
    clocks:
      stamps.length === 0
        ? undefined
        : `INSERT INTO holdfast.clocks AS c (collection, record, clocks)
      SELECT ${name}, n.id, jsonb_build_object(${stamps.join(', ')}) FROM ${live}
      ON CONFLICT (collection, record) DO UPDATE SET clocks = excluded.clocks || c.clocks`,
  }
}

/** What a batch does, for a person to read. */
export function enterSql(rows: TableRows, work: RowWork): string {
  const sql = statements(rows, work)
  const all =
    work === 'unique'
      ? [sql.lock('true'), sql.noteUnique]
      : [sql.lock('true'), sql.renew, sql.put, ...(sql.clocks === undefined ? [] : [sql.clocks])]
  return all.join(';\n')
}

/** Whether a row is in the table and not deleted. */
export function isLive(collection: CollectionSchema, row: string): string {
  return hasDeletedAt(collection) ? `${row}.deleted_at IS NULL` : 'true'
}

/** The scopes a row `r` lies in, as an array; one that is in none lies in ''. */
function scopesOf({ naming, collection }: TableRows): string {
  const all = scopeExpressions(naming, collection, 'r')
  if (all.length === 0) return `ARRAY[${quoteText(globalScope)}]`
  const list = `ARRAY[${all.map((scope) => `(${scope})::text`).join(', ')}]`
  return all.length === 1
    ? `ARRAY[coalesce((${all[0] ?? ''})::text, '')]`
    : `coalesce(nullif(array_remove(${list}, NULL), '{}'), ARRAY[''])`
}

/** The feed has of a live row one entry per scope, at its version, and nothing of a deleted one but that it is deleted. */
export function isWrong(rows: TableRows): string {
  const { collection } = rows
  const entry = `f.collection = ${quoteText(collection.name)} AND f.record = r.id`
  const expected = `ARRAY(SELECT DISTINCT (s.scope || ' put ' || r.version) COLLATE "C" FROM unnest(${scopesOf(rows)}) s (scope) ORDER BY 1)`
  const actual = `ARRAY(SELECT (f.scope || ' ' || f.op || ' ' || f.version) COLLATE "C" FROM holdfast.feed f WHERE ${entry} AND f.op <> 'leave' ORDER BY 1)`
  if (!hasDeletedAt(collection)) return `${expected} IS DISTINCT FROM ${actual}`
  return `CASE WHEN r.deleted_at IS NULL THEN ${expected} IS DISTINCT FROM ${actual}
    ELSE EXISTS (SELECT 1 FROM holdfast.feed f WHERE ${entry} AND f.op = 'put') END`
}
