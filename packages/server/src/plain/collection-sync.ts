import {
  type CollectionSchema,
  type ErrorCode,
  type ErrorReport,
  isObject,
  isUuid,
  type Json,
  SyncError,
} from '@holdfast/core'

import type { ApplyResponse, PlainWrite, User } from '../engine.ts'
import { type Answer, jsonAnswer, textAnswer } from '../http/answer.ts'
import type { HttpServices, UserCall } from '../http/http-call.ts'
import { readObjectBody } from '../http/read-body.ts'
import { collectionOf } from './collection-of.ts'
import { parseIsoTime } from './iso-time.ts'
import { plainStatus } from './plain-answer.ts'
import { parsePlainBody } from './plain-body.ts'
import { requestKey } from './request-key.ts'

/** What a client that only knows times is told when its batch was not taken. */
export const failedMessage = 'Sync failed'

/**
 * `POST /sync/{collection}`: a batch of rows from a client that only knows times, whole or not at all, the newer edit of
 * a record winning; and every row that changed since the client's last sync. Rules: PH-43 to PH-47.
 */
export async function syncCollection<U extends User>(
  services: HttpServices<U>,
  call: UserCall<U>,
): Promise<Answer> {
  const { engine, limits } = services
  const collection = collectionOf(services.schema, call.params)
  const body = await readObjectBody(call.request, limits)
  const since = parseSince(body['last_sync_at'])
  const writes = parseChanges(body['changes'] ?? [], collection, limits.pushBatchMax)
  const key = requestKey(call.request, body, limits)
  const applied =
    writes.length === 0 ? nothingApplied : await engine.apply(call.caller, writes, { atomic: true, key })
  if (!applied.committed) return failure(call, applied)
  const { text, syncTimestamp } = await engine.changesSince(call.caller, collection.name, since)
  const changes = withRefused(text, applied)
  return textAnswer(
    `{"status":"success","server_changes":${changes},"sync_timestamp":${JSON.stringify(syncTimestamp)}}`,
  )
}

const nothingApplied: ApplyResponse = { results: [], duplicate: false, committed: true }

function parseSince(value: unknown): string | null {
  if (value === undefined || value === null || value === '') return null
  const time = parseIsoTime(value)
  if (time !== undefined) return time
  throw new SyncError('REQUEST_INVALID', 'last_sync_at is an ISO 8601 time, or null.')
}

function parseChanges(value: unknown, collection: CollectionSchema, limit: number): readonly PlainWrite[] {
  if (!Array.isArray(value)) throw new SyncError('REQUEST_INVALID', 'changes is a list of rows.')
  if (value.length > limit)
    throw new SyncError('REQUEST_TOO_LARGE', `One batch has at most ${limit} changes.`)
  return value.map((change: unknown, index) => parseChange(change, collection, index))
}

function parseChange(change: unknown, collection: CollectionSchema, index: number): PlainWrite {
  if (!isObject(change)) throw new SyncError('REQUEST_INVALID', `changes[${index}] is not a row.`)
  const { id, values, updatedAt, deletedAt } = parsePlainBody(change, collection)
  if (!isUuid(id)) throw new SyncError('VALUE_INVALID', `changes[${index}].id is not a UUID in lower case.`)
  const at = updatedAt ?? deletedAt
  return {
    collection: collection.name,
    record: id,
    ...(deletedAt === undefined ? { op: 'upsert', values } : { op: 'delete', values: {} }),
    precondition: at === undefined ? { kind: 'none' } : { kind: 'latest', updatedAt: at },
    at,
  }
}

/** The server's row of every refused change, also when it is older than the client's last sync. */
function withRefused(text: string, { results }: ApplyResponse): string {
  const refused = results.flatMap(({ status, record }) => (status === 'lost' && record ? [record] : []))
  if (refused.length === 0) return text
  // The engine's text is a JSON array of rows.
  const rows = JSON.parse(text) as Readonly<Record<string, Json>>[]
  const present = new Set(rows.map(({ id }) => id))
  for (const row of refused) {
    if (!present.has(row['id'] ?? null)) rows.push(row)
    present.add(row['id'] ?? null)
  }
  return JSON.stringify(rows)
}

function failure<U extends User>(call: UserCall<U>, { results }: ApplyResponse): Answer {
  const index = results.findIndex(({ status, error }) => status === 'conflict' || isCulprit(error))
  const culprit = results[index]
  const report: ErrorReport = culprit?.error ?? {
    code: 'CONFLICT',
    message: 'A row of the batch needs a person to decide.',
    retry: 'never',
  }
  call.log['code'] = report.code
  const error = { ...report, requestId: call.requestId, index: index === -1 ? undefined : index }
  const status = stateCodes.has(report.code) ? 500 : plainStatus(report)
  return jsonAnswer({ status: 'error', message: failedMessage, error }, { status })
}

/**
 * Rows that were well formed and met something in the database: these clients know that as a failed sync. What is wrong
 * with a row by itself, or not allowed, has a status of its own.
 */
const stateCodes: ReadonlySet<ErrorCode> = new Set([
  'CONFLICT',
  'UNIQUE_VIOLATION',
  'CONSTRAINT_FAILED',
  'REFERENCE_MISSING',
])

/** The others of the batch only failed with it. */
function isCulprit(error: ErrorReport | undefined): boolean {
  return error !== undefined && error.code !== 'DEPENDENCY_FAILED'
}
