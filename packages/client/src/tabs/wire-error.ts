import { isErrorCode, isObject, SyncError } from '@holdfast/core'

/** An error on its way to another thread, where its class would be lost. */
export interface WireError {
  /** null for what is no error of Holdfast. */
  readonly code: string | null
  readonly name: string
  readonly message: string
  readonly at?: string
  readonly retryAfterMs?: number
}

/** What of an error crosses; causes stay behind. */
export function errorToWire(error: unknown): WireError {
  if (!(error instanceof Error)) return { code: null, name: 'Error', message: String(error) }
  const { name, message } = error
  if (!(error instanceof SyncError)) return { code: null, name, message }
  const { code, at, retryAfterMs } = error
  return {
    code,
    name,
    message,
    ...(at !== undefined && { at }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  }
}

/** The error as it was thrown on the other side. */
export function wireToError(wire: unknown): Error {
  const { code, name, message, at, retryAfterMs } = (isObject(wire) ? wire : {}) as Partial<WireError>
  const text = message ?? 'an error that says nothing'
  if (isErrorCode(code)) return new SyncError(code, text, { at, retryAfterMs })
  const error = new Error(text)
  error.name = name ?? 'Error'
  return error
}
