import type { ErrorInfo } from '../error-info.ts'
import { toErrorInfo } from '../error-info.ts'
import type { Snapshot } from '../store/shared-source.ts'

/** How far a live result is: `pending` before the first, `error` while the newest attempt has failed. */
export type LiveStatus = 'pending' | 'ready' | 'error'

/** What every live result says beside its values. */
export interface LiveState {
  readonly status: LiveStatus
  /** Of the newest attempt; null when it went well. The values are then those from before. */
  readonly error: ErrorInfo | null
}

/** Nothing, always the same object. */
export const emptyList: readonly never[] = Object.freeze([])

/** Status and error of a snapshot. */
export function liveStateOf(snapshot: Snapshot<unknown>): LiveState {
  return {
    status: snapshot.status,
    error: snapshot.status === 'error' ? toErrorInfo(snapshot.error) : null,
  }
}
