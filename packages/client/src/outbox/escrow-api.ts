import { type EscrowEnding, limits, type MutationOp, SyncError } from '@holdfast/core'

import type { SqlRow } from '../drivers/sqlite-driver.ts'
import type { LocalReader, TransactionRunner, LocalTransaction } from '../local/local-database.ts'

/** An edit of a record that its author may not see any more. Its values are with the server, or on their way there. */
export interface EscrowedEdit {
  /** The key of the mutation. */
  readonly id: string
  readonly collection: string
  readonly record: string
  readonly op: MutationOp
  /** The transaction it belongs to, which is decided as a whole. */
  readonly group: string | null
  /** ISO time by the device's clock at which it was made. */
  readonly createdAt: string
  /**
   * `unsent`: the server has not got it yet. `waiting`: an operator decides. `accepted`, `refused`: how that ended.
   * `unknown`: the server does not know it any more, as after it was put back from a backup. So is an edit that it had taken
   * and lost in that way, when the device may keep no values of its record with which to return it.
   */
  readonly status: 'unsent' | EscrowEnding['status']
  /** ISO time by the device's clock at which the server had it; null before. */
  readonly sentAt: string | null
  /** What the operator said who refused it. */
  readonly reason: string | null
  /** ISO time by the server's clock. */
  readonly decidedAt: string | null
}

/**
 * `db.escrow`: edits that went to operators because the right to their record ended before they were sent, and those that a
 * restored server lost and that nobody can return. Rules: ES-14, SY-25.
 */
export interface EscrowApi {
  /** In the order written: those to be sent, then those that the server has. */
  list(): Promise<readonly EscrowedEdit[]>
  /** Forgets how an edit ended. Errors: RECORD_NOT_FOUND when there is none that ended. */
  dismiss(id: string): Promise<void>
}

/** Makes `db.escrow`. */
export function createEscrowApi(database: TransactionRunner): EscrowApi {
  return {
    list: () => database.read(listEscrow),
    dismiss: (id) =>
      database.write(async (tx) => {
        const { changes } = await tx.run("DELETE FROM _escrow WHERE id = ? AND status <> 'waiting'", [id])
        if (changes === 0) throw new SyncError('RECORD_NOT_FOUND', `no edit ${id} has ended in escrow`)
        tx.touch('_escrow', 'all')
      }),
  }
}

async function listEscrow(tx: LocalReader): Promise<readonly EscrowedEdit[]> {
  const unsent = await tx.all(
    `SELECT id, collection, record, op, group_id, created_at, 'unsent' AS status, NULL AS sent_at, NULL AS reason,
       NULL AS decided_at FROM _outbox WHERE escrow ORDER BY seq`,
  )
  const sent = await tx.all('SELECT * FROM _escrow ORDER BY sent_at, created_at, rowid')
  return [...unsent, ...sent].map(editOf)
}

function editOf(row: SqlRow): EscrowedEdit {
  return {
    id: String(row.id),
    collection: String(row.collection),
    record: String(row.record),
    // These two are only written from the same types.
    op: row.op as MutationOp,
    status: row.status as EscrowedEdit['status'],
    group: textOrNull(row.group_id),
    createdAt: String(row.created_at),
    sentAt: textOrNull(row.sent_at),
    reason: textOrNull(row.reason),
    decidedAt: textOrNull(row.decided_at),
  }
}

/** Keys of edits of which the end is not known, the oldest first. */
export async function readWaitingEscrow(tx: LocalReader): Promise<readonly string[]> {
  const rows = await tx.all(
    "SELECT id FROM _escrow WHERE status = 'waiting' ORDER BY sent_at, created_at, rowid LIMIT ?",
    [limits.escrowAsked],
  )
  return rows.map((row) => String(row.id))
}

/**
 * A server that was put back may decide again, and otherwise: how an edit ended is to be asked once more, as long as a server
 * remembers it. Rules: SY-25.
 */
export async function askEndingsAgain(tx: LocalTransaction, nowMs: number): Promise<void> {
  const { changes } = await tx.run(
    "UPDATE _escrow SET status = 'waiting', reason = NULL, decided_at = NULL WHERE coalesce(decided_at, sent_at) > ?",
    [new Date(nowMs - limits.outcomeDays * 86_400_000).toISOString()],
  )
  if (changes > 0) tx.touch('_escrow', 'all')
}

/** Writes down what a pull said of edits in escrow. Repeating is harmless. Rules: ES-10. */
export async function noteEscrowEndings(
  tx: LocalTransaction,
  endings: readonly EscrowEnding[],
): Promise<void> {
  const ended = endings.filter(({ status }) => status !== 'waiting')
  if (ended.length === 0) return
  const { changes } = await tx.run(
    `UPDATE _escrow SET status = told.value ->> '$.status', reason = told.value ->> '$.reason',
       decided_at = told.value ->> '$.decidedAt'
     FROM json_each(?) AS told WHERE _escrow.id = told.value ->> '$.id' AND _escrow.status = 'waiting'`,
    [JSON.stringify(ended)],
  )
  if (changes > 0) tx.touch('_escrow', 'all')
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
