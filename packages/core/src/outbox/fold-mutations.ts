import type { Hlc } from '../hlc.ts'
import type { Values } from '../json.ts'
import { limits } from '../limits.ts'
import { applyPayload, fieldOutOfBounds } from '../merge/apply-payload.ts'
import { ruleOf } from '../merge/explain-rule.ts'
import { emptyPayload, type Mutation, touchedFields } from '../mutation.ts'
import { formatRanges, parseRanges, unionRanges } from '../ranges.ts'
import type { CollectionSchema } from '../schema/schema.ts'
import { fitsBytes } from '../values/storable-text.ts'
import { valuesEqual } from '../values/values-equal.ts'

/** What two neighbouring mutations of one record become. */
export type FoldResult =
  | { readonly kind: 'folded'; readonly mutation: Mutation }
  /** They must travel on their own, in order. */
  | { readonly kind: 'apart' }

const apart: FoldResult = { kind: 'apart' }

/**
 * Folds `second` into `first`, both of one record, neighbours among that record's entries, neither ever offered.
 * Closed table: create+update → create; create+delete → delete of what nobody has, which carries nothing; update+update →
 * update; update of plain fields + delete → delete that carries them. All else stays apart: groups, settlements, other schema versions, fields that the collection lacks, another base version, a
 * record the server heard of that is made again, two steps of one `transitions` field, a value taken back, an edit of a
 * value that `first` did not leave, counter or set changes before a delete, delete+create, more than
 * `limits.mutationBytes`. The folded mutation has the id and seq of `first` and covers both. Whether `second` may pass the entries of other records between them is for `foldOutbox`. Rules: FO-1 to FO-7.
 */
export function foldMutations(collection: CollectionSchema, first: Mutation, second: Mutation): FoldResult {
  if (!mayFold(collection, first, second)) return apart
  if (second.op === 'delete') return foldDelete(collection, first, second)
  if (second.op === 'create' || first.op === 'delete') return apart
  if (stepsTwice(collection, first, second) || !hasSeen(collection, first, second)) return apart
  const folded =
    first.op === 'create' ? foldCreate(collection, first, second) : foldUpdate(collection, first, second)
  return folded && isSmall(folded) ? { kind: 'folded', mutation: folded } : apart
}

/** What holds whatever the two do. An answer to a version the first had not seen is another decision. */
function mayFold(collection: CollectionSchema, first: Mutation, second: Mutation): boolean {
  return (
    collection.outbox === 'coalesce' &&
    first.collection === second.collection &&
    first.record === second.record &&
    first.group === null &&
    second.group === null &&
    first.resolves === null &&
    second.resolves === null &&
    first.schema === second.schema &&
    first.baseVersion === second.baseVersion &&
    isKnown(collection, first) &&
    isKnown(collection, second) &&
    (first.op !== 'create' || isUnheardOf(first))
  )
}

/** Of fields that only an earlier app had nobody can tell what two edits of them come to. */
function isKnown({ fieldsByName }: CollectionSchema, mutation: Mutation): boolean {
  return touchedFields(mutation).every((name) => fieldsByName.has(name))
}

/** A record that is made again may meet one that somebody brought back: each write then counts by itself. */
function isUnheardOf(create: Mutation): boolean {
  return create.baseVersion === 0 && create.after === null
}

function foldDelete(collection: CollectionSchema, first: Mutation, second: Mutation): FoldResult {
  if (first.op === 'create') {
    // Nobody here has heard of the create, but a copy of this database may send it: both keys are told.
    const bare = { ...joined(collection, first, second), ...emptyPayload, op: second.op, ats: {} }
    return { kind: 'folded', mutation: bare }
  }
  const carriesPlainFields =
    first.op === 'update' && touchedFields(first).every((name) => !isAdding(collection, name))
  if (!carriesPlainFields || touchedFields(second).length > 0) return apart
  const folded = {
    ...joined(collection, first, second),
    op: second.op,
    changes: first.changes,
    base: first.base,
  }
  return isSmall(folded) ? { kind: 'folded', mutation: folded } : apart
}

function foldCreate(collection: CollectionSchema, first: Mutation, second: Mutation): Mutation | undefined {
  const changes = applyPayload(collection, first.changes, second)
  return fieldOutOfBounds(collection, changes) ? undefined : { ...joined(collection, first, second), changes }
}

