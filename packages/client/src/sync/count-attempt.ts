import { type Limits, limits } from '@holdfast/core'
import type { LocalTransaction } from '../local/local-database.ts'
import type { EntryError } from '../outbox/entry.ts'
import { readMeta, writeMeta } from '../local/meta.ts'
import { Undecided } from '../outbox/offer.ts'
import { markDead, updateEntries } from '../outbox/outbox.ts'
import { retainedMs } from '../outbox/retained.ts'
import { countOne } from '../status/tally.ts'
import { retryDelayMs } from './retry-policy.ts'

/** An attempt that counts against entries: the server said `retry`, or they failed alone while others got through. */
export interface Attempt {
  readonly nowMs: number
  /** A roll in [0, 1) for the jitter. */
  readonly roll: number
  readonly error: EntryError
  readonly retryAfterMs: number | undefined
  readonly limits: Pick<Limits, 'retryBaseMs' | 'retryCapMs' | 'probeIntervalMs'>
}

/**
 * Counts an attempt and plans the next; after `limits.entryAttempts` the entries are dead letters. What stands on something
 * that is to be tried again goes with that: it has neither attempts nor a wait of its own. `undecided`: of this transaction,
 * where nothing else has been decided since it was asked first. Rules: SY-11.
 */
export async function countAttempt(
  tx: LocalTransaction,
  seqs: readonly number[],
  attempt: Attempt,
  undecided: Undecided = new Undecided(tx),
): Promise<void> {
  const { error, nowMs, roll, retryAfterMs } = attempt
  // The clock may have been put right since the request went: what was planned before is not to outlive this note of it.
  await endStrayWaits(tx, nowMs)
  const reason = `${error.code} ${error.message}`
  if (await undecided.isBehind(seqs)) {
    await updateEntries(tx, seqs, {
      set: "status = 'pending', next_attempt_at = NULL, error = ?",
      params: [reason],
    })
    return
  }
  const [row] = await tx.all(
    'SELECT max(attempts) AS attempts, min(returned_at) AS returned_at FROM _outbox WHERE seq IN (SELECT value FROM json_each(?))',
    [JSON.stringify(seqs)],
  )
  const attempts = Number(row?.['attempts'] ?? 0) + 1
  // Returned while the clock was ahead, all of it is tried for as long from now on.
  if (Number(row?.['returned_at'] ?? 0) > nowMs)
    await tx.run('UPDATE _outbox SET returned_at = ?1 WHERE returned_at > ?1', [nowMs])
  const isExhausted =
    attempts >= limits.entryAttempts && !mayStillReturn(error.code, row?.['returned_at'], nowMs)
  const delayMs = retryDelayMs({ failures: attempts, roll, retryAfterMs }, attempt.limits)
  await updateEntries(tx, seqs, {
    set: "status = 'pending', attempts = ?, next_attempt_at = ?, error = ?",
    params: [attempts, nowMs + delayMs, reason],
  })
  await writeMeta(tx, 'sync.attemptAt', nowMs)
  await countOne(tx, 'retries')
  if (!isExhausted) return
  undecided.lookAgain()
  await countOne(tx, 'retryExhausted', seqs.length)
  await markDead(tx, seqs, {
    code: 'ATTEMPTS_EXHAUSTED',
    message: `${attempts} attempts; the last: ${reason}`,
  })
}

/** What stands on something that another device is yet to return waits as long as that one keeps it. Rules: SY-26. */
function mayStillReturn(code: string, returnedAt: unknown, nowMs: number): boolean {
  const isMissing =
    code === 'RECORD_NOT_FOUND' || code === 'REFERENCE_MISSING' || code === 'DEPENDENCY_FAILED'
  return isMissing && typeof returnedAt === 'number' && nowMs - returnedAt < retainedMs
}

/**
 * Waits are kept by the wall clock, as they outlive the process. Where it was put back since the last one was planned,
 * they would last for as long as it was wrong: all of them are over. Rules: SY-11.
 */
export async function endStrayWaits(tx: LocalTransaction, nowMs: number): Promise<void> {
  const plannedMs = Number((await readMeta(tx, 'sync.attemptAt')) ?? 0)
  if (plannedMs <= nowMs) return
  await tx.run('UPDATE _outbox SET next_attempt_at = NULL WHERE next_attempt_at IS NOT NULL')
  tx.touch('_outbox', 'all')
  await writeMeta(tx, 'sync.attemptAt', null)
}
