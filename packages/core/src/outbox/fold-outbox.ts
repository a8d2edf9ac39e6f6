import type { Json, Values } from '../json.ts'
import { limits } from '../limits.ts'
import type { Mutation } from '../mutation.ts'
import type { CollectionSchema, Schema } from '../schema/schema.ts'
import { foldMutations } from './fold-mutations.ts'

/** What some entries of the outbox travel as. */
export interface Fold {
  readonly mutation: Mutation
  /** The raw mutations it stands for, in the order written; the first gives it its place. */
  readonly members: readonly Mutation[]
}

interface OpenFold {
  mutation: Mutation
  readonly members: Mutation[]
  readonly place: number
}

/**
 * Folds entries that were never offered, given in the order written, into what has to travel, in order. Neighbours of
 * one record are folded from left to right, at the place of the first; one that would have to pass a group, or an entry
 * it is linked to by a reference or a unique key, stays where it is. `after` of what travels names what travels too, or the
 * newest that its entries stand on and that went before.
 * Pure. Rules: FO-1 to FO-9.
 */
export function foldOutbox(schema: Schema, entries: readonly Mutation[]): readonly Fold[] {
  const folds: OpenFold[] = []
  const lastByRecord = new Map<string, OpenFold>()
  const travelling = new Map<string, string>()
  let groupPlace = -1
  for (const [place, entry] of entries.entries()) {
    if (entry.group !== null) groupPlace = place
    const key = `${entry.collection}/${entry.record}`
    const last = lastByRecord.get(key)
    const mayPass =
      last && groupPlace < last.place && !isLinked(schema, entry, () => entries.slice(last.place + 1, place))
    if (mayPass && foldInto(schema, last, entry)) {
      const isOutside = entry.after !== null && !travelling.has(entry.after)
      if (isOutside) last.mutation = { ...last.mutation, after: entry.after }
      travelling.set(entry.id, last.mutation.id)
      continue
    }
    const named = entry.after === null ? null : travelling.get(entry.after)
    const fold: OpenFold = {
      mutation: named === undefined ? entry : { ...entry, after: named },
      members: [entry],
      place,
    }
    folds.push(fold)
    lastByRecord.set(key, fold)
    travelling.set(entry.id, entry.id)
  }
  return folds.map(({ mutation, members }) => ({ mutation, members }))
}

/** Folds an entry into the last one of its record; false when the two stay apart. */
function foldInto(schema: Schema, last: OpenFold, entry: Mutation): boolean {
  const collection = schema.collections.get(entry.collection)
  if (!collection || last.members.length >= limits.foldEntries) return false
  const result = foldMutations(collection, last.mutation, entry)
  if (result.kind === 'apart') return false
  last.mutation = result.mutation
  last.members.push(entry)
  return true
}

/** Whether moving `entry` before the entries between could change what the server makes of either. */
function isLinked(schema: Schema, entry: Mutation, entriesBetween: () => readonly Mutation[]): boolean {
  const collection = schema.collections.get(entry.collection)
  if (!collection) return true
  const pointsTo = references(collection, entry.changes)
  const takesKey = touchesKey(collection, entry)
  // Most edits are linked to nothing, and a long outbox must not be walked for each of them.
  if (pointsTo.length === 0 && !takesKey && entry.op !== 'delete') return false
  return entriesBetween().some(
    (other) =>
      (other.record !== entry.record || other.collection !== entry.collection) &&
      (pointsTo.includes(other.record) ||
        (takesKey && other.collection === entry.collection && touchesKey(collection, other)) ||
        (entry.op === 'delete' && standsOn(schema, other, entry))),
  )
}

/** Whether an entry needs the record that another deletes, or frees it: children go first. */
function standsOn(schema: Schema, entry: Mutation, deleted: Mutation): boolean {
  const collection = schema.collections.get(entry.collection)
  if (!collection) return true
  if (entry.op === 'delete') return collection.fields.some((field) => field.references === deleted.collection)
  return references(collection, { ...entry.base }, entry.changes).includes(deleted.record)
}

function references(collection: CollectionSchema, ...written: readonly Values[]): readonly Json[] {
  return collection.fields
    .filter((field) => field.kind === 'reference')
    .flatMap((field) => written.map((values) => values[field.name] ?? null))
    .filter((value) => value !== null)
}

/** Whether a mutation takes or frees a unique key. */
function touchesKey(collection: CollectionSchema, { op, changes }: Mutation): boolean {
  return collection.unique.some(
    (key) => op !== 'update' || key.fields.some((name) => Object.hasOwn(changes, name)),
  )
}
