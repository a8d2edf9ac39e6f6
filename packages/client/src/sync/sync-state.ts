import { assertNever, type ErrorCode } from '@holdfast/core'
import { type Failure, offlineDelayMs, retryDelayMs } from './retry-policy.ts'

/** Why the engine does nothing until somebody acts; `auth` also looks again now and then. */
export type PauseCause = 'user' | 'policy' | 'auth' | 'account' | 'update'

/**
 * Where the engine is. `again`: something happened during this cycle, so that another one follows. `failures` counts
 * failed cycles in a row. `first` is what the next attempt begins with: a pull is the smaller probe. Rules: SY-1.
 */
export type SyncState =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'idle' }
  | { readonly kind: 'pushing'; readonly again: boolean; readonly failures: number }
  | { readonly kind: 'pulling'; readonly again: boolean; readonly failures: number }
  | (Wait & { readonly kind: 'waiting'; readonly first: 'push' | 'pull' })
  | (Wait & { readonly kind: 'offline' })
  /** Another process runs the engine. */
  | { readonly kind: 'standby'; readonly failures: number }
  | { readonly kind: 'paused'; readonly cause: PauseCause }

interface Wait {
  /** Wall clock, ms: for the status; the timer itself is set by its length. */
  readonly retryAtMs: number
  readonly failures: number
  readonly reason: ErrorCode
}

/** What happens to the engine. */
export type SyncEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'stop' }
  /** There may be something to do. `urgent` (a person asked, the network is back) cuts a wait short, and those to come: earlier failures say nothing of now. */
  | { readonly kind: 'trigger'; readonly urgent: boolean }
  /** The timer of the last `wake` effect has run out. */
  | { readonly kind: 'due' }
  /** Nothing is left that could be sent now. */
  | { readonly kind: 'pushed' }
  /**
   * Everything the server had is visible. `more`: the flip made something sendable. `dueMs`: how long the first entry that
   * waits for its next attempt has to wait; infinite when none does.
   */
  | { readonly kind: 'pulled'; readonly more: boolean; readonly dueMs: number }
  | FailedEvent
  | { readonly kind: 'disconnected'; readonly nowMs: number }
  | { readonly kind: 'pause'; readonly cause: 'user' | 'policy' }
  | { readonly kind: 'resume' }

interface FailedEvent {
  readonly kind: 'failed'
  readonly failure: Failure
  readonly nowMs: number
  /** A roll in [0, 1) for the jitter. */
  readonly roll: number
  /** The request that failed carried one mutation: ask first whether anything else gets through. */
  readonly alone: boolean
}

/** What the engine does next; it decides nothing itself. */
export type SyncEffect =
  | { readonly kind: 'push' }
  | { readonly kind: 'pull' }
  /** Sets the one timer, in place of an older one. */
  | { readonly kind: 'wake'; readonly delayMs: number }
  /** Calls off whatever is under way; what it still reports is dropped. */
  | { readonly kind: 'abort' }

/** What a transition gives. */
export interface SyncStep {
  readonly state: SyncState
  readonly effects: readonly SyncEffect[]
}

/** Waits the machine needs to know, ms; from `limits`. */
export interface SyncIntervals {
  readonly syncIntervalMs: number
  readonly standbyMs: number
  readonly retryBaseMs: number
  readonly retryCapMs: number
  readonly probeIntervalMs: number
}

const push: SyncEffect = { kind: 'push' }
const pull: SyncEffect = { kind: 'pull' }
const abort: SyncEffect = { kind: 'abort' }

/** The next state and what to do, for every state and every event. Pure and total. Rules: SY-1, SY-2. */
export function transition(state: SyncState, event: SyncEvent, intervals: SyncIntervals): SyncStep {
  switch (event.kind) {
    case 'start':
      return state.kind === 'stopped' ? begin(0) : stay(state)
    case 'stop':
      return { state: { kind: 'stopped' }, effects: [abort] }
    case 'trigger':
      return onTrigger(state, event.urgent)
    case 'due':
      return onDue(state)
    case 'pushed':
      return state.kind === 'pushing'
        ? { state: { ...state, kind: 'pulling' }, effects: [pull] }
        : stay(state)
    case 'pulled':
      return onPulled(state, event, intervals)
    case 'failed':
      return isRunning(state) ? onFailed(state, event, intervals) : stay(state)
    case 'disconnected':
      return onDisconnected(state, event.nowMs, intervals)
    case 'pause':
      if (state.kind === 'stopped') return stay(state)
      return { state: { kind: 'paused', cause: event.cause }, effects: [abort] }
    case 'resume':
      return state.kind === 'paused' ? begin(0) : stay(state)
    default:
      return assertNever(event)
  }
}

