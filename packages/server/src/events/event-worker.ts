import { type CancelTimer, SyncError } from '@holdfast/core'

import type { Consumer } from './consumers.ts'
import { backoffMs, deliverEvents, type Outcome } from './deliver-events.ts'
import type { EventContext } from './event-context.ts'
import { Lease } from './lease.ts'
import { readWork, type Work } from './read-work.ts'

/** What one worker has done since it started. */
export interface WorkerCounts {
  readonly delivered: number
  readonly failures: number
}

/**
 * Works one consumer, beside workers of the same consumer on other nodes: looks whether there is something to do, takes the
 * lease, delivers, and saves the place with what waits. Rules: EV-1 to EV-6, EV-16.
 */
export class EventWorker {
  readonly consumer: Consumer
  readonly #context: EventContext
  readonly #lease: Lease
  readonly #running: Promise<void>
  readonly #counts = { delivered: 0, failures: 0 }
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #isClosing = false
  #isWoken = false
  #onWake: () => void = () => undefined

  constructor(context: EventContext, consumer: Consumer) {
    this.consumer = consumer
    this.#context = context
    this.#lease = new Lease(context, consumer.name)
    this.#running = this.#run()
  }

  counts(): WorkerCounts {
    return { ...this.#counts }
  }

  /** There may be something to do. */
  wake(): void {
    this.#isWoken = true
    this.#onWake()
  }

  /** Lets attempts that have begun end, and saves what came of them. */
  close(): Promise<void> {
    this.#isClosing = true
    this.#onWake()
    return this.#running
  }

  async #run(): Promise<void> {
    let failedTurns = 0
    while (!this.#isClosing) {
      try {
        await this.#turn()
        failedTurns = 0
        await this.#sleep(this.#context.limits.eventPollMs, true)
      } catch (error) {
        failedTurns++
        this.#noteFailure(error)
        await this.#sleep(backoffMs(failedTurns, this.#context), false)
      }
    }
    // Where the store does not answer, the others see that the beat stands still.
    await this.#lease.free().catch(() => undefined)
  }

  /** Everything there is to do. */
  async #turn(): Promise<void> {
    let isMore = true
    while (isMore && !this.#isClosing) {
      this.#isWoken = false
      this.#lookedAtMs = this.#context.env.monotonicMs()
      const work = await readWork(this.#context, this.consumer)
      if (work === null || !(await this.#lease.take(work.stored))) return
      const outcome = await this.#lease.during(() => this.#deliver(work))
      if (!(await this.#save(work, outcome))) return
      this.#note(outcome)
      isMore = work.isFull
    }
  }

  #deliver(work: Work): Promise<Outcome> {
    const mayGoOn = (): boolean => !this.#isClosing && this.#lease.isValid()
    return deliverEvents({ ...this.#context, consumer: this.consumer, mayGoOn }, work)
  }

  /** False where another node has taken over, which then delivers the same again. */
  #save({ due, place }: Work, { delivered, failed, untried }: Outcome): Promise<boolean> {
    const { name } = this.consumer
    const { owner } = this.#lease
    const gone = new Set(due.map(({ n }) => n))
    return this.#lease.save(
      this.#context.store.write(async (tx) => {
        if (!(await tx.keepConsumer(name, owner, place))) return false
        await tx.unparkEvents(
          name,
          delivered.map(({ n }) => n).filter((n) => gone.has(n)),
        )
        await tx.parkEvents([...failed, ...untried])
        return true
      }),
    )
  }

  /** Rules: EV-14. */
  #note({ delivered, failed }: Outcome): void {
    this.#counts.delivered += delivered.length
    this.#counts.failures += failed.length
    for (const { collection, record, reason, attempts, isDead, n } of failed) {
      const fields = { consumer: this.consumer.name, n, collection, record, reason, attempts }
      this.#context.logger?.warn(fields, isDead ? 'an event was given up' : 'an event was not taken')
    }
  }

  #noteFailure(error: unknown): void {
    if (this.#isClosing) return
    const code = error instanceof SyncError ? error.code : undefined
    const fields = { consumer: this.consumer.name, code, ...(code === undefined && { err: error }) }
    this.#context.logger?.warn(fields, 'events wait for the store')
  }

  /** Ends early when it may be woken and is; commits that are close together share a look. */
  #sleep(waitMs: number, mayWake: boolean): Promise<void> {
    const { env, limits } = this.#context
    return new Promise((resolve) => {
      let cancel: CancelTimer = () => undefined
      const end = (): void => {
        cancel()
        this.#onWake = () => undefined
        resolve()
      }
      const endIn = (ms: number): void => {
        cancel()
        cancel = env.setTimer(end, Math.max(0, ms))
      }
      this.#onWake = () => {
        if (this.#isClosing) end()
        else if (mayWake) endIn(this.#lookedAtMs + limits.eventIntervalMs - env.monotonicMs())
      }
      endIn(waitMs)
      if (this.#isWoken || this.#isClosing) this.#onWake()
    })
  }
}
