import { type CollectionSchema, SyncError, type Values } from '@holdfast/core'

import { lostValuesOf } from '../audit/read-history.ts'
import type { HistoryEntry, LostValue, User } from '../engine.ts'
import type { Answer } from '../http/answer.ts'
import type { HttpServices, UserCall } from '../http/http-call.ts'
import { readObjectBody } from '../http/read-body.ts'
import { collectionOf } from './collection-of.ts'
import { plainWriteAnswer } from './plain-answer.ts'
import { checkId, parsePlainBody, parsePrecondition } from './plain-body.ts'
import { parseRecordId } from './read-records.ts'
import { requestKey } from './request-key.ts'

/**
 * Brings values back: those of `values`, or the newest that `fields` lost, or those that entry number `entry` of the
 * history replaced or turned down (of `fields` only, if given; else of those that may be written). An empty body brings a
 * deleted record back. Errors: REQUEST_INVALID, RECORD_NOT_FOUND, FIELD_UNKNOWN. Rules: PH-42, PR-7.
 */
export async function restoreRecord<U extends User>(
  services: HttpServices<U>,
  call: UserCall<U>,
): Promise<Answer> {
  const collection = collectionOf(services.schema, call.params)
  const record = parseRecordId(call)
  const body = await readObjectBody(call.request, services.limits)
  const { values = {}, field, fields, entry, ...rest } = body
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw new SyncError('REQUEST_INVALID', 'values are given by field.')
  }
  const plain = parsePlainBody(rest, collection)
  checkId(plain, record)
  const wanted = parseFields(fields ?? (field === undefined ? undefined : [field]), collection)
  const source = { collection, record, wanted, entry: parseEntry(entry) }
  const found = wanted || entry !== undefined ? await valuesOfHistory(services, call, source) : {}
  const response = await services.engine.apply(
    call.caller,
    [
      {
        collection: collection.name,
        record,
        op: 'restore',
        // They are values because the body was JSON text; the engine checks them against their fields.
        values: { ...found, ...(values as Values), ...plain.values },
        precondition: parsePrecondition(call.request.headers, plain),
      },
    ],
    { key: requestKey(call.request, body, services.limits) },
  )
  return plainWriteAnswer(response, { call, clientData: body })
}

function parseFields(
  value: unknown,
  { name, fieldsByName }: CollectionSchema,
): readonly string[] | undefined {
  if (value === undefined) return undefined
  if (!Array.isArray(value) || !value.every((field) => typeof field === 'string'))
    throw new SyncError('REQUEST_INVALID', 'fields are names of fields.')
  const unknown = value.find((field) => !fieldsByName.has(field))
  if (unknown === undefined) return value
  throw new SyncError('FIELD_UNKNOWN', `${name}.${unknown} is not a field of the schema`, { at: unknown })
}

function parseEntry(value: unknown): number | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value
  throw new SyncError('REQUEST_INVALID', 'entry is the number of an entry of the history.')
}

interface HistorySource {
  readonly collection: CollectionSchema
  readonly record: string
  readonly wanted: readonly string[] | undefined
  readonly entry: number | undefined
}

async function valuesOfHistory<U extends User>(
  { engine }: HttpServices<U>,
  { caller }: UserCall<U>,
  { collection, record, wanted, entry }: HistorySource,
): Promise<Values> {
  const { name, fieldsByName } = collection
  const pageBefore = async (before?: number, limit?: number): Promise<readonly HistoryEntry[]> => {
    const entries = await engine.history(caller, name, record, { before, limit })
    if (entries === null) throw new SyncError('RECORD_NOT_FOUND', 'There is no such record.')
    return entries
  }
  // What the server alone sets, or the schema has no more, was in the entry too; nobody named it.
  const isWanted = (field: string): boolean =>
    wanted === undefined ? fieldsByName.get(field)?.owner === 'anyone' : wanted.includes(field)
  const lostIn = (entries: readonly HistoryEntry[]): Values =>
    newestByField(lostValuesOf(entries).filter(({ field }) => isWanted(field)))
  if (entry !== undefined) {
    const [asked] = await pageBefore(entry + 1, 1)
    if (asked?.n !== entry)
      throw new SyncError('REQUEST_INVALID', 'The history of this record has no such entry.')
    return lostValuesOf([asked]).some(({ field }) => isWanted(field))
      ? lostIn([asked])
      : valuesOf(asked, isWanted)
  }
  let found: Values = {}
  let page = await pageBefore()
  while (page.length > 0) {
    found = { ...lostIn(page), ...found }
    if (wanted?.every((field) => Object.hasOwn(found, field)) === true) break
    page = await pageBefore(page.at(-1)?.n)
  }
  return found
}

function newestByField(lost: readonly LostValue[]): Values {
  // Newest first, so the first of each field stays.
  return Object.fromEntries(
    lost.map(({ field, value }): [string, LostValue['value']] => [field, value]).reverse(),
  )
}

/** What an entry replaced, or, where it took no effect, what it would have written. */
function valuesOf({ op, before, after }: HistoryEntry, isWanted: (field: string) => boolean): Values {
  const values = op === 'none' ? after : before
  return Object.fromEntries(Object.entries(values ?? {}).filter(([field]) => isWanted(field)))
}
