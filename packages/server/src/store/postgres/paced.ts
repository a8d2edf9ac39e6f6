import type { CancelTimer, Environment } from '@holdfast/core'

/** What is paced. */
export interface PacedOptions {
  readonly env: Pick<Environment, 'setTimer'>
  /** From the beginning of one run to that of the next at least, ms. */
  readonly everyMs: number
  /** Must not reject. */
  readonly run: () => Promise<void>
}

/**
 * Work that many ask for and that serves all who asked before it began: who asks after a quiet time is served at once, and
 * all who ask during a run or too soon after it share the next one.
 */
export class Paced {
  readonly #options: PacedOptions
  /** A run, and the rest of the time that it stands for. */
  #turn: Promise<unknown> | undefined
  #next: Promise<void> | undefined
  #endRest: () => void = () => undefined
  #isStopped = false

  constructor(options: PacedOptions) {
    this.#options = options
  }

  /** Resolves when a run that began after this call is over. */
  ask(): Promise<void> {
    if (this.#next) return this.#next
    if (!this.#turn) return this.#begin()
    this.#next = this.#turn.then(() => this.#begin())
    return this.#next
  }

  /** Begins no more runs, and resolves when the last one is over. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#endRest()
    await this.#turn
  }

  #begin(): Promise<void> {
    this.#next = undefined
    if (this.#isStopped) return Promise.resolve()
    const { env, everyMs, run } = this.#options
    const running = run()
    const rest = new Promise<void>((resolve) => {
      const cancel: CancelTimer = env.setTimer(resolve, everyMs)
      this.#endRest = () => {
        cancel()
        resolve()
      }
    })
    this.#turn = Promise.all([running, rest]).then(() => {
      this.#turn = undefined
    })
    return running
  }
}
