import {
  absentRecord,
  type CollectionSchema,
  type ConflictReport,
  explainDelete,
  explainRule,
  forceMine,
  type Json,
  jsonEqual,
  type Mutation,
  newUuid,
  personalScope,
  type RecordSnapshot,
  scopesOfRow,
  touchedFields,
  type Values,
} from '@holdfast/core'
import type { User } from '../engine.ts'
import type { StoredConflict } from '../store/store.ts'
import type { ReadOffer } from './judge-mutation.ts'
import type { Session } from './session.ts'
import { type ConflictPart, type CurrentRecord, partsOf, type WorkingSet } from './working-set.ts'

/** One member of a unit that waits for a person, or waits with one that does. */
export interface DisputedMember {
  readonly offer: ReadOffer
  readonly before: CurrentRecord
  readonly reason: 'fields' | 'delete' | 'unique' | null
  readonly fields: readonly string[]
  readonly base: Values | null
  readonly mine: Values | null
  readonly theirs: Values | null
  /** The other record of a unique key. */
  readonly other?: { readonly id: string; readonly values: Values }
}

/**
 * Opens one conflict for a whole unit. It lies in the scopes all its records share, so that nobody is shown a record he
 * may not see, and always in its author's own. Returns what each member is answered. Rules: PU-14, SC-4, CF-1.
 */
export function openConflict<U extends User>(
  session: Session<U>,
  members: readonly DisputedMember[],
): readonly ConflictReport[] {
  const { caller, env, now, working, effects, acceptedBy } = session
  // Whoever took it out of escrow answers for it: its author is not to see what stands there.
  const author = acceptedBy ?? caller.user.id
  const lead = members.find(({ reason }) => reason !== null) ?? members[0]
  if (!lead) return []
  const id = newUuid(env)
  const records = byRecord(members)
  const parts = records.map((all) => partOf(working, all))
  const conflict: StoredConflict = {
    id,
    version: session.nextVersion++,
    updatedAt: now,
    values: {
      collection: lead.offer.mutation.collection,
      record: lead.offer.mutation.record,
      kind: lead.reason,
      status: 'open',
      fields: [...new Set(members.flatMap(({ fields }) => fields))],
      parts,
      mutation: lead.offer.id,
      author,
      device: caller.device ?? '',
      createdAt: now,
      resolution: null,
      resolvedBy: null,
      resolvedAt: null,
    },
  }
  const [first = [], ...others] = records.map((all) => scopesOfRecord(working, all))
  const scopes = first.filter((scope) => others.every((list) => list.includes(scope)))
  effects.conflicts.set(id, { conflict, scopes: [...scopes, personalScope(author)] })
  working.putConflict(conflict)
  const whole = { ...(lead.reason && { kind: lead.reason }), parts }
  return members.map((member) => {
    const { fields, base, mine, theirs } = member
    return { id, fields, base, mine, theirs, ...(member === lead && whole) }
  })
}

/** The members of each record, in the order in which the records were first touched. */
function byRecord(members: readonly DisputedMember[]): readonly DisputedMembers[] {
  const records = new Map<string, [DisputedMember, ...DisputedMember[]]>()
  for (const member of members) {
    const { collection, record } = member.offer.mutation
    const known = records.get(`${record} ${collection}`)
    if (known) known.push(member)
    else records.set(`${record} ${collection}`, [member])
  }
  return [...records.values()]
}

type DisputedMembers = readonly [DisputedMember, ...DisputedMember[]]

/** One part for each record: a person decides about the record, not about each of the edits that were made to it. */
function partOf(working: WorkingSet, [first, ...others]: DisputedMembers): Values {
  const collection = working.collection(first.offer.mutation.collection)
  const { reason, fields, base, mine, theirs } =
    others.length === 0 ? first : together(collection, [first, ...others])
  const { record } = first.offer.mutation
  const last = others.at(-1) ?? first
  const op = mine === null || last === first ? last.offer.mutation.op : first.offer.mutation.op
  return {
    collection: collection.name,
    record,
    op,
    fields,
    base,
    mine,
    theirs,
    ...(theirs === null && mine !== null ? lastKnown(first, Object.keys(mine)) : {}),
    rules: explain(collection, reason, fields),
    // Whoever decides by an older schema is not to leave out what that does not have.
    schema: Math.max(...[first, ...others].map(({ offer }) => offer.mutation.schema)),
  }
}

/** What a deleted record had in the fields its author changed: a count that is brought back adds to it. */
function lastKnown({ before }: DisputedMember, fields: readonly string[]): { readonly last?: Values } {
  const { snapshot } = before
  return snapshot.kind === 'deleted' && snapshot.values ? { last: pick(snapshot.values, fields) } : {}
}

