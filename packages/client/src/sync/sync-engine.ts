import { type CancelTimer, type Environment, type ErrorCode, newUuid } from '@holdfast/core'
import type { LocalTransaction } from '../local/local-database.ts'
import { updateTally } from '../status/tally.ts'
import type { Lease } from './lease.ts'
import type { Pull } from './pull.ts'
import { LonePushError, type Push } from './push.ts'
import { failureOf } from './retry-policy.ts'
import { newTraceparent, type Run, type Session } from './session.ts'
import {
  type SyncEffect,
  type SyncEvent,
  type SyncIntervals,
  type SyncState,
  transition,
} from './sync-state.ts'

/** What came of a cycle that somebody waited for. */
export interface SyncSummary {
  /** `done`: everything that could be sent was, and everything there was is visible. Otherwise why not. */
  readonly status: 'done' | 'waiting' | 'offline' | 'standby' | 'paused' | 'stopped'
  /** Why it did not get to the end. */
  readonly code: ErrorCode | null
}

/** What an engine is made from. */
export interface EngineOptions {
  readonly env: Environment
  readonly session: Session
  readonly lease: Lease
  readonly push: Push
  readonly pull: Pull
  readonly intervals: SyncIntervals
  /** Runs cycles by itself; otherwise only `now` does. */
  readonly isAutomatic: boolean
  /** Told after every change of state. */
  readonly onState: (state: SyncState) => void
}

interface Waiter {
  /** The first cycle that counts for it. */
  readonly cycle: number
  readonly resolve: (summary: SyncSummary) => void
}

type CycleRun = Run & { readonly controller: AbortController }

/**
 * Performs what the state machine says: lease, push to the end, pull to the end, flip, and again when something
 * happened meanwhile. It decides nothing itself, and every step can be stopped and begun again. Rules: SY-1, SY-2, SY-7.
 */
export class SyncEngine {
  readonly #options: EngineOptions
  readonly #waiters = new Set<Waiter>()
  #state: SyncState = { kind: 'stopped' }
  #run: CycleRun | undefined
  #cycle = 0
  #cancelWake: CancelTimer = () => undefined
  /** Whatever is being done; awaited before the next step begins and before the engine is closed. */
  #work: Promise<void> = Promise.resolve()
  #lastCode: ErrorCode | null = null
  /** When the first entry that waits for its next attempt may go, ms of `env.monotonicMs`. */
  #dueMs = Number.POSITIVE_INFINITY
  /** The lease was given back by a transaction of the step under way, if that was committed. */
  #hasRested = false

  constructor(options: EngineOptions) {
    this.#options = options
  }

  get state(): SyncState {
    return this.#state
  }

  /** The code of the newest failure; null after a cycle that got to its end. */
  get lastCode(): ErrorCode | null {
    return this.#lastCode
  }

  /** Whether somebody waits for a cycle. */
  get isAwaited(): boolean {
    return this.#waiters.size > 0
  }

