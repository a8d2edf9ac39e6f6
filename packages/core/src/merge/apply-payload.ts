import type { Json, Values } from '../json.ts'
import { limits } from '../limits.ts'
import type { Payload } from '../mutation.ts'
import type { CollectionSchema, FieldSchema } from '../schema/schema.ts'
import { sortMembers } from '../values/parse-field-value.ts'
import { membersOf } from '../values/values-equal.ts'

/** True for the kinds whose changes add up instead of replacing each other. */
export function isAccumulated(field: FieldSchema): boolean {
  return field.kind === 'counter' || field.kind === 'set'
}

/**
 * The value of a counter or set after a payload. A total that is set with a known base counts as the difference; a
 * total without a base assigns, a set without a base joins unless its author saw the current one. Rules: ME-6, ME-7.
 */
export function accumulatedValue(
  field: FieldSchema,
  payload: Payload,
  current: { readonly value: Json | undefined; readonly isSeen: boolean },
): Json {
  return field.kind === 'counter'
    ? counterAfter(field.name, payload, current.value)
    : membersAfter(field.name, payload, current)
}

function counterAfter(name: string, payload: Payload, current: Json | undefined): number {
  const wanted = numberOf(payload.changes[name])
  const seen = numberOf(payload.base?.[name])
  let total = numberOf(current) ?? 0
  if (wanted !== undefined) total = seen === undefined ? wanted : total + (wanted - seen)
  return total + (payload.increments[name] ?? 0)
}

function numberOf(value: Json | undefined): number | undefined {
  return typeof value === 'number' ? value : undefined
}

function membersAfter(
  name: string,
  payload: Payload,
  current: { readonly value: Json | undefined; readonly isSeen: boolean },
): Json {
  const members = new Set(membersOf(current.value))
  if (Object.hasOwn(payload.changes, name)) {
    const wanted = membersOf(payload.changes[name])
    const seen = payload.base?.[name] === undefined ? [] : membersOf(payload.base[name])
    if (payload.base?.[name] === undefined && current.isSeen) members.clear()
    for (const member of seen) if (!wanted.includes(member)) members.delete(member)
    for (const member of wanted) if (!seen.includes(member)) members.add(member)
  }
  for (const member of payload.additions[name] ?? []) members.add(member)
  for (const member of payload.removals[name] ?? []) members.delete(member)
  return sortMembers(members)
}

/** Whether a counter or set can be so. Rules: ME-23. */
export function isWithinBounds(field: FieldSchema, value: Json | undefined): boolean {
  return field.kind === 'counter' ? Number.isSafeInteger(value) : membersOf(value).length <= limits.setMembers
}

/** The first counter or set that can not be as it is in `values`; undefined when each can. */
export function fieldOutOfBounds(collection: CollectionSchema, values: Values): FieldSchema | undefined {
  return collection.fields.find((field) => isAccumulated(field) && !isWithinBounds(field, values[field.name]))
}

/**
 * The values with a payload on top, asking nobody: what its author sees. `isSeen` is false when he wrote without
 * knowing the values. Fields the schema lacks are passed over.
 */
export function applyPayload(
  collection: CollectionSchema,
  values: Values,
  payload: Payload,
  isSeen = true,
): Values {
  const next: Record<string, Json> = { ...values }
  for (const field of collection.fields) {
    const { name } = field
    if (isAccumulated(field)) {
      next[name] = accumulatedValue(field, payload, { value: values[name], isSeen })
    } else if (Object.hasOwn(payload.changes, name)) {
      next[name] = payload.changes[name] ?? null
    }
  }
  return next
}
