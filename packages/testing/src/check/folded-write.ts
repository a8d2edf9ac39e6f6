import type { Item } from './run-book.ts'
import type { EntryWritten, Json } from './observation.ts'

/** What mutations of one record say together, told from what their author wrote and nothing else. */
export interface FoldedWrite {
  readonly op: EntryWritten['op']
  /** The last value of each field that was set. */
  readonly changes: Readonly<Record<string, Json>>
  /** What was seen before the first change of a field. */
  readonly base: Readonly<Record<string, Json>>
  /** Sums by counter. */
  readonly increments: Readonly<Record<string, number>>
  /** By set, the last word on each member: there or gone. */
  readonly members: Readonly<Record<string, ReadonlyMap<string | number, boolean>>>
}

/** Puts mutations of one record together, given in the order written. */
export function foldedWrite(items: readonly Item[]): FoldedWrite {
  let op: EntryWritten['op'] = 'update'
  const changes: Record<string, Json> = {}
  const base: Record<string, Json> = {}
  const increments: Record<string, number> = {}
  const members: Record<string, Map<string | number, boolean>> = {}
  for (const { write, payload } of items) {
    if (write.first.op !== 'update') op = write.first.op
    for (const [field, value] of Object.entries(payload.base ?? {})) {
      if (!Object.hasOwn(changes, field) && !Object.hasOwn(base, field)) base[field] = value
    }
    Object.assign(changes, payload.changes)
    for (const [field, amount] of Object.entries(payload.increments)) {
      increments[field] = (increments[field] ?? 0) + amount
    }
    for (const [field, added] of Object.entries(payload.additions)) {
      for (const member of added) (members[field] ??= new Map()).set(member, true)
    }
    for (const [field, removed] of Object.entries(payload.removals)) {
      for (const member of removed) (members[field] ??= new Map()).set(member, false)
    }
  }
  return { op, changes, base, increments, members }
}
