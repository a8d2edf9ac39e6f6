import { isObject, isUuid, parseRanges, type Ranges, type Values } from '@holdfast/core'
import type { StoredDevice, StoredOutcome, StoreReader } from '../store.ts'
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
export const completeSql =
  'SELECT t.position FROM holdfast.transactions t WHERE t.bound <= pg_snapshot_xmin(pg_current_snapshot()) ORDER BY t.bound DESC, t.position DESC LIMIT 1'

const stateSql = `SELECT s.epoch, s.horizon, ${iso('s.made_at')} AS opened,
  (SELECT max(position) FROM holdfast.transactions) AS head, (${completeSql}) AS complete FROM holdfast.state s`

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

const deviceColumns = `n, account, device, finals, acked, pending, ${iso('first_seen_at')} AS first_seen_at, ${iso('last_seen_at')} AS last_seen_at`

/** Reads of devices and their outcomes. */
export function deviceQueries(db: Connection, { locks }: ReadOptions): DeviceQueries {
  return {
    state: async () => {
      const row = await db.get(stateSql)
      return {
        epoch: String(row?.['epoch']),
        head: Number(row?.['head'] ?? 0),
        complete: Number(row?.['complete'] ?? 0),
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
      const sql = `SELECT DISTINCT ON (o.device, o.seq) ${outcomeColumns} FROM holdfast.decided_keys k
        JOIN holdfast.outcomes o ON o.device = k.device AND o.seq = k.seq WHERE k.id = ANY($1::text[]) AND k.account = $2`
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

async function byId(
  db: Connection,
  device: number,
  ids: readonly string[],
): Promise<readonly StoredOutcome[]> {
  if (ids.length === 0) return []
  const sql = `SELECT ${outcomeColumns} FROM holdfast.outcomes o WHERE o.device = $1 AND o.id = ANY($2::text[]) ORDER BY o.seq`
  return (await db.all(sql, device, ids)).map(outcomeOf)
}

function outcomeOf(row: PgRow): StoredOutcome {
  return {
    id: String(row['id']),
    seq: Number(row['seq']),
    covers: String(row['covers']),
    folded: row['folded'] === null ? [] : textsOf(row['folded']),
    hash: String(row['hash']),
    // Written by writeOutcomes from the same type.
    status: String(row['status']) as StoredOutcome['status'],
    version: numberOrNull(row['version']),
    stoodOn: numberOrNull(row['stood_on']),
    serverUpdatedAt: textOrNull(row['server_updated_at']),
    code: textOrNull(row['code']),
    body: textOrNull(row['body']),
    exact: row['exact'] === true,
    op: String(row['op']),
    fields: textsOf(row['fields']),
  }
}

function deviceOf(row: PgRow): StoredDevice {
  const pending: unknown = row['pending'] === null ? null : JSON.parse(String(row['pending']))
  return {
    n: Number(row['n']),
    user: String(row['account']),
    device: String(row['device']),
    finals: rangesOf(row['finals']),
    acked: rangesOf(row['acked']),
    // Written by saveDevice from the same type.
    pending: isObject(pending) ? (pending as unknown as StoredDevice['pending']) : null,
    firstSeenAt: String(row['first_seen_at']),
    lastSeenAt: String(row['last_seen_at']),
  }
}

function rangesOf(text: unknown): Ranges {
  return parseRanges(String(text))
}

/** A JSON list of texts that the store wrote. */
export function textsOf(text: unknown): readonly string[] {
  const list: unknown = JSON.parse(String(text))
  return Array.isArray(list) ? list.map(String) : []
}

/** Ids that a column of PostgreSQL can hold: any other is of nothing. */
export function uuidsOf(ids: readonly string[]): readonly string[] {
  return ids.filter(isUuid)
}

/** NULL stays null. */
export function numberOrNull(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value)
}

/** NULL stays null. */
export function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

/** Values from a nullable JSON text of the store. */
export function valuesOrNull(value: unknown): Values | null {
  // Written by the database over columns that the schema describes, or by JSON.stringify over a record's values.
  return typeof value === 'string' ? (JSON.parse(value) as Values) : null
}
