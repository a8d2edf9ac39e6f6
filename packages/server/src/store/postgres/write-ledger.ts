import { formatRanges, SyncError } from '@holdfast/core'
import type { AuditLine, StoredDevice, StoredOutcome, StoreWriter } from '../store.ts'
import { BlockedError } from '../store-errors.ts'
import { type Connection, type PgRow, RaceLost } from './connection.ts'
import { deviceQueries } from './read-devices.ts'

type LedgerStatements = Pick<
  StoreWriter,
  | 'device'
  | 'decidedKeys'
  | 'saveDevice'
  | 'acknowledge'
  | 'writeOutcomes'
  | 'writeAudit'
  | 'saveScopeSet'
  | 'saveKey'
  | 'saveIssuedTime'
  | 'collect'
>

/** Who has decided what: read with locks, and guarded against whoever decides the same at the same time. */
function identityStatements(
  db: Connection,
): Pick<StoreWriter, 'device' | 'decidedKeys' | 'saveDevice' | 'writeOutcomes'> {
  const reads = deviceQueries(db, { locks: true })
  /** Devices that this transaction has locked; only those may be overwritten. */
  const locked = new Map<number, string>()
  const known = new Set<string>()
  return {
    device: async (user, device) => {
      const stored = await reads.device(user, device).catch((error: unknown) => {
        // Without it nothing can be decided, however little is asked.
        if (error instanceof BlockedError)
          throw new SyncError('STORE_BUSY', 'another request of this device takes long', { cause: error })
        throw error
      })
      if (stored) locked.set(stored.n, keyOfDevice(stored))
      return stored
    },
    decidedKeys: async (user, ids) => {
      const outcomes = await reads.decidedKeys(user, ids)
      for (const { id, folded } of outcomes) for (const key of [id, ...folded]) known.add(key)
      return outcomes
    },
    saveDevice: async (stored) => {
      const values = [
        stored.user,
        stored.device,
        formatRanges(stored.finals),
        formatRanges(stored.acked),
        stored.pending === null ? null : JSON.stringify(stored.pending),
        stored.lastSeenAt,
      ] as const
      const update = `UPDATE holdfast.devices SET finals = $3, acked = $4, pending = $5, last_seen_at = $6
        WHERE account = $1 AND device = $2 AND n = $7`
      const n = [...locked].find(([, key]) => key === keyOfDevice(stored))?.[0]
      if (n !== undefined) {
        db.send(update, ...values, n)
        return n
      }
      const insert = `INSERT INTO holdfast.devices (account, device, finals, acked, pending, last_seen_at, first_seen_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account, device) DO NOTHING RETURNING n`
      const made = await db.get(insert, ...values, stored.firstSeenAt)
      // Somebody made it since it was looked for, and may have decided numbers of it.
      if (!made) throw new RaceLost('the device was made by another request')
      locked.set(Number(made['n']), keyOfDevice(stored))
      return Number(made['n'])
    },
    writeOutcomes: async (device, outcomes, at) => {
      if (outcomes.length === 0) return
      db.send(outcomesSql, device, at, JSON.stringify(outcomes.map(outcomeRow)))
      const keys = outcomes.flatMap(({ id, folded, seq }) =>
        [...new Set([id, ...folded])].filter((key) => !known.has(key)).map((key) => ({ id: key, seq })),
      )
      db.send(keysSql, device, JSON.stringify(keys))
    },
  }
}

/** Writes of everything that is remembered about writes, for one transaction. */
export function ledgerStatements(db: Connection): LedgerStatements {
  return {
    ...identityStatements(db),
    acknowledge: async (device, seqs) => {
      if (seqs.length === 0) return
      // Of a conflict its id is part of the verdict.
      db.send(
        `UPDATE holdfast.outcomes o SET body = CASE o.status WHEN 'conflict' THEN json_build_object('conflict', json_build_object(
           'id', o.body #>> '{conflict,id}', 'fields', '[]'::json, 'base', NULL, 'mine', NULL, 'theirs', NULL)) END
         FROM unnest($2::bigint[], $3::bigint[]) r (first, last)
         WHERE o.device = $1 AND o.seq BETWEEN r.first AND r.last AND o.body IS NOT NULL`,
        device,
        seqs.map(([first]) => first),
        seqs.map(([, last]) => last),
      )
    },
    writeAudit: async (lines) => {
      if (lines.length > 0) db.send(auditSql, JSON.stringify(lines.map(auditRow)))
    },
    saveScopeSet: async (hash, scopes) => {
      const sql =
        'INSERT INTO holdfast.scope_sets (hash, scopes) VALUES ($1, $2::json) ON CONFLICT DO NOTHING'
      await db.all(sql, hash, JSON.stringify(scopes))
    },
    saveKey: async (user, key, { hash, body, at }) => {
      const sql = 'INSERT INTO holdfast.keys (account, key, hash, body, at) VALUES ($1, $2, $3, $4, $5)'
      db.send(sql, user, key, hash, body, at)
    },
    saveIssuedTime: async (user, collection, { time, position, scopes }) => {
      // Two answers of one ms share a time; the older position repeats rows and leaves out none.
      const sql = `INSERT INTO holdfast.times AS t (account, collection, time, position, scopes) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (account, collection, time) DO UPDATE SET
        position = CASE WHEN t.scopes = excluded.scopes THEN least(t.position, excluded.position) ELSE 0 END`
      await db.all(sql, user, collection, time, position, scopes)
    },
    collect: async (deletedBefore, forgetBefore) => collect(db, deletedBefore, forgetBefore),
  }
}

