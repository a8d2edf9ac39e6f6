import { assertNever, SyncError } from '../errors.ts'
import type { Json } from '../json.ts'
import type { CustomMergeInput, Field, MergeRule } from '../schema/field.ts'
import type { FieldSchema } from '../schema/schema.ts'
import { canonicalDecimal, compareDecimals } from '../values/decimal.ts'
import { parseFieldValue } from '../values/parse-field-value.ts'
import { decideTransition } from './decide-transition.ts'
import { mergeParagraphs } from './merge-paragraphs.ts'

/** Two values of one field, written without knowledge of each other. `base` is undefined when nobody knows it. */
export interface Meeting {
  readonly field: FieldSchema
  readonly base: Json | undefined
  readonly mine: Json
  readonly theirs: Json
  /** Whether the author's stamp is newer than the field's. */
  readonly isNewer: boolean
}

/** Whose value stays; `both` with what came of them; `ask` when only a person can tell. */
export type Ruling = 'mine' | 'theirs' | 'ask' | { readonly both: Json }

/** What the rule of a field says of two values that met. Pure, and never throws. Rules: ME-4, ME-5, ME-8 to ME-12. */
export function decideField(rule: MergeRule, meeting: Meeting): Ruling {
  switch (rule.rule) {
    case 'ask':
      return 'ask'
    case 'latest':
      return meeting.isNewer ? 'mine' : 'theirs'
    case 'server':
      return 'theirs'
    case 'max':
      return outranks(meeting, 1) ? 'mine' : 'theirs'
    case 'min':
      return outranks(meeting, -1) ? 'mine' : 'theirs'
    case 'paragraphs':
      return decideParagraphs(meeting)
    case 'transitions':
      return decideTransition(rule.allowed, meeting)
    case 'custom':
      return decideCustom(rule, meeting)
    case 'add':
    case 'union':
      // defineSchema gives these two to counters and sets alone, which add up and never meet.
      return 'ask'
    default:
      return assertNever(rule)
  }
}

/** Whether mine lies further in the direction, 1 up or -1 down. A value always outranks null. */
function outranks({ field, mine, theirs }: Meeting, direction: 1 | -1): boolean {
  if (mine === null || theirs === null) return mine !== null
  return compareValues(field, mine, theirs) * direction > 0
}

function compareValues(field: Pick<Field, 'kind'>, left: Json, right: Json): number {
  if (typeof left === 'number' && typeof right === 'number') return left - right
  if (typeof left !== 'string' || typeof right !== 'string') return 0
  if (field.kind !== 'decimal') return left < right ? -1 : left > right ? 1 : 0
  return compareDecimals(canonicalDecimal(left) ?? '0', canonicalDecimal(right) ?? '0')
}

function decideParagraphs({ field, base, mine, theirs }: Meeting): Ruling {
  if (typeof base !== 'string' || typeof mine !== 'string' || typeof theirs !== 'string') return 'ask'
  const merged = mergeParagraphs({ base, mine, theirs })
  return merged === undefined ? 'ask' : ifFits(field, merged)
}

function decideCustom(
  rule: Extract<MergeRule, { rule: 'custom' }>,
  { field, base, mine, theirs }: Meeting,
): Ruling {
  const input: CustomMergeInput = { base: base ?? null, mine, theirs }
  let merged: Json | undefined
  try {
    merged = rule.merge(input)
  } catch {
    // A rule that fails has no answer, and a device must be able to replay whatever it holds: a person decides.
    return 'ask'
  }
  return merged === undefined ? 'ask' : ifFits(field, merged)
}

function ifFits(field: FieldSchema, merged: Json): Ruling {
  try {
    return { both: parseFieldValue(field, merged, field.name) }
  } catch (error) {
    if (error instanceof SyncError) return 'ask'
    throw error
  }
}
