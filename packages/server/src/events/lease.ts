import { type CancelTimer, newUuid } from '@holdfast/core'

import type { StoredConsumer } from '../store/event-store.ts'
import type { EventContext } from './event-context.ts'

/** When a lease begins that nobody has. */
const never = { monotonic: Number.NEGATIVE_INFINITY, wall: Number.NEGATIVE_INFINITY }

/**
 * The right to work a consumer, of one node at a time. No node reads another's clock: an owner moves the beat in the store,
 * and who sees a beat stand still for `limits.eventLeaseMs` by its own clock takes over. An owner goes by both of its clocks:
 * one of them may have stood still with the machine. Rules: EV-4, EV-5.
 */
export class Lease {
  readonly owner: string
  readonly #context: EventContext
  readonly #name: string
  #startedMs = never
  #watched: { readonly beat: number; readonly sinceMs: number } | undefined

  constructor(context: EventContext, name: string) {
    this.#context = context
    this.#name = name
    this.owner = newUuid(context.env)
  }

  /** False once somebody else may have taken it. */
  isValid(): boolean {
    const { env, limits } = this.#context
    const { monotonic, wall } = this.#startedMs
    return Math.max(env.monotonicMs() - monotonic, env.now() - wall) < limits.eventLeaseMs
  }

  /** False while another node has it. True says also that nobody has changed the row since it was read. */
  async take(stored: StoredConsumer): Promise<boolean> {
    const isOwn = stored.owner === this.owner
    if (isOwn && this.isValid()) return true
    if (!isOwn && stored.owner !== '' && !this.#stoodStill(stored.beat)) return false
    return this.#moving(this.#context.store.write((tx) => tx.takeConsumer(stored, this.owner)))
  }

  /** Moves the beat while `work` runs, which may take long. */
  async during<Result>(work: () => Promise<Result>): Promise<Result> {
    const { env, limits, store } = this.#context
    let isOver = false
    let cancel: CancelTimer = () => undefined
    let renewing: Promise<unknown> = Promise.resolve()
    const renewLater = (): void => {
      cancel = env.setTimer(() => {
        renewing = this.#moving(store.write((tx) => tx.keepConsumer(this.#name, this.owner)))
          // The next one tries again; without one the lease runs out by itself.
          .catch(() => undefined)
          .then(() => {
            if (!isOver) renewLater()
          })
      }, limits.eventLeaseMs / 3)
    }
    renewLater()
    try {
      return await work()
    } finally {
      isOver = true
      cancel()
      await renewing
    }
  }

  /** A write that moves the beat, and is false where somebody else has taken over. */
  save(write: Promise<boolean>): Promise<boolean> {
    return this.#moving(write)
  }

  /** Lets others take it at once. */
  async free(): Promise<void> {
    if (!this.isValid()) return
    this.#startedMs = never
    await this.#context.store.write((tx) => tx.freeConsumer(this.#name, this.owner))
  }

  async #moving(write: Promise<boolean>): Promise<boolean> {
    const { env } = this.#context
    // Of the time before the write: whoever watches sees the beat move later than that.
    const startedMs = { monotonic: env.monotonicMs(), wall: env.now() }
    const isOurs = await write
    this.#startedMs = isOurs ? startedMs : never
    return isOurs
  }

  #stoodStill(beat: number): boolean {
    const { env, limits } = this.#context
    const nowMs = env.monotonicMs()
    if (this.#watched?.beat !== beat) this.#watched = { beat, sinceMs: nowMs }
    return nowMs - this.#watched.sinceMs >= limits.eventLeaseMs
  }
}
