import { type Environment, type Limits, SyncError } from '@holdfast/core'

import { UserShares } from './user-shares.ts'

/** What is counted together. */
export type Admitted = 'push' | 'pull' | 'upload'

interface Gate {
  readonly bound: number
  readonly shares: UserShares
  inFlight: number
  /** Mean time of one request, ms. */
  meanMs: number
  /** When the next one that is turned away may come back, ms of `monotonicMs`. */
  nextMs: number
}

const leastWaitMs = 1_000
const memory = 0.05

/**
 * Bounds what one process works on at once. Whoever is turned away is told a time at which there is room for them: each
 * gets the next place in a row that is as fast as the server has been, so that a fleet that comes together does not come
 * back together. Rules: QU-14, QU-15.
 */
export class Admission {
  readonly #env: Pick<Environment, 'monotonicMs' | 'random'>
  readonly #capMs: number
  readonly #gates: Readonly<Record<Admitted, Gate>>
  /** Requests turned away since the start. */
  turnedAway = 0

  constructor(
    env: Pick<Environment, 'monotonicMs' | 'random'>,
    limits: Pick<
      Limits,
      'pushesInFlight' | 'pullsInFlight' | 'uploadsInFlight' | 'shareOfUser' | 'turnAwayMs'
    >,
  ) {
    this.#env = env
    this.#capMs = limits.turnAwayMs
    const gate = (bound: number): Gate => ({
      bound,
      shares: new UserShares(env, bound, limits.shareOfUser),
      inFlight: 0,
      meanMs: 100,
      nextMs: 0,
    })
    this.#gates = {
      push: gate(limits.pushesInFlight),
      pull: gate(limits.pullsInFlight),
      upload: gate(limits.uploadsInFlight),
    }
  }

  /** Lets a request in; to be called at its end. Errors: RATE_LIMITED. */
  enter(kind: Admitted): () => void {
    const gate = this.#gates[kind]
    if (gate.inFlight >= gate.bound) {
      this.turnedAway += 1
      const retryAfterMs = this.#nextPlaceMs(gate)
      throw new SyncError('RATE_LIMITED', 'The server has more to do than it can take in.', { retryAfterMs })
    }
    gate.inFlight += 1
    const startedMs = this.#env.monotonicMs()
    return () => {
      gate.inFlight -= 1
      gate.meanMs += memory * (this.#env.monotonicMs() - startedMs - gate.meanMs)
    }
  }

  /** Gives one that was let in to its user, once that is known; to be called at its end as well. Errors: RATE_LIMITED. */
  enterAs(kind: Admitted, user: string): () => void {
    try {
      return this.#gates[kind].shares.enter(user)
    } catch (error) {
      this.turnedAway += 1
      throw error
    }
  }

  /** The wait until a place is free: capped first, then drawn around it. */
  #nextPlaceMs(gate: Gate): number {
    const nowMs = this.#env.monotonicMs()
    gate.nextMs = Math.max(gate.nextMs, nowMs + leastWaitMs) + Math.max(1, gate.meanMs) / gate.bound
    const waitMs = Math.min(gate.nextMs - nowMs, this.#capMs)
    return Math.round(waitMs * (0.5 + this.#env.random()))
  }
}
