import { type ErrorCode, isErrorCode, isObject, type Retry, SyncError } from '@holdfast/core'

/** What a failure means for the engine. It says nothing about single mutations: those are judged by their answers. */
export type Failure =
  /** The server was not reached, or something else answered in its place. */
  | { readonly kind: 'offline'; readonly code: 'OFFLINE' | 'CAPTIVE_PORTAL' }
  | { readonly kind: 'backoff'; readonly code: ErrorCode; readonly retryAfterMs?: number }
  /** The server will not take this body: a push halves its batch to find the one. */
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly retryAfterMs?: number }
  /** The cursor is of no use: a snapshot replaces everything but the outbox. */
  | { readonly kind: 'reset'; readonly code: ErrorCode; readonly retryAfterMs?: number }
  | { readonly kind: 'pause'; readonly code: ErrorCode; readonly cause: 'auth' | 'account' | 'update' }
  /** Another process runs the engine. */
  | { readonly kind: 'standby'; readonly code: 'LEASE_LOST' }

/** The retry table, by code. Total: whatever is thrown has a failure. Rules: SY-3, SY-4. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof SyncError)) return { kind: 'backoff', code: 'CLIENT_DEFECT' }
  const { code, retryAfterMs } = error
  switch (code) {
    case 'OFFLINE':
    case 'CAPTIVE_PORTAL':
      return { kind: 'offline', code }
    case 'AUTH_REQUIRED':
      return { kind: 'pause', code, cause: 'auth' }
    case 'ACCOUNT_MISMATCH':
      return { kind: 'pause', code, cause: 'account' }
    case 'SCHEMA_TOO_OLD':
    case 'STORE_NEWER':
      return { kind: 'pause', code, cause: 'update' }
    case 'LEASE_LOST':
      return { kind: 'standby', code }
    case 'REQUEST_INVALID':
    case 'REQUEST_TOO_LARGE':
      return { kind: 'refused', code, retryAfterMs }
    default:
      return error.retry === 'resync'
        ? { kind: 'reset', code, retryAfterMs }
        : { kind: 'backoff', code, retryAfterMs }
  }
}

/** What is known of an answer that is not a usable success. */
export interface BadAnswer {
  /** 0: a redirect that the platform does not show. */
  readonly status: number
  /** The media type, '' when there is none. */
  readonly mediaType: string
  readonly retryAfter: string | null
  /** The body as JSON, undefined when it is none. */
  readonly body: unknown
  readonly nowMs: number
}

/** The error an answer stands for. An error of our own protocol speaks for itself; anything else is read by status. */
export function errorOfAnswer(answer: BadAnswer): SyncError {
  const retryAfterMs = parseRetryAfter(answer.retryAfter, answer.nowMs)
  const own = ownError(answer.body)
  if (own)
    return new SyncError(own.code, own.message, {
      retry: own.retry,
      retryAfterMs: own.retryAfterMs ?? retryAfterMs,
    })
  const code = codeOfStatus(answer.status, answer.mediaType)
  return new SyncError(code, `the server answered ${answer.status} ${answer.mediaType}`.trim(), {
    retryAfterMs,
  })
}

function ownError(
  body: unknown,
):
  | { code: ErrorCode; message: string; retry: Retry | undefined; retryAfterMs: number | undefined }
  | undefined {
  const error = isObject(body) ? body['error'] : undefined
  if (!isObject(error) || !isErrorCode(error['code'])) return undefined
  const { code, message, retry, retryAfterMs } = error
  return {
    code,
    message: typeof message === 'string' ? message.slice(0, 500) : code,
    retry: isRetry(retry) ? retry : undefined,
    retryAfterMs: typeof retryAfterMs === 'number' && retryAfterMs >= 0 ? retryAfterMs : undefined,
  }
}

function isRetry(value: unknown): value is Retry {
  return value === 'never' || value === 'backoff' || value === 'after_auth' || value === 'resync'
}

function codeOfStatus(status: number, mediaType: string): ErrorCode {
  if (status === 0 || (status >= 300 && status < 400) || status === 407 || status === 511)
    return 'CAPTIVE_PORTAL'
  if (status < 300) return mediaType === 'text/html' ? 'CAPTIVE_PORTAL' : 'RESPONSE_INVALID'
  switch (status) {
    case 400:
    case 422:
      return 'REQUEST_INVALID'
    case 401:
    case 403:
      return 'AUTH_REQUIRED'
    case 408:
    case 504:
      return 'TIMEOUT'
    case 410:
      // Which of the two it is, nothing says: the one after which settled work may have to be returned.
      return 'EPOCH_CHANGED'
    case 413:
      return 'REQUEST_TOO_LARGE'
    case 425:
    case 429:
      return 'RATE_LIMITED'
    case 426:
      return 'SCHEMA_TOO_OLD'
    default:
      return status >= 500 ? 'SERVER_FAILED' : 'RESPONSE_INVALID'
  }
}

/** `Retry-After` in ms: seconds or an HTTP date; undefined when it is neither. */
export function parseRetryAfter(value: string | null, nowMs: number): number | undefined {
  if (value === null) return undefined
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1_000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs)
}

interface RetryWaits {
  readonly retryBaseMs: number
  readonly retryCapMs: number
  readonly probeIntervalMs: number
}

/**
 * The wait after the nth failure in a row, ms: doubled each time, capped, and only then drawn from the whole range, so
 * that a fleet that fell over together does not come back together. A `Retry-After` is the least; the cap holds for
 * it too. Rules: SY-4. Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
 */
export function retryDelayMs(
  failed: { readonly failures: number; readonly roll: number; readonly retryAfterMs: number | undefined },
  waits: RetryWaits,
): number {
  const ceilingMs = Math.min(waits.retryCapMs, waits.retryBaseMs * 2 ** Math.min(failed.failures, 30))
  const jittered = Math.floor(ceilingMs * failed.roll)
  const asked = failed.retryAfterMs === undefined ? 0 : failed.retryAfterMs + waits.retryBaseMs * failed.roll
  return Math.floor(Math.min(waits.retryCapMs, Math.max(jittered, asked)))
}

/** The wait between two looks for the network, ms: short at first, then between half and all of the probe interval. */
export function offlineDelayMs(failures: number, roll: number, waits: RetryWaits): number {
  const ceilingMs = Math.min(waits.probeIntervalMs, waits.retryBaseMs * 2 ** Math.min(failures, 30))
  return Math.floor(ceilingMs * (0.5 + roll / 2))
}
