import { isJsonArray, type Json, type Values } from '../json.ts'
import type { Payload } from '../mutation.ts'
import type { CollectionSchema } from '../schema/schema.ts'
import { membersOf, valuesEqual } from './values-equal.ts'

/**
 * What a mutation says when its author, who sees the row `before`, wants the fields of `wanted` to be so. Equal values
 * are left out; of a field group all members go along; a counter travels as the difference, a set as what came and
 * went. Both sides make their payloads here. Rules: VAL-11.
 */
export function payloadOfUpdate(collection: CollectionSchema, before: Values, wanted: Values): Payload {
  const changes: Record<string, Json> = {}
  const base: Record<string, Json> = {}
  const increments: Record<string, number> = {}
  const additions: Record<string, readonly (string | number)[]> = {}
  const removals: Record<string, readonly (string | number)[]> = {}
  for (const [name, value] of Object.entries(wanted)) {
    const field = collection.fieldsByName.get(name)
    const seen = before[name] ?? null
    if (!field || valuesEqual(field, seen, value)) continue
    if (field.kind === 'counter' && typeof seen === 'number' && typeof value === 'number') {
      increments[name] = value - seen
    } else if (field.kind === 'set' && isJsonArray(seen) && isJsonArray(value)) {
      const [had, wants] = [membersOf(seen), membersOf(value)]
      const [added, removed] = [without(wants, had), without(had, wants)]
      if (added.length > 0) additions[name] = added
      if (removed.length > 0) removals[name] = removed
    } else {
      for (const member of field.group?.fields ?? [name]) {
        const [seenMember, wantedMember] = [before[member] ?? null, wanted[member]]
        changes[member] = wantedMember === undefined ? seenMember : wantedMember
        base[member] = seenMember
      }
    }
  }
  return { changes, base, increments, additions, removals }
}

function without<Member>(members: readonly Member[], taken: readonly Member[]): readonly Member[] {
  const gone = new Set(taken)
  return members.filter((member) => !gone.has(member))
}
