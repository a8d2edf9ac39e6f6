import {
  type Decision,
  explainDelete,
  explainRule,
  type Json,
  jsonEqual,
  type Mutation,
  type Values,
} from '@holdfast/core'
import type { HistoryDecision, HistoryEntry, User } from '../engine.ts'
import type { AuditLine } from '../store/store.ts'
import { valuesOf } from '../push/judge-mutation.ts'
import type { Session } from '../push/session.ts'
import type { CurrentRecord } from '../push/working-set.ts'

/**
 * What the history shows of an effect: the fields that changed, or all of a record that came or went; of one that went
 * also what its author had changed before, in the same mutation. Rules: AU-1, FO-3.
 */
export function diffOf(
  before: CurrentRecord,
  after: CurrentRecord,
  changed: readonly string[],
): Pick<HistoryEntry, 'op' | 'before' | 'after'> {
  const [old, next] = [valuesOf(before), valuesOf(after)]
  if (old && next) return { op: 'update', before: pick(old, changed), after: pick(next, changed) }
  if (old) return { op: 'delete', before: old, after: carriedBy(old, after) }
  return { op: before.snapshot.kind === 'deleted' ? 'restore' : 'create', before: null, after: next }
}

/** What a delete changed of the values that are left of the record. */
function carriedBy(old: Values, { snapshot }: CurrentRecord): Values | null {
  if (snapshot.kind === 'absent' || snapshot.values === null) return null
  const carried = Object.entries(snapshot.values).filter(
    ([name, value]) => !jsonEqual(value, old[name] ?? null),
  )
  return carried.length === 0 ? null : Object.fromEntries(carried)
}

/** Who, when and what of an audit line. */
export function auditBase<U extends User>(
  { caller, now, acceptedBy }: Session<U>,
  mutation: Pick<Mutation, 'id' | 'collection' | 'record' | 'at' | 'was'>,
): Pick<
  AuditLine,
  | 'user'
  | 'device'
  | 'mutation'
  | 'at'
  | 'receivedAt'
  | 'trace'
  | 'collection'
  | 'record'
  | 'was'
  | 'acceptedBy'
> {
  const { id, collection, record, at, was = null } = mutation
  return {
    collection,
    record,
    user: caller.user.id,
    device: caller.device,
    mutation: id,
    at: at.slice(0, 24),
    receivedAt: now,
    trace: caller.trace ?? null,
    was,
    acceptedBy,
  }
}

/** A decision with its rule in one sentence. */
export function explainDecision<U extends User>(
  { working }: Session<U>,
  name: string,
  decision: Decision,
): HistoryDecision {
  const collection = working.collection(name)
  const field = collection.fieldsByName.get(decision.field)
  if (decision.rule === 'unique.rename')
    return { ...decision, explanation: 'Another record had the same unique key, so this one was renamed.' }
  if (decision.rule === 'restored')
    return {
      ...decision,
      explanation:
        'The server was put back from a backup: of what devices returned, the value that was written last before that stands.',
    }
  if (decision.rule.startsWith('onDelete') || !field)
    return { ...decision, explanation: explainDelete(collection) }
  return { ...decision, explanation: explainRule(field) }
}

/** Some of the values; null for what is not there. */
export function pick(values: Values, names: readonly string[]): Values {
  const picked: Record<string, Json> = {}
  for (const name of names) picked[name] = values[name] ?? null
  return picked
}
