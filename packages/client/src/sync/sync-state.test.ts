import { describe, expect, test } from 'vitest'

import {
  type SyncEffect,
  type SyncEvent,
  type SyncIntervals,
  type SyncState,
  transition,
} from './sync-state.ts'

const intervals: SyncIntervals = {
  syncIntervalMs: 60_000,
  standbyMs: 5_000,
  retryBaseMs: 500,
  retryCapMs: 900_000,
  probeIntervalMs: 15_000,
}
const nowMs = 1_000_000

const states: Record<string, SyncState> = {
  stopped: { kind: 'stopped' },
  idle: { kind: 'idle' },
  pushing: { kind: 'pushing', again: false, failures: 2 },
  pulling: { kind: 'pulling', again: false, failures: 2 },
  pullingAgain: { kind: 'pulling', again: true, failures: 2 },
  waiting: { kind: 'waiting', retryAtMs: 5, failures: 2, reason: 'TIMEOUT', first: 'push' },
  waitingAlone: { kind: 'waiting', retryAtMs: 5, failures: 2, reason: 'SERVER_FAILED', first: 'pull' },
  offline: { kind: 'offline', retryAtMs: 5, failures: 2, reason: 'OFFLINE' },
  standby: { kind: 'standby', failures: 2 },
  paused: { kind: 'paused', cause: 'user' },
  pausedForAuth: { kind: 'paused', cause: 'auth' },
}

function failed(failure: Extract<SyncEvent, { kind: 'failed' }>['failure'], alone = false): SyncEvent {
  return { kind: 'failed', failure, nowMs, roll: 0.5, alone }
}

const events: Record<string, SyncEvent> = {
  start: { kind: 'start' },
  stop: { kind: 'stop' },
  trigger: { kind: 'trigger', urgent: false },
  urgent: { kind: 'trigger', urgent: true },
  due: { kind: 'due' },
  pushed: { kind: 'pushed' },
  pulled: { kind: 'pulled', more: false, dueMs: Number.POSITIVE_INFINITY },
  pulledMore: { kind: 'pulled', more: true, dueMs: 700 },
  pulledDue: { kind: 'pulled', more: false, dueMs: 700 },
  failedOffline: failed({ kind: 'offline', code: 'OFFLINE' }),
  failedBackoff: failed({ kind: 'backoff', code: 'SERVER_FAILED' }),
  failedAlone: failed({ kind: 'refused', code: 'REQUEST_TOO_LARGE' }, true),
  failedReset: failed({ kind: 'reset', code: 'EPOCH_CHANGED' }),
  failedAuth: failed({ kind: 'pause', code: 'AUTH_REQUIRED', cause: 'auth' }),
  failedUpdate: failed({ kind: 'pause', code: 'SCHEMA_TOO_OLD', cause: 'update' }),
  failedStandby: failed({ kind: 'standby', code: 'LEASE_LOST' }),
  disconnected: { kind: 'disconnected', nowMs },
  pause: { kind: 'pause', cause: 'user' },
  resume: { kind: 'resume' },
}

/** A step in one line: the state, then its effects. `=` is "nothing happens". */
function spell(state: SyncState, event: SyncEvent): string {
  const step = transition(state, event, intervals)
  if (step.state === state && step.effects.length === 0) return '='
  return [spellState(step.state), ...step.effects.map(spellEffect)].join(' ')
}

function spellState(state: SyncState): string {
  switch (state.kind) {
    case 'pushing':
    case 'pulling':
      return `${state.kind}${state.again ? '+' : ''}/${state.failures}`
    case 'waiting':
      return `waiting/${state.failures}/${state.reason}/${state.first}`
    case 'offline':
      return `offline/${state.failures}/${state.reason}`
    case 'standby':
      return `standby/${state.failures}`
    case 'paused':
      return `paused/${state.cause}`
    default:
      return state.kind
  }
}

