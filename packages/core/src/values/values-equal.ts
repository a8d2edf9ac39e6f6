import { isJsonArray, jsonEqual, type Json } from '../json.ts'
import type { Field } from '../schema/field.ts'
import { canonicalDecimal, compareDecimals } from './decimal.ts'
import { sortMembers } from './parse-field-value.ts'

/**
 * Whether two values of a field mean the same: decimals by amount ('899.0' is '899.00'), times by moment, sets
 * whatever their order, JSON whatever the order of its keys. A missing value is null. Rules: VAL-7.
 */
export function valuesEqual(
  field: Pick<Field, 'kind'>,
  left: Json | undefined,
  right: Json | undefined,
): boolean {
  const [one, other] = [left ?? null, right ?? null]
  if (one === other) return true
  if (one === null || other === null) return false
  if (typeof one === 'string' && typeof other === 'string') return textsEqual(field, one, other)
  if (field.kind === 'set' && isJsonArray(one) && isJsonArray(other)) {
    return jsonEqual(sortMembers(membersOf(one)), sortMembers(membersOf(other)))
  }
  return jsonEqual(one, other)
}

function textsEqual(field: Pick<Field, 'kind'>, one: string, other: string): boolean {
  if (field.kind === 'timestamp') return Date.parse(one) === Date.parse(other)
  if (field.kind !== 'decimal') return false
  const [left, right] = [canonicalDecimal(one), canonicalDecimal(other)]
  return left !== undefined && right !== undefined && compareDecimals(left, right) === 0
}

/** The members of a set as stored; anything else in the list is left out. */
export function membersOf(value: Json | undefined): readonly (string | number)[] {
  if (!isJsonArray(value)) return []
  return value.filter((member) => typeof member === 'string' || typeof member === 'number')
}
