import { type Environment, SyncError } from '@holdfast/core'

/**
 * Gives up a request that is silent for `silenceMs`, takes longer than `totalMs`, or is called off by `outer`: the
 * signal aborts with the reason. `stop` must be called when the request is over. Rules: SY-5.
 */
export class Watchdog {
  readonly #env: Pick<Environment, 'setTimer'>
  readonly #silenceMs: number
  readonly #controller = new AbortController()
  readonly #outer: AbortSignal
  readonly #onOuter = (): void => this.#controller.abort(this.#outer.reason)
  #cancelSilence: () => void
  #cancelHurried: (() => void) | undefined
  readonly #cancelTotal: () => void

  constructor(
    env: Pick<Environment, 'setTimer'>,
    options: { readonly silenceMs: number; readonly totalMs?: number; readonly outer: AbortSignal },
  ) {
    this.#env = env
    this.#silenceMs = options.silenceMs
    this.#outer = options.outer
    if (options.outer.aborted) this.#onOuter()
    options.outer.addEventListener('abort', this.#onOuter)
    this.#cancelSilence = this.#arm(options.silenceMs)
    this.#cancelTotal = options.totalMs === undefined ? () => undefined : this.#arm(options.totalMs)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** There was a sign of life. */
  feed(): void {
    this.#cancelSilence()
    this.#calmDown()
    if (!this.signal.aborted) this.#cancelSilence = this.#arm(this.#silenceMs)
  }

  /** Without a sign of life it is given up after `silenceMs` from now, if not before. Saying so again puts nothing off. */
  hurry(silenceMs: number): void {
    if (!this.signal.aborted) this.#cancelHurried ??= this.#arm(silenceMs)
  }

  /** Ends the watch. */
  stop(): void {
    this.#cancelSilence()
    this.#calmDown()
    this.#cancelTotal()
    this.#outer.removeEventListener('abort', this.#onOuter)
  }

  /** What `work` gives, or the reason of the abort as soon as there is one, even when `work` never ends. */
  race<T>(work: Promise<T>): Promise<T> {
    const { signal } = this
    return new Promise<T>((resolve, reject) => {
      const onAbort = (): void => reject(abortError(signal.reason))
      if (signal.aborted) onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
    })
  }

  #calmDown(): void {
    this.#cancelHurried?.()
    this.#cancelHurried = undefined
  }

  #arm(delayMs: number): () => void {
    const silent = (): void => this.#controller.abort(new SyncError('TIMEOUT', `no answer for ${delayMs} ms`))
    return this.#env.setTimer(silent, delayMs)
  }
}

function abortError(reason: unknown): Error {
  return reason instanceof Error
    ? reason
    : new SyncError('OFFLINE', 'the request was called off', { cause: reason })
}
