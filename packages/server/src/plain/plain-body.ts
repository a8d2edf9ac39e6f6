import { type CollectionSchema, isObject, SyncError, type Values } from '@holdfast/core'

import type { Precondition } from '../engine.ts'
import { parseIsoTime } from './iso-time.ts'

/** A body of a plain write, taken apart. */
export interface PlainBody {
  /** Business fields as they came; the engine checks them. */
  readonly values: Values
  readonly id: unknown
  readonly baseVersion: number | undefined
  /** ISO time of the edit. */
  readonly updatedAt: string | undefined
  /** ISO time at which the writer deleted the record; null or absent: it did not. */
  readonly deletedAt: string | undefined
  readonly increments: Readonly<Record<string, number>> | undefined
}

/** Members of a canonical row that the server owns; a client that sends a row back as it got it may leave them in. */
const ownedMembers: ReadonlySet<string> = new Set([
  'id',
  'version',
  'created_at',
  'updated_at',
  'server_updated_at',
  'deleted_at',
  'baseVersion',
  'collection',
])

/** What a body may carry beside a canonical row. */
interface PlainBodyOptions {
  /** Otherwise `increments` is a field that the collection does not have. */
  readonly takesIncrements?: boolean
}

/**
 * Reads a flat body: fields beside `id`, `baseVersion`, `updated_at` and `deleted_at`. What else a canonical row
 * carries is ignored. Errors: REQUEST_INVALID, VALUE_INVALID. Rules: PH-33, PH-34.
 */
export function parsePlainBody(
  body: Readonly<Record<string, unknown>>,
  collection: CollectionSchema,
  { takesIncrements = false }: PlainBodyOptions = {},
): PlainBody {
  const hasIncrements =
    takesIncrements && Object.hasOwn(body, 'increments') && !collection.fieldsByName.has('increments')
  const isField = (name: string): boolean =>
    collection.fieldsByName.has(name) || !(ownedMembers.has(name) || (hasIncrements && name === 'increments'))
  return {
    // They are JSON values because the body was JSON text; `fromEntries` keeps a member named __proto__ inert.
    values: Object.fromEntries(Object.entries(body).filter(([name]) => isField(name))) as Values,
    id: body['id'],
    baseVersion: parseBaseVersion(body['baseVersion']),
    updatedAt: parseTime(body, 'updated_at'),
    deletedAt: parseTime(body, 'deleted_at'),
    increments: hasIncrements ? parseIncrements(body['increments']) : undefined,
  }
}

/** A body may name its record only as the path does. Errors: REQUEST_INVALID. Rules: PH-33. */
export function checkId({ id }: Pick<PlainBody, 'id'>, named: string): void {
  if (id !== undefined && id !== named)
    throw new SyncError('REQUEST_INVALID', 'The body is of another id than the path.')
}

function parseBaseVersion(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new SyncError('REQUEST_INVALID', 'baseVersion is a version number.')
}

function parseTime(
  body: Readonly<Record<string, unknown>>,
  name: 'updated_at' | 'deleted_at',
): string | undefined {
  const value = body[name]
  if (value === undefined || value === null) return undefined
  const time = parseIsoTime(value)
  if (time === undefined)
    throw new SyncError('VALUE_INVALID', `${name} is not an ISO 8601 time.`, { at: name })
  return time
}

function parseIncrements(value: unknown): Readonly<Record<string, number>> {
  if (!isObject(value)) throw new SyncError('REQUEST_INVALID', 'increments are amounts by counter.')
  const amounts = Object.entries(value).map(([name, amount]): [string, number] => {
    if (typeof amount === 'number' && Number.isSafeInteger(amount)) return [name, amount]
    throw new SyncError('VALUE_INVALID', `The increment of ${name.slice(0, 80)} is not a whole number.`, {
      at: name,
    })
  })
  return Object.fromEntries(amounts)
}

/**
 * What must hold for a write to count: the version in `If-Match`, else `baseVersion`, else that nobody wrote later than
 * `updated_at`, else nothing. Errors: REQUEST_INVALID. Rules: PH-35, PH-36.
 */
export function parsePrecondition(headers: Headers, body: PlainBody): Precondition {
  const ifMatch = headers.get('if-match')
  if (ifMatch !== null) return { kind: 'version', version: parseEtag(ifMatch) }
  if (body.baseVersion !== undefined) return { kind: 'version', version: body.baseVersion }
  if (body.updatedAt !== undefined) return { kind: 'time', updatedAt: body.updatedAt }
  return { kind: 'none' }
}

function parseEtag(text: string): number {
  const match = /^(?:W\/)?"(\d{1,15})"$/.exec(text.trim())
  if (match) return Number(match[1])
  throw new SyncError('REQUEST_INVALID', 'If-Match is one version in quotes, such as "41".')
}
