import { quoteText } from '../columns.ts'
import type { Connection, PgRow } from '../connection.ts'
import { numberStep } from '../system-tables.ts'
import { unfitValues } from './check-table.ts'
import { isWrong, type TableRows } from './enter-rows.ts'
import { makePlan } from './plan.ts'
import type { MigrationSetup } from './steps.ts'
import { readTable } from './table-shape.ts'

/** What came of one check. `note`: nothing is broken, but somebody should know. */
export interface Finding {
  readonly kind: 'well' | 'ill' | 'note'
  readonly text: string
  /** What to do about it; always there when it is ill. */
  readonly remedy?: string
}

const migrate = 'Run `holdfast migrate`; with --dry-run it first says what it will do.'
const reconcile = 'Run `holdfast reconcile`; with --dry-run it first counts.'

/** Rules: MI-8 to MI-11. In the caller's snapshot, which is read-only. */
export async function examine(
  db: Connection,
  setup: MigrationSetup,
  url: string,
): Promise<readonly Finding[]> {
  const server = await db.get(`SELECT current_setting('server_version') AS version`)
  const findings: Finding[] = [{ kind: 'well', text: `PostgreSQL ${String(server?.['version'])}` }]
  const plan = await makePlan(db, setup)
  const lacks = [
    ...plan.refusals.map(
      (text): Finding => ({ kind: 'ill', text, remedy: 'Mend it, then run `holdfast migrate`.' }),
    ),
    ...plan.steps.map(
      ({ says }): Finding => ({ kind: 'ill', text: `it remains to ${says}`, remedy: migrate }),
    ),
  ]
  if (lacks.length > 0) findings.push(...lacks)
  else findings.push({ kind: 'well', text: 'tables, columns, indexes and triggers are those of the schema' })
  findings.push(...plan.notes.map((text): Finding => ({ kind: 'note', text })))
  // Without our own tables there is nothing that rows could be compared with.
  const isThere = (await db.get(`SELECT to_regclass('holdfast.feed') AS feed`))?.['feed'] !== null
  if (isThere) findings.push(...(await examineRows(db, setup)), ...(await examineTransactions(db)))
  findings.push(...(await examineSettings(db, url)))
  return findings
}

async function examineRows(db: Connection, { schema, naming }: MigrationSetup): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  for (const collection of schema.collections.values()) {
    const shape = await readTable(db, naming.table(collection))
    // A table that lacks columns of ours is what the plan tells of.
    if (!shape?.columns.has('version') || !shape.columns.has('server_updated_at')) continue
    findings.push(...(await examineTable(db, { naming, collection })))
    for (const text of await unfitValues(db, { naming, collection, shape }))
      findings.push({ kind: 'ill', text, remedy: 'No device can be told of them: correct them with UPDATE.' })
  }
  const isIll = findings.some(({ kind }) => kind === 'ill')
  return isIll ? findings : [...findings, { kind: 'well', text: 'every row is in the feed as it is' }]
}

async function examineTable(db: Connection, rows: TableRows): Promise<readonly Finding[]> {
  const { naming, collection } = rows
  const table = naming.table(collection)
  const name = quoteText(collection.name)
  const known = `EXISTS (SELECT 1 FROM holdfast.feed f WHERE f.collection = ${name} AND f.record = r.id AND f.op <> 'leave')`
  const stale = `EXISTS (SELECT 1 FROM holdfast.feed f WHERE f.collection = ${name} AND f.record = r.id AND f.op <> 'leave' AND f.version <> r.version)`
  const row = await db.get(
    `SELECT count(*) FILTER (WHERE NOT known) AS unknown, count(*) FILTER (WHERE known AND stale) AS stale,
       count(*) FILTER (WHERE known AND NOT stale) AS moved
     FROM (SELECT ${known} AS known, ${stale} AS stale FROM ${table} r WHERE ${isWrong(rows)}) x`,
  )
  const ahead = await db.get(`SELECT count(*) AS ahead FROM ${table} r WHERE r.version > ${lastVersionSql}`)
  const gone = await countGone(db, rows)
  return [
    ...ill(row, 'unknown', `of ${table} are not in the feed: no device hears of them`),
    ...ill(row, 'stale', `of ${table} have another version than the feed says`),
    ...ill(row, 'moved', `of ${table} lie in other scopes than the feed says, or are deleted`),
    ...ill(
      ahead,
      'ahead',
      `of ${table} have a version that was never given: devices could not write to them`,
    ),
    ...ill({ gone }, 'gone', `of ${table} are in the feed and gone from the table`),
  ]
}

/** Versions above this one were never given. */
const lastVersionSql = `(SELECT n.last_value + ${numberStep} - 1 FROM holdfast.numbers n)`

