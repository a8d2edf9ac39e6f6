import { assertNever, SyncError } from '../errors.ts'
import { isObject, type Values } from '../json.ts'
import type { CollectionSchema, FieldSchema } from '../schema/schema.ts'

/**
 * Checks the values of a row as the server sent it and gives back the same object, because this runs for every row of
 * a first sync. Kinds are checked, bounds are not: what a server holds is shown. Members that are no fields are left
 * where they are, and a missing field is for the caller to read as null, so that either side can be newer.
 * Errors: RESPONSE_INVALID. Rules: WI-5.
 */
export function parseRowData(collection: CollectionSchema, data: unknown): Values {
  if (!isObject(data)) throw misfit(collection.name, 'is no object')
  for (const field of collection.fields) {
    const value = data[field.name]
    if (value !== undefined && value !== null && !hasKind(field, value)) {
      throw misfit(`${collection.name}.${field.name}`, `is no ${field.kind}`)
    }
  }
  // It came out of JSON.parse, so that every member is JSON.
  return data as Values
}

function hasKind(field: FieldSchema, value: unknown): boolean {
  switch (field.kind) {
    case 'text':
    case 'decimal':
    case 'timestamp':
    case 'reference':
      return typeof value === 'string'
    case 'integer':
    case 'counter':
      return Number.isSafeInteger(value)
    case 'real':
      return typeof value === 'number'
    case 'boolean':
      return typeof value === 'boolean'
    case 'set':
      return Array.isArray(value)
    case 'attachment':
      return isObject(value)
    case 'json':
      return true
    default:
      return assertNever(field.kind)
  }
}

function misfit(at: string, message: string): SyncError {
  return new SyncError('RESPONSE_INVALID', `${at} ${message}`, { at })
}
