import type { ErrorCode } from '../errors.ts'
import type { Hlc } from '../hlc.ts'
import type { Json, Values } from '../json.ts'
import type { Decision, ReturnedFate } from '../mutation.ts'
import type { MergeRule } from '../schema/field.ts'
import type { FieldSchema } from '../schema/schema.ts'
import { valuesEqual } from '../values/values-equal.ts'
import { accumulatedValue, isAccumulated, isWithinBounds } from './apply-payload.ts'
import { decideField, type Ruling } from './decide-field.ts'
import { mayFollow } from './decide-transition.ts'
import type { MergeInput } from './merge-outcome.ts'

/** A live record as it is. */
export interface LiveRecord {
  readonly kind: 'live'
  readonly version: number
  readonly values: Values
}

/** What the rules made of all fields a mutation touches. Being collected; nothing of it counts until all are known. */
export interface FieldsMerge {
  readonly values: Record<string, Json>
  readonly changed: string[]
  readonly clocks: Record<string, Hlc>
  readonly decisions: Decision[]
  /** Fields about which only a person can decide. */
  readonly disputed: string[]
  /** Why the mutation can never apply: the first reason found. */
  refusal: { readonly code: ErrorCode; readonly message: string; readonly field: string } | undefined
}

/** Fields that merge as one: a group, or a field by itself. */
interface Unit {
  readonly fields: readonly FieldSchema[]
  readonly rule: MergeRule
}

/** Merges every field a mutation touches with a live record. Fields the schema lacks are passed over. Rules: ME-1 to ME-13. */
export function mergeFields(input: MergeInput, current: LiveRecord): FieldsMerge {
  const merge: FieldsMerge = {
    values: { ...current.values },
    changed: [],
    clocks: {},
    decisions: [],
    disputed: [],
    refusal: undefined,
  }
  for (const unit of unitsOf(input)) mergeUnit(unit, { input, current, merge })
  for (const field of input.collection.fields) {
    if (isAccumulated(field)) accumulate(field, { input, current, merge })
  }
  return merge
}

interface Merging {
  readonly input: MergeInput
  readonly current: LiveRecord
  readonly merge: FieldsMerge
}

function unitsOf({ collection, mutation }: MergeInput): readonly Unit[] {
  const units = new Map<string, Unit>()
  for (const field of collection.fields) {
    if (isAccumulated(field) || !Object.hasOwn(mutation.changes, field.name)) continue
    // A create carries the defaults of the server's own fields; on a record that exists they say nothing.
    if (mutation.op === 'create' && field.owner === 'server') continue
    const { group } = field
    if (!group) units.set(field.name, { fields: [field], rule: field.merge })
    else
      units.set(`group ${group.name}`, {
        fields: membersOfGroup(collection.fields, group.name),
        rule: group.merge,
      })
  }
  return [...units.values()]
}

function membersOfGroup(fields: readonly FieldSchema[], group: string): readonly FieldSchema[] {
  return fields.filter((field) => field.group?.name === group)
}

function mergeUnit(unit: Unit, merging: Merging): void {
  const { fields, rule } = unit
  const { mutation, returned } = merging.input
  const fate =
    returned &&
    fateIn(
      returned,
      fields.map(({ name }) => name),
    )
  if (fate === 'stands') return takeReturned(unit, merging)
  const differing = fields.filter(
    (field) => !valuesEqual(field, mineOf(field, merging), theirsOf(field, merging)),
  )
  if (differing.length === 0) {
    // The same value written later is the newer one all the same.
    if (rule.rule === 'latest' && isNewer(fields, merging.input)) stamp(fields, merging)
    return
  }
  if (fate === 'yields') {
    for (const field of differing) record(field, 'theirs', { ...merging, rule: { rule: 'restored' } })
    return
  }
  if (fields.every((field) => isSeen(field, merging) || isUnchanged(field, merging)))
    return takeSeen(unit, differing, merging)
  const isUntouched = fields.every(
    (field) =>
      knowsBase(field, merging) && valuesEqual(field, mineOf(field, merging), mutation.base?.[field.name]),
  )
  if (isUntouched && rule.rule !== 'latest') return
  for (const field of differing) {
    const ruling = decideField(rule, {
      field,
      base: mutation.base?.[field.name],
      mine: mineOf(field, merging),
      theirs: theirsOf(field, merging),
      isNewer: isNewer(fields, merging.input),
    })
    record(field, ruling, { ...merging, rule })
  }
  if (rule.rule === 'latest' && isNewer(fields, merging.input)) stamp(fields, merging)
}

/**
 * What lies in the way of a mutation of a lost history, of several fields: what was written after the restore before
 * anything else, then what was returned with a newer answer. Rules: ME-24.
 */
export function fateIn(returned: ReadonlyMap<string, ReturnedFate>, fields: readonly string[]): ReturnedFate {
  const fates = new Set(fields.map((name) => returned.get(name)))
  return fates.has('meets') ? 'meets' : fates.has('yields') ? 'yields' : 'stands'
}

/** Written down also where it is equal: what is returned with an older answer must find that this one stands. */
function takeReturned({ fields, rule }: Unit, merging: Merging): void {
  const { merge, input } = merging
  for (const field of fields) {
    if (!Object.hasOwn(input.mutation.changes, field.name)) continue
    const [mine, theirs] = [mineOf(field, merging), theirsOf(field, merging)]
    merge.values[field.name] = mine
    merge.changed.push(field.name)
    // What its author had not seen is in the history, whoever had replaced it in the one that is lost.
    if (!knowsBase(field, merging) || isSeen(field, merging) || valuesEqual(field, mine, theirs)) continue
    const base = input.mutation.base?.[field.name]
    merge.decisions.push({
      field: field.name,
      rule: 'restored',
      winner: 'mine',
      base,
      mine,
      theirs,
      result: mine,
    })
  }
  if (rule.rule === 'latest') stamp(fields, merging)
}

