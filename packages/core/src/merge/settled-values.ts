import { assertNever } from '../errors.ts'
import { isObject, type Values } from '../json.ts'

/** What a settlement needs to know of one record of a conflict. */
export interface SettledPart {
  readonly op: string
  /** The fields a person decides about. */
  readonly fields: readonly string[]
  /** null: its author deleted it. */
  readonly mine: Values | null
  /** null: it was deleted. */
  readonly theirs: Values | null
  /** Of a user transaction some records may only wait with the others. */
  readonly isInDispute: boolean
  /** Whether the record is not there, as the settler knows it. */
  readonly isGone: boolean
}

/** What a person decided; `merge` with values for this record, if any were given. */
export type SettledBy =
  | { readonly kind: 'mine' | 'theirs' | 'both' | 'discard' }
  | { readonly kind: 'merge'; readonly values: Values }

/**
 * The values a decision writes to one record of a conflict, over what stands there; none where it stays as it is, and
 * null where it is deleted or stays so. Keeping theirs decides what is in dispute; whatever else the author changed only
 * waited, and is written; a discard gives that up, too. Pure. Rules: CF-8, CF-13.
 */
export function settledValues(part: SettledPart, decision: SettledBy): Values | null {
  const { mine, theirs, op, isInDispute, isGone } = part
  switch (decision.kind) {
    case 'mine':
      return mine
    case 'merge':
      return { ...(isGone ? mine : undisputed(part)), ...decision.values }
    case 'discard':
      return isGone ? null : {}
    case 'both':
    case 'theirs':
      // A record that only waited and is gone meanwhile is not brought back for it.
      if (!isInDispute) return isGone && op !== 'create' ? null : mine
      if (isGone) return null
      // With both, whatever its author wanted is in the record made for it.
      return decision.kind === 'both' || mine === null || theirs === null ? {} : undisputed(part)
    default:
      return assertNever(decision)
  }
}

/** A record of a conflict, as the values of a decision name it. */
export interface SettledRecord {
  readonly collection: string
  readonly record: string
}

/**
 * Which records the values of a decision are for, by the name they have there: the id, or `collection/id` where two records
 * of the conflict have one id. Undefined where a name means none of them, or either. Pure. Rules: CF-3, VAL-1.
 */
export function recordsNamed<Part extends SettledRecord>(
  parts: readonly Part[],
  names: readonly string[],
): ReadonlyMap<Part, string> | undefined {
  const named = new Map<Part, string>()
  for (const name of names) {
    const meant = parts.filter(
      ({ collection, record }) => name === record || name === `${collection}/${record}`,
    )
    const [part] = meant
    if (!part || meant.length > 1) return undefined
    named.set(part, name)
  }
  return named
}

function undisputed({ mine, fields }: SettledPart): Values {
  return Object.fromEntries(Object.entries(mine ?? {}).filter(([name]) => !fields.includes(name)))
}

/** Whether a part of a conflict, by its `rules`, is itself in dispute: one that only waits with others names no rule. */
export function isPartInDispute(rules: unknown): boolean {
  return isObject(rules) && Object.keys(rules).length > 0
}
