import {
  absentRecord,
  type ApplyOutcome,
  type CollectionSchema,
  type ConflictOutcome,
  type ConflictReport,
  type ErrorCode,
  type ErrorReport,
  hlcOfTime,
  mergeRecord,
  type Mutation,
  type RecordSnapshot,
  scopesOfRow,
  touchedFields,
  type Values,
} from '@holdfast/core'
import type { User } from '../engine.ts'
import { sees } from '../scope/grants.ts'
import type { StoredConflict } from '../store/store.ts'
import { asRenamed, concurrentFields, isOvertaken } from './concurrent-fields.ts'
import type { Offer } from './offer.ts'
import { returnedOf } from './returned.ts'
import { behindPutOff, isReturned, isYetToCome } from './returned-mutation.ts'
import { decidedBelow, overlaps, refusedBelow } from './refused-below.ts'
import type { Session } from './session.ts'
import type { UnitView } from './unit-view.ts'
import { type CurrentRecord, nobodyHasIt, partsOf } from './working-set.ts'

/** An offer that could be read. */
export type ReadOffer = Offer & { readonly mutation: Mutation }

/** What one mutation comes to, by itself. */
export type Judgement =
  | {
      readonly kind: 'apply'
      readonly before: CurrentRecord
      readonly after: CurrentRecord
      readonly outcome: ApplyOutcome
      /** Whether a row is to be written. */
      readonly hasEffect: boolean
      /** The newest version of the record that its author's own chain had made by then; 0: none. */
      readonly chainVersion: number
      readonly isExact: boolean
    }
  | { readonly kind: 'conflict'; readonly before: CurrentRecord; readonly outcome: ConflictOutcome }
  | { readonly kind: 'held'; readonly heldBy: string }
  /** What it stands on is yet to be returned. */
  | { readonly kind: 'retry'; readonly code: ErrorCode; readonly message: string; readonly field?: string }
  | { readonly kind: 'reject'; readonly code: ErrorCode; readonly message: string; readonly field?: string }

/** What one member of a unit is answered. */
export interface MemberVerdict {
  readonly offer: Offer
  readonly status: 'applied' | 'merged' | 'conflict' | 'held' | 'rejected' | 'retry'
  readonly version: number | null
  readonly isExact: boolean
  /** The record afterwards; for conflicts and refusals as it stands. */
  readonly record: CurrentRecord | null
  readonly conflict?: ConflictReport
  readonly error?: ErrorReport
  readonly heldBy?: string
}

type Verdictless = Extract<Judgement, { kind: 'held' | 'reject' | 'retry' }>

/** Of no record: a version of a lost history is none of this one. */
const unknownVersion = -1

/** The stamp of what nobody wrote. */
const beforeAll = hlcOfTime('')

