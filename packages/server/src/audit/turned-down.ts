import { type Decision, isObject, type Json, ruleOf, valuesEqual } from '@holdfast/core'
import type { User } from '../engine.ts'
import { valuesOf } from '../push/judge-mutation.ts'
import type { Session } from '../push/session.ts'
import { type ConflictPart, partsOf } from '../push/working-set.ts'
import type { StoredConflict } from '../store/store.ts'
import { explainDecision } from './audit-line.ts'

/**
 * Keeps what a settlement turned down: the values its author had wanted and that do not stand, as lost ones of his.
 * Called once the settlement has taken effect. Rules: PR-7.
 */
export function auditTurnedDown<U extends User>(
  session: Session<U>,
  resolved: readonly (string | null)[],
): void {
  for (const id of new Set(resolved)) {
    const conflict = id === null ? undefined : session.working.conflict(id)
    // Whoever keeps both has the values in a record of their own.
    const resolution = conflict?.values['resolution']
    if (!conflict || (isObject(resolution) && resolution['kind'] === 'both')) continue
    for (const part of partsOf(conflict)) auditPart(session, conflict, part)
  }
}

function auditPart<U extends User>(
  session: Session<U>,
  { values }: StoredConflict,
  part: ConflictPart,
): void {
  const { collection, record } = part
  const decisions = turnedDown(session, part)
  if (decisions.length === 0) return
  const { author, device, mutation } = values
  session.effects.audit.push({
    collection,
    record,
    user: textOf(author),
    device: textOf(device),
    mutation: textOf(mutation),
    at: session.now,
    receivedAt: session.now,
    trace: session.caller.trace ?? null,
    was: null,
    acceptedBy: null,
    op: 'none',
    version: null,
    before: null,
    after: Object.fromEntries(decisions.map(({ field, mine }): [string, Json] => [field, mine])),
    status: 'lost',
    decisions: decisions.map((decision) => explainDecision(session, collection, decision)),
    code: null,
  })
}

/** A plain client has no device: its text is empty. */
function textOf(value: Json | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}

/** Amounts and members are left out: they add up, and a total of then is no value to bring back. */
function turnedDown<U extends User>(
  { working }: Session<U>,
  { collection: name, record, mine }: ConflictPart,
): readonly Decision[] {
  const collection = working.knownCollection(name)
  if (!collection) return []
  const standing = valuesOf(working.record(name, record))
  return collection.fields.flatMap((field): Decision[] => {
    const wanted = mine?.[field.name]
    if (wanted === undefined || field.kind === 'counter' || field.kind === 'set') return []
    const result = standing?.[field.name] ?? null
    if (valuesEqual(field, wanted, result)) return []
    return [
      { field: field.name, rule: ruleOf(field).rule, winner: 'theirs', mine: wanted, theirs: result, result },
    ]
  })
}