type Running = Extract<SyncState, { kind: 'pushing' | 'pulling' }>

function isRunning(state: SyncState): state is Running {
  return state.kind === 'pushing' || state.kind === 'pulling'
}

function stay(state: SyncState): SyncStep {
  return { state, effects: [] }
}

function begin(failures: number): SyncStep {
  return { state: { kind: 'pushing', again: false, failures }, effects: [push] }
}

/** A small request first; if it gets through, a whole cycle follows. */
function probe(failures: number): SyncStep {
  return { state: { kind: 'pulling', again: true, failures }, effects: [pull] }
}

function onTrigger(state: SyncState, urgent: boolean): SyncStep {
  switch (state.kind) {
    case 'idle':
      return begin(0)
    case 'pushing':
    case 'pulling':
      return stay({ ...state, again: true, failures: urgent ? 0 : state.failures })
    case 'standby':
    case 'waiting':
    case 'offline':
      return urgent ? onDue({ ...state, failures: 0 }) : stay(state)
    case 'stopped':
    case 'paused':
      return stay(state)
    default:
      return assertNever(state)
  }
}

function onDue(state: SyncState): SyncStep {
  switch (state.kind) {
    case 'idle':
      return begin(0)
    case 'standby':
      return begin(state.failures)
    case 'waiting':
      return state.first === 'pull' ? probe(state.failures) : begin(state.failures)
    case 'offline':
      return probe(state.failures)
    case 'paused':
      return state.cause === 'auth' ? probe(0) : stay(state)
    case 'stopped':
    case 'pushing':
    case 'pulling':
      return stay(state)
    default:
      return assertNever(state)
  }
}

function onPulled(
  state: SyncState,
  { more, dueMs }: Extract<SyncEvent, { kind: 'pulled' }>,
  intervals: SyncIntervals,
): SyncStep {
  if (state.kind !== 'pulling') return stay(state)
  if (state.again || more) return begin(0)
  const delayMs = Math.min(intervals.syncIntervalMs, dueMs)
  return { state: { kind: 'idle' }, effects: [{ kind: 'wake', delayMs }] }
}

function onFailed(state: Running, event: FailedEvent, intervals: SyncIntervals): SyncStep {
  const { failure, nowMs, roll } = event
  const failures = state.failures + 1
  switch (failure.kind) {
    case 'offline': {
      const delayMs = offlineDelayMs(failures, roll, intervals)
      const next: SyncState = { kind: 'offline', retryAtMs: nowMs + delayMs, failures, reason: failure.code }
      return { state: next, effects: [{ kind: 'wake', delayMs }] }
    }
    case 'backoff':
    case 'refused':
    case 'reset': {
      const delayMs = retryDelayMs({ failures, roll, retryAfterMs: failure.retryAfterMs }, intervals)
      // A push that is told to reset says that what the device believes is not what the server knows: a pull finds out.
      const isDoubted = failure.kind === 'reset' && state.kind === 'pushing'
      const first = event.alone || isDoubted ? 'pull' : 'push'
      const next: SyncState = {
        kind: 'waiting',
        retryAtMs: nowMs + delayMs,
        failures,
        reason: failure.code,
        first,
      }
      return { state: next, effects: [{ kind: 'wake', delayMs }] }
    }
    case 'standby': {
      const next: SyncState = { kind: 'standby', failures: state.failures }
      return { state: next, effects: [{ kind: 'wake', delayMs: intervals.standbyMs }] }
    }
    case 'pause': {
      const next: SyncState = { kind: 'paused', cause: failure.cause }
      return {
        state: next,
        effects: failure.cause === 'auth' ? [{ kind: 'wake', delayMs: intervals.retryCapMs }] : [],
      }
    }
    default:
      return assertNever(failure)
  }
}

function onDisconnected(state: SyncState, nowMs: number, intervals: SyncIntervals): SyncStep {
  if (state.kind !== 'idle' && state.kind !== 'waiting') return stay(state)
  const failures = state.kind === 'waiting' ? state.failures : 0
  const delayMs = intervals.probeIntervalMs
  const next: SyncState = { kind: 'offline', retryAtMs: nowMs + delayMs, failures, reason: 'OFFLINE' }
  return { state: next, effects: [{ kind: 'wake', delayMs }] }
}