/** Judges one mutation against the records as the batch, and its own unit, have left them. Rules: PU-8 to PU-16. */
export function judgeMutation<U extends User>(
  session: Session<U>,
  view: UnitView,
  offer: ReadOffer,
): Judgement {
  const { mutation } = offer
  const collection = session.working.collection(mutation.collection)
  const waits =
    judgeDependency(session, view, mutation) ??
    judgeHeld(session, collection, mutation) ??
    judgeSettlement(session, mutation)
  if (waits) return waits
  const before = view.record(mutation.collection, mutation.record)
  const { snapshot } = before
  const isSeen =
    snapshot.kind !== 'absent' &&
    sees(session.visibility, scopesOfRow(collection.scopes, snapshot.values ?? {}))
  const unseen = isSeen ? undefined : judgeUnseen(session, mutation, before)
  if (unseen) return unseen
  const chain = ownChain(session, view, mutation, before)
  const returned = isReturned(mutation) ? returnedOf(session, collection, mutation) : undefined
  const chainVersion = chain.version
  const concurrent =
    returned?.concurrent ?? concurrentFields(session, view, collection, { mutation, before, chainVersion })
  const isUnknown = returned !== undefined || isOvertaken(session.stranded, mutation, before.serverUpdatedAt)
  const isAllSeen = chain.isExact && (returned !== undefined || hasSeenAll(concurrent))
  const baseVersion = isAllSeen ? chainVersion : isUnknown ? unknownVersion : mutation.baseVersion
  const seen = asRenamed(session, { mutation, before, chainVersion })
  const outcome = mergeRecord({
    collection,
    mutation: baseVersion === seen.baseVersion ? seen : { ...seen, baseVersion },
    current: snapshot,
    concurrent,
    ownTombstone: isOwnTombstone(session, mutation, { snapshot, chainVersion }),
    clocks: before.clocks,
    fallbackStamp: snapshot.kind === 'absent' ? beforeAll : hlcOfTime(before.updatedAt),
    returned: returned?.fates,
  })
  if (outcome.kind === 'reject') return outcome
  if (outcome.kind === 'conflict') {
    const wanted = outcome.mine && { ...valuesOf(before), ...outcome.mine }
    return askHost(session, { mutation, before, after: wanted }) ?? { kind: 'conflict', before, outcome }
  }
  const hasEffect = outcome.changed.length > 0 || outcome.next.kind !== snapshot.kind
  const after = advance(view, { mutation, before, outcome, hasEffect, now: session.now })
  const refusal = judgeRights(session, collection, { mutation, before, after: valuesOf(after) })
  if (refusal) return refusal
  // What a create makes of a record that is there, only the server knows.
  const isBase =
    snapshot.kind === 'live'
      ? mutation.op !== 'create' && (chain.isExact || baseVersion === snapshot.version)
      : snapshot.kind === 'absent' || chain.isExact
  const isExact =
    offer.isVerbatim &&
    seen === mutation &&
    isBase &&
    outcome.status === 'applied' &&
    outcome.changed.every((name) => touchedFields(mutation).includes(name))
  return { kind: 'apply', before, after, outcome, hasEffect, chainVersion, isExact }
}

/** The record a held mutation is about, as the session knows it. */
export function heldKey({ collection, record }: Pick<Mutation, 'collection' | 'record'>): string {
  return `${collection}/${record}`
}

/**
 * A mutation that stands on one that was refused falls with it. One that touches what an earlier one of its record waits
 * with, waits too, whatever passed between them: overtaking, a removal would come before what it removes.
 */
function judgeDependency<U extends User>(
  session: Session<U>,
  view: UnitView,
  mutation: Mutation,
): Verdictless | undefined {
  session.judged.set(mutation.id, mutation)
  const waiting = mutation.resolves === null ? session.held.get(heldKey(mutation)) : undefined
  if (waiting?.heldBy === null) return behindPutOff
  if (waiting && (mutation.op !== 'update' || overlaps(waiting.fields, touchedFields(mutation))))
    return { kind: 'held', heldBy: waiting.heldBy }
  const refused = refusedBelow(session, view, mutation)
  if (refused === undefined) return undefined
  return {
    kind: 'reject',
    code: 'DEPENDENCY_FAILED',
    message: `it stands on the mutation ${refused}, which was refused`,
  }
}

/**
 * A decision about a conflict that was lost, or that is decided otherwise now, is the edit of a person who had seen both
 * values. Rules: PU-40.
 */
export function withoutLostConflict<U extends User>(session: Session<U>, offer: Offer): Offer {
  const { mutation } = offer
  const isLost = mutation && isReturned(mutation) && judgeSettlement(session, mutation) !== undefined
  return isLost ? { ...offer, mutation: { ...mutation, resolves: null } } : offer
}

/**
 * While a conflict of this device is open, or one that superseded it, its edits of what is in dispute wait behind that. A
 * settlement never does: two open conflicts of one record would wait for each other's.
 */
