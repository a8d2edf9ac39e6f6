import { type ErrorReport, errorTable, type Json, statusOfCode, type Values } from '@holdfast/core'

import type { ApplyResponse, PlainResult } from '../engine.ts'
import { type Answer, jsonAnswer } from '../http/answer.ts'
import type { HttpCall } from '../http/http-call.ts'

/** What the answer to one plain write is dressed with. */
export interface PlainAnswerDress {
  readonly call: HttpCall
  /** The body as it came: what a lost race is shown beside the server's row. */
  readonly clientData: Readonly<Record<string, unknown>>
  /** Address of a created record. */
  readonly location?: (id: string) => string
}

/** The canonical row, or why not: 200, 201, or the status of the error's code. Rules: PH-31, PH-32, PH-36. */
export function plainWriteAnswer(response: ApplyResponse, dress: PlainAnswerDress): Answer {
  const [result] = response.results
  if (result === undefined) throw new Error('the engine answered a write with no result')
  dress.call.log['verdicts'] = { [result.status]: 1 }
  if (result.error || result.status === 'conflict' || result.status === 'lost') return refusal(result, dress)
  const { record, created } = result
  const id = record?.['id']
  const headers: Record<string, string> = etagOf(record)
  if (created && typeof id === 'string' && dress.location) headers['location'] = dress.location(id)
  return jsonAnswer(record, { status: created ? 201 : 200, headers })
}

/** `ETag` of a canonical row; nothing when there is no row. */
export function etagOf(record: Values | null): Record<string, string> {
  const version = record?.['version']
  return typeof version === 'number' ? { etag: `"${version}"` } : {}
}

/** The HTTP status of an error that is the whole answer to a plain write. */
export function plainStatus({ code }: ErrorReport): number {
  const status = statusOfCode(code)
  // Codes that only ever name a mutation inside a batch have no status of their own: the write was refused.
  return 'status' in errorTable[code] ? status : 422
}

function refusal(result: PlainResult, { call, clientData }: PlainAnswerDress): Answer {
  const report = result.error ?? lostRace
  call.log['code'] = report.code
  const error = { ...report, requestId: call.requestId }
  const status = plainStatus(report)
  if (status !== 409) return jsonAnswer({ status: 'error', message: report.message, error }, { status })
  const body = {
    status: 'conflict',
    message: report.message,
    server_data: result.record,
    client_data: clientData as Json,
    error,
  }
  return jsonAnswer(body, { status, headers: etagOf(result.record) })
}

const lostRace: ErrorReport = {
  code: 'CONFLICT',
  message: 'The record was changed meanwhile; nothing was written.',
  retry: 'never',
}
