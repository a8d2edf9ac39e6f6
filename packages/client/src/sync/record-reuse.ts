import { assertNever, type Outcome, parseRanges, type PushResult, type Ranges } from '@holdfast/core'
import type { LocalTransaction } from '../local/local-database.ts'
import type { Offer } from '../outbox/offer.ts'
import { markAnswered, markConflicted, markDead } from '../outbox/outbox.ts'
import { offerAfresh } from '../outbox/requeue.ts'
import { holdForIdentity } from './renew-identity.ts'

/** An offer of which some numbers, or the key, were used before. */
export interface ReusedOffer {
  readonly offer: Offer
  readonly result: PushResult
}

/** Whether a code says that a number or key was used before, by this database or a copy of it. */
export function meansReuse(code: string): boolean {
  return (
    code === 'KEY_REUSED' || code === 'SEQ_REUSED' || code === 'COVERS_OVERLAP' || code === 'OUTCOME_EXPIRED'
  )
}

/** Whether some of its numbers belong to other mutations: of a copy of this database that goes by the same name. */
export function isForeign({ offer, result }: ReusedOffer): boolean {
  return meansReuse(result.error?.code ?? '') && shareOf({ offer, result }).foreign.length > 0
}

/**
 * Deals the entries of a refused offer out by what the server said of each number. What another copy of this database had
 * sent is as the server decided; what nobody has sent is offered again under its key and number, so that whichever copy is
 * first, it counts once; what has the number of somebody else's mutation waits for a new identity. `isApart`: a member of
 * its user transaction does, and the others go with it. Rules: SY-12.
 */
export async function recordReuse(
  tx: LocalTransaction,
  reused: ReusedOffer,
  isApart: boolean,
): Promise<void> {
  const { known, free, foreign } = shareOf(reused)
  const { error } = reused.result
  const { seqs: offered } = reused.offer
  if (known.some(([, seqs]) => seqs.length > 0 && seqs.length < offered.length)) await takeApart(tx, offered)
  for (const [outcome, seqs] of known) await takeKnown(tx, outcome, seqs)
  if (isApart) await holdForIdentity(tx, free)
  else await offerAfresh(tx, free)
  if (foreign.length === 0) return
  // What became of the number is forgotten: only a person can tell whether it is the same mutation.
  const { was } = reused.offer.mutation
  // Unless it was answered before: then the number was its own.
  if (error?.code === 'OUTCOME_EXPIRED' && was)
    await markAnswered(tx, foreign, { status: 'applied', ...was, exact: false, heldBy: 'expired' })
  else if (error?.code === 'OUTCOME_EXPIRED')
    await markDead(tx, foreign, { code: error.code, message: error.message })
  else await holdForIdentity(tx, foreign)
}

interface Share {
  readonly known: readonly (readonly [Outcome, readonly number[]])[]
  readonly free: readonly number[]
  readonly foreign: readonly number[]
}

function shareOf({ offer, result }: ReusedOffer): Share {
  const within = (ranges: Ranges): readonly number[] =>
    offer.seqs.filter((seq) => ranges.some(([first, last]) => first <= seq && seq <= last))
  const known = (result.known ?? []).map((outcome) => [outcome, within(parseRanges(outcome.covers))] as const)
  const free = within(parseRanges(result.free ?? ''))
  const told = new Set([...known.flatMap(([, seqs]) => seqs), ...free])
  return { known, free, foreign: offer.seqs.filter((seq) => !told.has(seq)) }
}

/** What was decided of a fold in parts is no fold any more: whatever of it is ever offered again goes by itself. */
async function takeApart(tx: LocalTransaction, seqs: readonly number[]): Promise<void> {
  await tx.run('UPDATE _outbox SET offer = seq, wire = NULL WHERE seq IN (SELECT value FROM json_each(?))', [
    JSON.stringify(seqs),
  ])
}

async function takeKnown(tx: LocalTransaction, outcome: Outcome, seqs: readonly number[]): Promise<void> {
  const { id, status, version, serverUpdatedAt, conflict, error } = outcome
  // The server knows them by the key of the fold they were in; what was offered before keeps its bytes.
  await tx.run(
    `UPDATE _outbox SET after = ?1 WHERE offer IS NULL AND after IS NOT ?1
     AND after IN (SELECT id FROM _outbox WHERE seq IN (SELECT value FROM json_each(?2)))`,
    [id, JSON.stringify(seqs)],
  )
  switch (status) {
    case 'applied':
    case 'merged':
      return markAnswered(tx, seqs, { status, version, serverUpdatedAt, exact: false, heldBy: 'known' })
    case 'conflict':
      return markConflicted(tx, seqs, conflict?.id ?? '')
    case 'rejected':
      return markDead(tx, seqs, { code: error?.code ?? 'MUTATION_INVALID', message: error?.message ?? '' })
    default:
      return assertNever(status)
  }
}
