import type { HistoryEntry } from '../../engine.ts'
import type { StoreReader } from '../store.ts'
import { parseTexts } from './columns.ts'
import type { Connection, SqlRow } from './connection.ts'
import { numberOrNull, textOrNull, valuesOrNull } from './read-devices.ts'

type HistoryQueries = Pick<StoreReader, 'history' | 'scopeSet' | 'key' | 'issuedTime' | 'counts'>

/** Reads of the audit and of what plain clients and large cursors left here. */
export function historyQueries(db: Connection): HistoryQueries {
  return {
    history: async (collection, record, { before, limit }) =>
      db
        .all(
          'SELECT * FROM holdfast_audit WHERE collection = ? AND record = ? AND n < ? ORDER BY n DESC LIMIT ?',
          collection,
          record,
          before,
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
    counts: async () => ({
      openConflicts: Number(
        db.get(`SELECT count(*) AS n FROM holdfast_conflicts WHERE status = 'open'`)?.['n'],
      ),
    }),
  }
}

function entryOf(row: SqlRow): HistoryEntry {
  return {
    n: Number(row['n']),
    // These three were written by writeAudit and capture from the same types.
    op: String(row['op']) as HistoryEntry['op'],
    status: String(row['status']) as HistoryEntry['status'],
    decisions: JSON.parse(String(row['decisions'])) as HistoryEntry['decisions'],
    user: textOrNull(row['user']),
    device: textOrNull(row['device']),
    mutation: textOrNull(row['mutation']),
    version: numberOrNull(row['version']),
    at: String(row['at']),
    receivedAt: String(row['received_at']),
    before: valuesOrNull(row['before']),
    after: valuesOrNull(row['after']),
    code: textOrNull(row['code']),
    trace: textOrNull(row['trace']),
  }
}
