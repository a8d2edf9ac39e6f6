import { isObject, isUuid, SyncError } from '@holdfast/core'
import type { StoredOutcome, StoreReader } from '../store.ts'
import { deviceOf, outcomeOf } from '../stored-rows.ts'
import { iso, jsonObject } from './columns.ts'
import type { Connection, PgRow } from './connection.ts'

type DeviceQueries = Pick<
  StoreReader,
  'state' | 'historyTag' | 'device' | 'devices' | 'outcomes' | 'decidedKeys' | 'outcomesText'
>

/** Whether reads take locks, for whoever decides on what was read. */
export interface ReadOptions {
  readonly locks: boolean
}

/** Positions up to this one are all seen: whoever took one of them is older than every transaction still at work. */
export const completeSql: string = newestComplete('t.position')

function newestComplete(columns: string): string {
  return `SELECT ${columns} FROM holdfast.transactions t WHERE t.bound <= pg_snapshot_xmin(pg_current_snapshot()) ORDER BY t.bound DESC, t.position DESC LIMIT 1`
}

const stateSql = `SELECT pg_is_in_recovery() AS standby, s.epoch, s.horizon, ${iso('s.made_at')} AS opened,
  (SELECT max(position) FROM holdfast.transactions) AS head, c.position AS complete, c.tag FROM holdfast.state s
  LEFT JOIN LATERAL (${newestComplete('t.position, t.tag')}) c ON true`

const outcomeColumns = `o.id, o.seq, o.covers, o.folded::text AS folded, o.hash, o.status, o.version, o.stood_on,
  ${iso('o.server_updated_at')} AS server_updated_at, o.code, o.body::text AS body, o.exact, o.op, o.fields::text AS fields`

const outcomeObject = jsonObject([
  ['id', 'o.id'],
  ['seq', 'o.seq'],
  ['covers', 'o.covers'],
  ['status', 'o.status'],
  ['version', 'o.version'],
  ['serverUpdatedAt', iso('o.server_updated_at')],
])

const deviceColumns = `n, account AS "user", device, finals, acked, pending, ${iso('first_seen_at')} AS first_seen_at, ${iso('last_seen_at')} AS last_seen_at`

/** Reads of devices and their outcomes. */
export function deviceQueries(db: Connection, { locks }: ReadOptions): DeviceQueries {
  return {
    state: async () => {
      const row = await db.get(stateSql)
      // What has not arrived there yet would look like a history that a backup undid.
      if (row?.['standby'] === true)
        throw new SyncError('STORE_BUSY', 'this PostgreSQL is a standby: the store needs the primary')
      return {
        epoch: String(row?.['epoch']),
        head: Number(row?.['head'] ?? 0),
        complete: Number(row?.['complete'] ?? 0),
        tag: String(row?.['tag'] ?? ''),
        horizon: Number(row?.['horizon']),
        openedAt: String(row?.['opened']),
      }
    },
    historyTag: async (position) =>
      // Every transaction has a tag of its own: a position means the same history as long as its transaction is the same.
      String(
        (await db.get('SELECT tag FROM holdfast.transactions WHERE position = $1', position))?.['tag'] ?? '',
      ),
    device: async (account, device) => {
      const lock = locks ? ' FOR UPDATE' : ''
      const sql = `SELECT ${deviceColumns} FROM holdfast.devices WHERE account = $1 AND device = $2${lock}`
      const row = await db.get(sql, account, device)
      return row ? deviceOf(row) : null
    },
    devices: async (account) =>
      (
        await db.all(
          `SELECT ${deviceColumns} FROM holdfast.devices WHERE $1::text IS NULL OR account = $1 ORDER BY n`,
          account ?? null,
        )
      ).map(deviceOf),
    outcomes: async (device, { seqs = [], ids = [] }) => [
      ...(await bySeq(db, device, seqs)),
      ...(await byId(db, device, ids)),
    ],
    decidedKeys: async (account, ids) => {
      if (ids.length === 0) return []
      const sql = `SELECT DISTINCT ON (o.device, o.seq) ${outcomeColumns} FROM ${outcomesByKey('$2')}`
      return (await db.all(sql, ids, account)).map(outcomeOf)
    },
    outcomesText: async (device, seqs) => {
      if (seqs.length === 0) return '[]'
      const sql = `SELECT ${outcomeObject}::text AS text, o.folded::text AS folded, o.body::text AS body FROM holdfast.outcomes o
        JOIN unnest($2::bigint[], $3::bigint[]) r (first, last) ON o.seq BETWEEN r.first AND r.last
        WHERE o.device = $1 ORDER BY o.seq`
      const rows = await db.all(
        sql,
        device,
        seqs.map(([first]) => first),
        seqs.map(([, last]) => last),
      )
      return `[${rows.map(outcomeText).join(',')}]`
    },
  }
}

/** Members of an `Outcome`; what the body holds follows, without the record, which pulls bring themselves. */
function outcomeText(row: PgRow): string {
  const folded = row['folded'] === null ? '' : `,"folded":${String(row['folded'])}`
  const body: unknown = row['body'] === null ? {} : JSON.parse(String(row['body']))
  const { record: _, ...members } = isObject(body) ? body : {}
  const more = Object.keys(members).length === 0 ? '}' : `,${JSON.stringify(members).slice(1)}`
  return `${String(row['text']).slice(0, -1)}${folded}${more}`
}

async function bySeq(
  db: Connection,
  device: number,
  seqs: readonly number[],
): Promise<readonly StoredOutcome[]> {
  if (seqs.length === 0) return []
  // A number may be covered by an outcome that begins at a lower one: the nearest, or one whose covers have gaps.
  const sql = `SELECT ${outcomeColumns} FROM holdfast.outcomes o WHERE o.device = $1 AND (
      o.seq IN (SELECT (SELECT max(p.seq) FROM holdfast.outcomes p WHERE p.device = $1 AND p.seq <= k) FROM unnest($2::bigint[]) k)
      OR (o.seq <= $3 AND strpos(o.covers, ',') > 0)) ORDER BY o.seq`
  return (await db.all(sql, device, seqs, Math.max(...seqs))).map(outcomeOf)
}

/**
 * Outcomes `o` of the keys $1, key by key: without statistics PostgreSQL would rather compare all outcomes of a device with
 * all of them.
 */
function outcomesByKey(account: string): string {
  return `unnest($1::text[]) a (id) CROSS JOIN LATERAL (
      SELECT k.device, k.seq FROM holdfast.decided_keys k WHERE k.id = a.id AND k.account = ${account} LIMIT 1) k
    CROSS JOIN LATERAL (
      SELECT * FROM holdfast.outcomes o WHERE o.device = k.device AND o.seq = k.seq LIMIT 1) o`
}

async function byId(
  db: Connection,
  device: number,
  ids: readonly string[],
): Promise<readonly StoredOutcome[]> {
  if (ids.length === 0) return []
  const account = '(SELECT d.account FROM holdfast.devices d WHERE d.n = $2)'
  const sql = `SELECT ${outcomeColumns} FROM ${outcomesByKey(account)} WHERE o.device = $2 AND o.id = a.id ORDER BY o.seq`
  return (await db.all(sql, ids, device)).map(outcomeOf)
}

/** Ids that a column of PostgreSQL can hold: any other is of nothing. */
export function uuidsOf(ids: readonly string[]): readonly string[] {
  return ids.filter(isUuid)
}
