import {
  absentRecord,
  errorTable,
  type ErrorCode,
  type ErrorReport,
  forceMine,
  type Mutation,
  scopesOfRow,
  touchedFields,
  type Values,
} from '@holdfast/core'
import type { User } from '../engine.ts'
import { sees } from '../scope/grants.ts'
import { auditBase, pick } from '../audit/audit-line.ts'
import { auditTurnedDown } from '../audit/turned-down.ts'
import { checkUnique, type UniqueFinding } from './check-unique.ts'
import { keepUnit } from './keep-unit.ts'
import {
  heldKey,
  type Judgement,
  judgeMutation,
  type MemberVerdict,
  ownDisputes,
  type ReadOffer,
  valuesOf,
} from './judge-mutation.ts'
import type { Offer } from './offer.ts'
import { closeConflicts, type DisputedMember, openConflict } from './open-conflict.ts'
import { isReturned, isStranded } from './returned-mutation.ts'
import type { Session, Waits } from './session.ts'
import { UnitView } from './unit-view.ts'

type Applied = Extract<Judgement, { kind: 'apply' }>

/** Whether there is nothing wrong with the shape of an offer. */
export function isRead(offer: Offer): offer is ReadOffer {
  return offer.mutation !== undefined
}

/**
 * Decides a unit: one mutation, or the mutations of one user transaction. All of it takes effect or none: a refusal
 * refuses every member, a conflict is one for all of them. Effects are collected, nothing is written. Rules: PU-8 to PU-21.
 */
export function decideUnit<U extends User>(
  session: Session<U>,
  members: readonly ReadOffer[],
): readonly MemberVerdict[] {
  const view = new UnitView(session.working, session.nextVersion)
  const applied: { readonly offer: ReadOffer; readonly judgement: Applied }[] = []
  for (const [index, offer] of members.entries()) {
    const judgement = judgeMutation(session, view, offer)
    if (judgement.kind === 'apply') {
      applied.push({ offer, judgement })
      const { after, hasEffect, chainVersion, isExact } = judgement
      if (after !== judgement.before) view.put(offer.mutation.collection, offer.mutation.record, after)
      const version = hasEffect && after.snapshot.kind !== 'absent' ? after.snapshot.version : null
      view.setResult(offer.id, { version, stoodOn: chainVersion, exact: isExact })
      continue
    }
    if (judgement.kind === 'reject') return reject(session, members, { ...judgement, index })
    if (judgement.kind === 'held') return hold(session, members, judgement.heldBy)
    if (judgement.kind === 'retry') return putOff(session, members, { ...judgement, index })
    return dispute(session, view, members, { index, judgement })
  }
  const missing = findMissingReference(session, view, applied)
  const finding = missing ?? checkUnique(session, view)
  if (finding.kind === 'fine') {
    const verdicts = keepUnit(session, view, { applied, finding })
    auditTurnedDown(
      session,
      members.map(({ mutation }) => mutation.resolves),
    )
    return verdicts
  }
  if (finding.kind === 'missing') return waitForReference(session, members, finding)
  return refuseKey(session, members, finding)
}

interface Rejection {
  readonly index: number
  readonly code: ErrorCode
  readonly message: string
  readonly field?: string
}

/** Refuses a unit for the sake of one member; the others are told which. */
export function reject<U extends User>(
  session: Session<U>,
  members: readonly Offer[],
  { index, code, message, field }: Rejection,
): readonly MemberVerdict[] {
  const culprit = members[index]?.id ?? ''
  return members.map((offer, at) => {
    const error: ErrorReport =
      at === index
        ? { code, message, retry: errorTable[code].retry, ...(field === undefined ? {} : { field }) }
        : {
            code: 'DEPENDENCY_FAILED',
            message: `the mutation ${culprit} of the same transaction was refused`,
            retry: 'never',
          }
    const { mutation } = offer
    if (mutation) {
      session.effects.audit.push({
        ...auditBase(session, mutation),
        op: 'none',
        version: null,
        before: null,
        after: mutation.changes,
        decisions: [],
        status: 'rejected',
        code: error.code,
      })
    }
    return { offer, status: 'rejected', version: null, isExact: false, record: null, error }
  })
}

