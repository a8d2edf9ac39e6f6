import type { Schema } from '@holdfast/core'
import type { LocalTransaction } from '../local/local-database.ts'
import { writeMeta } from '../local/meta.ts'
import { updateEntries } from '../outbox/outbox.ts'
import { newIdentity } from '../outbox/hold-reasons.ts'
import { requeueUnderOwnKeys } from '../outbox/requeue.ts'

/** Puts refused entries aside until everything that was offered under the old identity has its answer. */
export async function holdForIdentity(tx: LocalTransaction, seqs: readonly number[]): Promise<void> {
  await updateEntries(tx, seqs, { set: "status = 'held', held_by = ?", params: [newIdentity] })
}

/**
 * Entries that may go out under a new identity now, in the order written; none as a rule. None either as long as anything
 * was offered under the old one and is not settled: under the new one the server would not know it.
 */
export async function readyForIdentity(tx: Pick<LocalTransaction, 'all'>): Promise<readonly number[]> {
  const rows = await tx.all("SELECT seq FROM _outbox WHERE status = 'held' AND held_by = ? ORDER BY seq", [
    newIdentity,
  ])
  if (rows.length === 0) return []
  const [open] = await tx.all(
    `SELECT 1 FROM _outbox WHERE (status IN ('sending', 'answered') AND status <> 'pending')
     OR (status = 'pending' AND offer IS NOT NULL) LIMIT 1`,
  )
  return open ? [] : rows.map((row) => Number(row['seq']))
}

/**
 * Makes refused entries offers of a new device: raw, under new numbers; the server took nothing of them. The keys
 * stay, for this disk may have been copied since they were refused. What was acknowledged under the old name is of no use
 * under the new one. Rules: SY-12.
 */
export async function reofferRaw(
  tx: LocalTransaction,
  schema: Schema,
  seqs: readonly number[],
): Promise<void> {
  await requeueUnderOwnKeys(tx, schema, seqs)
  await writeMeta(tx, 'sync.ack', null)
}
