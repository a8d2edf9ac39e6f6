import * as v from 'valibot'
import { type ErrorCode, SyncError } from '../errors.ts'
import { isObject } from '../json.ts'
import { type Limits, limits } from '../limits.ts'
import { keyEndLength } from '../outbox/covered-ids.ts'
import { countRanges, parseRanges } from '../ranges.ts'
import {
  errorResponseSchema,
  pageSchema,
  pullRequestSchema,
  pushRequestSchema,
  pushResponseSchema,
  snapshotRequestSchema,
} from './message-schemas.ts'
import type {
  Change,
  ErrorResponse,
  PullRequest,
  PullResponse,
  PushRequest,
  PushResponse,
  SnapshotRequest,
} from './messages.ts'

/** A push as it arrives; its mutations are still to be parsed one by one. Errors: REQUEST_INVALID, REQUEST_TOO_LARGE. Rules: WI-1. */
export function parsePushRequest(value: unknown, bounds: Pick<Limits, 'pushBatchMax'> = limits): PushRequest {
  const request = parseMessage(pushRequestSchema, value, 'REQUEST_INVALID')
  if (request.mutations.length > bounds.pushBatchMax) {
    const message = `a push holds at most ${bounds.pushBatchMax} mutations`
    throw new SyncError('REQUEST_TOO_LARGE', message, { at: 'mutations' })
  }
  parseRanges(request.ack)
  return request
}

/** A pull as it arrives. Errors: REQUEST_INVALID. Rules: WI-1. */
export function parsePullRequest(value: unknown): PullRequest {
  const request = parseMessage(pullRequestSchema, value, 'REQUEST_INVALID')
  parseRanges(request.ack ?? '')
  parseRanges(request.answered ?? '')
  const { settledKeys } = request
  const settledCount = countRanges(parseRanges(request.settled ?? ''))
  if (settledKeys !== undefined && settledKeys.length !== settledCount * keyEndLength) {
    const message = `settledKeys holds ${keyEndLength} characters for each of settled`
    throw new SyncError('REQUEST_INVALID', message, { at: 'settledKeys' })
  }
  return request
}

/** A page of a snapshot as it is asked for. Errors: REQUEST_INVALID. Rules: WI-1. */
export function parseSnapshotRequest(value: unknown): SnapshotRequest {
  const request = parseMessage(snapshotRequestSchema, value, 'REQUEST_INVALID')
  parseRanges(request.ack ?? '')
  return request
}

/** The answer to a push. Errors: RESPONSE_INVALID. Rules: WI-1. */
export function parsePushResponse(value: unknown): PushResponse {
  return parseMessage(pushResponseSchema, value, 'RESPONSE_INVALID')
}

/**
 * One page of a pull or snapshot. The envelope of each change is checked and the change given back as it is, nothing
 * copied; whether its data fits the collection is for `parseRowData`. Errors: RESPONSE_INVALID. Rules: WI-1, WI-5.
 */
export function parsePullResponse(value: unknown): PullResponse {
  const page = parseMessage(pageSchema, value, 'RESPONSE_INVALID')
  const { changes } = page
  if (!isChangeList(changes)) {
    const index = changes.findIndex((change) => !isChange(change))
    throw new SyncError('RESPONSE_INVALID', `changes.${index} is not a change`, { at: `changes.${index}` })
  }
  return { ...page, changes }
}

/** An error answer. A code this version does not know reads as SERVER_FAILED; what to do next stays as said. Errors: RESPONSE_INVALID. Rules: WI-6. */
export function parseErrorResponse(value: unknown): ErrorResponse {
  return parseMessage(errorResponseSchema, value, 'RESPONSE_INVALID')
}

/** Reads `value` by a message schema; what does not fit throws `code` with the path of the first mismatch. */
export function parseMessage<Message>(
  schema: v.GenericSchema<unknown, Message>,
  value: unknown,
  code: ErrorCode,
): Message {
  const result = v.safeParse(schema, value, { abortEarly: true })
  if (result.success) return result.output
  const [issue] = result.issues
  const at = v.getDotPath(issue) ?? undefined
  throw new SyncError(code, `${at ?? 'the message'}: ${issue.message}`, { at })
}

function isChangeList(changes: readonly unknown[]): changes is readonly Change[] {
  return changes.every(isChange)
}

/** The same as `changeSchema`, by hand. Rules: WI-5. */
function isChange(change: unknown): change is Change {
  if (!isObject(change)) return false
  const { collection, record, op, scope, version, serverUpdatedAt, data } = change
  return (
    typeof collection === 'string' &&
    typeof record === 'string' &&
    (op === 'put' || op === 'have' || op === 'delete' || op === 'leave') &&
    typeof scope === 'string' &&
    Number.isSafeInteger(version) &&
    Number(version) >= 0 &&
    typeof serverUpdatedAt === 'string' &&
    (op === 'put' ? isObject(data) : data === undefined || isObject(data))
  )
}
