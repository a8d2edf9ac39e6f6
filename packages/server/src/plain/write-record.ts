import { type CollectionSchema, isObject, isUuid, newUuid, SyncError } from '@holdfast/core'

import type { PlainWrite, User } from '../engine.ts'
import type { Answer } from '../http/answer.ts'
import type { HttpServices, UserCall } from '../http/http-call.ts'
import { readObjectBody } from '../http/read-body.ts'
import { collectionOf } from './collection-of.ts'
import { plainWriteAnswer } from './plain-answer.ts'
import { checkId, parsePlainBody, parsePrecondition, type PlainBody } from './plain-body.ts'
import { requestKey } from './request-key.ts'

/** What a plain request may do to its record. */
export type RecordWrite = Extract<PlainWrite['op'], 'create' | 'put' | 'update' | 'delete'>

/** POST, PUT, PATCH and DELETE of a record. Rules: PH-31 to PH-38. */
export async function writeRecord<U extends User>(
  services: HttpServices<U>,
  call: UserCall<U>,
  op: RecordWrite,
): Promise<Answer> {
  const { engine, limits } = services
  const { request, caller } = call
  const collection = collectionOf(services.schema, call.params)
  const body = await readObjectBody(request, limits)
  const plain = parsePlainBody(body, collection, { takesIncrements: true })
  if (plain.deletedAt !== undefined && op !== 'delete') {
    throw new SyncError('VALUE_INVALID', 'deleted_at cannot be set; use DELETE.', { at: 'deleted_at' })
  }
  const record = recordId(services, call, { op, plain })
  const write: PlainWrite = {
    collection: collection.name,
    record,
    op,
    values: op === 'delete' ? {} : plain.values,
    increments: plain.increments,
    precondition: op === 'create' ? { kind: 'none' } : parsePrecondition(request.headers, plain),
    at: await editTime(services, call, { collection, record, op, plain }),
  }
  const response = await engine.apply(caller, [write], { key: requestKey(request, body, limits) })
  // The address of the collection takes an id behind it; the address of a record has one already.
  const pathname = new URL(request.url).pathname.replace(/\/$/, '')
  const location = (id: string): string => (op === 'create' ? `${pathname}/${id}` : pathname)
  return plainWriteAnswer(response, { call, clientData: body, location })
}

/** The id in the path; for POST the one in the body, or a new one. A foreign spelling exists nowhere. */
function recordId<U extends User>(
  { env }: HttpServices<U>,
  { params }: UserCall<U>,
  { op, plain }: Pick<Edit, 'op' | 'plain'>,
): string {
  const { id } = plain
  if (op === 'create') {
    if (id === undefined || id === null) return newUuid(env)
    if (isUuid(id)) return id
    throw new SyncError('VALUE_INVALID', 'id is not a UUID in lower case.', { at: 'id' })
  }
  const named = params['id'] ?? ''
  checkId(plain, named)
  if (isUuid(named)) return named
  if (op === 'put') throw new SyncError('VALUE_INVALID', 'The id is not a UUID in lower case.', { at: 'id' })
  throw new SyncError('RECORD_NOT_FOUND', 'There is no such record.')
}

interface Edit {
  readonly collection: CollectionSchema
  readonly record: string
  readonly op: RecordWrite
  readonly plain: PlainBody
}

/**
 * When the edit was made: `updated_at`, unless it is the time the row has already. Then the client sent back what it
 * had read, and the edit is of now; otherwise two such clients would not notice each other.
 */
async function editTime<U extends User>(
  { engine }: HttpServices<U>,
  { caller }: UserCall<U>,
  { collection, record, op, plain }: Edit,
): Promise<string | undefined> {
  if (plain.updatedAt === undefined || op === 'create') return plain.updatedAt
  const text = await engine.record(caller, collection.name, record, { deleted: true })
  const row: unknown = text === null ? null : JSON.parse(text)
  return isObject(row) && row['updated_at'] === plain.updatedAt ? undefined : plain.updatedAt
}
