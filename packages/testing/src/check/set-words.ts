import type { Json } from './observation.ts'
import type { Item } from './run-book.ts'

/** The last that was said of a member, and who said it. */
export interface SetWord {
  readonly isIn: boolean
  readonly item: Item
}

/** Whether a mutation may say something of members: it adds, removes, or makes the record with what is in it. */
export function speaksOfMembers({ payload, write }: Item): boolean {
  for (const _ in payload.additions) return true
  for (const _ in payload.removals) return true
  return write.first.op === 'create' && Object.values(payload.changes).some(isList)
}

/** Whether a mutation sets lists as a whole: on a record that was there, what they do not name goes or stays. */
export function setsLists({ payload }: Item): boolean {
  for (const field in payload.changes) if (isList(payload.changes[field])) return true
  return false
}

/** By member of a set, the last word of mutations of one record, given in the order written. */
export function lastWords(items: readonly Item[], field: string): ReadonlyMap<unknown, SetWord> {
  const words = new Map<unknown, SetWord>()
  for (const item of items) {
    const { changes, additions, removals } = item.payload
    const whole = item.write.first.op === 'create' ? changes[field] : undefined
    if (isList(whole)) for (const member of whole) words.set(member, { isIn: true, item })
    for (const member of additions[field] ?? []) words.set(member, { isIn: true, item })
    for (const member of removals[field] ?? []) words.set(member, { isIn: false, item })
  }
  return words
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}
