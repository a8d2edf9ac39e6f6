import { isUuid } from '@holdfast/core'
import type { StoreReader } from '../store.ts'
import { countsOf, entryOf, parseTexts } from '../stored-rows.ts'
import { iso } from './columns.ts'
import type { Connection } from './connection.ts'

type HistoryQueries = Pick<StoreReader, 'history' | 'scopeSet' | 'key' | 'issuedTime' | 'counts'>

/** Of a line of the audit, which is called `a`. */
export const entryColumns: string = `a.n, op, status, decisions::text AS decisions, account AS "user", device, mutation, version, ${iso('at')} AS at,
  ${iso('received_at')} AS received_at, before::text AS before, after::text AS after, code, trace, accepted_by`

/** Reads of the audit and of what plain clients and large cursors left here. */
export function historyQueries(db: Connection): HistoryQueries {
  return {
    history: async (collection, record, { before, limit, without = [] }) => {
      if (!isUuid(record)) return []
      const sql = `SELECT ${entryColumns} FROM holdfast.audit a WHERE collection = $1 AND record = $2 AND n < $3
        AND (code IS NULL OR code <> ALL($5::text[])) ORDER BY a.n DESC LIMIT $4`
      const newest = Math.min(before, Number.MAX_SAFE_INTEGER)
      return (await db.all(sql, collection, record, newest, limit, without)).map(entryOf)
    },
    scopeSet: async (hash) => {
      const row = await db.get('SELECT scopes::text AS scopes FROM holdfast.scope_sets WHERE hash = $1', hash)
      return row ? parseTexts(String(row['scopes'])) : null
    },
    key: async (account, key) => {
      const row = await db.get(
        'SELECT hash, body FROM holdfast.keys WHERE account = $1 AND key = $2',
        account,
        key,
      )
      return row ? { hash: String(row['hash']), body: String(row['body']) } : null
    },
    issuedTime: async (account, collection, time) => {
      const sql = `SELECT ${iso('t.time')} AS issued, position, scopes FROM holdfast.times t
        WHERE account = $1 AND collection = $2 AND time <= $3::timestamptz ORDER BY t.time DESC LIMIT 1`
      const row = await db.get(sql, account, collection, time)
      if (!row) return null
      return {
        time: String(row['issued']),
        position: Number(row['position']),
        scopes: String(row['scopes']),
      }
    },
    counts: async () =>
      countsOf(
        await db.get(
          `SELECT (SELECT count(*) FROM holdfast.conflicts WHERE status = 'open') AS conflicts,
          (SELECT count(*) FROM holdfast.escrow WHERE status = 'waiting') AS escrow, count(*) AS devices,
          coalesce(sum((pending::jsonb ->> 'count')::bigint), 0)::bigint AS pending, min(pending::jsonb ->> 'oldestAt' COLLATE "C") AS oldest
          FROM holdfast.devices`,
        ),
      ),
  }
}
