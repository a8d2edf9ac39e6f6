import type { CancelTimer, Environment } from '@holdfast/core'

/** What a source has told so far. After an error `value` is the last good one, if there was one. */
export type Snapshot<T> =
  | { readonly status: 'pending'; readonly value: undefined; readonly error: null }
  | { readonly status: 'ready'; readonly value: T; readonly error: null }
  | { readonly status: 'error'; readonly value: T | undefined; readonly error: unknown }

/** Nothing is known yet. One object for all, so that it compares equal to itself. */
export const pendingSnapshot: Snapshot<never> = { status: 'pending', value: undefined, error: null }

/** Begins to watch something and gives the way to stop. */
export type StartSource<T> = (tell: (value: T) => void, fail: (error: unknown) => void) => () => void

/** What a source needs beside what it watches. */
export interface SharedSourceOptions<T> {
  readonly start: StartSource<T>
  readonly env: Pick<Environment, 'setTimer'>
  /** Called once nobody has wanted it for a while. */
  readonly onDropped: () => void
}

/**
 * How long a source goes on without subscribers, ms. Long enough for a component that is mounted again (StrictMode, a
 * page left and entered) or that waits in Suspense to find it running, short enough that what was left costs nothing.
 */
export const lingerMs = 5_000

/** How long a failure that was thrown to an error boundary is remembered without subscribers, ms: a retry asks anew. */
export const failureMs = 500

/**
 * One watch for any number of components: it begins with the first that wants it and ends when none has wanted it for
 * `lingerMs`. Rules: RE-3, RE-4.
 */
export class SharedSource<T> {
  readonly #options: SharedSourceOptions<T>
  readonly #listeners = new Set<() => void>()
  #snapshot: Snapshot<T> = pendingSnapshot
  #stop: (() => void) | undefined
  #cancelDrop: CancelTimer | undefined
  #first: PromiseWithResolvers<void> | undefined

  constructor(options: SharedSourceOptions<T>) {
    this.#options = options
  }

  get snapshot(): Snapshot<T> {
    return this.#snapshot
  }

  /** Calls `listener` whenever the snapshot is another one. Returns the way to stop. */
  subscribe(listener: () => void): () => void {
    this.#cancelDrop?.()
    this.#cancelDrop = undefined
    this.#listeners.add(listener)
    this.#begin()
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#dropAfter(lingerMs)
    }
  }

  /**
   * Resolves with the first value or failure. Until then somebody waits for it, and for a while after it although nobody
   * has subscribed: begun anew each time, a query that takes longer than that would never have been waited for long enough.
   */
  first(): Promise<void> {
    this.#first ??= Promise.withResolvers<void>()
    this.#cancelDrop?.()
    this.#begin()
    return this.#first.promise
  }

  /** Whoever looks at a failure without having subscribed throws it to a boundary, and comes back for a new attempt. */
  noteFailureSeen(): void {
    if (this.#listeners.size === 0) this.#dropAfter(failureMs)
  }

  #begin(): void {
    if (this.#stop !== undefined) return
    // A source may tell before `start` has returned.
    this.#stop = () => undefined
    this.#stop = this.#options.start(
      (value) => this.#take({ status: 'ready', value, error: null }),
      (error) => this.#take({ status: 'error', value: this.#snapshot.value, error }),
    )
  }

  #take(snapshot: Snapshot<T>): void {
    const isFirst = this.#snapshot.status === 'pending'
    this.#snapshot = snapshot
    this.#first?.resolve()
    if (isFirst && this.#listeners.size === 0) this.#dropAfter(lingerMs)
    for (const listener of this.#listeners) listener()
  }

  #dropAfter(delayMs: number): void {
    this.#cancelDrop?.()
    this.#cancelDrop = this.#options.env.setTimer(() => {
      this.#stop?.()
      this.#options.onDropped()
      // Whoever still waits for the first value asks again, and begins a new one.
      this.#first?.resolve()
    }, delayMs)
  }
}
