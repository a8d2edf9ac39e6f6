import { formatRanges } from '@holdfast/core'
import type { AuditLine, StoredDevice, StoredOutcome, StoreWriter } from '../store.ts'
import type { Connection } from './connection.ts'
import { deviceQueries } from './read-devices.ts'

type LedgerStatements = Pick<
  StoreWriter,
  | 'saveDevice'
  | 'acknowledge'
  | 'writeOutcomes'
  | 'writeAudit'
  | 'saveScopeSet'
  | 'saveKey'
  | 'saveIssuedTime'
  | 'collect'
>

/** Writes of everything that is remembered about writes: devices, outcomes, audit, keys, issued times. */
export function ledgerStatements(db: Connection): LedgerStatements {
  return {
    saveDevice: async (device) => saveDevice(db, device),
    acknowledge: async (device, seqs) => {
      // Of a conflict its id is part of the verdict.
      const sql = `UPDATE holdfast_outcomes SET body = CASE status WHEN 'conflict' THEN json_object('conflict', json_object(
          'id', body ->> '$.conflict.id', 'fields', json_array(), 'base', NULL, 'mine', NULL, 'theirs', NULL)) END
        WHERE device = ? AND seq BETWEEN ? AND ? AND body IS NOT NULL`
      for (const [first, last] of seqs) db.run(sql, device, first, last)
    },
    writeOutcomes: async (device, outcomes, at) => writeOutcomes(db, device, { outcomes, at }),
    writeAudit: async (lines) => writeAudit(db, lines),
    saveScopeSet: async (hash, scopes) =>
      db.run(
        'INSERT OR IGNORE INTO holdfast_scope_sets (hash, scopes) VALUES (?, ?)',
        hash,
        JSON.stringify(scopes),
      ),
    saveKey: async (user, key, { hash, body, at }) =>
      db.run(
        'INSERT INTO holdfast_keys (user, key, hash, body, at) VALUES (?, ?, ?, ?, ?)',
        user,
        key,
        hash,
        body,
        at,
      ),
    saveIssuedTime: async (user, collection, { time, position, scopes }) => {
      // Two answers of one ms share a time; the older position repeats rows and leaves out none.
      const sql = `INSERT INTO holdfast_times (user, collection, time, position, scopes) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (user, collection, time) DO UPDATE SET position = iif(scopes = excluded.scopes, min(position, excluded.position), 0)`
      db.run(sql, user, collection, time, position, scopes)
    },
    collect: async (deletedBefore, forgetBefore) => collect(db, deletedBefore, forgetBefore),
  }
}

function saveDevice(db: Connection, stored: Omit<StoredDevice, 'n'>): number {
  const { user, device, finals, acked, pending, firstSeenAt, lastSeenAt } = stored
  const sql = `INSERT INTO holdfast_devices (user, device, finals, acked, pending, first_seen_at, last_seen_at)
    VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (user, device) DO UPDATE SET finals = excluded.finals, acked = excluded.acked,
    pending = excluded.pending, last_seen_at = excluded.last_seen_at RETURNING n`
  const report = pending === null ? null : JSON.stringify(pending)
  const row = db.get(
    sql,
    user,
    device,
    formatRanges(finals),
    formatRanges(acked),
    report,
    firstSeenAt,
    lastSeenAt,
  )
  return Number(row?.['n'])
}

function writeOutcomes(
  db: Connection,
  device: number,
  { outcomes, at }: { readonly outcomes: readonly StoredOutcome[]; readonly at: string },
): void {
  const insert = db.prepare(
    `INSERT INTO holdfast_outcomes (device, seq, covers, folded, id, hash, status, version, stood_on, server_updated_at, code, body, exact, op, fields, at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const fold = db.prepare('INSERT OR IGNORE INTO holdfast_folded (id, device, seq) VALUES (?, ?, ?)')
  for (const each of outcomes) {
    const { seq, covers, id, hash, status, version, stoodOn, serverUpdatedAt, code, body, exact, op } = each
    // What stands on a create that was refused falls whatever it touches.
    const fields = op === 'create' ? '[]' : JSON.stringify(each.fields)
    insert(
      device,
      seq,
      covers,
      each.folded.length === 0 ? null : JSON.stringify(each.folded),
      id,
      hash,
      status,
      version,
      stoodOn,
      serverUpdatedAt,
      code,
      body,
      exact ? 1 : 0,
      op,
      fields,
      at,
    )
    for (const key of each.folded) fold(key, device, seq)
  }
}

function writeAudit(db: Connection, lines: readonly AuditLine[]): void {
  const insert = db.prepare(
    `INSERT INTO holdfast_audit (collection, record, version, op, user, device, mutation, at, received_at, before, after, status, decisions, code, trace, was, accepted_by)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  for (const line of lines) {
    const { collection, record, version, op, user, device, mutation, at, receivedAt, status, code, trace } =
      line
    const [before, after] = [textOf(line.before), textOf(line.after)]
    const decisions = line.decisions.length === 0 ? '[]' : JSON.stringify(line.decisions)
    insert(
      collection,
      record,
      version,
      op,
      user,
      device,
      mutation,
      at,
      receivedAt,
      before,
      after,
      status,
      decisions,
      code,
      trace,
      textOf(line.was),
      line.acceptedBy,
    )
  }
}

function textOf(values: object | null): string | null {
  return values === null ? null : JSON.stringify(values)
}

async function collect(
  db: Connection,
  deletedBefore: string,
  forgetBefore: { readonly outcomes: string; readonly keys: string },
): Promise<number> {
  const old = `op <> 'put' AND at < ?`
  const row = db.get(
    `SELECT count(*) AS n, max(position) AS position FROM holdfast_feed WHERE ${old}`,
    deletedBefore,
  )
  db.run(`DELETE FROM holdfast_feed WHERE ${old}`, deletedBefore)
  db.run('DELETE FROM holdfast_tombstones WHERE server_updated_at < ?', deletedBefore)
  db.run('UPDATE holdfast_state SET horizon = max(horizon, ?)', Number(row?.['position'] ?? 0))
  // Behind the horizon no cursor is served: of the openings that began there the last one is still needed.
  db.run(
    `DELETE FROM holdfast_openings WHERE position < (SELECT max(position) FROM holdfast_openings
       WHERE position < (SELECT horizon FROM holdfast_state))`,
  )
  db.run('DELETE FROM holdfast_keys WHERE at < ?', forgetBefore.keys)
  db.run('DELETE FROM holdfast_times WHERE position < (SELECT horizon FROM holdfast_state)')
  for (const { n, acked } of await deviceQueries(db).devices()) {
    for (const [first, last] of acked) {
      db.run(
        `DELETE FROM holdfast_folded WHERE (id, device, seq) IN (SELECT k.value, o.device, o.seq
           FROM holdfast_outcomes o, json_each(o.folded) k
           WHERE o.device = ? AND o.seq BETWEEN ? AND ? AND o.at < ? AND o.folded IS NOT NULL)`,
        n,
        first,
        last,
        forgetBefore.outcomes,
      )
      db.run(
        'DELETE FROM holdfast_outcomes WHERE device = ? AND seq BETWEEN ? AND ? AND at < ?',
        n,
        first,
        last,
        forgetBefore.outcomes,
      )
    }
  }
  return Number(row?.['n'] ?? 0)
}