/** Nobody else changed the unit since its author looked: taken, unless a state machine forbids the step. */
function takeSeen(unit: Unit, differing: readonly FieldSchema[], merging: Merging): void {
  const { merge, input } = merging
  for (const field of differing) {
    const [mine, theirs] = [mineOf(field, merging), theirsOf(field, merging)]
    // A person who settles a conflict may take a step the machine would not.
    if (
      unit.rule.rule === 'transitions' &&
      input.mutation.resolves === null &&
      !mayFollow(unit.rule.allowed, theirs, mine)
    ) {
      merge.refusal ??= {
        code: 'TRANSITION_REFUSED',
        message: `${field.name} cannot go from ${JSON.stringify(theirs)} to ${JSON.stringify(mine)}`,
        field: field.name,
      }
    }
    merge.values[field.name] = mine
    merge.changed.push(field.name)
  }
  if (unit.rule.rule === 'latest') stamp(unit.fields, merging)
}

function record(
  field: FieldSchema,
  ruling: Ruling,
  merging: Merging & { readonly rule: { readonly rule: string } },
): void {
  const { merge, input, rule } = merging
  if (ruling === 'ask') {
    merge.disputed.push(field.name)
    return
  }
  const [mine, theirs] = [mineOf(field, merging), theirsOf(field, merging)]
  const winner = typeof ruling === 'object' ? 'both' : ruling
  const result = typeof ruling === 'object' ? ruling.both : ruling === 'mine' ? mine : theirs
  const base = input.mutation.base?.[field.name]
  merge.decisions.push({ field: field.name, rule: rule.rule, winner, base, mine, theirs, result })
  if (valuesEqual(field, result, theirs)) return
  merge.values[field.name] = result
  merge.changed.push(field.name)
}

function accumulate(field: FieldSchema, merging: Merging): void {
  const { input, merge } = merging
  const { mutation } = input
  if (mutation.op === 'create' && field.owner === 'server') return
  const theirs = theirsOf(field, merging)
  const result = accumulatedValue(field, mutation, { value: theirs, isSeen: isSeen(field, merging) })
  if (valuesEqual(field, result, theirs)) return
  merge.values[field.name] = result
  merge.changed.push(field.name)
  if (!isWithinBounds(field, result)) merge.refusal ??= outOfBounds(field)
  if (!Object.hasOwn(mutation.changes, field.name) || isSeen(field, merging)) return
  const mine = mineOf(field, merging)
  const winner = valuesEqual(field, mine, result) ? 'mine' : 'both'
  const base = mutation.base?.[field.name]
  merge.decisions.push({ field: field.name, rule: field.merge.rule, winner, base, mine, theirs, result })
}

/** Why a mutation that would leave the bounds of a field is refused. Rules: ME-23. */
export function outOfBounds({ name, kind }: FieldSchema): NonNullable<FieldsMerge['refusal']> {
  return { code: 'VALUE_TOO_LARGE', message: `${name} would leave the range of a ${kind}`, field: name }
}

function mineOf(field: FieldSchema, { input, current }: Merging): Json {
  const { changes } = input.mutation
  return (Object.hasOwn(changes, field.name) ? changes[field.name] : current.values[field.name]) ?? null
}

function theirsOf(field: FieldSchema, { current }: Merging): Json {
  return current.values[field.name] ?? null
}

function knowsBase(field: FieldSchema, { input }: Merging): boolean {
  return input.mutation.base?.[field.name] !== undefined
}

/** Whether the author saw the value as it is: his base says so, or without one the version he saw. */
function isSeen(field: FieldSchema, merging: Merging): boolean {
  const { input, current } = merging
  if (!knowsBase(field, merging)) return input.mutation.baseVersion === current.version
  return valuesEqual(field, input.mutation.base?.[field.name], current.values[field.name])
}

/** Whether a field of which the mutation says nothing, as one that its author's app has not, is known to be as it was. */
function isUnchanged(field: FieldSchema, merging: Merging): boolean {
  const { concurrent, mutation } = merging.input
  const isNamed = knowsBase(field, merging) || Object.hasOwn(mutation.changes, field.name)
  return !isNamed && concurrent !== 'unknown' && !concurrent.has(field.name)
}

/** The time of a mutation for one field. */
function stampOf(field: FieldSchema, { mutation }: MergeInput): Hlc {
  return mutation.ats[field.name] ?? mutation.at
}

function isNewer(fields: readonly FieldSchema[], input: MergeInput): boolean {
  const mine = fields.map((field) => stampOf(field, input))
  const theirs = fields.map((field) => input.clocks[field.name] ?? input.fallbackStamp)
  return newest(mine) > newest(theirs)
}

function newest(stamps: readonly Hlc[]): Hlc | '' {
  return stamps.reduce<Hlc | ''>((latest, stamp) => (stamp > latest ? stamp : latest), '')
}

/** A field's own clock only moves forward; the stand-in for a missing one is replaced. */
function stamp(fields: readonly FieldSchema[], { input, merge }: Merging): void {
  for (const field of fields) {
    const [mine, clock] = [stampOf(field, input), input.clocks[field.name]]
    if (clock === undefined || mine > clock) merge.clocks[field.name] = mine
  }
}
