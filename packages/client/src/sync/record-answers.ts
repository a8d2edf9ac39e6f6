import { assertNever, type PushResult } from '@holdfast/core'
import type { LocalTransaction } from '../local/local-database.ts'
import { storeReportedConflict } from '../conflicts/reported-conflict.ts'
import type { Offer } from '../outbox/offer.ts'
import { markAnswered, markConflicted, markDead, markHeld } from '../outbox/outbox.ts'
import { type Attempt, countAttempt } from './count-attempt.ts'
import { holdForIdentity, meansOtherIdentity } from './renew-identity.ts'

/** One mutation that was sent and what the server said of it. */
export interface AnsweredOffer {
  readonly offer: Offer
  readonly result: PushResult
}

/** Who and when, for what the answers leave behind. */
export interface AnswerContext {
  readonly account: string | null
  readonly device: string
  readonly attempt: Omit<Attempt, 'error' | 'retryAfterMs'>
}

/**
 * Writes down the verdicts on a batch, in one transaction. An answer never touches a shadow; a final one leaves the
 * entry answered, conflicted or dead, so that nothing ends without a trace. Rules: SY-9, SY-10, SY-11, PR-2.
 */
export async function recordAnswers(
  tx: LocalTransaction,
  answers: readonly AnsweredOffer[],
  context: AnswerContext,
): Promise<void> {
  for (const answer of answers) await recordAnswer(tx, answer, context)
  await storeReportedConflict(tx, answers, context)
}

async function recordAnswer(
  tx: LocalTransaction,
  { offer, result }: AnsweredOffer,
  context: AnswerContext,
): Promise<void> {
  const { seqs } = offer
  const { status, version, serverUpdatedAt, error } = result
  const reason = { code: error?.code ?? 'MUTATION_INVALID', message: error?.message ?? '' }
  switch (status) {
    case 'applied':
    case 'merged': {
      const exact = status === 'applied' && result.record === undefined && result.duplicate !== true
      return markAnswered(tx, seqs, { status, version, serverUpdatedAt, exact })
    }
    case 'conflict':
      return markConflicted(tx, seqs, result.conflict?.id ?? '')
    case 'held':
      return markHeld(tx, seqs, result.heldBy ?? '')
    case 'rejected':
      if (!meansOtherIdentity(reason.code)) return markDead(tx, seqs, reason)
      return holdForIdentity(tx, reason.code === 'KEY_REUSED' ? await takeLead(tx, seqs) : seqs)
    case 'retry':
      return countAttempt(tx, seqs, { ...context.attempt, error: reason, retryAfterMs: error?.retryAfterMs })
    default:
      return assertNever(status)
  }
}

/**
 * A key that the server knows with another body was offered by another copy of this database, folded with other
 * neighbours: what it names is done, by that copy; the neighbours are not. Returns the neighbours.
 */
async function takeLead(
  tx: LocalTransaction,
  [lead, ...neighbours]: readonly number[],
): Promise<readonly number[]> {
  if (lead === undefined) return []
  await markAnswered(tx, [lead], { status: 'merged', version: null, serverUpdatedAt: null, exact: false })
  return neighbours
}
