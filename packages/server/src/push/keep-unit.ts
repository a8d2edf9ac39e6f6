import type { User } from '../engine.ts'
import { auditBase, diffOf, explainDecision } from '../audit/audit-line.ts'
import type { CollectionSchema, Mutation } from '@holdfast/core'
import type { Rename, UniqueFinding } from './check-unique.ts'
import type { Judgement, MemberVerdict, ReadOffer } from './judge-mutation.ts'
import { closeConflicts } from './open-conflict.ts'
import type { Session } from './session.ts'
import type { UnitView } from './unit-view.ts'
import type { CurrentRecord } from './working-set.ts'

type Applied = Extract<Judgement, { kind: 'apply' }>

/** A unit of which every member can take effect. */
export interface Kept {
  readonly applied: readonly { readonly offer: ReadOffer; readonly judgement: Applied }[]
  readonly finding: Extract<UniqueFinding, { kind: 'fine' }>
}

/** The unit takes effect: its records, keys, audit lines and settlements are what the batch will write. */
export function keepUnit<U extends User>(
  session: Session<U>,
  view: UnitView,
  { applied, finding }: Kept,
): readonly MemberVerdict[] {
  const { working, effects } = session
  session.nextVersion = view.nextVersion
  const verdicts = applied.map((member, index) =>
    keepMember(session, { ...member, renames: renamesOf(finding.renames, applied, index) }),
  )
  for (const { collection, id, record } of view.changed()) {
    const maker = verdicts.findLast(
      (each) => each.offer.mutation?.record === id && each.offer.mutation.collection === collection,
    )?.isExact
    const touched = effects.records.get(`${id} ${collection}`)
    working.put(collection, id, {
      ...record,
      maker: maker && touched?.hasRowChange ? session.deviceNumber : null,
    })
  }
  for (const change of finding.changes) {
    working.changeOwner(change)
    effects.unique.push(change)
  }
  closeConflicts(
    session,
    applied.map(({ offer }) => offer),
    null,
  )
  return verdicts
}

/** A rename belongs to the last member that touched its record. */
function renamesOf(renames: readonly Rename[], applied: Kept['applied'], index: number): readonly Rename[] {
  if (renames.length === 0) return renames
  return renames.filter(({ collection, record }) => {
    const isOf = ({ offer }: Kept['applied'][number]): boolean =>
      offer.mutation.collection === collection && offer.mutation.record === record
    return applied.findLastIndex(isOf) === index
  })
}

interface KeptMember {
  readonly offer: ReadOffer
  readonly judgement: Applied
  readonly renames: readonly Rename[]
}

function keepMember<U extends User>(
  session: Session<U>,
  { offer, judgement, renames }: KeptMember,
): MemberVerdict {
  const { mutation } = offer
  const { before, outcome, hasEffect } = judgement
  const after = renamed(judgement.after, renames)
  const collection = session.working.collection(mutation.collection)
  const decisions =
    renames.length === 0
      ? outcome.decisions
      : [...outcome.decisions, ...renames.map(({ decision }) => decision)]
  const version = hasEffect && after.snapshot.kind !== 'absent' ? after.snapshot.version : null
  const status = decisions.length > 0 ? 'merged' : outcome.status
  const touchedFields = [...outcome.changed, ...renames.map(({ decision }) => decision.field)]
  if (hasEffect || Object.keys(outcome.clocks).length > 0) {
    touch(session, { mutation, before, after, outcome, hasEffect, touchedFields })
  }
  const isSeen = hasEffect || before.snapshot.kind !== 'absent'
  if (isSeen) {
    const { op, before: old, after: next } = hasEffect ? diffOf(before, after, touchedFields) : nothing
    const explained = decisions.map((decision) => explainDecision(session, collection.name, decision))
    const base = auditBase(session, mutation)
    session.effects.audit.push({
      ...base,
      op,
      version,
      before: old,
      after: next,
      status,
      decisions: explained,
      code: null,
    })
  }
  if (version !== null) {
    const isWhole = after.snapshot.kind !== before.snapshot.kind
    const { user, device } = session.caller
    const fields = isWhole ? fieldNames(collection) : outcome.changed
    session.working.addChange(collection.name, {
      record: mutation.record,
      version,
      user: user.id,
      device,
      isMaking: isWhole && after.snapshot.kind === 'live',
      fields,
      decisions,
      receivedAt: session.now,
      was: mutation.was ?? null,
    })
  }
  return {
    offer,
    status,
    version,
    isExact: judgement.isExact && renames.length === 0,
    record: after,
  }
}

const nothing = { op: 'none', before: null, after: null } as const

const namesByCollection = new WeakMap<CollectionSchema, readonly string[]>()

/** Names of all fields, the same list every time. */
function fieldNames(collection: CollectionSchema): readonly string[] {
  let names = namesByCollection.get(collection)
  if (!names) {
    names = collection.fields.map(({ name }) => name)
    namesByCollection.set(collection, names)
  }
  return names
}

function renamed(record: CurrentRecord, renames: readonly Rename[]): CurrentRecord {
  if (renames.length === 0 || record.snapshot.kind !== 'live') return record
  const names = Object.fromEntries(renames.map(({ decision }) => [decision.field, decision.result]))
  return { ...record, snapshot: { ...record.snapshot, values: { ...record.snapshot.values, ...names } } }
}

interface Touch {
  readonly mutation: Mutation
  readonly before: CurrentRecord
  readonly after: CurrentRecord
  readonly outcome: Applied['outcome']
  readonly hasEffect: boolean
  readonly touchedFields: readonly string[]
}

function touch<U extends User>(
  session: Session<U>,
  { mutation, before, after, outcome, hasEffect, touchedFields }: Touch,
): void {
  const { records } = session.effects
  const key = `${mutation.record} ${mutation.collection}`
  const known = records.get(key)
  const touched = known ?? {
    collection: mutation.collection,
    id: mutation.record,
    changed: new Set<string>(),
    clocksChanged: false,
    hasRowChange: false,
  }
  for (const name of touchedFields) touched.changed.add(name)
  if (before.deletedAt !== after.deletedAt) touched.changed.add('deleted_at')
  touched.clocksChanged ||= Object.keys(outcome.clocks).length > 0
  touched.hasRowChange ||= hasEffect
  if (!known) records.set(key, touched)
}
