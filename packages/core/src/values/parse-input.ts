import { SyncError } from '../errors.ts'
import { isUuid } from '../ids.ts'
import { isObject, type Json, type Values } from '../json.ts'
import type { CollectionSchema, FieldSchema } from '../schema/schema.ts'
import { parseFieldValue } from './parse-field-value.ts'

/** An insert, read: `id` when one was given, and a value for every field. */
export interface ParsedInsert {
  readonly id: string | undefined
  readonly values: Values
}

/**
 * What an app inserts, in stored form and complete: fields left out have their default, else null, 0 or [].
 * Errors: FIELD_UNKNOWN, FIELD_SERVER_OWNED, VALUE_INVALID, VALUE_TOO_LARGE. Rules: VAL-9, VAL-10.
 */
export function parseInsert(collection: CollectionSchema, input: unknown): ParsedInsert {
  const given = objectOf(collection, input)
  const { id, ...fields } = given
  if (id !== undefined && !isUuid(id)) {
    throw new SyncError('VALUE_INVALID', 'id must be a UUID in lower case', { at: `${collection.name}.id` })
  }
  const values = parseGiven(collection, fields)
  return { id, values: completeValues(collection, values) }
}

/**
 * The fields an app changes, in stored form; a field given as undefined is left out.
 * Errors: FIELD_UNKNOWN, FIELD_SERVER_OWNED, VALUE_INVALID, VALUE_TOO_LARGE. Rules: VAL-9.
 */
export function parseUpdate(collection: CollectionSchema, input: unknown): Values {
  return parseGiven(collection, objectOf(collection, input))
}

/** A value for every field: the given one, else what `absentValue` says. Errors: VALUE_INVALID. Rules: VAL-10. */
export function completeValues(collection: CollectionSchema, given: Values): Values {
  const values = fillValues(collection, given)
  const missing = missingField(collection, values)
  if (missing === undefined) return values
  const at = `${collection.name}.${missing}`
  throw new SyncError('VALUE_INVALID', `${at} is missing`, { at })
}

/** As `completeValues`, for code that must not throw: null stands in a required field without a value. */
export function fillValues(collection: CollectionSchema, given: Values): Values {
  const values: Record<string, Json> = {}
  for (const field of collection.fields) {
    // A null that was given stays, also where there is a default.
    const value = given[field.name]
    values[field.name] = value === undefined ? (absentValue(field) ?? null) : value
  }
  return values
}

/** The first required field that is null; undefined when the values make a whole row. */
export function missingField(collection: CollectionSchema, values: Values): string | undefined {
  return collection.fields.find((field) => !field.optional && (values[field.name] ?? null) === null)?.name
}

/** What stands in a field that was not given: its default, else null if it is optional; undefined if it is required. */
export function absentValue(field: FieldSchema): Json | undefined {
  return field.default ?? (field.optional ? null : undefined)
}

function parseGiven(collection: CollectionSchema, given: Readonly<Record<string, unknown>>): Values {
  const values: Record<string, Json> = {}
  for (const [name, value] of Object.entries(given)) {
    const field = fieldOf(collection, name)
    if (value === undefined) continue
    const at = `${collection.name}.${name}`
    if (field.owner === 'server') {
      throw new SyncError('FIELD_SERVER_OWNED', `${at} is set by the server alone`, { at })
    }
    values[name] = parseFieldValue(field, value, at)
  }
  return values
}

/** The field of that name. Errors: FIELD_UNKNOWN. */
export function fieldOf(collection: CollectionSchema, name: string): FieldSchema {
  const field = collection.fieldsByName.get(name)
  if (field) return field
  const at = `${collection.name}.${name}`
  throw new SyncError('FIELD_UNKNOWN', `${at} is not a field of the schema`, { at })
}

function objectOf(collection: CollectionSchema, input: unknown): Readonly<Record<string, unknown>> {
  if (isObject(input)) return input
  throw new SyncError('VALUE_INVALID', `${collection.name} takes an object of fields`, {
    at: collection.name,
  })
}
