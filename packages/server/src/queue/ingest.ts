import {
  type CancelTimer,
  type Environment,
  isObject,
  isUuid,
  type Limits,
  newUuid,
  type PushRequest,
  type PushResponse,
  type Schema,
  SyncError,
} from '@holdfast/core'

import type { Caller, Engine, Logger, User } from '../engine.ts'
import type { NewReceipt, Store, WaitingReceipt } from '../store/store.ts'
import { describeCaller, latestTime, ReceiptApplier } from './apply-receipts.ts'
import type { IngestOptions } from './ingest-options.ts'
import type { Load } from './load.ts'
import { ReceiptInbox } from './receipt-inbox.ts'
import { RedisQueue, type ReceiptResult } from './redis-queue.ts'

/** What a push is taken in with. */
export interface IngestParts<U extends User> {
  readonly engine: Pick<Engine<U>, 'push' | 'grantsOf'>
  readonly store: Store
  readonly schema: Schema
  readonly env: Environment
  readonly limits: Limits
  readonly logger: Logger | undefined
  readonly load: Load
  readonly options: IngestOptions
  /** Told of every queued push that was decided, here or elsewhere; more than once perhaps. */
  readonly onResult: (result: ReceiptResult) => void
  readonly onVerdicts: (response: PushResponse) => void
}

/** What became of a push. */
export type Ingested =
  | { readonly kind: 'decided'; readonly response: PushResponse }
  | { readonly kind: 'queued'; readonly receipt: string }

/** A receipt, as its device is told. `text`: of the answer, null while it waits. */
export interface ReceiptState {
  readonly text: string | null
}

/** Numbers for metrics. */
export interface IngestStats {
  readonly waiting: number
  readonly oldestAt: string | null
  /** Jobs in the queue; undefined without one, or when it does not say. */
  readonly jobs: number | undefined
  /** Pushes that were given a receipt since the start. */
  readonly queued: number
  readonly isLoaded: boolean
}

/** A stray that is older than so many looks is applied by whoever finds it, whatever became of its job. */
const looksForJobs = 12
/** When so many of a look are in other hands by now, another look is worth more than the rest of this one. */
const takenMost = 8

/**
 * Takes pushes in: decides them in the request, or stores them and lets a worker decide. The database has every push that
 * was answered with a receipt; the queue only says where to look, and a sweep finds what it forgot. Rules: QU-1 to QU-12.
 */
export class Ingest<U extends User> {
  readonly #parts: IngestParts<U>
  readonly #queue: RedisQueue | undefined
  readonly #inbox: ReceiptInbox
  readonly #applier: ReceiptApplier<U>
  readonly #works: boolean
  readonly #concurrency: number
  readonly #highest: number
  /** Whether receipts may be waiting: always with a queue, without one as long as there are some of before. */
  #looks: boolean
  #queued = 0
  #isClosed = false
  #cancelSweep: CancelTimer = () => undefined
  #sweeping: Promise<void> = Promise.resolve()
  #forgotAtMs = Number.NEGATIVE_INFINITY

