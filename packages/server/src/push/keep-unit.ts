import type { User } from '../engine.ts'
import { auditBase, diffOf, explainDecision } from '../audit/audit-line.ts'
import type { Mutation } from '@holdfast/core'
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
  const lastOf = new Map(
    applied.map(({ offer }, index) => [`${offer.mutation.record} ${offer.mutation.collection}`, index]),
  )
  const verdicts = applied.map(({ offer, judgement }, index): MemberVerdict => {
    const { mutation } = offer
    const key = `${mutation.record} ${mutation.collection}`
    const renames =
      lastOf.get(key) === index
        ? finding.renames.filter(
            (each) => each.collection === mutation.collection && each.record === mutation.record,
          )
        : []
    return keepMember(session, { offer, judgement, renames })
  })
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
  const decisions = [...outcome.decisions, ...renames.map(({ decision }) => decision)]
  const version = hasEffect && after.snapshot.kind !== 'absent' ? after.snapshot.version : null
  if (hasEffect || Object.keys(outcome.clocks).length > 0)
    touch(session, { mutation, before, after, outcome, hasEffect, renames })
  const line = {
    ...auditBase(session, mutation),
    version,
    status: decisions.length > 0 ? ('merged' as const) : outcome.status,
    code: null,
  }
  const explained = decisions.map((decision) => explainDecision(session, collection.name, decision))
  const { audit } = session.effects
  if (hasEffect)
    audit.push({
      ...line,
      ...diffOf(before, after, [...outcome.changed, ...renames.map(({ decision }) => decision.field)]),
      decisions: explained,
    })
  else if (before.snapshot.kind !== 'absent')
    audit.push({ ...line, op: 'none', before: null, after: null, decisions: explained })
  if (version !== null) {
    const whole = after.snapshot.kind !== before.snapshot.kind
    const fields = whole ? collection.fields.map(({ name }) => name) : outcome.changed
    session.working.addChange(collection.name, {
      record: mutation.record,
      version,
      user: session.caller.user.id,
      device: session.caller.device,
      fields,
    })
  }
  return {
    offer,
    status: line.status,
    version,
    isExact: judgement.isExact && renames.length === 0,
    record: after,
  }
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
  readonly renames: readonly Rename[]
}

function touch<U extends User>(
  session: Session<U>,
  { mutation, before, after, outcome, hasEffect, renames }: Touch,
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
  for (const name of outcome.changed) touched.changed.add(name)
  for (const { decision } of renames) touched.changed.add(decision.field)
  if (before.deletedAt !== after.deletedAt) touched.changed.add('deleted_at')
  touched.clocksChanged ||= Object.keys(outcome.clocks).length > 0
  touched.hasRowChange ||= hasEffect
  if (!known) records.set(key, touched)
}