function spellEffect(effect: SyncEffect): string {
  return effect.kind === 'wake' ? `wake:${effect.delayMs}` : effect.kind
}

/** Every state by every event, in the order of `states`. */
const table: Record<keyof typeof events, string[]> = {
  start: ['pushing/0 push', '=', '=', '=', '=', '=', '=', '=', '=', '=', '='],
  stop: Array.from({ length: 11 }, () => 'stopped abort'),
  trigger: ['=', 'pushing/0 push', 'pushing+/2', 'pulling+/2', 'pulling+/2', '=', '=', '=', '=', '=', '='],
  urgent: [
    '=',
    'pushing/0 push',
    'pushing+/0',
    'pulling+/0',
    'pulling+/0',
    'pushing/0 push',
    'pulling+/0 pull',
    'pulling+/0 pull',
    'pushing/0 push',
    '=',
    '=',
  ],
  due: [
    '=',
    'pushing/0 push',
    '=',
    '=',
    '=',
    'pushing/2 push',
    'pulling+/2 pull',
    'pulling+/2 pull',
    'pushing/2 push',
    '=',
    'pulling+/0 pull',
  ],
  pushed: ['=', '=', 'pulling/2 pull', '=', '=', '=', '=', '=', '=', '=', '='],
  pulled: ['=', '=', '=', 'idle wake:60000', 'pushing/0 push', '=', '=', '=', '=', '=', '='],
  pulledMore: ['=', '=', '=', 'pushing/0 push', 'pushing/0 push', '=', '=', '=', '=', '=', '='],
  pulledDue: ['=', '=', '=', 'idle wake:700', 'pushing/0 push', '=', '=', '=', '=', '=', '='],
  failedOffline: running('offline/3/OFFLINE wake:3000'),
  failedBackoff: running('waiting/3/SERVER_FAILED/push wake:2000'),
  failedAlone: running('waiting/3/REQUEST_TOO_LARGE/pull wake:2000'),
  failedReset: running(
    'waiting/3/EPOCH_CHANGED/push wake:2000',
    // A push was told that the device knows what the server does not: it looks before it pushes again.
    'waiting/3/EPOCH_CHANGED/pull wake:2000',
  ),
  failedAuth: running('paused/auth wake:900000'),
  failedUpdate: running('paused/update'),
  failedStandby: running('standby/2 wake:5000'),
  disconnected: [
    '=',
    'offline/0/OFFLINE wake:15000',
    '=',
    '=',
    '=',
    'offline/2/OFFLINE wake:15000',
    'offline/2/OFFLINE wake:15000',
    '=',
    '=',
    '=',
    '=',
  ],
  pause: ['=', ...Array.from({ length: 10 }, () => 'paused/user abort')],
  resume: ['=', '=', '=', '=', '=', '=', '=', '=', '=', 'pushing/0 push', 'pushing/0 push'],
}

/** Only a running engine can fail; the first of the running states pushes. */
function running(step: string, whilePushing: string = step): string[] {
  return ['=', '=', whilePushing, step, step, '=', '=', '=', '=', '=', '=']
}

describe('the machine', () => {
  test.each(Object.keys(events))('[SY-1] every state has its answer to %s', (name) => {
    const steps = Object.values(states).map((state) => spell(state, events[name]!))
    expect(steps).toEqual(table[name])
  })

  test('[SY-2] a trigger during a cycle is followed by another cycle, never lost', () => {
    let state: SyncState = { kind: 'pushing', again: false, failures: 0 }
    const effects: string[] = []
    for (const event of [
      events['trigger']!,
      events['pushed']!,
      events['pulled']!,
      events['pushed']!,
      events['pulled']!,
    ]) {
      const step = transition(state, event, intervals)
      state = step.state
      effects.push(...step.effects.map(spellEffect))
    }
    expect(effects).toEqual(['pull', 'push', 'pull', 'wake:60000'])
    expect(state).toEqual({ kind: 'idle' })
  })
})
