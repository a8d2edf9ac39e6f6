import type { StoreReader } from '../store.ts'
import { countsOf, entryOf, parseTexts } from '../stored-rows.ts'
import type { Connection } from './connection.ts'

type HistoryQueries = Pick<StoreReader, 'history' | 'scopeSet' | 'key' | 'issuedTime' | 'counts'>

/** Reads of the audit and of what plain clients and large cursors left here. */
export function historyQueries(db: Connection): HistoryQueries {
  return {
    history: async (collection, record, { before, limit, without = [] }) =>
      db
        .all(
          `SELECT * FROM holdfast_audit WHERE collection = ? AND record = ? AND n < ?
             AND (code IS NULL OR code NOT IN (SELECT value FROM json_each(?))) ORDER BY n DESC LIMIT ?`,
          collection,
          record,
          before,
          JSON.stringify(without),
          limit,
        )
        .map(entryOf),
    scopeSet: async (hash) => {
      const row = db.get('SELECT scopes FROM holdfast_scope_sets WHERE hash = ?', hash)
      return row ? parseTexts(String(row['scopes'])) : null
    },
    key: async (user, key) => {
      const row = db.get('SELECT hash, body FROM holdfast_keys WHERE user = ? AND key = ?', user, key)
      return row ? { hash: String(row['hash']), body: String(row['body']) } : null
    },
    issuedTime: async (user, collection, time) => {
      const sql = `SELECT time, position, scopes FROM holdfast_times WHERE user = ? AND collection = ? AND time <= ? ORDER BY time DESC LIMIT 1`
      const row = db.get(sql, user, collection, time)
      if (!row) return null
      return {
        time: String(row['time']),
        position: Number(row['position']),
        scopes: String(row['scopes']),
      }
    },
    counts: async () =>
      countsOf(
        db.get(
          `SELECT (SELECT count(*) FROM holdfast_conflicts WHERE status = 'open') AS conflicts,
          (SELECT count(*) FROM holdfast_escrow WHERE status = 'waiting') AS escrow, count(*) AS devices,
          coalesce(sum(pending ->> 'count'), 0) AS pending, min(pending ->> 'oldestAt') AS oldest FROM holdfast_devices`,
        ),
      ),
  }
}
