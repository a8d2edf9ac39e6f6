import type { Environment, Limits, Schema } from '@holdfast/core'
import type { LocalDatabase, LocalReader, LocalTransaction } from '../local/local-database.ts'
import { readMeta, writeMeta } from '../local/meta.ts'
import { countOne, countVerdicts } from '../status/tally.ts'
import { cutBatch } from '../outbox/cut-batch.ts'
import { newIdentity } from '../outbox/hold-reasons.ts'
import type { Offer } from '../outbox/offer.ts'
import { noteLostHistory } from '../apply/staging.ts'
import { type Attempt, countAttempt, endStrayWaits } from './count-attempt.ts'
import { type AnsweredOffer, readAnswers, recordAnswers } from './record-answers.ts'
import { type Batch, bodyBytes, pushBody, pushPath, readBatch } from './push-body.ts'
import { receiptOf, Receipts } from './receipts.ts'
import { readyForIdentity, reofferRaw } from './renew-identity.ts'
import { failureOf } from './retry-policy.ts'
import type { Identity } from '../sync-context.ts'
import type { Run, Session } from './session.ts'

/** What pushing needs. */
export interface PushContext {
  readonly env: Environment
  readonly schema: Schema
  readonly database: LocalDatabase
  readonly session: Session
  readonly limits: Limits
  /** Fresh entries of collections of a lower priority wait; asked before each batch. */
  readonly leastPriority: () => number
}

/** A push that failed while it carried a single mutation (or a single group): others may still get through. */
export class LonePushError extends Error {
  constructor(cause: unknown) {
    super('a push of one mutation failed', { cause })
    this.name = 'LonePushError'
  }
}

/** A batch and what the server said of it. */
interface Decided {
  readonly answers: readonly AnsweredOffer[]
  readonly ack: string
}

/** What came of a look through the outbox. */
interface Cut {
  /** undefined when there is nothing to send now. */
  readonly batch: Batch | undefined
  readonly renewed: Identity | undefined
  /** When what waits for its next attempt may go, ms of `env.monotonicMs`. */
  readonly untilMs: number
}

/** When it is worth looking again: once the mark has changed, of the outbox and what of it may go, or at a time. */
interface Blocked {
  readonly mark: string
  /** Of `env.monotonicMs`. */
  readonly untilMs: number
}

/** A push quicker than this lets the next batch be four times as large, ms. */
const quickPushMs = 2_000

/**
 * Sends the outbox, one batch at a time, until nothing is left that may go now. Stopped anywhere, it is simply begun
 * again: what was offered is offered again as the same bytes. Rules: SY-8 to SY-13.
 */
export class Push {
  readonly #context: PushContext
  readonly #receipts: Receipts
  #batchLimit: number
  /** Nothing in the outbox could go when it was looked through last. */
  #blocked: Blocked | undefined
  /** Failed alone: its next failure counts, if anything got through in between. */
  #suspect: { readonly seq: number; readonly successes: number } | undefined

  constructor(context: PushContext) {
    this.#context = context
    this.#receipts = new Receipts(context)
    this.#batchLimit = context.limits.pushBatchStart
  }

  /**
   * Returns when the first offer that waits for its next attempt may go, ms of `env.monotonicMs`; infinite when none waits.
   * Errors: those of the transport, LEASE_LOST, STORE_…, LonePushError around one of them.
   */
  async all(run: Run): Promise<number> {
    const { session } = this.#context
    const awaitedMs = await this.#lookAtReceipt(run)
    if (awaitedMs !== undefined) return awaitedMs
    for (let isFirst = true; ; isFirst = false) {
      const mark = await this.#lookForWork()
      if (mark === undefined) return this.#blocked?.untilMs ?? Number.POSITIVE_INFINITY
      const { batch, renewed, untilMs } = await session.write(
        run,
        (tx): Promise<Cut> => this.#cut(tx, isFirst),
        // What is offered is on the disk before it leaves.
        { durable: true },
      )
      if (renewed) this.#adopt(run, renewed)
      if (batch !== undefined) {
        const receiptMs = await this.#sendBatch(run, batch)
        if (receiptMs !== undefined) return receiptMs
        continue
      }
      // Later in a cycle nobody looks whether a new identity may be taken.
      if (isFirst) this.#blocked = { mark, untilMs }
      return untilMs
    }
  }

