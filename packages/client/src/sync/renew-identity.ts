import type { Environment } from '@holdfast/core'
import type { LocalTransaction } from '../local/local-database.ts'
import { writeMeta } from '../local/meta.ts'
import { updateEntries } from '../outbox/outbox.ts'
import { requeue } from '../outbox/requeue.ts'

/** What entries wait for whose number or key another copy of this database has used. */
const newIdentity = 'identity'

/** Whether a code says that another copy of this database spoke in this device's name. */
export function meansOtherIdentity(code: string): boolean {
  return code === 'KEY_REUSED' || code === 'SEQ_REUSED' || code === 'COVERS_OVERLAP'
}

/** Puts refused entries aside until everything that was offered under the old identity has its answer. */
export async function holdForIdentity(tx: LocalTransaction, seqs: readonly number[]): Promise<void> {
  await updateEntries(tx, seqs, { set: "status = 'held', held_by = ?", params: [newIdentity] })
}

/** Entries that wait for a new identity, in the order written; empty as a rule. */
export async function waitingForIdentity(tx: Pick<LocalTransaction, 'all'>): Promise<readonly number[]> {
  const rows = await tx.all("SELECT seq FROM _outbox WHERE status = 'held' AND held_by = ? ORDER BY seq", [
    newIdentity,
  ])
  return rows.map((row) => Number(row['seq']))
}

/**
 * Makes refused entries offers of a new device: raw, under new keys and numbers; the server took nothing of them. What
 * was acknowledged under the old name is of no use under the new one. Rules: SY-12.
 */
export async function reofferRaw(
  tx: LocalTransaction,
  env: Pick<Environment, 'now' | 'randomBytes'>,
  seqs: readonly number[],
): Promise<void> {
  await requeue(tx, env, seqs)
  await writeMeta(tx, 'sync.ack', null)
}