  private constructor(parts: IngestParts<U>, queue: RedisQueue | undefined, looks: boolean) {
    const { store, options, schema, onResult } = parts
    this.#parts = parts
    this.#queue = queue
    this.#looks = looks
    this.#works = options.works ?? true
    this.#concurrency = options.concurrency ?? 4
    this.#highest = Math.max(0, ...[...schema.collections.values()].map(({ priority }) => priority))
    this.#inbox = new ReceiptInbox(store, (receipts) => void this.#send(receipts))
    this.#applier = new ReceiptApplier({
      ...parts,
      concurrency: this.#concurrency,
      onResult: (result) => {
        onResult(result)
        queue?.tell(result)
      },
    })
    queue?.listen(onResult)
    if (queue !== undefined && this.#works)
      queue.work((receipt) => this.#applier.applyOf(receipt), this.#concurrency)
    if (looks) this.#planSweep(0)
  }

  /** Errors: when a queue is asked for and cannot be had. */
  static async open<U extends User>(parts: IngestParts<U>): Promise<Ingest<U>> {
    const { mode = 'inline', redis, queue: name = 'holdfast' } = parts.options
    // What a server with a queue left is applied, and not overtaken, by one without.
    const { waiting } = await parts.store.read((tx) => tx.receiptCounts())
    if (redis === undefined) {
      if (mode !== 'inline') throw new Error(`ingest: { mode: '${mode}' } needs redis: 'redis://…'`)
      return new Ingest(parts, undefined, waiting > 0)
    }
    return new Ingest(
      parts,
      await RedisQueue.open({ url: redis, name, env: parts.env, logger: parts.logger }),
      true,
    )
  }

  /** `body` is the text that `request` was read from. Errors: those of `Engine.push`, of the batch as a whole. */
  async push(caller: Caller<U>, body: string, request: PushRequest): Promise<Ingested> {
    const done = this.#parts.load.begin()
    try {
      const device = caller.device ?? ''
      if (!(await this.#isToQueue(caller.user.id, device)))
        return { kind: 'decided', response: await this.#parts.engine.push(caller, request) }
      return { kind: 'queued', receipt: await this.#enqueue(caller, body, request) }
    } finally {
      done()
    }
  }

  /** What became of a receipt of this user; null when there is none, or not any more. */
  async receipt(user: string, id: string): Promise<ReceiptState | null> {
    if (!isUuid(id)) return null
    const receipt = await this.#parts.store.read((tx) => tx.receipt(id))
    // Of a node that has gone since, with a queue: its device waits for nobody else.
    if (receipt?.answer === null && !this.#looks) {
      this.#looks = true
      this.#planSweep(0)
    }
    return receipt?.user === user ? { text: receipt.answer } : null
  }

  async stats(): Promise<IngestStats> {
    const counts = await this.#parts.store.read((tx) => tx.receiptCounts())
    const jobs = await this.#queue?.depth()
    return { ...counts, jobs, queued: this.#queued, isLoaded: this.#parts.load.isHigh() }
  }

  /** Finishes the receipts that are being applied and takes no more; those that wait are there after the next start. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancelSweep()
    await this.#applier.close()
    await this.#sweeping
    await this.#queue?.close()
  }

  /** What a device queued before is decided before: nothing of it may be overtaken by a push that is decided at once. */
  async #isToQueue(user: string, device: string): Promise<boolean> {
    const { mode = 'inline' } = this.#parts.options
    const isWanted = mode === 'queued' || (mode === 'auto' && this.#parts.load.isHigh())
    if (isWanted && this.#queue?.isReachable === true) return true
    if (!this.#looks) return false
    return this.#parts.store.read((tx) => tx.hasWaitingReceipts(user, device))
  }

  async #enqueue(caller: Caller<U>, body: string, request: PushRequest): Promise<string> {
    const { env, limits } = this.#parts
    if (request.mutations.length > limits.pushBatchMax)
      throw new SyncError('REQUEST_TOO_LARGE', `a push takes at most ${limits.pushBatchMax} mutations`)
    const receipt = {
      id: newUuid(env),
      user: caller.user.id,
      device: caller.device ?? '',
      caller: describeCaller(caller),
      // As it came: written anew, a number beyond every number would be null.
      body,
      priority: this.#priorityOf(request),
      at: new Date(env.now()).toISOString(),
    }
    await this.#inbox.put(receipt)
    this.#queued += 1
    return receipt.id
  }

  #priorityOf({ mutations }: PushRequest): number {
    const { collections } = this.#parts.schema
    const priorities = mutations.map((mutation) => {
      const name = nameOfCollection(mutation)
      return name === undefined ? 0 : (collections.get(name)?.priority ?? 0)
    })
    return priorities.reduce((highest, each) => Math.max(highest, each), priorities[0] ?? 0)
  }

  async #send(receipts: readonly (WaitingReceipt | NewReceipt)[]): Promise<boolean> {
    const jobs = receipts.map(({ id, priority }) => ({ receipt: id, rank: this.#highest - priority }))
    return (await this.#queue?.add(jobs)) ?? false
  }

  #planSweep(delayMs: number): void {
    if (this.#isClosed) return
    const { env, limits, logger } = this.#parts
    const { receiptSweepMs } = limits
    this.#cancelSweep()
    this.#cancelSweep = env.setTimer(() => {
      this.#sweeping = this.#sweep()
        .catch((err: unknown) => logger?.warn({ err }, 'queued pushes cannot be looked through'))
        .then(() => {
          if (this.#looks) this.#planSweep(receiptSweepMs * (0.75 + env.random() / 2))
        })
    }, delayMs)
  }

  /** Finds receipts that no job brought, and gives them another job, or applies them where there is no queue. Rules: QU-6. */
  async #sweep(): Promise<void> {
    const { load, limits, store } = this.#parts
    const { waiting } = await store.read((tx) => tx.receiptCounts())
    load.backlog(waiting > 0)
    if (waiting > 0) while ((await this.#bringStrays()) && !this.#isClosed);
    else this.#looks = this.#queue !== undefined
    await this.#forget(limits.receiptKeptMs)
  }

  /** True when there are more than it could hold. */
  async #bringStrays(): Promise<boolean> {
    const { receiptSweepMs, receiptsSwept } = this.#parts.limits
    const isSent = this.#queue?.isReachable === true && (await this.#send(await this.#strays(receiptSweepMs)))
    if (!this.#works) return false
    const strays = await this.#strays(isSent ? receiptSweepMs * looksForJobs : 0)
    const devices = this.#inOwnOrder(strays)[Symbol.iterator]()
    let taken = 0
    let hasFailed = false
    const work = async (): Promise<void> => {
      for (const device of devices) {
        if (this.#isClosed || hasFailed || taken >= takenMost) return
        const applied = await this.#applier.apply(device)
        if (applied === 'nothing') taken += 1
        hasFailed ||= applied === 'failed'
      }
    }
    await Promise.all(Array.from({ length: this.#concurrency }, work))
    // A store that takes no writes is asked again by the next sweep.
    return !hasFailed && (strays.length >= receiptsSwept || taken >= takenMost)
  }

  /** The urgent ones first, and otherwise as no other node goes through them. Rules: QU-6, QU-9. */
  #inOwnOrder(strays: readonly WaitingReceipt[]): readonly WaitingReceipt[] {
    const { env } = this.#parts
    const drawn = strays.map((stray) => ({ stray, at: env.random() }))
    drawn.sort((left, right) => right.stray.priority - left.stray.priority || left.at - right.at)
    return drawn.map(({ stray }) => stray)
  }

  #strays(ageMs: number): Promise<readonly WaitingReceipt[]> {
    const { env, limits, store } = this.#parts
    const nowMs = env.now()
    const now = new Date(nowMs).toISOString()
    const before = new Date(nowMs - ageMs).toISOString()
    const latest = latestTime(nowMs, limits)
    return store.read((tx) => tx.strayReceipts({ before, now, latest, limit: limits.receiptsSwept }))
  }

  /** Now and then, not with every look. */
  async #forget(keptMs: number): Promise<void> {
    const { env, store } = this.#parts
    if (env.monotonicMs() - this.#forgotAtMs < keptMs / 10) return
    this.#forgotAtMs = env.monotonicMs()
    await store.write((tx) => tx.forgetReceipts(new Date(env.now() - keptMs).toISOString()))
  }
}

function nameOfCollection(mutation: unknown): string | undefined {
  const name = isObject(mutation) ? mutation['collection'] : undefined
  return typeof name === 'string' ? name : undefined
}
