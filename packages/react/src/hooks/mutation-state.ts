import type { WriteVerdict } from '@holdfast/client'

import { type ErrorInfo, toErrorInfo } from '../error-info.ts'

/**
 * Where the newest call of a mutation stands. `idle`: none yet. `writing`: the device is storing it. `failed`: the
 * function threw, and the call stored nothing that it did not await before. `pending`: stored on this device, the server
 * has not ruled. `held`: the server waits with it for something else. `retry`: an attempt failed, another one follows.
 * Then the verdict: `applied`, `merged`, `conflict`, `rejected`; of several the worst. `settled`: the server has ruled,
 * and this device no longer knows how. `nothing`: there was nothing to write.
 */
export type MutationStatus =
  | 'idle'
  | 'writing'
  | 'failed'
  | 'pending'
  | 'held'
  | 'retry'
  | WriteVerdict['status']

/** The newest call of a mutation, and what came of it. */
export interface MutationState<Result> {
  readonly status: MutationStatus
  /** What the function gave, once stored. */
  readonly data: Result | undefined
  /** Why it failed, was rejected, or is tried again. */
  readonly error: ErrorInfo | null
  /** What the server said of each write, in the order written, once it has ruled on all. */
  readonly verdicts: readonly WriteVerdict[]
}

/** What happens to a call. `run` numbers the calls: what is told of an older one than the newest is dropped. */
export type MutationEvent<Result> =
  | { readonly kind: 'called'; readonly run: number }
  | { readonly kind: 'threw'; readonly run: number; readonly error: unknown }
  | { readonly kind: 'stored'; readonly run: number; readonly data: Result }
  | {
      readonly kind: 'waits'
      readonly run: number
      readonly status: 'pending' | 'held' | 'retry'
      readonly error: ErrorInfo | null
    }
  | { readonly kind: 'ruled'; readonly run: number; readonly verdicts: readonly WriteVerdict[] }
  | { readonly kind: 'reset'; readonly run: number }

/** A state and the call it is of. */
export interface NumberedState<Result> extends MutationState<Result> {
  readonly run: number
}

/** No call yet. */
export const idleState: NumberedState<never> = {
  run: 0,
  status: 'idle',
  data: undefined,
  error: null,
  verdicts: [],
}

/** The next state. Rules: RE-5. */
export function nextMutationState<Result>(
  state: NumberedState<Result>,
  event: MutationEvent<Result>,
): NumberedState<Result> {
  if (event.run < state.run) return state
  const { run } = event
  switch (event.kind) {
    case 'called':
      return { ...idleState, run, status: 'writing' }
    case 'reset':
      return { ...idleState, run }
    case 'threw':
      return { ...idleState, run, status: 'failed', error: toErrorInfo(event.error) }
    case 'stored':
      return { ...idleState, run, status: 'pending', data: event.data }
    case 'waits':
      // What was told late does not undo a verdict.
      return isWaiting(state) && isNews(state, event)
        ? { ...state, status: event.status, error: event.error }
        : state
    case 'ruled':
      return { ...state, ...overall(event.verdicts), verdicts: event.verdicts }
  }
}

/** Whether it is stored and the server has not ruled on it. */
export function isWaiting({ status }: MutationState<unknown>): boolean {
  return status === 'pending' || status === 'held' || status === 'retry'
}

function isNews(
  state: MutationState<unknown>,
  { status, error }: Pick<MutationState<unknown>, 'status' | 'error'>,
): boolean {
  return state.status !== status || state.error?.message !== error?.message
}

/** The worst first. */
const byWeight: readonly WriteVerdict['status'][] = [
  'rejected',
  'conflict',
  'merged',
  'settled',
  'applied',
  'nothing',
]

function overall(verdicts: readonly WriteVerdict[]): Pick<MutationState<unknown>, 'status' | 'error'> {
  const status = byWeight.find((weight) => verdicts.some((verdict) => verdict.status === weight)) ?? 'nothing'
  const error = verdicts.find((verdict) => verdict.error !== undefined)?.error
  return { status, error: error === undefined ? null : toErrorInfo(error) }
}
