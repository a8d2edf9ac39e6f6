import { type ErrorCode, isErrorCode, SyncError } from '@holdfast/core'

/** What went wrong, for a component to show. */
export interface ErrorInfo {
  /** null for an error that is not Holdfast's, such as one the app threw. */
  readonly code: ErrorCode | null
  readonly message: string
  /** What was thrown, or what the server said. */
  readonly cause: unknown
}

/** Anything that was thrown or told as an error. */
export function toErrorInfo(cause: unknown): ErrorInfo {
  if (cause instanceof SyncError) return { code: cause.code, message: cause.message, cause }
  if (typeof cause !== 'object' || cause === null) return { code: null, message: String(cause), cause }
  const code = 'code' in cause && isErrorCode(cause.code) ? cause.code : null
  const message = 'message' in cause ? String(cause.message) : ''
  return { code, message, cause }
}
