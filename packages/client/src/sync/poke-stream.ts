import { type CancelTimer, type Environment, type Limits, SyncError } from '@holdfast/core'
import type { Transport } from '../transport/transport.ts'
import { retryDelayMs } from './retry-policy.ts'
import { newTraceparent } from './session.ts'

/** What a poke stream is made from. */
export interface PokeStreamOptions {
  readonly env: Environment
  readonly transport: Transport
  readonly limits: Pick<Limits, 'retryBaseMs' | 'retryCapMs' | 'probeIntervalMs'>
  /** Told for every event of the server, and with `open` when the stream stands: what was missed is to be looked for. */
  readonly onEvent: (event: string) => void
}

/**
 * The server's hints that there is something new. Hints only: whatever is lost of it costs time and nothing else, and a
 * server without streams is asked again at the longest wait. A token may be good again at any moment. Rules: SY-19.
 */
export class PokeStream {
  readonly #options: PokeStreamOptions
  #controller: AbortController | undefined
  #failures = 0
  #cancelRetry: CancelTimer = () => undefined

  constructor(options: PokeStreamOptions) {
    this.#options = options
  }

  /** Follows the stream from now on; harmless when it does already. */
  start(): void {
    if (this.#controller) return
    const controller = new AbortController()
    this.#controller = controller
    void this.#follow(controller)
  }

  /** Lets go of the stream; harmless when there is none. */
  stop(): void {
    this.#cancelRetry()
    this.#controller?.abort(new Error('the stream is not wanted any more'))
    this.#controller = undefined
  }

  async #follow(controller: AbortController): Promise<void> {
    const { env, transport, onEvent } = this.#options
    const ask = {
      method: 'GET',
      path: '/sync/stream',
      traceparent: newTraceparent(env),
      signal: controller.signal,
    } as const
    let isUseless = false
    try {
      await transport.follow(ask, (event) => {
        if (this.#controller !== controller) return
        this.#failures = 0
        onEvent(event)
      })
    } catch (error) {
      isUseless = error instanceof SyncError && error.retry !== 'backoff' && error.retry !== 'after_auth'
    }
    if (this.#controller === controller) this.#retryLater(controller, isUseless)
  }

  #retryLater(controller: AbortController, isUseless: boolean): void {
    const { env, limits } = this.#options
    this.#failures += 1
    const failed = { failures: this.#failures + 1, roll: env.random(), retryAfterMs: undefined }
    const delayMs = isUseless ? limits.retryCapMs : retryDelayMs(failed, limits)
    this.#cancelRetry = env.setTimer(() => void this.#follow(controller), delayMs)
  }
}
