import { type CollectionSchema, type Mutation, parseRanges, type Ranges } from '@holdfast/core'
import type { Caller, User } from '../engine.ts'
import type { SeenChange } from '../store/store.ts'
import { isStranded } from './returned-mutation.ts'
import type { Passage, Session } from './session.ts'
import type { UnitView } from './unit-view.ts'
import { type CurrentRecord, knowsPartOfGroup } from './working-set.ts'

/** A mutation and the record it meets. */
interface Concerned {
  readonly mutation: Mutation
  readonly before: CurrentRecord
  readonly chainVersion: number
}

/**
 * Whether something came in after a mutation was written that was stranded: its author had not seen it, though the version
 * of the lost history that he saw may have the same number.
 */
export function isOvertaken(
  stranded: Ranges | undefined,
  mutation: Mutation,
  receivedAt: string | null,
): boolean {
  return isStranded(stranded, mutation) && receivedAt !== null && receivedAt >= mutation.at.slice(0, 24)
}

/**
 * What goes before a deletion in its batch under earlier numbers, of the same record: one outbox holds both, so that whoever
 * deletes has seen it, whatever the deletion stands on. Gives the keys. Rules: PU-16.
 */
export function writtenBefore(
  judged: ReadonlyMap<string, Passage>,
  { op, collection, record, covers }: Pick<Mutation, 'op' | 'collection' | 'record' | 'covers'>,
): readonly string[] {
  const ids: string[] = []
  if (op !== 'delete') return ids
  const number = lastOf(covers)
  for (const [id, other] of judged) {
    if (other.record !== record || other.collection !== collection) continue
    if (other.covers !== undefined && lastOf(other.covers) < number) ids.push(id)
  }
  return ids
}

function lastOf(covers: string): number {
  return parseRanges(covers).at(-1)?.[1] ?? 0
}

/** Versions that a mutation has seen, whatever it stands on. */
function versionsBefore<U extends User>(
  { judged, claims }: Session<U>,
  view: UnitView,
  mutation: Mutation,
): ReadonlySet<number> {
  const versions = writtenBefore(judged, mutation).map((id) => {
    const decided = view.result(id)
    if (decided) return decided.version
    const { hash, version } = claims.outcomeOf(id) ?? {}
    // Under the key of a fold another copy of the database may have sent more.
    return (judged.get(id)?.hash ?? hash) === hash ? version : null
  })
  return new Set(versions.flatMap((version) => version ?? []))
}

/**
 * Fields others changed since the author looked. Only deletes, strict records and groups known in part ask. What the
 * transaction of the mutation has made of the record before, and it stands on, has no line in the audit yet, and is nobody
 * else's.
 */
export function concurrentFields<U extends User>(
  session: Session<U>,
  view: UnitView,
  collection: CollectionSchema,
  { mutation, before, chainVersion }: Concerned,
): ReadonlySet<string> | 'unknown' {
  const { working, caller, stranded = [] } = session
  const { snapshot } = before
  const isAsked = mutation.op === 'delete' || collection.strict || knowsPartOfGroup(collection, mutation)
  const isOfLost = isStranded(stranded, mutation)
  if (!isAsked || snapshot.kind !== 'live') return new Set()
  const found = working.record(collection.name, mutation.record).snapshot
  const foundVersion = found.kind === 'absent' ? 0 : found.version
  const seen = versionsBefore(session, view, mutation)
  const isOfChain = snapshot.version <= chainVersion || seen.has(snapshot.version)
  const version = isOfChain ? foundVersion : snapshot.version
  const changes = working.changes(collection.name, mutation.record)
  const isSeen = (change: SeenChange): boolean =>
    isOwn(caller, chainVersion, change) || seen.has(change.version)
  // Who made the record anew has nothing to do with what it was before.
  const made = changes.filter((change) => mutation.baseVersion === 0 && change.isMaking && isSeen(change))
  const baseVersion = Math.max(mutation.baseVersion, ...made.map((change) => change.version))
  if (version === baseVersion && !isOfLost) return new Set()
  const since = changes.filter(
    (change) =>
      change.version > baseVersion ||
      (change.was === null && isOvertaken(stranded, mutation, change.receivedAt)),
  )
  // Every version has its line in the audit; where the newest is missing, others may be.
  const isOlder = isOfLost && version <= baseVersion
  if (!isOlder && !since.some((change) => change.version === version)) return 'unknown'
  return new Set(since.flatMap((change) => (isSeen(change) ? [] : change.fields)))
}

/** The mutation with what its author has seen, where the server gave that another name with what they did before. */
export function asRenamed<U extends User>(
  { working, caller }: Session<U>,
  { mutation, before, chainVersion }: Concerned,
): Mutation {
  const { collection, record, base } = mutation
  const values = before.snapshot.kind === 'live' ? before.snapshot.values : {}
  const names = working
    .changes(collection, record)
    .flatMap((change) => (isOwn(caller, chainVersion, change) ? change.decisions : []))
    .filter(
      ({ rule, field, mine, result }) =>
        rule === 'unique.rename' && base?.[field] === mine && values[field] === result,
    )
  if (names.length === 0) return mutation
  const seen = Object.fromEntries(names.map(({ field, result }) => [field, result]))
  return { ...mutation, base: { ...base, ...seen } }
}

/** What its author had seen of a record: their own, up to where what they wrote stands on. */
function isOwn(caller: Caller, chainVersion: number, { user, device, version }: SeenChange): boolean {
  return device !== null && user === caller.user.id && device === caller.device && version <= chainVersion
}
