import type { Environment } from '@holdfast/core'

import type { Store } from '../store/store.ts'
import type { AutoBounds } from './ingest-options.ts'

/** A wait counts half as much after so many ms. */
const halfLifeMs = 1_000

/** How busy this process is with pushes: high from a bound on, low again when it was below half of it for a while. Rules: QU-10. */
export class Load {
  readonly #env: Pick<Environment, 'monotonicMs'>
  readonly #bounds: Required<AutoBounds>
  #inFlight = 0
  #waitMs = 0
  #waitAtMs = 0
  #isHigh = false
  #hasBacklog = false
  #busyAtMs = 0

  constructor(env: Pick<Environment, 'monotonicMs'>, bounds: AutoBounds = {}) {
    this.#env = env
    this.#bounds = { pushes: 32, waitMs: 250, calmMs: 5_000, ...bounds }
  }

  /** A push begins; to be called at its end. */
  begin(): () => void {
    this.#inFlight += 1
    return () => {
      this.#inFlight -= 1
    }
  }

  /** A writer waited so long for its turn. */
  waited(ms: number): void {
    this.#waitMs = Math.max(this.#wait(), ms)
    this.#waitAtMs = this.#env.monotonicMs()
  }

  /** Whether receipts were waiting when somebody looked last: load does not end before them. */
  backlog(isThere: boolean): void {
    this.#hasBacklog = isThere
  }

  /** Looked at with every push: pushes are queued while it holds. */
  isHigh(): boolean {
    const { pushes, waitMs, calmMs } = this.#bounds
    const nowMs = this.#env.monotonicMs()
    const wait = this.#wait()
    if (this.#inFlight > pushes || wait > waitMs) this.#isHigh = true
    const isBusy = this.#hasBacklog || this.#inFlight > pushes / 2 || wait > waitMs / 2
    if (isBusy) this.#busyAtMs = nowMs
    else if (nowMs - this.#busyAtMs >= calmMs) this.#isHigh = false
    return this.#isHigh
  }

  #wait(): number {
    return this.#waitMs * 0.5 ** ((this.#env.monotonicMs() - this.#waitAtMs) / halfLifeMs)
  }
}

/** The same store, telling how long its writers wait: for a connection, a lock, or whoever writes before them. */
export function measuredStore(store: Store, load: Load, env: Pick<Environment, 'monotonicMs'>): Store {
  return {
    kind: store.kind,
    open: (setup) => store.open(setup),
    read: (work) => store.read(work),
    onForeignCommit: (listener) => store.onForeignCommit(listener),
    close: () => store.close(),
    hostWrite: (work) => store.hostWrite(work),
    write: (work, options) => {
      const startedMs = env.monotonicMs()
      let isFirst = true
      return store.write((tx) => {
        if (isFirst) load.waited(env.monotonicMs() - startedMs)
        isFirst = false
        return work(tx)
      }, options)
    },
  }
}
