import { assertNever, SyncError } from '../errors.ts'
import { isUuid } from '../ids.ts'
import { canonicalJson, isObject, type Json } from '../json.ts'
import { limits } from '../limits.ts'
import type { Field } from '../schema/field.ts'
import { canonicalDecimal } from './decimal.ts'
import { canonicalTimestamp } from './timestamp.ts'
import { parseJsonValue } from './parse-json-value.ts'
import { isStorableText, fitsBytes } from './storable-text.ts'

/** What of a field decides whether a value fits. */
export type ValueShape = Pick<Field, 'kind' | 'optional' | 'maxLength' | 'of' | 'merge' | 'validate'>

/**
 * The value in the one form in which it is stored, sent and compared. Already canonical values come back as they are,
 * so repeating is safe. A validator of the field judges the value; what it returns is not used.
 * Errors: VALUE_INVALID, VALUE_TOO_LARGE, both with `path` in `at`. Rules: VAL-1 to VAL-6.
 */
export function parseFieldValue(field: ValueShape, value: unknown, path: string): Json {
  const parsed = parseSeenValue(field, value, path)
  if (parsed === null) {
    if (!field.optional) throw invalid(path, 'may not be null')
    return null
  }
  checkBounds(field, parsed, path)
  if (field.validate) runValidator(field.validate, parsed, path)
  return parsed
}

/**
 * A value that was seen rather than written, such as a base: its kind must fit, but the bounds and validators of today
 * do not apply to what was stored yesterday, and null is always possible. Errors: VALUE_INVALID, VALUE_TOO_LARGE.
 */
export function parseSeenValue(field: ValueShape, value: unknown, path: string): Json {
  if (value === null) return null
  switch (field.kind) {
    case 'text':
      return parseText(value, path)
    case 'integer':
    case 'counter':
      return parseInteger(value, path)
    case 'real':
      if (typeof value !== 'number' || !Number.isFinite(value)) throw invalid(path, 'must be a finite number')
      return value + 0
    case 'decimal':
      return parseDecimal(value, path)
    case 'boolean':
      if (typeof value !== 'boolean') throw invalid(path, 'must be true or false')
      return value
    case 'timestamp':
      return parseTimestamp(value, path)
    case 'json':
      return parseJsonValue(value, path)
    case 'set':
      return parseMembers(field, value, path)
    case 'reference':
      if (!isUuid(value)) throw invalid(path, 'must be the id of a record: a UUID in lower case')
      return value
    case 'attachment':
      return parseAttachment(value, path)
    default:
      return assertNever(field.kind)
  }
}

/** Members of a set: sorted, each once. Errors: VALUE_INVALID, VALUE_TOO_LARGE. Rules: VAL-5. */
export function parseMembers(
  field: Pick<Field, 'of' | 'maxLength'>,
  value: unknown,
  path: string,
): readonly (string | number)[] {
  if (!Array.isArray(value)) throw invalid(path, 'must be a list of members')
  const members = value.map((member: unknown, index) => {
    const at = `${path}[${index}]`
    if (field.of === 'integer') return parseInteger(member, at)
    return checkLength(parseText(member, at), field.maxLength ?? limits.textLength, at)
  })
  const sorted = sortMembers(members)
  if (sorted.length > limits.setMembers) throw tooLarge(path, `holds more than ${limits.setMembers} members`)
  return sorted
}

/** The order in which the members of a set are stored: numbers by size, text by code unit, each once. */
export function sortMembers<Member extends string | number>(members: Iterable<Member>): readonly Member[] {
  return [...new Set(members)].sort((left, right) => (left < right ? -1 : left > right ? 1 : 0))
}

function parseText(value: unknown, path: string): string {
  if (typeof value !== 'string') throw invalid(path, 'must be text')
  if (!isStorableText(value))
    throw invalid(path, 'holds U+0000 or half of a surrogate pair, which no store can hold')
  return value
}

