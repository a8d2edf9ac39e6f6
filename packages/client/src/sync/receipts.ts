import { type Environment, isObject, type Limits, SyncError } from '@holdfast/core'
import type { LocalDatabase } from '../local/local-database.ts'
import type { Offer } from '../outbox/offer.ts'
import type { Answer } from '../transport/transport.ts'
import { type AnsweredOffer, readAnswers } from './record-answers.ts'
import { errorOfAnswer, failureOf } from './retry-policy.ts'
import type { Run, Session } from './session.ts'

/** What a receipt is asked with. */
export interface ReceiptContext {
  readonly env: Environment
  readonly database: LocalDatabase
  readonly session: Session
  readonly limits: Limits
}

/** A push that the server has taken and not decided, as far as this process knows. */
export interface Awaited {
  readonly receipt: string
  readonly offers: readonly Offer[]
  readonly ack: string
}

/** What came of asking. */
export type Looked =
  /** No receipt is waited for, or it is of no use any more: what has no answer is offered again. */
  | { readonly kind: 'nothing' }
  /** `untilMs`: when to ask again, ms of `env.monotonicMs`. */
  | { readonly kind: 'waiting'; readonly untilMs: number }
  | { readonly kind: 'decided'; readonly answers: readonly AnsweredOffer[]; readonly ack: string }
  /** The push was refused as a whole, or its decision is none. */
  | { readonly kind: 'failed'; readonly offers: readonly Offer[]; readonly error: SyncError }

/**
 * The one push that a server has put into its queue. Nothing is sent before it is decided, so that nothing overtakes it.
 * Only kept in memory: a receipt that is forgotten, here or there, means that the same bytes are offered again.
 * Rules: SY-23, SY-24.
 */
export class Receipts {
  readonly #context: ReceiptContext
  #awaited: Awaited | undefined
  #asked = 0

  constructor(context: ReceiptContext) {
    this.#context = context
  }

  /** Waits for the push that was answered with this receipt. */
  expect(awaited: Awaited): number {
    this.#awaited = awaited
    this.#asked = 0
    return this.#nextMs()
  }

  /** Asks what has become of it. Errors: those of the transport. */
  async look(run: Run): Promise<Looked> {
    const awaited = this.#awaited && (await this.#stillOpen(this.#awaited))
    this.#awaited = awaited
    if (awaited === undefined) return { kind: 'nothing' }
    const { receipt, offers, ack } = awaited
    const answer = await this.#ask(run, receipt)
    if (answer?.status === 202) return { kind: 'waiting', untilMs: this.#nextMs() }
    this.#awaited = undefined
    if (answer === undefined) return { kind: 'nothing' }
    const error = wholeError(answer, this.#context.env.now())
    if (error) return { kind: 'failed', offers, error }
    try {
      return { kind: 'decided', answers: readAnswers(offers, answer.body), ack }
    } catch (invalid) {
      if (invalid instanceof SyncError) return { kind: 'failed', offers, error: invalid }
      throw invalid
    }
  }

  /** Without those that a pull has settled meanwhile; undefined when none is left. */
  async #stillOpen(awaited: Awaited): Promise<Awaited | undefined> {
    const rows = await this.#context.database.all(
      "SELECT id FROM _outbox WHERE status = 'sending' AND status <> 'pending' AND seq IN (SELECT value FROM json_each(?))",
      [JSON.stringify(awaited.offers.map(({ seqs }) => seqs[0]))],
    )
    const open = new Set(rows.map((row) => row['id']))
    const offers = awaited.offers.filter(({ mutation }) => open.has(mutation.id))
    return offers.length === 0 ? undefined : { ...awaited, offers }
  }

  /** undefined: the server knows no such receipt, or no receipts. */
  async #ask(run: Run, receipt: string): Promise<Answer | undefined> {
    try {
      return await this.#context.session.ask(run, { method: 'GET', path: `/sync/receipts/${receipt}` })
    } catch (error) {
      const isUnknown =
        error instanceof SyncError && error.retry === 'never' && failureOf(error).kind !== 'pause'
      if (isUnknown) return undefined
      throw error
    }
  }

  /** Streams tell of results; asking is for those who hear nothing. */
  #nextMs(): number {
    const { env, limits } = this.#context
    const ceilingMs = Math.min(limits.syncIntervalMs, limits.receiptPollMs * 2 ** Math.min(this.#asked, 10))
    this.#asked += 1
    return env.monotonicMs() + ceilingMs * (0.5 + env.random() / 2)
  }
}

/** The receipt in an answer with 202. Errors: RESPONSE_INVALID. */
export function receiptOf({ body }: Answer): string {
  const receipt = isObject(body) ? body['receipt'] : undefined
  if (typeof receipt === 'string' && /^[\w-]{1,100}$/.test(receipt)) return receipt
  throw new SyncError('RESPONSE_INVALID', 'a push was taken without a receipt')
}

function wholeError({ body }: Answer, nowMs: number): SyncError | undefined {
  if (!isObject(body) || !('error' in body)) return undefined
  return errorOfAnswer({ status: 500, mediaType: 'application/json', retryAfter: null, body, nowMs })
}