/** Several edits of one record by one author: what he saw first, what he wanted in the end, and what stands. */
function together(
  collection: CollectionSchema,
  members: DisputedMembers,
): Pick<DisputedMember, 'reason' | 'fields' | 'base' | 'mine' | 'theirs'> {
  const [first] = members
  const { snapshot } = first.before
  const isShown = snapshot.kind !== 'live' || members.some(({ theirs }) => theirs !== null)
  const standing: RecordSnapshot = isShown ? snapshot : absentRecord
  let wanted = standing
  for (const { offer } of members) wanted = forceMine(collection, offer.mutation, wanted)
  const touched = [...new Set(members.flatMap(({ offer }) => touchedFields(offer.mutation)))]
  const changes = laid(members.map(({ offer }) => offer.mutation.changes))
  const isDeleted = members.at(-1)?.offer.mutation.op === 'delete'
  const mine = isDeleted ? null : pick(wanted.kind === 'live' ? wanted.values : changes, touched)
  const bases = members.flatMap(({ base }) => (base ? [base] : [])).reverse()
  const rival = members.find(({ reason }) => reason === 'unique')?.theirs
  const theirs =
    standing.kind === 'live' ? pick(standing.values, mine ? touched : Object.keys(standing.values)) : null
  return {
    reason: members.find(({ reason }) => reason !== null)?.reason ?? null,
    fields: [...new Set(members.flatMap(({ fields }) => fields))],
    base: bases.length === 0 ? null : laid(bases),
    mine,
    theirs: rival ?? theirs,
  }
}

/** Values laid over each other, the last on top. */
function laid(layers: readonly Values[]): Values {
  return Object.fromEntries(layers.flatMap((layer) => Object.entries(layer)))
}

function pick(values: Values, names: readonly string[]): Values {
  return Object.fromEntries(
    names.flatMap((name): [string, Json][] => {
      const value = values[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

function explain(
  collection: CollectionSchema,
  reason: DisputedMember['reason'],
  fields: readonly string[],
): Values {
  if (reason === 'delete') return { '': explainDelete(collection) }
  if (reason === 'unique') return { '': 'Two records have the same unique key, and a person decides.' }
  const strict = 'Any change made at the same time by somebody else is for a person to decide.'
  return Object.fromEntries(
    fields.flatMap((name) => {
      const field = collection.fieldsByName.get(name)
      return field ? [[name, collection.strict ? strict : explainRule(field)]] : []
    }),
  )
}

/**
 * Where a record stands before the batch: of what its members would have made of it nothing takes effect, and where others
 * of the batch move it the conflict moves along (FE-10). One that the batch makes stands where it does by now.
 */
function scopesOfRecord(working: WorkingSet, members: DisputedMembers): readonly string[] {
  const [{ before, mine, offer }] = members
  const { collection: name, record } = offer.mutation
  const collection = working.collection(name)
  const scopesOf = (id: string, now: Values): readonly string[] =>
    scopesOfRow(collection.scopes, working.stored(name, id)?.values ?? now)
  const { snapshot } = before
  const values = snapshot.kind === 'absent' ? (mine ?? offer.mutation.changes) : (snapshot.values ?? {})
  const scopes = scopesOf(record, values)
  const other = members.find((member) => member.other)?.other
  if (!other) return scopes
  const others = scopesOf(other.id, other.values)
  return scopes.filter((scope) => others.includes(scope))
}

/** Closes the conflicts a unit settles, saying how. Repeating a name is harmless. Rules: PU-21. */
export function closeConflicts<U extends User>(
  session: Session<U>,
  members: readonly ReadOffer[],
  supersededBy: string | null,
): void {
  const ids = new Set(members.flatMap(({ mutation }) => mutation.resolves ?? []))
  for (const id of ids) closeConflict(session, id, members, supersededBy)
}

/** Closes one, by mutations that settle it, or by none where nothing of it is left in the schema. */
export function closeConflict<U extends User>(
  session: Session<U>,
  id: string,
  members: readonly ReadOffer[],
  supersededBy: string | null,
): void {
  const { working, effects, caller, now } = session
  const conflict = working.conflict(id)
  if (!conflict) return
  const kind = supersededBy === null ? kindOf(conflict, members) : 'superseded'
  const resolution: Json = supersededBy === null ? { kind } : { kind, by: supersededBy }
  const closed: StoredConflict = {
    id,
    version: session.nextVersion++,
    updatedAt: now,
    values: {
      ...conflict.values,
      status: 'resolved',
      resolution,
      resolvedBy: caller.user.id,
      resolvedAt: now,
    },
  }
  working.putConflict(closed)
  effects.conflicts.set(id, { conflict: closed, scopes: effects.conflicts.get(id)?.scopes ?? null })
}

/** Whose values a settlement takes, told from what it writes where the two were in dispute. */
function kindOf(conflict: StoredConflict, members: readonly ReadOffer[]): string {
  const parts = partsOf(conflict)
  const partFor = ({ mutation }: ReadOffer): ConflictPart | undefined =>
    parts.find((part) => part.collection === mutation.collection && part.record === mutation.record)
  if (members.some((member) => member.mutation.op === 'create' && !partFor(member))) return 'both'
  const { collection, record } = conflict.values
  const lead = parts.find((part) => part.collection === collection && part.record === record) ?? parts[0]
  const member = members.findLast((each) => lead !== undefined && partFor(each) === lead)
  if (members.length === 0) return 'theirs'
  if (!lead || !member) return 'merged'
  const { mutation } = member
  if (lead.mine === null)
    return mutation.op === 'delete' ? 'mine' : touchesNothing(mutation) ? 'theirs' : 'merged'
  if (mutation.op === 'delete') return 'theirs'
  const touched = touchedFields(mutation).filter((name) => lead.fields.includes(name))
  if (touched.length === 0) return 'theirs'
  const isMine = touched.every((name) => {
    const value = mutation.changes[name]
    return value === undefined || jsonEqual(value, lead.mine?.[name])
  })
  return isMine ? 'mine' : 'merged'
}

function touchesNothing(mutation: Mutation): boolean {
  return touchedFields(mutation).length === 0
}