/** Records that the feed says are there and the table does not have. */
export async function countGone(db: Connection, { naming, collection }: TableRows): Promise<number> {
  const row = await db.get(
    `SELECT count(DISTINCT f.record) AS gone FROM holdfast.feed f WHERE f.collection = $1 AND f.op = 'put'
     AND NOT EXISTS (SELECT 1 FROM ${naming.table(collection)} r WHERE r.id = f.record)`,
    collection.name,
  )
  return Number(row?.['gone'])
}

/** Rows of a collection that are not in the feed as they are. */
export async function countWrong(db: Connection, rows: TableRows): Promise<number> {
  const row = await db.get(
    `SELECT count(*) AS wrong FROM ${rows.naming.table(rows.collection)} r WHERE ${isWrong(rows)}`,
  )
  return Number(row?.['wrong'])
}

function ill(row: PgRow | undefined, name: string, text: string): readonly Finding[] {
  const count = Number(row?.[name])
  return count === 0
    ? []
    : [{ kind: 'ill', text: `${count} ${count === 1 ? 'row' : 'rows'} ${text}`, remedy: reconcile }]
}

/** What was committed without a position: whoever sees it open sees that it was committed. */
export const unstampedSql =
  'SELECT t.n FROM holdfast.transactions t WHERE t.is_open OR t.position IS NULL ORDER BY t.n'

async function examineTransactions(db: Connection): Promise<readonly Finding[]> {
  const unstamped = await db.all(unstampedSql)
  if (unstamped.length === 0) return [{ kind: 'well', text: 'every transaction has its position' }]
  return [
    {
      kind: 'ill',
      text:
        unstamped.length === 1
          ? '1 transaction was committed without a position: no device hears of it'
          : `${unstamped.length} transactions were committed without a position: no device hears of them`,
      remedy: reconcile,
    },
  ]
}

const settingsSql = `SELECT current_setting('max_prepared_transactions')::int AS prepares,
  (SELECT count(*) FROM pg_prepared_xacts x WHERE x.database = current_database()) AS prepared,
  current_setting('default_transaction_isolation') AS isolation, current_setting('synchronous_commit') AS synchronous,
  current_setting('session_replication_role') AS role, inet_server_port() AS port,
  (SELECT count(*) FROM pg_stat_activity a WHERE a.datname = current_database() AND a.state = 'idle in transaction'
    AND a.xact_start < now() - interval '10 minutes') AS idle,
  (SELECT count(*) FROM pg_subscription_rel s JOIN pg_trigger t ON t.tgrelid = s.srrelid AND t.tgname = 'zzz_holdfast_row') AS applied`

async function examineSettings(db: Connection, url: string): Promise<readonly Finding[]> {
  const row = (await db.get(settingsSql)) ?? {}
  const findings: Finding[] = []
  const note = (isSo: boolean, text: string, remedy: string): void => {
    if (isSo) findings.push({ kind: 'note', text, remedy })
  }
  const port = Number(new URL(url).port || 5_432)
  if (Number(row['prepared']) > 0)
    findings.push({
      kind: 'ill',
      text: `${Number(row['prepared'])} prepared transactions are waiting: their scopes are locked, everybody who writes there waits`,
      remedy: 'COMMIT PREPARED or ROLLBACK PREPARED them; pg_prepared_xacts names them.',
    })
  note(
    Number(row['prepares']) > 0,
    `max_prepared_transactions is ${Number(row['prepares'])}: a transaction that is prepared keeps its scopes locked until it is committed`,
    'Set it to 0 unless something needs it.',
  )
  note(
    Number(row['idle']) > 0,
    `${Number(row['idle'])} sessions have been idle in a transaction for 10 minutes: cursors grow while they are`,
    'Set idle_in_transaction_session_timeout.',
  )
  note(
    row['synchronous'] === 'off',
    'synchronous_commit is off: writes that were answered are lost when the server crashes, and devices have forgotten them',
    "Set it to on, at least for the server's role.",
  )
  note(
    row['isolation'] !== 'read committed',
    `default_transaction_isolation is ${String(row['isolation'])}: cursors grow while nobody commits under read committed`,
    "Leave it at read committed for the server's role.",
  )
  if (row['role'] !== 'origin')
    findings.push({
      kind: 'ill',
      text: `session_replication_role is ${String(row['role'])}: triggers are off, nothing is captured`,
      remedy: 'ALTER ROLE or ALTER DATABASE … RESET session_replication_role, then run `holdfast reconcile`.',
    })
  note(
    Number(row['applied']) > 0,
    'logical replication writes to tables of collections, and fires no trigger',
    'Run `holdfast reconcile` after it, or write through the application.',
  )
  note(
    row['port'] !== null && Number(row['port']) !== port,
    `the server listens at port ${Number(row['port'])} and was reached at ${port}: something stands between`,
    'If it is a pooler that shares sessions between transactions, give postgresStore preparedStatements: false, and listen the address of the database itself.',
  )
  return findings.length === 0 ? [{ kind: 'well', text: 'the settings of the server are right' }] : findings
}
