import type { CollectionSchema, LostAnswer, ReturnedFate } from '@holdfast/core'
import type { User } from '../engine.ts'
import type { ReturnedMutation } from './returned-mutation.ts'
import type { SeenChange } from '../store/store.ts'
import type { Session } from './session.ts'

/** What a returned mutation meets in its record. */
export interface Returned {
  /** By field, for the merge. */
  readonly fates: ReadonlyMap<string, ReturnedFate>
  /** Fields written after the restore: for its author, somebody else's. */
  readonly concurrent: ReadonlySet<string>
}

/**
 * Tells from the audit who wrote each field of the record last: somebody after the restore, another returned mutation, or
 * the history before the backup. Whatever was received later than the lost answer is of after the restore; in the same ms it may be. One that had
 * made no version says no time: it overrules nothing. Rules: PU-42.
 */
export function returnedOf<U extends User>(
  { working }: Session<U>,
  collection: CollectionSchema,
  { collection: name, record, was, at }: ReturnedMutation,
): Returned {
  const fates = new Map<string, ReturnedFate>()
  const concurrent = new Set<string>()
  const since = was.serverUpdatedAt ?? at.slice(0, 24)
  const newest = newestByField(working.changes(name, record))
  for (const field of collection.fields) {
    const change = newest.get(field.name)
    const isLater = change !== undefined && change.was === null && change.receivedAt >= since
    if (isLater) concurrent.add(field.name)
    if (change?.was && isNewer(change.was, was)) fates.set(field.name, 'yields')
    else if (isLater || (was.version === null && !change?.was)) fates.set(field.name, 'meets')
  }
  return { fates, concurrent }
}

function newestByField(changes: readonly SeenChange[]): ReadonlyMap<string, SeenChange> {
  const newest = new Map<string, SeenChange>()
  for (const change of changes) {
    for (const field of change.fields) {
      if ((newest.get(field)?.version ?? 0) < change.version) newest.set(field, change)
    }
  }
  return newest
}

/** Answers of one history stand in the order of their versions; those of a later history are later, whatever their versions. */
function isNewer(left: LostAnswer, right: LostAnswer): boolean {
  const [leftAt, rightAt] = [left.serverUpdatedAt ?? '', right.serverUpdatedAt ?? '']
  if (leftAt !== rightAt) return leftAt > rightAt
  return (left.version ?? 0) > (right.version ?? 0)
}
