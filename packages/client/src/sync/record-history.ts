import { isJsonArray, isObject, type Json, type Schema, SyncError } from '@holdfast/core'
import type { Answer } from '../transport/transport.ts'

/** One entry of a record's timeline. Rules: CF-7, PR-7. */
export interface HistoryEntry {
  readonly op: string
  /** null: another writer than Holdfast. */
  readonly user: string | null
  readonly device: string | null
  readonly mutation: string | null
  readonly version: number | null
  readonly at: string
  readonly status: string
  /** Changed fields only. */
  readonly before: Json
  readonly after: Json
  /** Where two values met: field, rule, explanation, both values and the result. */
  readonly decisions: readonly Json[]
}

/** A value that lost to another and can be brought back with an ordinary update. */
export interface LostValue {
  readonly field: string
  readonly value: Json
  readonly rule: string
  readonly explanation: string
  readonly user: string | null
  readonly at: string
}

/** What happened to a record, newest first, and which values lost, of fields that the app has. */
export interface RecordHistory {
  readonly history: readonly HistoryEntry[]
  readonly lost: readonly LostValue[]
}

/**
 * Asks the server for a record's timeline. A value that lost is listed where the app has its field: another app's it cannot
 * bring back. Errors: RESPONSE_INVALID, RECORD_NOT_FOUND, those of the transport.
 */
export async function readHistory(
  ask: (path: string) => Promise<Pick<Answer, 'body'>>,
  { collections }: Schema,
  { collection, record }: { readonly collection: string; readonly record: string },
): Promise<RecordHistory> {
  const { body } = await ask(`/records/${collection}/${record}/history`)
  if (!isObject(body) || !isJsonArray(body['history']) || !isJsonArray(body['lost'])) {
    throw new SyncError('RESPONSE_INVALID', 'a history is two lists')
  }
  const fields = collections.get(collection)?.fieldsByName
  const lost = body['lost'].flatMap(readLost).filter(({ field }) => fields?.has(field))
  return { history: body['history'].flatMap(readEntry), lost }
}

function readEntry(entry: Json): HistoryEntry[] {
  if (!isObject(entry) || typeof entry['op'] !== 'string') return []
  const { op, version, before, after, decisions } = entry
  return [
    {
      op,
      user: textOrNull(entry['user']),
      device: textOrNull(entry['device']),
      mutation: textOrNull(entry['mutation']),
      version: typeof version === 'number' ? version : null,
      at: textOrNull(entry['at']) ?? '',
      status: textOrNull(entry['status']) ?? '',
      before: before ?? null,
      after: after ?? null,
      decisions: isJsonArray(decisions) ? decisions : [],
    },
  ]
}

function readLost(lost: Json): LostValue[] {
  if (!isObject(lost) || typeof lost['field'] !== 'string') return []
  const { field, value } = lost
  const texts = {
    rule: textOrNull(lost['rule']) ?? '',
    explanation: textOrNull(lost['explanation']) ?? '',
    user: textOrNull(lost['user']),
    at: textOrNull(lost['at']) ?? '',
  }
  return [{ field, value: value ?? null, ...texts }]
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
