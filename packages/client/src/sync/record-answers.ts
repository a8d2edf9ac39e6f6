import { assertNever, parsePushResponse, type PushResult, SyncError } from '@holdfast/core'
import type { LocalTransaction } from '../local/local-database.ts'
import { storeReportedConflict } from '../conflicts/reported-conflict.ts'
import type { KnownBefore } from '../outbox/hold-reasons.ts'
import { type Offer, Undecided } from '../outbox/offer.ts'
import { offerAfresh, type RequeueContext } from '../outbox/requeue.ts'
import { freeDecisions } from '../outbox/referred-creates.ts'
import { standOnTaken } from '../outbox/stand-on-taken.ts'
import { settleEscrowed } from '../outbox/to-escrow.ts'
import { oweRewriting } from '../apply/rewrite-file.ts'
import { markConflicted, markDead, markHeld } from '../outbox/outbox.ts'
import { type Attempt, countAttempt } from './count-attempt.ts'
import { isForeign, meansReuse, recordReuse } from './record-reuse.ts'

/** One mutation that was sent and what the server said of it. */
export interface AnsweredOffer {
  readonly offer: Offer
  readonly result: PushResult
}

/**
 * What an answer says of each mutation that was sent; whatever else it says is of none of them. Errors: RESPONSE_INVALID
 * when one is left out, or what one waits for.
 */
export function readAnswers(offers: readonly Offer[], body: unknown): readonly AnsweredOffer[] {
  const { results } = parsePushResponse(body)
  const resultsById = new Map(results.map((result) => [result.id, result]))
  return offers.map((offer) => {
    const result = resultsById.get(offer.mutation.id)
    if (!result || !isWhole(result))
      throw new SyncError('RESPONSE_INVALID', 'the answer leaves out a mutation, or what it waits for')
    return { offer, result }
  })
}

/** Whether it names what the mutation waits for, if it does. */
function isWhole({ status, conflict, heldBy }: PushResult): boolean {
  return status === 'conflict' ? conflict !== undefined : status !== 'held' || heldBy !== undefined
}

/** Who and when, for what the answers leave behind. */
export interface AnswerContext {
  readonly account: string | null
  readonly device: string
  readonly attempt: Omit<Attempt, 'error' | 'retryAfterMs'>
  readonly requeue: RequeueContext
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
  const taken = answers.filter(({ result }) => isTaken(result))
  await markTaken(tx, taken)
  const foreign = answers.filter(isForeign)
  const apart = new Set(foreign.map(({ offer }) => offer.mutation.group))
  const behind = new Set(foreign.length === 0 ? [] : answers.filter(isBehind).map(unitOf))
  // Attempts are counted once everything else is decided: then what is undecided is looked for once.
  const undecided = new Undecided(tx)
  for (const answer of [...answers.filter((each) => !isRetry(each)), ...answers.filter(isRetry)]) {
    if (isTaken(answer.result)) continue
    const { group } = answer.offer.mutation
    if (meansReuse(answer.result.error?.code ?? ''))
      await recordReuse(tx, answer, group !== null && apart.has(group))
    else if (isRetry(answer) && behind.has(unitOf(answer))) {
      await offerAfresh(tx, answer.offer.seqs)
      undecided.lookAgain()
    } else await recordRefusal(tx, answer, { ...context, undecided })
  }
  await storeReportedConflict(tx, answers, context)
  if (answers.some(({ result }) => result.status === 'held')) await freeDecisions(tx)
  if (await settleEscrowed(tx, context.requeue)) await oweRewriting(tx)
}

/** What is decided whole, and waits whole: its user transaction, or itself. */
function unitOf({ offer: { mutation } }: AnsweredOffer): string {
  return mutation.group ?? mutation.id
}

/**
 * Whether the server put it off for what it stands on, or refers to. Where that may wait for a new identity, it is not to go before that
 * does: as if it had never been offered, it waits and moves with it. Rules: SY-12, PU-44.
 */
function isBehind({ offer, result }: AnsweredOffer): boolean {
  const { status, error } = result
  const isOfOthers = error?.code === 'DEPENDENCY_FAILED' || error?.code === 'REFERENCE_MISSING'
  return status === 'retry' && isOfOthers && !offer.mutation.was
}

function isRetry({ result }: AnsweredOffer): boolean {
  return result.status === 'retry'
}

function isTaken({ status }: PushResult): boolean {
  return status === 'applied' || status === 'merged'
}

/** All that the server took, in one statement. The records stay `syncing`: what was sent and what is answered look alike. */
async function markTaken(tx: LocalTransaction, answers: readonly AnsweredOffer[]): Promise<void> {
  if (answers.length === 0) return
  const marks = answers.flatMap(({ offer, result }) => {
    const { status, version, serverUpdatedAt, record, duplicate } = result
    const isExact = status === 'applied' && record === undefined && duplicate !== true
    const heldBy: KnownBefore | null = duplicate === true ? 'repeated' : null
    return offer.seqs.map((seq) => [seq, status, isExact ? 1 : 0, version, serverUpdatedAt, heldBy])
  })
  const rows = await tx.all(
    `UPDATE _outbox SET status = 'answered', verdict = mark.value ->> 1, exact = mark.value ->> 2, version = mark.value ->> 3,
       server_updated_at = mark.value ->> 4, held_by = mark.value ->> 5, error = NULL
     FROM json_each(?) AS mark WHERE seq = mark.value ->> 0 RETURNING id, verdict, version`,
    [JSON.stringify(marks)],
  )
  tx.touch('_outbox', 'all')
  await standOnTaken(
    tx,
    answers.flatMap(({ offer }) => offer.seqs),
  )
  for (const { id, verdict, version } of rows) {
    const known = {
      status: verdict === 'merged' ? 'merged' : 'applied',
      version: typeof version === 'number' ? version : null,
    } as const
    tx.announce(String(id), known)
  }
}

async function recordRefusal(
  tx: LocalTransaction,
  { offer, result }: AnsweredOffer,
  { attempt, undecided }: AnswerContext & { readonly undecided: Undecided },
): Promise<void> {
  const { seqs } = offer
  const { status, error } = result
  const reason = { code: error?.code ?? 'MUTATION_INVALID', message: error?.message ?? '' }
  switch (status) {
    case 'applied':
    case 'merged':
      return
    case 'conflict':
      return markConflicted(tx, seqs, result.conflict?.id ?? '')
    case 'held':
      return markHeld(tx, seqs, result.heldBy ?? '')
    case 'rejected':
      return markDead(tx, seqs, reason)
    case 'retry':
      return countAttempt(
        tx,
        seqs,
        { ...attempt, error: reason, retryAfterMs: error?.retryAfterMs },
        undecided,
      )
    default:
      return assertNever(status)
  }
}