const outcomesSql = `INSERT INTO holdfast.outcomes (device, at, seq, covers, folded, id, hash, status, version, stood_on,
    server_updated_at, code, body, exact, op, fields)
  SELECT $1, $2::timestamptz, x.seq, x.covers, x.folded, x.id, x.hash, x.status, x.version, x.stood_on, x.server_updated_at,
    x.code, x.body, x.exact, x.op, x.fields
  FROM json_to_recordset($3::json) x (seq bigint, covers text, folded json, id text, hash text, status text, version bigint,
    stood_on bigint, server_updated_at timestamptz, code text, body json, exact boolean, op text, fields json)`

/** A key that another request has decided since is there already, and this transaction is decided again. */
const keysSql = `INSERT INTO holdfast.decided_keys (device, account, id, seq)
  SELECT DISTINCT ON (x.id) d.n, d.account, x.id, x.seq FROM json_to_recordset($2::json) x (id text, seq bigint)
  JOIN holdfast.devices d ON d.n = $1 ORDER BY x.id`

function keyOfDevice({ user, device }: Pick<StoredDevice, 'user' | 'device'>): string {
  return `${device} ${user}`
}

/** Lines of what was done are read by who is told of changes, in the order of transactions. */
const auditSql = `INSERT INTO holdfast.audit (tx, collection, record, version, op, account, device, mutation, at, received_at, before,
    after, status, decisions, code, trace, was, accepted_by)
  SELECT CASE WHEN x.op <> 'none' THEN (SELECT holdfast.this_transaction()) END,
    x.collection, x.record, x.version, x.op, x.account, x.device, x.mutation, x.at, x.received_at, x.before, x.after,
    x.status, x.decisions, x.code, x.trace, x.was, x.accepted_by
  FROM ROWS FROM (json_to_recordset($1::json) AS (collection text, record uuid, version bigint, op text, account text,
    device text, mutation text, at timestamptz, received_at timestamptz, before json, after json, status text,
    decisions json, code text, trace text, was json, accepted_by text)) WITH ORDINALITY x ORDER BY x.ordinality`

function outcomeRow(outcome: StoredOutcome): object {
  const { seq, covers, folded, id, hash, status, version, stoodOn, code, exact, op } = outcome
  const body: unknown = outcome.body === null ? null : JSON.parse(outcome.body)
  // What stands on a create that was refused falls whatever it touches.
  const fields = op === 'create' ? [] : outcome.fields
  const stood = { stood_on: stoodOn, server_updated_at: outcome.serverUpdatedAt }
  const held = { seq, covers, id, hash, status, version, code, exact, op, fields, body }
  return { ...held, ...stood, folded: folded.length === 0 ? null : folded }
}

function auditRow(line: AuditLine): object {
  const { user, receivedAt, acceptedBy, ...rest } = line
  return { ...rest, account: user, received_at: receivedAt, accepted_by: acceptedBy }
}

async function collect(
  db: Connection,
  deletedBefore: string,
  forgetBefore: { readonly outcomes: string; readonly keys: string },
): Promise<number> {
  const old = await db.all(
    `DELETE FROM holdfast.feed f USING holdfast.transactions t WHERE f.op <> 'put' AND f.at < $1::timestamptz AND t.n = f.tx
       AND t.position IS NOT NULL RETURNING t.position`,
    deletedBefore,
  )
  const newest = Math.max(0, ...old.map((row: PgRow) => Number(row['position'])))
  await db.all('DELETE FROM holdfast.tombstones WHERE server_updated_at < $1::timestamptz', deletedBefore)
  await db.all('UPDATE holdfast.state SET horizon = greatest(horizon, $1)', newest)
  // Behind the horizon no cursor is served, so that nobody asks for the tags there. Stamps that show nothing are in the way.
  // Who is told of changes reads them by their transactions.
  await db.exec(`DELETE FROM holdfast.transactions t WHERE t.position < (SELECT horizon FROM holdfast.state)
    AND NOT EXISTS (SELECT 1 FROM holdfast.feed f WHERE f.tx = t.n)
    AND NOT EXISTS (SELECT 1 FROM holdfast.consumers c WHERE c.position <= t.position)`)
  await db.exec(`DELETE FROM holdfast.stamps s WHERE NOT EXISTS (SELECT 1 FROM holdfast.feed f WHERE f.tx = s.tx AND f.scope = s.scope)
    AND EXISTS (SELECT 1 FROM holdfast.stamps o WHERE o.scope = s.scope AND o.position > s.position)`)
  await db.all('DELETE FROM holdfast.keys WHERE at < $1::timestamptz', forgetBefore.keys)
  await db.exec('DELETE FROM holdfast.times WHERE position < (SELECT horizon FROM holdfast.state)')
  for (const { n, acked } of await deviceQueries(db, { locks: false }).devices()) {
    if (acked.length === 0) continue
    await db.all(
      `WITH gone AS (DELETE FROM holdfast.outcomes o USING unnest($2::bigint[], $3::bigint[]) r (first, last)
         WHERE o.device = $1 AND o.seq BETWEEN r.first AND r.last AND o.at < $4::timestamptz RETURNING o.device, o.seq)
       DELETE FROM holdfast.decided_keys k USING gone g WHERE k.device = g.device AND k.seq = g.seq`,
      n,
      acked.map(([first]) => first),
      acked.map(([, last]) => last),
      forgetBefore.outcomes,
    )
  }
  return old.length
}
