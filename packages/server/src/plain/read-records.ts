import { type CollectionSchema, isObject, isUuid, type Json, SyncError, type Values } from '@holdfast/core'

import type { User } from '../engine.ts'
import { type Answer, jsonAnswer, textAnswer } from '../http/answer.ts'
import type { HttpServices, UserCall } from '../http/http-call.ts'
import { parseLimit } from '../http/parse-limit.ts'
import { collectionOf } from './collection-of.ts'
import { etagOf } from './plain-answer.ts'

/** One record; `?deleted=true` also shows a tombstone. Rules: PH-30, PH-31. */
export async function readRecord<U extends User>(
  services: HttpServices<U>,
  call: UserCall<U>,
): Promise<Answer> {
  const collection = collectionOf(services.schema, call.params)
  const deleted = call.query.get('deleted') === 'true'
  const text = await services.engine.record(call.caller, collection.name, parseRecordId(call), { deleted })
  if (text === null) throw notFound()
  const row: unknown = JSON.parse(text)
  // The engine answers with a canonical row.
  const headers = etagOf(isObject(row) ? (row as Values) : null)
  const isKnown =
    headers['etag'] !== undefined && call.request.headers.get('if-none-match') === headers['etag']
  return isKnown ? { status: 304, body: null, headers } : textAnswer(text, { headers })
}

/** The rows of a collection by id, a page at a time, with filters by equality. Rules: PH-39. */
export async function listRecords<U extends User>(
  services: HttpServices<U>,
  call: UserCall<U>,
): Promise<Answer> {
  const collection = collectionOf(services.schema, call.params)
  const { text, next } = await services.engine.list(call.caller, collection.name, {
    limit: parseLimit(call.query, services.limits.pullRowsMax),
    after: call.query.get('after') || undefined,
    filters: parseFilters(call.query, collection),
  })
  return textAnswer(`{"records":${text},"next":${JSON.stringify(next)}}`)
}

/** What happened to a record and which values lost, newest first. Rules: PH-41. */
export async function readHistory<U extends User>(
  services: HttpServices<U>,
  call: UserCall<U>,
): Promise<Answer> {
  const { name } = collectionOf(services.schema, call.params)
  const id = parseRecordId(call)
  const before = call.query.get('before')
  if (before !== null && !/^[1-9]\d{0,14}$/.test(before)) {
    throw new SyncError('REQUEST_INVALID', 'before is the number of an entry.')
  }
  const history = await services.engine.history(call.caller, name, id, {
    limit: parseLimit(call.query, services.limits.pullRows),
    before: before === null ? undefined : Number(before),
  })
  const lost = await services.engine.lostValues(call.caller, name, id)
  if (history === null || lost === null) throw notFound()
  return jsonAnswer({ history, lost })
}

/** The id in the path. One that is no UUID is answered like one that does not exist. Errors: RECORD_NOT_FOUND. */
export function parseRecordId({ params }: Pick<UserCall, 'params'>): string {
  const id = params['id']
  if (isUuid(id)) return id
  throw notFound()
}

function notFound(): SyncError {
  return new SyncError('RECORD_NOT_FOUND', 'There is no such record.')
}

function parseFilters(query: URLSearchParams, collection: CollectionSchema): Readonly<Record<string, Json>> {
  const filters: [string, Json][] = []
  for (const [name, text] of query) {
    if (name !== 'limit' && name !== 'after') filters.push([name, parseFilter(collection, name, text)])
  }
  return Object.fromEntries(filters)
}

function parseFilter(collection: CollectionSchema, name: string, text: string): Json {
  const field = collection.fieldsByName.get(name)
  switch (field?.kind) {
    case undefined:
      throw new SyncError('FIELD_UNKNOWN', 'A filter names a field the collection does not have.')
    case 'text':
    case 'decimal':
    case 'timestamp':
    case 'reference':
      return text
    case 'integer':
    case 'counter':
    case 'real':
      if (text.trim() !== '' && Number.isFinite(Number(text))) return Number(text)
      throw new SyncError('VALUE_INVALID', `The filter ${name} is not a number.`, { at: name })
    case 'boolean':
      if (text === 'true' || text === 'false') return text === 'true'
      throw new SyncError('VALUE_INVALID', `The filter ${name} is not true or false.`, { at: name })
    case 'set':
    case 'json':
    case 'attachment':
      throw new SyncError('VALUE_INVALID', `${name} cannot be filtered by.`, { at: name })
  }
}
