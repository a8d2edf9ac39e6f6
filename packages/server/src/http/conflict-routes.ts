import { isObject, isUuid, SyncError, type Values } from '@holdfast/core'

import type { Resolution, User } from '../engine.ts'
import { plainWriteAnswer } from '../plain/plain-answer.ts'
import { type Answer, textAnswer } from './answer.ts'
import type { HttpServices, Route, UserCall } from './http-call.ts'
import { parseLimit } from './parse-limit.ts'
import { readObjectBody } from './read-body.ts'

/** Conflicts for people without a device: a list, and one call to settle. Rules: PH-27, PH-28. */
export function conflictRoutes<U extends User>(services: HttpServices<U>): readonly Route<U>[] {
  return [
    {
      method: 'GET',
      pattern: '/conflicts',
      access: 'user',
      isPlain: true,
      admitted: 'pull',
      handle: (call) => listConflicts(services, call),
    },
    {
      method: 'POST',
      pattern: '/conflicts/{id}/resolve',
      access: 'user',
      isPlain: true,
      admitted: 'push',
      handle: (call) => resolveConflict(services, call),
    },
  ]
}

async function listConflicts<U extends User>(services: HttpServices<U>, call: UserCall<U>): Promise<Answer> {
  const { query, caller } = call
  const status = query.get('status') ?? 'open'
  if (status !== 'open' && status !== 'resolved' && status !== 'all') {
    throw new SyncError('REQUEST_INVALID', 'status is open, resolved or all.')
  }
  const collection = query.get('collection')
  const { text, next } = await services.engine.list(caller, '_conflicts', {
    limit: parseLimit(query, services.limits.pullRowsMax),
    after: query.get('after') ?? undefined,
    filters: { ...(status !== 'all' && { status }), ...(collection !== null && { collection }) },
  })
  return textAnswer(`{"conflicts":${text},"next":${JSON.stringify(next)}}`)
}

async function resolveConflict<U extends User>(
  services: HttpServices<U>,
  call: UserCall<U>,
): Promise<Answer> {
  const { id = '' } = call.params
  if (!isUuid(id)) throw new SyncError('CONFLICT_UNKNOWN', 'There is no such conflict.')
  const body = await readObjectBody(call.request, services.limits)
  const resolution = await parseResolution(body, () => recordOfConflict(services, call, id))
  const response = await services.engine.resolve(call.caller, id, resolution)
  return plainWriteAnswer(response, { call, clientData: body })
}

/** `values` by field belong to the conflict's own record; a conflict of several takes them by record id, or `collection/id`. */
async function parseResolution(
  { kind, values }: Readonly<Record<string, unknown>>,
  recordId: () => Promise<string>,
): Promise<Resolution> {
  if (kind === 'mine' || kind === 'theirs' || kind === 'discard') return { kind }
  if (kind !== 'merge') throw new SyncError('REQUEST_INVALID', 'kind is mine, theirs, merge or discard.')
  if (!isObject(values))
    throw new SyncError('REQUEST_INVALID', 'merge needs values, by field or by record id.')
  const names = Object.keys(values)
  const isByRecord =
    names.length > 0 && names.every((name) => isUuid(name.split('/').at(-1)) && isObject(values[name]))
  // They are values because they come from JSON text; the engine checks them against their fields.
  if (isByRecord) return { kind, values: values as Readonly<Record<string, Values>> }
  return { kind, values: { [await recordId()]: values as Values } }
}

async function recordOfConflict<U extends User>(
  { engine }: HttpServices<U>,
  { caller }: UserCall<U>,
  id: string,
): Promise<string> {
  const text = await engine.record(caller, '_conflicts', id)
  const conflict: unknown = text === null ? null : JSON.parse(text)
  if (isObject(conflict) && typeof conflict['record'] === 'string')
    return `${String(conflict['collection'])}/${conflict['record']}`
  throw new SyncError('CONFLICT_UNKNOWN', 'There is no such conflict.')
}
