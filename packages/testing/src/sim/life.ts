import type { Scheduler } from './scheduler.ts'

/**
 * One life of a process, from its start to its end. After its end nothing reaches it any more, and what it waited for
 * never comes; while it is suspended everything waits.
 */
export class Life {
  readonly #scheduler: Scheduler
  readonly #waiting: (() => void)[] = []
  #isAlive = true
  #isSuspended = false
  #callsLeft = Number.POSITIVE_INFINITY
  #onDeath: () => void = () => undefined

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  get isSuspended(): boolean {
    return this.#isSuspended
  }

  /** It dies at the nth call of anything outside itself: a statement, a timer, the clock, chance, the network. */
  dieAfter(calls: number, onDeath: () => void): void {
    this.#callsLeft = calls
    this.#onDeath = onDeath
  }

  /** Counts a call of something outside. False: it died before. */
  call(): boolean {
    if (!this.#isAlive) return false
    this.#callsLeft -= 1
    if (this.#callsLeft > 0) return true
    this.end()
    this.#scheduler.after(0, this.#onDeath)
    return false
  }

  end(): void {
    this.#isAlive = false
    this.#waiting.length = 0
  }

  suspend(): void {
    this.#isSuspended = true
  }

  resume(): void {
    this.#isSuspended = false
    for (const deliver of this.#waiting.splice(0)) this.#scheduler.after(0, () => this.deliver(deliver))
  }

  /** Something from outside reaches it: now, after it was resumed, or never. */
  deliver(callback: () => void): void {
    if (!this.#isAlive) return
    if (this.#isSuspended) this.#waiting.push(callback)
    else callback()
  }

  /** A time that passes, for whoever lives. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#scheduler.after(ms, () => this.deliver(resolve))
    })
  }
}