function judgeHeld<U extends User>(
  session: Session<U>,
  collection: CollectionSchema,
  mutation: Mutation,
): Verdictless | undefined {
  if (mutation.resolves !== null) return undefined
  for (const conflict of ownDisputes(session, mutation)) {
    const isWhole = collection.strict || conflict.values['kind'] !== 'fields' || mutation.op !== 'update'
    const disputed = partsOf(conflict)
      .filter((part) => part.collection === collection.name && part.record === mutation.record)
      .flatMap((part) => [...part.fields, ...Object.keys(part.mine ?? {})])
    if (isWhole || overlaps(disputed, touchedFields(mutation))) return { kind: 'held', heldBy: conflict.id }
  }
  return undefined
}

/** The open conflicts about a record that this device began, and those that carry them on. */
export function ownDisputes<U extends User>(
  { working, caller }: Session<U>,
  { collection, record }: Pick<Mutation, 'collection' | 'record'>,
): readonly StoredConflict[] {
  return working.openConflicts(collection, record).filter(({ id, values: { author, device } }) => {
    const isOwn = author === caller.user.id && device === caller.device
    return isOwn || working.carriesOn(id)
  })
}

function judgeSettlement<U extends User>(
  { working, visibility, isReviewer }: Session<U>,
  { resolves }: Mutation,
): Verdictless | undefined {
  if (resolves === null) return undefined
  const conflict = working.conflict(resolves)
  const isSeen = conflict && sees(visibility, working.conflictScopes(resolves))
  if (!isSeen)
    return { kind: 'reject', code: 'CONFLICT_UNKNOWN', message: 'no conflict of this id is in your sight' }
  if (conflict.values['status'] !== 'open')
    return { kind: 'reject', code: 'CONFLICT_CLOSED', message: 'the conflict was settled already' }
  const isInReview = partsOf(conflict).some(({ collection }) => working.knownCollection(collection)?.review)
  if (isInReview && !isReviewer)
    return { kind: 'reject', code: 'NOT_AUTHORIZED', message: 'a reviewer decides this conflict' }
  return undefined
}

/** Whoever settles a conflict over a deletion has seen it, though their device may never have had the record. */
function settlesDeletion<U extends User>({ working }: Session<U>, mutation: Mutation): boolean {
  const conflict = mutation.resolves === null ? undefined : working.conflict(mutation.resolves)
  return (
    conflict !== undefined &&
    partsOf(conflict).some(
      (part) =>
        part.collection === mutation.collection && part.record === mutation.record && part.theirs === null,
    )
  )
}

/** A record the author does not see is answered like one that is not there. */
function judgeUnseen<U extends User>(
  session: Session<U>,
  mutation: Mutation,
  before: CurrentRecord,
): Judgement | undefined {
  if (isYetToCome(session.stranded, mutation))
    return { kind: 'retry', code: 'RECORD_NOT_FOUND', message: 'the record is yet to be returned' }
  const isSettlement = mutation.resolves !== null && touchedFields(mutation).length === 0
  if (mutation.op === 'delete' || (mutation.op === 'update' && isSettlement)) {
    const outcome: ApplyOutcome = {
      kind: 'apply',
      status: 'applied',
      next: absentRecord,
      changed: [],
      clocks: {},
      decisions: [],
    }
    return {
      kind: 'apply',
      before: nobodyHasIt,
      after: nobodyHasIt,
      outcome,
      hasEffect: false,
      chainVersion: 0,
      isExact: false,
    }
  }
  if (mutation.op === 'create' && before.snapshot.kind === 'absent') return undefined
  if (mutation.op === 'update' && mutation.baseVersion > 0 && mutation.baseVersion <= session.horizon) {
    return {
      kind: 'reject',
      code: 'STALE_TARGET',
      message: 'the record is gone, and so old that its deletion is no longer known',
    }
  }
  return { kind: 'reject', code: 'RECORD_NOT_FOUND', message: 'there is no such record' }
}

/** Whoever wrote what stands, and could build it, has seen it, but in a form that was open before. */
function hasSeenAll(concurrent: ReadonlySet<string> | 'unknown'): boolean {
  return concurrent === 'unknown' || concurrent.size === 0
}

