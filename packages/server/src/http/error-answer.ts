import { type ErrorReport, isErrorCode, statusOfCode, SyncError } from '@holdfast/core'

import { type Answer, jsonAnswer } from './answer.ts'

/** How an error answer is dressed. */
export interface ErrorDress {
  readonly requestId: string
  /** Plain shapes carry `status` and `message` beside `error`. */
  readonly isPlain: boolean
  /** For 405: the methods the address takes. */
  readonly allow?: string
  /** `message` of a plain error instead of the error's own. */
  readonly message?: string
}

/** What is sent for errors that are nobody's business but the log's. */
const serverFailed = 'The server failed. Its log names the cause under this requestId.'

/** What of a thrown value may be told: an expected error whole, anything else as SERVER_FAILED. Rules: PH-6, PH-7. */
export function reportOf(thrown: unknown, requestId: string): ErrorReport {
  if (!(thrown instanceof SyncError) || !isErrorCode(thrown.code) || statusOfCode(thrown.code) === 500) {
    return { code: 'SERVER_FAILED', message: serverFailed, retry: 'backoff', requestId }
  }
  const { code, message, retry, retryAfterMs, at: field } = thrown
  return {
    code,
    message,
    retry,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(field === undefined ? {} : { field }),
    requestId,
  }
}

/** The answer to a request that failed. Rules: PH-5, PH-6, PH-7. */
export function errorAnswer(thrown: unknown, dress: ErrorDress): Answer {
  const report = reportOf(thrown, dress.requestId)
  const headers: Record<string, string> = {}
  if (report.code === 'AUTH_REQUIRED') headers['www-authenticate'] = 'Bearer realm="holdfast"'
  if (dress.allow !== undefined) headers['allow'] = dress.allow
  if (report.retryAfterMs !== undefined)
    headers['retry-after'] = String(Math.ceil(report.retryAfterMs / 1_000))
  const body = dress.isPlain
    ? { status: 'error', message: dress.message ?? report.message, error: report }
    : { error: report }
  return jsonAnswer(body, { status: statusOfCode(report.code), headers })
}