  /** Takes in an event: the next state, then its effects. */
  dispatch(event: SyncEvent): void {
    const { state, effects } = transition(this.#state, event, this.#options.intervals)
    if (state === this.#state && effects.length === 0) return
    this.#state = state
    if (event.kind === 'pulled') this.#onCycleDone(event.more)
    for (const effect of effects) this.#perform(effect)
    if (state.kind !== 'pushing' && state.kind !== 'pulling') this.#onRest()
    this.#options.onState(state)
  }

  /** Resolves when a whole cycle that began after this call is over, however it ended. */
  now(): Promise<SyncSummary> {
    const { kind } = this.#state
    if (kind === 'paused') return Promise.resolve({ status: kind, code: this.#lastCode })
    const { promise, resolve } = Promise.withResolvers<SyncSummary>()
    this.#waiters.add({ cycle: this.#cycle + 1, resolve })
    this.dispatch(kind === 'stopped' ? { kind: 'start' } : { kind: 'trigger', urgent: true })
    return promise
  }

  /** Stops and waits until nothing is under way and the lease is given back. */
  async close(): Promise<void> {
    this.dispatch({ kind: 'stop' })
    this.#answer(() => true, { status: 'stopped', code: null })
    await this.#work
  }

  #perform(effect: SyncEffect): void {
    this.#cancelWake()
    if (effect.kind === 'push') this.#cycle += 1
    if (effect.kind === 'push' || effect.kind === 'pull') this.#then(() => this.#step(effect.kind))
    else if (effect.kind === 'abort') this.#run?.controller.abort(new Error('the cycle was called off'))
    else if (this.#options.isAutomatic) this.#wake(effect.delayMs)
  }

  #wake(delayMs: number): void {
    this.#cancelWake = this.#options.env.setTimer(() => this.dispatch({ kind: 'due' }), delayMs)
  }

  #then(step: () => Promise<void>): void {
    this.#work = this.#work.then(step)
  }

  /** One push or pull. Whatever goes wrong becomes an event. */
  async #step(kind: 'push' | 'pull'): Promise<void> {
    const isWanted = (): boolean => this.#state.kind === (kind === 'push' ? 'pushing' : 'pulling')
    if (!isWanted()) return
    let run: CycleRun | undefined
    this.#hasRested = false
    try {
      run = await this.#begin()
      if (kind === 'push') this.#dueMs = await this.#options.push.all(run)
      const more = kind === 'pull' && (await this.#options.pull.all(run)).releasedCount > 0
      if (this.#hasRested) this.#options.lease.forget()
      const dueMs = Math.max(0, this.#dueMs - this.#options.env.monotonicMs())
      if (!run.signal.aborted)
        this.dispatch(kind === 'push' ? { kind: 'pushed' } : { kind: 'pulled', more, dueMs })
    } catch (error) {
      if (run?.signal.aborted !== true && isWanted()) await this.#fail(error, run)
    }
  }

  async #begin(): Promise<CycleRun> {
    const { env, lease, session } = this.#options
    if (this.#run && !this.#run.signal.aborted && lease.isHeld) return this.#run
    const fence = await lease.acquire()
    await session.recall()
    const controller = new AbortController()
    const run: CycleRun = {
      id: newUuid(env),
      fence,
      signal: controller.signal,
      traceparent: newTraceparent(env),
      controller,
      startedMs: env.monotonicMs(),
      rest: (tx) => this.#rest(tx),
    }
    this.#run = run
    return run
  }

  async #rest(tx: LocalTransaction): Promise<void> {
    this.#hasRested = this.#state.kind === 'pulling' && !this.#state.again
    if (this.#hasRested) await this.#options.lease.releaseWith(tx)
  }

  async #fail(error: unknown, run: CycleRun | undefined): Promise<void> {
    const alone = error instanceof LonePushError
    const cause = alone ? error.cause : error
    const failure = failureOf(cause)
    const { env, session } = this.#options
    const result = failure.kind === 'pause' && failure.cause === 'auth' ? 'auth-failed' : 'retry'
    const message = cause instanceof Error ? cause.message : String(cause)
    if (failure.kind !== 'standby') {
      session.log('warn', 'sync-failed', { syncRunId: run?.id, result, code: failure.code, message })
      if (run) await session.write(run, countFailure).catch(() => undefined)
    }
    this.#lastCode = failure.code
    this.dispatch({ kind: 'failed', failure, nowMs: env.now(), roll: env.random(), alone })
  }

  /** `more`: what this cycle brought lets another one send or fetch what is not yet, and whoever waits means that too. */
  #onCycleDone(more: boolean): void {
    this.#lastCode = null
    if (!more) this.#answer(({ cycle }) => cycle <= this.#cycle, { status: 'done', code: null })
    if (this.#run && this.#state.kind === 'pushing')
      this.#run = { ...this.#run, startedMs: this.#options.env.monotonicMs() }
  }

  /** The engine is not working: the lease goes back, and whoever still waits learns why. */
  #onRest(): void {
    const { lease } = this.#options
    const run = this.#run
    this.#run = undefined
    if (run) this.#then(() => lease.release().catch(() => undefined))
    const { kind } = this.#state
    if (kind === 'pushing' || kind === 'pulling' || kind === 'idle') return
    this.#answer(() => true, { status: kind, code: this.#lastCode })
  }

  #answer(isMeant: (waiter: Waiter) => boolean, summary: SyncSummary): void {
    for (const waiter of this.#waiters) {
      if (!isMeant(waiter)) continue
      this.#waiters.delete(waiter)
      waiter.resolve(summary)
    }
  }
}

function countFailure(tx: LocalTransaction): Promise<void> {
  return updateTally(tx, ({ runs, failures }) => ({ runs: runs + 1, failures: failures + 1 }))
}