  /** `isFirst`: of the cycle. */
  async #cut(tx: LocalTransaction, isFirst: boolean): Promise<Cut> {
    const { env, limits, schema } = this.#context
    const renewed = isFirst ? await this.#renewIdentity(tx) : undefined
    const leastPriority = this.#context.leastPriority()
    const bounds = {
      nowMs: env.now(),
      maxMutations: this.#batchLimit,
      maxBytes: bodyBytes(limits),
      leastPriority,
    }
    await endStrayWaits(tx, bounds.nowMs)
    const offers = await cutBatch(tx, schema, bounds)
    if (offers.length > 0)
      return { batch: await readBatch(tx, offers, limits), renewed, untilMs: env.monotonicMs() }
    const deferredMs = Number.isFinite(leastPriority) ? limits.deferMs / 24 : Number.POSITIVE_INFINITY
    const waitMs = Math.min(deferredMs, await nextAttemptMs(tx, bounds.nowMs))
    return { batch: undefined, renewed, untilMs: env.monotonicMs() + waitMs }
  }

  /**
   * The mark before the look at the outbox; undefined when nothing can go: there is nothing to send, or what there
   * is was looked through and neither the outbox nor the hour has changed anything since. Rules: SY-22.
   */
  async #lookForWork(): Promise<string | undefined> {
    const { database, env } = this.#context
    const mark = `${await database.markOf('_outbox')} ${this.#context.leastPriority()}`
    if (this.#blocked?.mark === mark && env.monotonicMs() < this.#blocked.untilMs) return undefined
    const [open] = await database.all(
      `SELECT 1 FROM _outbox WHERE status IN ('pending', 'sending') OR (status = 'held' AND held_by = ?) LIMIT 1`,
      [newIdentity],
    )
    if (open !== undefined) return mark
    this.#blocked = { mark, untilMs: Number.POSITIVE_INFINITY }
    return undefined
  }

  /** When to ask for the decision on what was sent before, which everything else waits for; undefined when nothing is. */
  async #lookAtReceipt(run: Run): Promise<number | undefined> {
    const looked = await this.#receipts.look(run)
    if (looked.kind === 'waiting') return looked.untilMs
    if (looked.kind === 'decided') await this.#onDecided(run, looked)
    if (looked.kind === 'failed') await this.#onFailure(run, looked.offers, looked.error)
    return undefined
  }

  /** When to ask for the decision, where the server puts it off. */
  async #sendBatch(run: Run, batch: Batch): Promise<number | undefined> {
    const { offers, ack } = batch
    const { env, limits } = this.#context
    const startedMs = env.monotonicMs()
    let answer: readonly AnsweredOffer[] | string
    try {
      answer = await this.#ask(run, batch)
    } catch (error) {
      await this.#onFailure(run, offers, error)
      return undefined
    }
    const untilMs =
      typeof answer === 'string' ? this.#receipts.expect({ receipt: answer, offers, ack }) : undefined
    if (typeof answer !== 'string') await this.#onDecided(run, { answers: answer, ack })
    const isQuick = env.monotonicMs() - startedMs < quickPushMs
    if (isQuick) this.#batchLimit = Math.min(limits.pushBatchMax, this.#batchLimit * 4)
    return untilMs
  }

  /** What the server decided, or the receipt of what it has yet to decide. */
  async #ask(run: Run, batch: Batch): Promise<readonly AnsweredOffer[] | string> {
    const { session } = this.#context
    const answer = await session.ask(run, { method: 'POST', path: pushPath, body: pushBody(batch) })
    const told = { syncRunId: run.id, requestId: answer.requestId, mutations: batch.offers.length }
    if (answer.status === 202) {
      const receipt = receiptOf(answer)
      session.log('info', 'push-queued', { ...told, receipt })
      return receipt
    }
    const answers = readAnswers(batch.offers, answer.body)
    session.log('info', 'push', { ...told, results: tallyOf(answers) })
    return answers
  }

  async #onDecided(run: Run, decided: Decided): Promise<void> {
    if (this.#suspect?.seq === decided.answers[0]?.offer.seqs[0]) this.#suspect = undefined
    await this.#record(run, decided)
  }

  async #record(run: Run, { answers, ack }: Decided): Promise<void> {
    const { env, limits, schema, session } = this.#context
    const attempt = { nowMs: env.now(), roll: env.random(), limits }
    await session.write(run, async (tx) => {
      await recordAnswers(tx, answers, { ...session.identity, attempt, requeue: { schema, env } })
      await countVerdicts(
        tx,
        answers.map(({ offer, result }) => ({
          collection: offer.mutation.collection,
          status: result.status,
        })),
      )
      // The server has stored this acknowledgement; a flip may have added to it only after this cycle's push.
      if (ack !== '' && (await readMeta(tx, 'sync.ack')) === ack) await writeMeta(tx, 'sync.ack', null)
    })
    for (const { offer, result } of answers) {
      if (result.status === 'applied' || result.status === 'merged') continue
      session.log('warn', 'mutation', {
        syncRunId: run.id,
        mutationId: offer.mutation.id,
        result: result.status,
        code: result.error?.code,
      })
    }
  }

  /** A smaller batch next time; throws unless the push can go on at once. */
  async #onFailure(run: Run, offers: readonly Offer[], error: unknown): Promise<void> {
    const failure = failureOf(error)
    if (failure.code === 'EPOCH_CHANGED') await this.#context.session.write(run, noteLostHistory)
    if (failure.kind !== 'refused' && failure.kind !== 'backoff') throw error
    if (!isAlone(offers)) {
      this.#batchLimit = Math.max(1, Math.floor(Math.min(this.#batchLimit, offers.length) / 2))
      // Nothing was wrong with the way, only with the body: look for the one that is to blame without a pause.
      if (failure.kind === 'refused') return
      throw error
    }
    this.#batchLimit = 1
    const { env, limits, session } = this.#context
    const seq = offers[0]?.seqs[0] ?? 0
    const suspect = this.#suspect
    if (suspect === undefined || suspect.seq !== seq || suspect.successes === session.successes) {
      this.#suspect = { seq, successes: session.successes }
      throw new LonePushError(error)
    }
    this.#suspect = undefined
    const attempt: Attempt = {
      nowMs: env.now(),
      roll: env.random(),
      limits,
      error: { code: failure.code, message: 'the request failed while others got through' },
      retryAfterMs: failure.retryAfterMs,
    }
    await session.write(run, (tx) =>
      countAttempt(
        tx,
        offers.flatMap((offer) => offer.seqs),
        attempt,
      ),
    )
  }

  /** When everything else is settled, what was refused as another copy's goes out under a new device. */
  async #renewIdentity(tx: LocalTransaction): Promise<Identity | undefined> {
    const { session, schema } = this.#context
    const seqs = await readyForIdentity(tx, schema)
    if (seqs.length === 0) return undefined
    await reofferRaw(tx, schema, seqs)
    await countOne(tx, 'identityRenewals')
    return session.renew(tx)
  }

  #adopt(run: Run, renewed: Identity): void {
    const { session } = this.#context
    const before = session.identity.device
    session.adopt(renewed)
    session.log('warn', 'identity-renewed', { syncRunId: run.id, before, after: renewed.device })
  }
}

/** After how many ms the first offer that waits for its next attempt may go; infinite when none waits. */
async function nextAttemptMs(tx: LocalReader, nowMs: number): Promise<number> {
  const [row] = await tx.all(
    'SELECT min(next_attempt_at) AS at FROM _outbox WHERE offer IS NOT NULL AND next_attempt_at > ?',
    [nowMs],
  )
  return typeof row?.['at'] === 'number' ? row['at'] - nowMs : Number.POSITIVE_INFINITY
}

/** A batch that cannot be cut smaller: one mutation, or one user transaction. */
function isAlone(offers: readonly Offer[]): boolean {
  const group = offers[0]?.mutation.group ?? null
  return offers.length === 1 || (group !== null && offers.every((offer) => offer.mutation.group === group))
}

function tallyOf(answers: readonly AnsweredOffer[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { result } of answers) counts[result.status] = (counts[result.status] ?? 0) + 1
  return counts
}