function foldUpdate(collection: CollectionSchema, first: Mutation, second: Mutation): Mutation | undefined {
  const [seenFirst, seenSecond] = [seenBy(first), seenBy(second)]
  // What was seen is known for both or for neither, and totals that were assigned cannot be added to.
  if (!seenFirst || !seenSecond || assignsTotal(collection, first) || assignsTotal(collection, second)) {
    return undefined
  }
  if (takesBack(collection, first, second)) return undefined
  const increments = { ...first.increments }
  for (const [name, amount] of Object.entries(second.increments)) {
    increments[name] = (increments[name] ?? 0) + amount
  }
  if (!Object.values(increments).every(Number.isSafeInteger)) return undefined
  const additions = laterMembers(first.additions, second.additions, second.removals)
  const removals = laterMembers(first.removals, second.removals, second.additions)
  const lists = [...Object.values(additions), ...Object.values(removals)]
  if (lists.some((members) => members.length > limits.setMembers)) return undefined
  return {
    ...joined(collection, first, second),
    changes: { ...first.changes, ...second.changes },
    // The first to touch a field saw what everybody saw; the second saw the first.
    base: { ...seenSecond, ...seenFirst },
    increments,
    additions,
    removals,
  }
}

/** What the author of a mutation saw; who changes no field as a whole need not have seen any. */
function seenBy({ changes, base }: Mutation): Values | null {
  return base ?? (Object.keys(changes).length === 0 ? {} : null)
}

/**
 * Whether the second saw what the first made of the fields it changes. It did not where what it stood on was given up, or
 * where the first was repaired behind its back: then it is merged with the first like any other edit.
 */
function hasSeen(collection: CollectionSchema, first: Mutation, second: Mutation): boolean {
  return collection.fields.every((field) => {
    const made = first.changes[field.name]
    const seen = second.base?.[field.name]
    return made === undefined || seen === undefined || valuesEqual(field, made, seen)
  })
}

/** Whether a field comes back to what it was: folded, the edit in between would not count against anything. */
function takesBack(collection: CollectionSchema, first: Mutation, second: Mutation): boolean {
  return collection.fields.some((field) => {
    const [seen, wanted, later] = [first.base, first.changes, second.changes].map(
      (values) => values?.[field.name],
    )
    return (
      wanted !== undefined &&
      later !== undefined &&
      !valuesEqual(field, wanted, seen) &&
      valuesEqual(field, later, seen)
    )
  })
}

type Members = Mutation['additions']

/** What was said first, unless it was taken back, and what was said later. */
function laterMembers(first: Members, second: Members, takenBack: Members): Members {
  const later: Record<string, readonly (string | number)[]> = {}
  for (const name of new Set([...Object.keys(first), ...Object.keys(second)])) {
    const kept = (first[name] ?? []).filter((member) => !takenBack[name]?.includes(member))
    const members = new Set([...kept, ...(second[name] ?? [])])
    if (members.size > 0) later[name] = [...members]
  }
  return later
}

/** The parts that do not depend on what the two do: it stands for both, and was made when the second was. */
function joined(collection: CollectionSchema, first: Mutation, second: Mutation): Mutation {
  const ats: Record<string, Hlc> = {}
  for (const name of Object.keys(first.changes)) {
    if (isStamped(collection, name)) ats[name] = first.ats[name] ?? first.at
  }
  for (const name of Object.keys(second.changes)) {
    if (isStamped(collection, name)) ats[name] = second.ats[name] ?? second.at
  }
  if (first.op === 'create') ats.created_at = first.ats.created_at ?? first.at
  const covers = formatRanges(unionRanges([...parseRanges(first.covers), ...parseRanges(second.covers)]))
  const folded = [...(first.folded ?? []), second.id, ...(second.folded ?? [])]
  return { ...first, covers, folded, at: second.at, ats: withoutTime(ats, second.at) }
}

function withoutTime(ats: Readonly<Record<string, Hlc>>, at: Hlc): Readonly<Record<string, Hlc>> {
  return Object.fromEntries(Object.entries(ats).filter(([, stamp]) => stamp !== at))
}

function isStamped(collection: CollectionSchema, name: string): boolean {
  const field = collection.fieldsByName.get(name)
  return field !== undefined && ruleOf(field).rule === 'latest'
}

function isAdding(collection: CollectionSchema, name: string): boolean {
  const kind = collection.fieldsByName.get(name)?.kind
  return kind === 'counter' || kind === 'set'
}

function assignsTotal(collection: CollectionSchema, mutation: Mutation): boolean {
  return Object.keys(mutation.changes).some((name) => isAdding(collection, name))
}

/** Each step of a state machine is judged by itself, the first state of a new record too. */
function stepsTwice(collection: CollectionSchema, first: Mutation, second: Mutation): boolean {
  return Object.keys(second.changes).some(
    (name) =>
      collection.fieldsByName.get(name)?.merge.rule === 'transitions' && Object.hasOwn(first.changes, name),
  )
}

function isSmall(mutation: Mutation): boolean {
  return fitsBytes(JSON.stringify(mutation), limits.mutationBytes)
}