/** Whether the author deleted what is not there, or settles that it is not. */
function isOwnTombstone<U extends User>(
  session: Session<U>,
  mutation: Mutation,
  { snapshot, chainVersion }: { readonly snapshot: RecordSnapshot; readonly chainVersion: number },
): boolean {
  return (
    snapshot.kind === 'deleted' && (chainVersion === snapshot.version || settlesDeletion(session, mutation))
  )
}

/** The version the author's own earlier mutations made, and whether the record still stands there. Rules: PU-37. */
function ownChain<U extends User>(
  session: Session<U>,
  view: UnitView,
  { after }: Mutation,
  before: CurrentRecord,
): { readonly version: number; readonly isExact: boolean } {
  const made = decidedBelow(session, after, view)
  const version = made?.version ?? made?.stoodOn ?? 0
  const current = before.snapshot.kind === 'absent' ? 0 : before.snapshot.version
  return { version, isExact: version > 0 && version === current && made?.exact === true }
}

interface Rights {
  readonly mutation: Mutation
  readonly before: CurrentRecord
  readonly after: Values | null
}

/** Scope and host: a record must begin in a granted scope, and the host may refuse anything. */
function judgeRights<U extends User>(
  session: Session<U>,
  collection: CollectionSchema,
  { mutation, before, after }: Rights,
): Extract<Judgement, { kind: 'reject' }> | undefined {
  if (
    before.snapshot.kind !== 'live' &&
    after !== null &&
    !sees(session.visibility, scopesOfRow(collection.scopes, after))
  ) {
    return {
      kind: 'reject',
      code: 'SCOPE_DENIED',
      message: 'the record would lie outside the scopes of its author',
    }
  }
  return askHost(session, { mutation, before, after })
}

function askHost<U extends User>(
  session: Session<U>,
  { mutation, before, after }: Rights,
): Extract<Judgement, { kind: 'reject' }> | undefined {
  if (!session.authorize) return undefined
  const { caller } = session
  const { collection: name, record, op } = mutation
  const answer = session.authorize({
    user: caller.user,
    device: caller.device,
    collection: name,
    record,
    op,
    mutation,
    before: valuesOf(before),
    after,
  })
  if (answer === true) return undefined
  return {
    kind: 'reject',
    code: 'NOT_AUTHORIZED',
    message: typeof answer === 'string' ? answer : 'the host refused it',
  }
}

interface Advance {
  readonly mutation: Mutation
  readonly before: CurrentRecord
  readonly outcome: ApplyOutcome
  readonly hasEffect: boolean
  readonly now: string
}

/** The record after the merge, at a new version if a row is to be written. */
function advance(view: UnitView, { mutation, before, outcome, hasEffect, now }: Advance): CurrentRecord {
  if (!hasEffect && Object.keys(outcome.clocks).length === 0) return before
  const clocks = { ...before.clocks, ...outcome.clocks }
  if (!hasEffect || outcome.next.kind === 'absent') return { ...before, clocks }
  const at = timeOf(mutation.at)
  const isNew =
    before.snapshot.kind === 'absent' || (before.snapshot.kind === 'deleted' && mutation.op === 'create')
  const createdAt = isNew ? timeOf(mutation.ats['created_at'] ?? mutation.at) : before.createdAt
  const deletedAt = outcome.next.kind === 'deleted' ? at : null
  const snapshot = { ...outcome.next, version: view.nextVersion++ }
  return { snapshot, createdAt, updatedAt: at, serverUpdatedAt: now, deletedAt, clocks, maker: null }
}

/** The time in front of a stamp. */
function timeOf(stamp: string): string {
  return stamp.slice(0, 24)
}

/** The values of a live record. */
export function valuesOf({ snapshot }: CurrentRecord): Values | null {
  return snapshot.kind === 'live' ? snapshot.values : null
}