function hold<U extends User>(
  session: Session<U>,
  members: readonly ReadOffer[],
  heldBy: string,
): readonly MemberVerdict[] {
  noteWaiting(session.held, members, heldBy)
  return members.map((offer) => ({
    offer,
    status: 'held',
    version: null,
    isExact: false,
    record: null,
    heldBy,
  }))
}

/** What comes behind in this batch, and stands on these, waits as well. */
export function noteWaiting(
  held: Map<string, Waits>,
  members: readonly ReadOffer[],
  heldBy: string | null,
): void {
  for (const { mutation } of members) {
    const key = heldKey(mutation)
    const fields = [...(held.get(key)?.fields ?? []), ...touchedFields(mutation)]
    held.set(key, { heldBy, fields })
  }
}

/** Not yet: another device may return what it stands on. Nothing of it is consumed. Rules: PU-41. */
function putOff<U extends User>(
  session: Session<U>,
  members: readonly ReadOffer[],
  { index, code, message, field }: Rejection,
): readonly MemberVerdict[] {
  noteWaiting(session.held, members, null)
  return members.map((offer, at) => {
    const own = { code, message, ...(field === undefined ? {} : { field }) }
    const behind = {
      code: 'DEPENDENCY_FAILED',
      message: 'another mutation of the same transaction waits',
    } as const
    const error: ErrorReport = { ...(at === index ? own : behind), retry: 'backoff' }
    return { offer, status: 'retry', version: null, isExact: false, record: null, error }
  })
}

function waitForReference<U extends User>(
  session: Session<U>,
  members: readonly ReadOffer[],
  finding: Missing,
): readonly MemberVerdict[] {
  const { index, heldBy } = finding
  if (typeof heldBy === 'string') return hold(session, members, heldBy)
  const mutation = members[index]?.mutation
  const isPutOff =
    heldBy === null ||
    (mutation !== undefined && (isReturned(mutation) || isStranded(session.stranded, mutation)))
  return isPutOff ? putOff(session, members, finding) : reject(session, members, finding)
}

interface Dispute {
  readonly index: number
  readonly judgement: Extract<Judgement, { kind: 'conflict' }>
}

/**
 * A conflict waits with its whole unit. Members behind the first one in dispute are judged all the same: what they
 * dispute is for the same person to decide. The others are parts without a dispute of their own.
 */
function dispute<U extends User>(
  session: Session<U>,
  view: UnitView,
  members: readonly ReadOffer[],
  { index, judgement }: Dispute,
): readonly MemberVerdict[] {
  const disputed: DisputedMember[] = []
  for (const [at, offer] of members.entries()) {
    const own = at === index ? judgement : at < index ? null : judgeMutation(session, view, offer)
    const waiting = bystander(session, offer)
    // Nothing of the unit takes effect: the record is as it stands, not as earlier members would have left it.
    disputed.push(own?.kind === 'conflict' ? { ...own.outcome, offer, before: waiting.before } : waiting)
  }
  return openFor(session, disputed)
}

/** A member that could apply: it waits with its unit, with everything its author wants, amounts and members included. */
function bystander<U extends User>(session: Session<U>, offer: ReadOffer): DisputedMember {
  const { mutation } = offer
  const collection = session.working.collection(mutation.collection)
  const before = session.working.record(mutation.collection, mutation.record)
  const isSeen =
    before.snapshot.kind === 'live' &&
    sees(session.visibility, scopesOfRow(collection.scopes, before.snapshot.values))
  const theirs = isSeen ? valuesOf(before) : null
  const wanted = forceMine(collection, mutation, isSeen ? before.snapshot : absentRecord)
  const values = wanted.kind === 'live' ? wanted.values : mutation.changes
  const known = touchedFields(mutation).filter((name) => values[name] !== undefined)
  const mine = mutation.op === 'delete' ? null : pick(values, known)
  return {
    offer,
    before,
    reason: null,
    fields: [],
    base: mutation.base,
    mine,
    theirs: theirs && pick(theirs, mine ? touchedFields(mutation) : Object.keys(theirs)),
  }
}

