import type { ReceiptReads, ReceiptWrites } from '../store.ts'
import { receiptOf, waitingOf } from '../stored-rows.ts'
import type { Connection } from './connection.ts'

/** Pushes that were taken and are decided later. `n` is the order in which they came. */
export const receiptTables = `CREATE TABLE holdfast_receipts (
  n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, user TEXT NOT NULL, device TEXT NOT NULL,
  caller TEXT NOT NULL, body TEXT NOT NULL, priority INTEGER NOT NULL, at TEXT NOT NULL, taken_until TEXT,
  attempts INTEGER NOT NULL DEFAULT 0, answer TEXT, answered_at TEXT);
CREATE INDEX holdfast_receipts_waiting ON holdfast_receipts (user, device, n) WHERE answer IS NULL;
CREATE INDEX holdfast_receipts_answered ON holdfast_receipts (answered_at) WHERE answered_at IS NOT NULL`

const waitingOfDevice = 'FROM holdfast_receipts WHERE user = ? AND device = ? AND answer IS NULL'

/** Reads of receipts. */
export function receiptQueries(db: Connection): ReceiptReads {
  return {
    receipt: async (id) => {
      const row = db.get('SELECT * FROM holdfast_receipts WHERE id = ?', id)
      return row ? receiptOf(row) : null
    },
    hasWaitingReceipts: async (user, device) =>
      db.get(`SELECT 1 ${waitingOfDevice}`, user, device) !== undefined,
    receiptCounts: async () => {
      const row = db.get(
        'SELECT count(*) AS waiting, min(at) AS oldest FROM holdfast_receipts WHERE answer IS NULL',
      )
      const oldest = row?.['oldest']
      return { waiting: Number(row?.['waiting']), oldestAt: typeof oldest === 'string' ? oldest : null }
    },
    strayReceipts: async ({ before, now, latest, limit }) =>
      db
        .all(
          `SELECT id, user, device, priority FROM holdfast_receipts
           WHERE n IN (SELECT min(n) FROM holdfast_receipts WHERE answer IS NULL GROUP BY user, device)
           AND (at <= ?1 OR at > ?3) AND (taken_until IS NULL OR taken_until <= ?2 OR taken_until > ?3)
           ORDER BY priority DESC, n LIMIT ?4`,
          before,
          now,
          latest,
          limit,
        )
        .map(waitingOf),
  }
}

/** Writes of receipts. */
export function receiptStatements(db: Connection): ReceiptWrites {
  return {
    saveReceipts: async (receipts) => {
      const insert = db.prepare(
        `INSERT INTO holdfast_receipts (id, user, device, caller, body, priority, at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
      )
      for (const { id, user, device, caller, body, priority, at } of receipts)
        insert(id, user, device, caller, body, priority, at)
    },
    takeReceipt: async (user, device, { now, until, latest }) => {
      const row = db.get(
        `UPDATE holdfast_receipts SET taken_until = ?, attempts = attempts + 1
         WHERE n = (SELECT min(n) ${waitingOfDevice}) AND (taken_until IS NULL OR taken_until <= ? OR taken_until > ?)
         RETURNING *`,
        until,
        user,
        device,
        now,
        latest,
      )
      return row ? receiptOf(row) : null
    },
    answerReceipt: async (id, answer, at) =>
      db.run(
        `UPDATE holdfast_receipts SET answer = ?, answered_at = ?, body = '', caller = '' WHERE id = ? AND answer IS NULL`,
        answer,
        at,
        id,
      ),
    postponeReceipt: async (id, until) =>
      db.run('UPDATE holdfast_receipts SET taken_until = ? WHERE id = ? AND answer IS NULL', until, id),
    forgetReceipts: async (before) => db.run('DELETE FROM holdfast_receipts WHERE answered_at < ?', before),
  }
}
