import type { ReceiptReads, ReceiptWrites } from '../store.ts'
import { receiptOf, waitingOf } from '../stored-rows.ts'
import { iso } from './columns.ts'
import type { Connection } from './connection.ts'

/** Pushes that were taken and are decided later. `n` is the order in which they came. */
export const receiptTables: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS holdfast.receipts (
    n bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, id uuid NOT NULL UNIQUE, account text NOT NULL, device text NOT NULL,
    caller text NOT NULL, body text NOT NULL, priority bigint NOT NULL, at timestamptz NOT NULL, taken_until timestamptz,
    attempts integer NOT NULL DEFAULT 0, answer text, answered_at timestamptz)`,
  'CREATE INDEX IF NOT EXISTS receipts_waiting ON holdfast.receipts (account, device, n) WHERE answer IS NULL',
  'CREATE INDEX IF NOT EXISTS receipts_answered ON holdfast.receipts (answered_at) WHERE answered_at IS NOT NULL',
]

const columns = `id::text AS id, account AS "user", device, caller, body, priority, ${iso('at')} AS at, attempts, answer`

const waitingOfDevice = 'FROM holdfast.receipts WHERE account = $1 AND device = $2 AND answer IS NULL'

/** Reads of receipts. */
export function receiptQueries(db: Connection): ReceiptReads {
  return {
    receipt: async (id) => {
      const row = await db.get(`SELECT ${columns} FROM holdfast.receipts WHERE id = $1`, id)
      return row ? receiptOf(row) : null
    },
    hasWaitingReceipts: async (user, device) =>
      (await db.get(`SELECT 1 AS one ${waitingOfDevice} LIMIT 1`, user, device)) !== undefined,
    receiptCounts: async () => {
      const sql = `SELECT count(*) AS waiting, ${iso('min(at)')} AS oldest FROM holdfast.receipts WHERE answer IS NULL`
      const row = await db.get(sql)
      const oldest = row?.['oldest']
      return { waiting: Number(row?.['waiting']), oldestAt: typeof oldest === 'string' ? oldest : null }
    },
    strayReceipts: async ({ before, now, latest, limit }) => {
      const sql = `SELECT r.id::text AS id, r.account AS "user", r.device, r.priority FROM holdfast.receipts r
        WHERE r.n IN (SELECT min(n) FROM holdfast.receipts WHERE answer IS NULL GROUP BY account, device)
        AND (r.at <= $1 OR r.at > $3) AND (r.taken_until IS NULL OR r.taken_until <= $2 OR r.taken_until > $3)
        ORDER BY r.priority DESC, r.n LIMIT $4`
      return (await db.all(sql, before, now, latest, limit)).map(waitingOf)
    },
  }
}

/** Writes of receipts. */
export function receiptStatements(db: Connection): ReceiptWrites {
  return {
    saveReceipts: async (receipts) => {
      await db.all(
        `INSERT INTO holdfast.receipts (id, account, device, caller, body, priority, at)
         SELECT r.id, r.account, r.device, r.caller, r.body, r.priority, r.at
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[])
           WITH ORDINALITY AS r (id, account, device, caller, body, priority, at, place) ORDER BY r.place`,
        receipts.map(({ id }) => id),
        receipts.map(({ user }) => user),
        receipts.map(({ device }) => device),
        receipts.map(({ caller }) => caller),
        receipts.map(({ body }) => body),
        receipts.map(({ priority }) => priority),
        receipts.map(({ at }) => at),
      )
    },
    takeReceipt: async (user, device, { now, until, latest }) => {
      // Who waits for the row until it is answered finds nothing; whoever answered it looks for the next one.
      const row = await db.get(
        `UPDATE holdfast.receipts SET taken_until = $4, attempts = attempts + 1
         WHERE n = (SELECT n ${waitingOfDevice} ORDER BY n LIMIT 1 FOR UPDATE)
         AND answer IS NULL AND (taken_until IS NULL OR taken_until <= $3 OR taken_until > $5) RETURNING ${columns}`,
        user,
        device,
        now,
        until,
        latest,
      )
      return row ? receiptOf(row) : null
    },
    answerReceipt: async (id, answer, at) => {
      await db.all(
        `UPDATE holdfast.receipts SET answer = $2, answered_at = $3, body = '', caller = '' WHERE id = $1 AND answer IS NULL`,
        id,
        answer,
        at,
      )
    },
    postponeReceipt: async (id, until) => {
      await db.all(
        'UPDATE holdfast.receipts SET taken_until = $2 WHERE id = $1 AND answer IS NULL',
        id,
        until,
      )
    },
    forgetReceipts: async (before) => {
      await db.all('DELETE FROM holdfast.receipts WHERE answered_at < $1', before)
    },
  }
}
