import {
  type CollectionSchema,
  type ConflictReport,
  explainDelete,
  explainRule,
  type Json,
  newUuid,
  personalScope,
  scopesOfRow,
  touchedFields,
  type Values,
} from '@holdfast/core'
import type { User } from '../engine.ts'
import type { StoredConflict } from '../store/store.ts'
import type { ReadOffer } from './judge-mutation.ts'
import type { Session } from './session.ts'
import { type CurrentRecord, partsOf } from './working-set.ts'

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
  readonly other?: Values
}

/**
 * Opens one conflict for a whole unit. It lies in the scopes all its records share, so that nobody is shown a record he
 * may not see, and always in its author's own. Returns what each member is answered. Rules: PU-14, SC-4.
 */
export function openConflict<U extends User>(
  session: Session<U>,
  members: readonly DisputedMember[],
): readonly ConflictReport[] {
  const { caller, env, now, working, effects } = session
  const lead = members.find(({ reason }) => reason !== null) ?? members[0]
  if (!lead) return []
  const id = newUuid(env)
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
      parts: members.map((member) => partOf(working.collection(member.offer.mutation.collection), member)),
      mutation: lead.offer.id,
      author: caller.user.id,
      device: caller.device ?? '',
      createdAt: now,
      resolution: null,
      resolvedBy: null,
      resolvedAt: null,
    },
  }
  const shared = members.map((member) =>
    scopesOfMember(working.collection(member.offer.mutation.collection), member),
  )
  const [first = [], ...others] = shared
  const scopes = first.filter((scope) => others.every((list) => list.includes(scope)))
  effects.conflicts.set(id, { conflict, scopes: [...scopes, personalScope(caller.user.id)] })
  working.putConflict(conflict)
  return members.map(({ fields, base, mine, theirs }) => ({ id, fields, base, mine, theirs }))
}

function partOf(
  collection: CollectionSchema,
  { offer, reason, fields, base, mine, theirs }: DisputedMember,
): Json {
  const { record, op } = offer.mutation
  return {
    collection: collection.name,
    record,
    op,
    fields,
    base,
    mine,
    theirs,
    rules: explain(collection, reason, fields),
  }
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

function scopesOfMember(
  collection: CollectionSchema,
  { before, mine, other, offer }: DisputedMember,
): readonly string[] {
  const { snapshot } = before
  const values = snapshot.kind === 'absent' ? (mine ?? offer.mutation.changes) : (snapshot.values ?? {})
  const scopes = scopesOfRow(collection.scopes, values)
  if (!other) return scopes
  const others = scopesOfRow(collection.scopes, other)
  return scopes.filter((scope) => others.includes(scope))
}

/** Closes the conflicts a unit settles, saying how. Repeating a name is harmless. Rules: PU-21. */
export function closeConflicts<U extends User>(
  session: Session<U>,
  members: readonly ReadOffer[],
  supersededBy: string | null,
): void {
  const { working, effects, caller, now } = session
  for (const id of new Set(members.flatMap(({ mutation }) => mutation.resolves ?? []))) {
    const conflict = working.conflict(id)
    if (!conflict) continue
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
}

/** Whose values a settlement takes, told from what it writes. */
function kindOf(conflict: StoredConflict, members: readonly ReadOffer[]): string {
  const parts = partsOf(conflict)
  const partFor = ({ mutation }: ReadOffer): (typeof parts)[number] | undefined =>
    parts.find((part) => part.collection === mutation.collection && part.record === mutation.record)
  if (members.some((member) => member.mutation.op === 'create' && !partFor(member))) return 'both'
  const settling = members.filter(({ mutation }) => mutation.resolves === conflict.id)
  if (settling.every(({ mutation }) => mutation.op === 'update' && touchedFields(mutation).length === 0))
    return 'theirs'
  const isMine = settling.every((member) => {
    const part = partFor(member)
    if (!part) return false
    if (part.mine === null || member.mutation.op === 'delete')
      return part.mine === null && member.mutation.op === 'delete'
    const { mine } = part
    return Object.entries(member.mutation.changes).every(
      ([name, value]) => !(name in mine) || JSON.stringify(mine[name]) === JSON.stringify(value),
    )
  })
  const isTheirs = settling.every((member) => member.mutation.op === 'delete')
  return isMine ? 'mine' : isTheirs ? 'theirs' : 'merged'
}
