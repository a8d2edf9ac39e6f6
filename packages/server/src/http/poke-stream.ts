import type { CancelTimer, Environment, Limits } from '@holdfast/core'

import type { Caller, CommitEvent, Engine, Grants, User } from '../engine.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { Logger } from '../server.ts'

/** What streams are made from. */
export interface StreamSource<U extends User> {
  readonly engine: Pick<Engine<U>, 'grantsOf' | 'concerns' | 'subscribe'>
  readonly env: Environment
  readonly limits: Limits
  readonly metrics: Metrics
  readonly logger: Logger | undefined
}

/** One stream's part of a hub. */
export interface PokeStreamOptions<U extends User> extends StreamSource<U> {
  readonly caller: Caller<U>
  /** When the reader's token ends, ms since 1970. */
  readonly expiresAtMs: number | undefined
  readonly onEnd: () => void
}

/** Commits remembered until the next look; more than that count as "anything may have changed". */
const noticedMax = 100

const utf8 = new TextEncoder()
const pokeBytes = utf8.encode('event: poke\ndata: {}\n\n')
const heartbeatBytes = utf8.encode(': still here\n\n')

/**
 * Server-sent events for one device. It begins with a poke, because nobody can know what was missed before; then each
 * commit that concerns the grants of that moment is a poke, and so is a change of the grants. Pokes that a slow reader
 * has not taken are one poke, so a stalled connection holds a few bytes. Rules: PH-18 to PH-22.
 */
export class PokeStream<U extends User> {
  readonly body: ReadableStream<Uint8Array>
  readonly #options: PokeStreamOptions<U>
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  #grantsText: string
  #noticed: CommitEvent[] = []
  #noticedAtMs = 0
  #isLooking = false
  #isPokeOwed = true
  #cancelBeat: CancelTimer = () => undefined
  #cancelLook: CancelTimer = () => undefined

  constructor(options: PokeStreamOptions<U>) {
    this.#options = options
    this.#grantsText = grantsText(options.caller.grants)
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => this.#sendOwed(),
        cancel: () => this.end(),
      },
      { highWaterMark: 4 },
    )
    this.#planBeat()
  }

  /** The device that reads it. */
  get device(): string | null {
    return this.#options.caller.device
  }

  /** The account it is of. */
  get user(): string {
    return this.#options.caller.user.id
  }

  /** A queued push was decided. A reader that has not taken the last one is owed a poke instead, which says as much. */
  tellResult(receipt: string): void {
    if ((this.#controller?.desiredSize ?? 0) <= 0) return this.#poke()
    this.#controller?.enqueue(utf8.encode(`event: result\ndata: ${JSON.stringify({ receipt })}\n\n`))
  }

  /** A commit happened that its reader may not know of. Looked at soon, together with its neighbours. */
  notice(event: CommitEvent): void {
    if (this.#controller === undefined) return
    if (this.#noticed.length === 0) this.#noticedAtMs = this.#options.env.monotonicMs()
    if (this.#noticed.length < noticedMax) this.#noticed.push(event)
    else this.#noticed = [{ scopes: '*', device: null, user: null }]
    if (this.#isLooking) return
    this.#isLooking = true
    void this.#look()
  }

  /** Ends the stream for its reader. Repeating is harmless. */
  end(): void {
    if (this.#controller === undefined) return
    const controller = this.#controller
    this.#controller = undefined
    this.#cancelBeat()
    this.#cancelLook()
    this.#options.onEnd()
    try {
      controller.close()
    } catch {
      // The reader cancelled, which closed it already.
    }
  }

  /** Asks for the grants of now and pokes if a noticed commit, or a change of the grants, concerns them. */
  async #look(): Promise<void> {
    const { engine, env, limits, metrics, logger, caller } = this.#options
    const noticed = this.#noticed
    const noticedAtMs = this.#noticedAtMs
    this.#noticed = []
    let restMs: number = limits.pokeIntervalMs
    try {
      const grants = await engine.grantsOf(caller.user)
      const text = grantsText(grants)
      const isConcerned = noticed.some((event) => engine.concerns({ user: caller.user, grants }, event))
      if (isConcerned) metrics.pokeSent(env.monotonicMs() - noticedAtMs)
      if (isConcerned || text !== this.#grantsText) this.#poke()
      this.#grantsText = text
    } catch (err) {
      // The host could not say. Nothing is told meanwhile, and it is not asked in a hurry.
      this.#noticed.push(...noticed)
      restMs = limits.streamHeartbeatMs
      logger?.warn(
        { requestId: caller.requestId, accountId: caller.user.id, err },
        'grants of a stream cannot be had',
      )
    }
    if (this.#controller === undefined) return
    this.#cancelLook = env.setTimer(() => {
      if (this.#noticed.length > 0) void this.#look()
      else this.#isLooking = false
    }, restMs)
  }

  #poke(): void {
    this.#isPokeOwed = true
    if ((this.#controller?.desiredSize ?? 0) > 0) this.#sendOwed()
  }

  #sendOwed(): void {
    if (!this.#isPokeOwed) return
    this.#isPokeOwed = false
    this.#controller?.enqueue(pokeBytes)
  }

  #planBeat(): void {
    const { env, limits, expiresAtMs } = this.#options
    const leftMs = expiresAtMs === undefined ? Number.POSITIVE_INFINITY : Math.max(0, expiresAtMs - env.now())
    this.#cancelBeat = env.setTimer(() => this.#beat(), Math.min(limits.streamHeartbeatMs, leftMs))
  }

  #beat(): void {
    const { env, expiresAtMs } = this.#options
    if (expiresAtMs !== undefined && env.now() >= expiresAtMs) return this.end()
    if ((this.#controller?.desiredSize ?? 0) > 0) this.#controller?.enqueue(heartbeatBytes)
    if (!this.#isLooking) {
      this.#isLooking = true
      void this.#look()
    }
    this.#planBeat()
  }
}

function grantsText(grants: Grants): string {
  return typeof grants === 'string' ? grants : JSON.stringify([...grants].sort())
}
