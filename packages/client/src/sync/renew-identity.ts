import type { Schema } from '@holdfast/core'

import type { LocalReader, LocalTransaction } from '../local/local-database.ts'
import { writeMeta } from '../local/meta.ts'
import { seqsOf, updateEntries } from '../outbox/outbox.ts'
import { newIdentity } from '../outbox/hold-reasons.ts'
import { readOpenOffers } from '../outbox/offer.ts'
import { requeueUnderOwnKeys } from '../outbox/requeue.ts'

/** Puts refused entries aside until everything that was offered under the old identity has its answer. */
export async function holdForIdentity(tx: LocalTransaction, seqs: readonly number[]): Promise<void> {
  await updateEntries(tx, seqs, { set: "status = 'held', held_by = ?", params: [newIdentity] })
}

/**
 * Entries that may go out under a new identity now, in the order written; none as a rule. None either as long as anything
 * was offered under the old one and has yet to go or to be settled: under the new one the server knows it by its key alone.
 * What waits for a person is not waited for: the decision may be among what has to go.
 */
export async function readyForIdentity(tx: LocalReader, schema: Schema): Promise<readonly number[]> {
  const rows = await tx.all("SELECT seq FROM _outbox WHERE status = 'held' AND held_by = ? ORDER BY seq", [
    newIdentity,
  ])
  if (rows.length === 0) return []
  const [answered] = await tx.all(
    // That they are not pending is said for the index.
    "SELECT 1 FROM _outbox WHERE status = 'answered' AND status <> 'pending' LIMIT 1",
  )
  if (answered) return []
  const [escrow] = await tx.all(
    "SELECT 1 FROM _outbox WHERE escrow AND status IN ('pending', 'sending') LIMIT 1",
  )
  if (escrow) return []
  // Whatever its next attempt is, it goes by itself.
  const open = await readOpenOffers(tx, schema, Number.POSITIVE_INFINITY)
  return open.length > 0 ? [] : seqsOf(rows)
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
