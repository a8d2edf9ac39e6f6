import { SyncError } from '@holdfast/core'

import type { Caller, CommitEvent, User } from '../engine.ts'
import type { ReceiptResult } from '../queue/redis-queue.ts'
import { turnedAway, UserShares } from '../queue/user-shares.ts'
import { tokenExpiry } from './identify-caller.ts'
import { PokeStream, type StreamSource } from './poke-stream.ts'

/** Every live stream of this process: one subscription to the engine, many readers. Rules: PH-18 to PH-22. */
export class StreamHub<U extends User> {
  readonly #source: StreamSource<U>
  readonly #streams = new Set<PokeStream<U>>()
  /** Those that were taken for the stream of whoever pushed, and not told. */
  readonly #passedOver = new Set<PokeStream<U>>()
  readonly #shares: UserShares
  readonly #unsubscribe: () => void
  #isClosed = false

  constructor(source: StreamSource<U>) {
    this.#source = source
    const { env, limits } = source
    this.#shares = new UserShares(env, limits.streams, limits.shareOfUser)
    this.#unsubscribe = source.engine.subscribe((event: CommitEvent) => {
      const ofSender = [...this.#streams].filter((stream) => isOf(stream, event))
      // Two streams of one device are a device and a copy of it: only one of them pushed, and nobody knows which.
      const isAlone = event.device !== null && ofSender.length === 1
      for (const stream of this.#streams) {
        if (isAlone && stream === ofSender[0]) this.#passedOver.add(stream)
        else stream.notice(event)
      }
    })
  }

  /** The body of a new stream. It ends at the reader's end, at token expiry, or with the hub. Errors: RATE_LIMITED, SERVER_CLOSING. */
  open(caller: Caller<U>): ReadableStream<Uint8Array> {
    const { env, limits, metrics } = this.#source
    // Its author was still being asked for when the hub closed.
    if (this.#isClosed) throw new SyncError('SERVER_CLOSING', 'The server is shutting down.')
    if (this.#streams.size >= limits.streams) throw turnedAway(env, 'Too many streams are open.')
    const leave = this.#shares.enter(caller.user.id)
    const stream = new PokeStream<U>({
      ...this.#source,
      caller,
      expiresAtMs: tokenExpiry(caller.user),
      onEnd: () => {
        leave()
        this.#streams.delete(stream)
        this.#passedOver.delete(stream)
        metrics.streamEnded()
      },
    })
    this.#tellPassedOver(caller)
    this.#streams.add(stream)
    metrics.streamOpened()
    return stream.body
  }

  /** A queued push was decided: its device is told, wherever it listens. Rules: QU-11. */
  tellResult({ user, device, receipt }: ReceiptResult): void {
    for (const stream of this.#streams) if (isOf(stream, { user, device })) stream.tellResult(receipt)
  }

  /** A device that listens twice has a copy, which may have pushed before it listened. */
  #tellPassedOver({ user, device }: Caller<U>): void {
    for (const stream of this.#passedOver) {
      if (!isOf(stream, { user: user.id, device })) continue
      this.#passedOver.delete(stream)
      stream.notice({ scopes: '*', user: null, device: null })
    }
  }

  /** Ends every stream. Repeating is harmless. */
  close(): void {
    this.#isClosed = true
    this.#unsubscribe()
    for (const stream of this.#streams) stream.end()
  }
}

/** Two users may name the same device: that is one of each. */
function isOf(
  stream: { readonly user: string; readonly device: string | null },
  { user, device }: Pick<CommitEvent, 'user' | 'device'>,
): boolean {
  return stream.device === device && stream.user === user
}