function openFor<U extends User>(
  session: Session<U>,
  disputed: readonly DisputedMember[],
): readonly MemberVerdict[] {
  const reports = openConflict(session, disputed)
  const opened = reports[0]?.id
  const offers = disputed.map(({ offer }) => offer)
  if (opened !== undefined) closeConflicts(session, offers, opened)
  return disputed.map(({ offer, before, mine }, at) => {
    session.effects.audit.push({
      ...auditBase(session, offer.mutation),
      op: 'none',
      version: null,
      before: null,
      after: mine,
      status: 'conflict',
      decisions: [],
      code: 'CONFLICT',
    })
    return { offer, status: 'conflict', version: null, isExact: false, record: before, conflict: reports[at] }
  })
}

/** Another record has the key: refused, or a person decides between the two. */
function refuseKey<U extends User>(
  session: Session<U>,
  members: readonly ReadOffer[],
  finding: Extract<UniqueFinding, { kind: 'taken' }>,
): readonly MemberVerdict[] {
  const index = members.findLastIndex(
    ({ mutation }) => mutation.collection === finding.collection && mutation.record === finding.record,
  )
  const { key, other } = finding
  if (finding.policy === 'reject' || !other) {
    return reject(session, members, {
      index,
      code: 'UNIQUE_VIOLATION',
      message: `another record has the same ${key.fields.join(', ')}`,
    })
  }
  const disputed: DisputedMember[] = []
  for (const [at, offer] of members.entries()) {
    const member = bystander(session, offer)
    const theirs: Values = { id: other.id, ...other.values }
    disputed.push(at === index ? { ...member, reason: 'unique', fields: key.fields, theirs, other } : member)
  }
  return openFor(session, disputed)
}

type Missing = Rejection & {
  readonly kind: 'missing'
  /** What the record waits for that is to be there; null: for something that is yet to be returned. */
  readonly heldBy: string | null | undefined
}

/**
 * References are checked at the end of the unit, so that two records may refer to each other. What refers to a record that
 * its author made, and that waits or is in dispute, waits with it, unless it settles that dispute. Rules: PU-17.
 */
function findMissingReference<U extends User>(
  session: Session<U>,
  view: UnitView,
  applied: readonly { readonly offer: ReadOffer; readonly judgement: Applied }[],
): Missing | undefined {
  const settled = new Set(applied.map(({ offer }) => offer.mutation.resolves))
  for (const [index, { offer, judgement }] of applied.entries()) {
    const { snapshot } = judgement.after
    if (snapshot.kind !== 'live' || !judgement.hasEffect) continue
    const collection = session.working.collection(offer.mutation.collection)
    for (const field of collection.fields) {
      if (field.references === undefined || !judgement.outcome.changed.includes(field.name)) continue
      const target = snapshot.values[field.name]
      if (typeof target !== 'string') continue
      const parent = view.record(field.references, target)
      const values = valuesOf(parent)
      const scopes = values && scopesOfRow(session.working.collection(field.references).scopes, values)
      if (scopes && sees(session.visibility, scopes)) continue
      return {
        kind: 'missing',
        index,
        code: 'REFERENCE_MISSING',
        message: `${field.name} refers to a record that is not there`,
        field: field.name,
        heldBy: waitsFor(session, { collection: field.references, record: target }, settled),
      }
    }
  }
  return undefined
}

/**
 * The conflict or mutation that the making of a record waits for; undefined when it does not. A settlement never waits for
 * what it settles itself.
 */
function waitsFor<U extends User>(
  session: Session<U>,
  target: Pick<Mutation, 'collection' | 'record'>,
  settled: ReadonlySet<string | null>,
): string | null | undefined {
  const held = session.held.get(heldKey(target))?.heldBy
  if (held === null) return null
  const disputes = ownDisputes(session, target).map(({ id }) => id)
  return [...(held === undefined ? [] : [held]), ...disputes].find((id) => !settled.has(id))
}
