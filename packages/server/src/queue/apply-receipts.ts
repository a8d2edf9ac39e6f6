import {
  type Environment,
  isUuid,
  type Limits,
  parsePushRequest,
  type PushResponse,
  SyncError,
} from '@holdfast/core'

import type { Caller, Engine, Logger, User } from '../engine.ts'
import type { Store, StoredReceipt } from '../store/store.ts'
import type { ReceiptResult } from './redis-queue.ts'

/** Whose receipts. */
export interface DeviceOfUser {
  readonly user: string
  readonly device: string
}

/** What applying needs. */
export interface ApplyOptions<U extends User> {
  /** Devices at once, at most. */
  readonly concurrency: number
  readonly engine: Pick<Engine<U>, 'push' | 'grantsOf'>
  readonly store: Store
  readonly env: Environment
  readonly limits: Limits
  readonly logger: Logger | undefined
  /** Told after the answer is stored. */
  readonly onResult: (result: ReceiptResult) => void
  readonly onVerdicts: (response: PushResponse) => void
}

/** What came of a device: `nothing` where somebody else has what there was, `failed` where the store did not answer or this is closing. */
export type Applied = 'some' | 'nothing' | 'failed'

/** First wait after a failure that may pass, ms; doubled each time. */
const firstWaitMs = 500
const waitMaxMs = 60_000
const clocksDifferMs = 600_000

/**
 * Decides what was queued: of each device one push at a time, in the order in which they came. A receipt can be taken only
 * while it is the first of its device that waits, and it waits until its effects are there: so whoever comes twice or
 * late finds keys that are known, and nothing overtakes. Rules: QU-2 to QU-5, QU-7, QU-17.
 */
export class ReceiptApplier<U extends User> {
  readonly #options: ApplyOptions<U>
  readonly #running = new Set<Promise<void>>()
  /** Whoever waits for one of the others to end. */
  readonly #waiting: (() => void)[] = []
  #underWay = 0
  #isClosing = false

  constructor(options: ApplyOptions<U>) {
    this.#options = options
  }

  /** Applies what waits of the device that a receipt is of; nothing if it is unknown or was answered. Never rejects. */
  applyOf(receipt: string): Promise<void> {
    return this.#track(async () => {
      if (!isUuid(receipt)) return
      const known = await this.#options.store.read((tx) => tx.receipt(receipt))
      if (known?.answer === null) await this.#applyAll(known)
    })
  }

  /** Applies what waits of a device. Never rejects. */
  async apply(device: DeviceOfUser): Promise<Applied> {
    let applied: Applied = 'failed'
    await this.#track(async () => {
      applied = (await this.#applyAll(device)) === 0 ? 'nothing' : 'some'
    })
    return applied
  }

  /** Begins no further receipt, and waits for those under way. */
  async close(): Promise<void> {
    this.#isClosing = true
    await Promise.all(this.#running)
  }

  async #track(work: () => Promise<void>): Promise<void> {
    const done = this.#inTurn(work).catch((err: unknown) =>
      // The store does not answer; a sweep finds the receipt again.
      this.#options.logger?.warn({ err }, 'a queued push waits for the store'),
    )
    this.#running.add(done)
    await done
    this.#running.delete(done)
  }

  /** A place goes from hand to hand, so that nobody who comes later overtakes. Rules: QU-17. */
  async #inTurn(work: () => Promise<void>): Promise<void> {
    if (this.#underWay < this.#options.concurrency) this.#underWay += 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      if (!this.#isClosing) await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#underWay -= 1
    }
  }

  /** How many it took. */
  async #applyAll({ user, device }: DeviceOfUser): Promise<number> {
    const { store, limits } = this.#options
    for (let taken = 0; ; taken += 1) {
      if (this.#isClosing) return taken
      const nowMs = this.#options.env.now()
      const until = new Date(nowMs + limits.receiptLeaseMs).toISOString()
      const times = { now: new Date(nowMs).toISOString(), until, latest: latestTime(nowMs, limits) }
      const receipt = await store.write((tx) => tx.takeReceipt(user, device, times))
      if (!receipt) return taken
      if (!(await this.#applyOne(receipt))) return taken + 1
    }
  }

  /** False when it has to wait. */
  async #applyOne(receipt: StoredReceipt): Promise<boolean> {
    const { store, limits, logger, onResult, onVerdicts } = this.#options
    const { id, user, device, attempts } = receipt
    let answer: string
    try {
      const response = await this.#push(receipt)
      onVerdicts(response)
      answer = JSON.stringify(response)
    } catch (error) {
      const isLast = attempts >= limits.receiptAttempts
      logger?.warn(
        { receipt: id, accountId: user, deviceId: device, attempts, err: error },
        'a queued push failed',
      )
      if (isPassing(error) && !isLast) return this.#postpone(receipt)
      answer = JSON.stringify({ error: reportOf(error) })
    }
    await store.write((tx) => tx.answerReceipt(id, answer, this.#time()))
    onResult({ user, device, receipt: id })
    return true
  }

  /** As if it were received now, but for its clock: the device's is compared with ours of that time. */
  async #push({ caller: text, body, at, attempts }: StoredReceipt): Promise<PushResponse> {
    const { engine, env, limits } = this.#options
    // Whoever began it the last time did not live to say why it failed.
    if (attempts > limits.receiptAttempts) throw new Error('every worker that began this push died')
    // Written by `describeCaller`.
    const caller = JSON.parse(text) as Omit<Caller<U>, 'grants'>
    const { deviceNowMs } = caller
    const grants = await engine.grantsOf(caller.user)
    const waitedMs = Math.max(0, env.now() - Date.parse(at))
    const clock = deviceNowMs === undefined ? {} : { deviceNowMs: deviceNowMs + waitedMs }
    return engine.push({ ...caller, ...clock, grants }, parsePushRequest(JSON.parse(body), limits))
  }

  async #postpone({ id, attempts }: StoredReceipt): Promise<false> {
    const { env, store } = this.#options
    const waitMs = Math.min(waitMaxMs, firstWaitMs * 2 ** attempts) * (0.5 + env.random() / 2)
    await store.write((tx) => tx.postponeReceipt(id, this.#time(this.#isClosing ? 0 : waitMs)))
    return false
  }

  #time(laterMs = 0): string {
    return new Date(this.#options.env.now() + laterMs).toISOString()
  }
}

/**
 * Nobody has a receipt for longer than until then, and none came later: such a time is of a clock that was ahead. By so much
 * the clocks of nodes may differ.
 */
export function latestTime(nowMs: number, { receiptLeaseMs }: Pick<Limits, 'receiptLeaseMs'>): string {
  return new Date(nowMs + Math.max(receiptLeaseMs, waitMaxMs) + clocksDifferMs).toISOString()
}

/** Who sent a push, without grants, which are asked for anew when it is applied. */
export function describeCaller<U extends User>({ grants: _, ...caller }: Caller<U>): string {
  return JSON.stringify(caller)
}

/** What may be otherwise later; what the host's own code throws is taken for that. */
function isPassing(error: unknown): boolean {
  return !(error instanceof SyncError) || error.retry === 'backoff'
}

function reportOf(error: unknown): object {
  if (error instanceof SyncError && !isPassing(error)) {
    const { code, message, retry } = error
    return { code, message, retry }
  }
  return { code: 'SERVER_FAILED', message: 'The server failed at this push each time.', retry: 'backoff' }
}