function parseInteger(value: unknown, path: string): number {
  if (!Number.isSafeInteger(value)) {
    throw invalid(path, 'must be a whole number within ±9007199254740991; use decimal() for larger ones')
  }
  // Adding zero turns -0, which JSON cannot carry, into 0. isSafeInteger has shown that it is a number.
  return (value as number) + 0
}

function parseDecimal(value: unknown, path: string): string {
  const decimal = typeof value === 'string' ? canonicalDecimal(value) : undefined
  if (decimal === undefined) {
    throw invalid(
      path,
      `must be a decimal number as text, such as '899.00', of at most ${limits.decimalDigits} digits`,
    )
  }
  return decimal
}

function parseTimestamp(value: unknown, path: string): string {
  const timestamp = typeof value === 'string' ? canonicalTimestamp(value) : undefined
  if (timestamp === undefined) {
    throw invalid(path, "must be a time with its zone, such as '2026-11-20T10:00:00.000Z'")
  }
  return timestamp
}

const attachmentMembers = new Set(['hash', 'size', 'name', 'mediaType'])

function parseAttachment(value: unknown, path: string): Json {
  if (!isObject(value)) throw invalid(path, 'must be { hash, size, name?, mediaType? }')
  const unknown = Object.keys(value).find((key) => !attachmentMembers.has(key))
  if (unknown !== undefined) throw invalid(`${path}.${unknown}`, 'is not a member of an attachment')
  const { hash, size, name, mediaType } = value
  if (typeof hash !== 'string' || !/^[0-9a-f]{64}$/.test(hash)) {
    throw invalid(`${path}.hash`, 'must be a SHA-256 in 64 lower case hex digits')
  }
  const bytes = parseInteger(size, `${path}.size`)
  if (bytes < 0) throw invalid(`${path}.size`, 'must not be negative')
  const attachment: Record<string, Json> = { hash, size: bytes }
  // Names come from file systems that spell the same letters differently; they are kept in form NFC.
  if (name !== undefined) attachment.name = parseText(name, `${path}.name`).normalize('NFC')
  if (mediaType !== undefined) attachment.mediaType = parseText(mediaType, `${path}.mediaType`)
  return attachment
}

function checkBounds(field: ValueShape, value: Json, path: string): void {
  if (field.kind === 'text' && typeof value === 'string') {
    checkLength(value, field.maxLength ?? limits.textLength, path)
    if (field.merge.rule === 'transitions' && !isState(field.merge.allowed, value)) {
      throw invalid(path, `must be one of ${statesOf(field.merge.allowed).join(', ')}`)
    }
  }
  if (field.kind === 'json' || field.kind === 'attachment') {
    if (!fitsBytes(canonicalJson(value), limits.jsonBytes)) {
      throw tooLarge(path, `is over ${limits.jsonBytes} bytes; use an attachment`)
    }
  }
}

/** Every state a `transitions` rule names, in the order first named. */
export function statesOf(allowed: Readonly<Record<string, readonly string[]>>): readonly string[] {
  return [...new Set([...Object.keys(allowed), ...Object.values(allowed).flat()])]
}

function isState(allowed: Readonly<Record<string, readonly string[]>>, state: string): boolean {
  return Object.hasOwn(allowed, state) || Object.values(allowed).some((next) => next.includes(state))
}

function checkLength(text: string, maxLength: number, path: string): string {
  if (text.length > maxLength) throw tooLarge(path, `is longer than ${maxLength} characters`)
  return text
}

function runValidator(validator: NonNullable<ValueShape['validate']>, value: Json, path: string): void {
  const result = validator['~standard'].validate(value)
  if (result instanceof Promise) {
    throw new SyncError('SCHEMA_INVALID', `${path}: the validator must be synchronous`, { at: path })
  }
  const issue = result.issues?.[0]
  if (issue) throw invalid(path, issue.message)
}

function invalid(path: string, message: string): SyncError {
  return new SyncError('VALUE_INVALID', `${path} ${message}`, { at: path })
}

function tooLarge(path: string, message: string): SyncError {
  return new SyncError('VALUE_TOO_LARGE', `${path} ${message}`, { at: path })
}
