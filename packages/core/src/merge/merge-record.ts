import { assertNever } from '../errors.ts'
import type { Hlc } from '../hlc.ts'
import type { Json, Values } from '../json.ts'
import { type Decision, type RecordSnapshot, touchedFields } from '../mutation.ts'
import type { CollectionSchema } from '../schema/schema.ts'
import { fillValues, missingField } from '../values/parse-input.ts'
import { applyPayload, fieldOutOfBounds, isAccumulated } from './apply-payload.ts'
import { ruleOf } from './explain-rule.ts'
import { forceMine } from './force-mine.ts'
import { fateIn, type FieldsMerge, type LiveRecord, mergeFields, outOfBounds } from './merge-fields.ts'
import type {
  ApplyOutcome,
  ConflictOutcome,
  MergeInput,
  MergeOutcome,
  RejectOutcome,
} from './merge-outcome.ts'

type Tombstone = Extract<RecordSnapshot, { kind: 'deleted' }>

/**
 * Three-way merge of one mutation with the record as it is. Pure, total, and the same code on both sides: the server
 * decides with it, a device replays with it. Rules: ME-1 to ME-20.
 */
export function mergeRecord(input: MergeInput): MergeOutcome {
  const { current, mutation } = input
  switch (mutation.op) {
    case 'create':
      if (current.kind === 'live') return mergeLive(input, current)
      return current.kind === 'deleted' ? meetTombstone(input, current) : revive(input, current, [])
    case 'update':
      if (current.kind === 'live') return mergeLive(input, current)
      if (current.kind === 'deleted') return meetTombstone(input, current)
      return { kind: 'reject', code: 'RECORD_NOT_FOUND', message: 'there is no such record' }
    case 'delete':
      return current.kind === 'live' ? mergeDelete(input, current) : unchanged(current)
    default:
      return assertNever(mutation.op)
  }
}

function mergeLive(input: MergeInput, current: LiveRecord): MergeOutcome {
  const merge = mergeFields(input, current)
  if (merge.refusal) return { kind: 'reject', ...merge.refusal }
  const hasEffect = merge.changed.length + merge.decisions.length + merge.disputed.length > 0
  if (hasEffect && isStrictlyConcurrent(input, current)) {
    return conflictOver(input, 'fields', touchedFields(input.mutation))
  }
  if (merge.disputed.length > 0) return conflictOver(input, 'fields', merge.disputed)
  return applied({ ...current, values: merge.values }, merge)
}

/** An edit, or a new record with the id of one that was deleted. */
function meetTombstone(input: MergeInput, current: Tombstone): MergeOutcome {
  const { collection, mutation } = input
  const touched = touchedFields(mutation)
  if (mutation.op === 'update' && touched.length === 0) return unchanged(current)
  const fate = input.returned && fateIn(input.returned, fieldNames(collection))
  if (fate === 'stands') return revive(input, current, [])
  if (fate === 'yields') return unchanged(current, yieldedTo(current, input, touched))
  if (mutation.baseVersion === current.version || input.ownTombstone) return revive(input, current, [])
  if (collection.strict || collection.onDelete === 'ask') return conflictOver(input, 'delete', touched)
  const mine = mineOf(input)
  const decide = (winner: 'mine' | 'theirs', result: Values | null): readonly Decision[] =>
    touched.map((field) => ({
      field,
      rule: `onDelete.${collection.onDelete}`,
      winner,
      base: mutation.base?.[field],
      mine: mine?.[field] ?? null,
      theirs: null,
      result: result?.[field] ?? null,
    }))
  if (collection.onDelete === 'delete') return unchanged(current, decide('theirs', null))
  const revived = revive(input, current, decide('mine', mine))
  return revived.kind === 'apply' ? revived : conflictOver(input, 'delete', touched)
}

/** The record lives (again): a create from what it carries, an edit from the tombstone's values. Rules: ME-14, ME-15. */
function revive(
  input: MergeInput,
  current: Exclude<RecordSnapshot, LiveRecord>,
  decisions: readonly Decision[],
): ApplyOutcome | RejectOutcome {
  const { collection, mutation } = input
  const known = mutation.op === 'update' && current.kind === 'deleted' ? current.values : null
  const values = applyPayload(collection, fillValues(collection, known ?? {}), mutation)
  const missing = missingField(collection, values)
  if (missing !== undefined) {
    return { kind: 'reject', code: 'VALUE_INVALID', message: `${missing} is missing`, field: missing }
  }
  const outside = fieldOutOfBounds(collection, values)
  if (outside) return { kind: 'reject', ...outOfBounds(outside) }
  const version = current.kind === 'absent' ? 0 : current.version
  const clocks: Record<string, Hlc> = {}
  for (const field of collection.fields) {
    const isWritten = Object.hasOwn(mutation.changes, field.name)
    if (isWritten && ruleOf(field).rule === 'latest')
      clocks[field.name] = mutation.ats[field.name] ?? mutation.at
  }
  const changed = collection.fields.map((field) => field.name)
  return applied({ kind: 'live', version, values }, { changed, clocks, decisions })
}

/** A delete: edits of others that its author had not seen stand against it, unless they only add up. Rules: ME-16, ME-17. */
function mergeDelete(input: MergeInput, current: LiveRecord): MergeOutcome {
  const { collection, mutation, returned } = input
  const newer = fieldNames(collection).filter((name) => returned?.get(name) === 'yields')
  if (newer.length > 0) return unchanged(current, yieldedTo(current, input, newer))
  const carried = mergeFields(input, current)
  const isClean = carried.disputed.length === 0 && !carried.refusal
  const values = isClean ? carried.values : current.values
  const gone: RecordSnapshot = { kind: 'deleted', version: current.version, values }
  const changed = isClean ? carried.changed : []
  const edited = editedSince(input, current)
  const isStrict = isStrictlyConcurrent(input, current)
  if (edited.length === 0 && !isStrict) return applied(gone, { changed, clocks: {}, decisions: [] })
  if (isStrict || collection.onDelete === 'ask') return conflictOver(input, 'delete', touchedFields(mutation))
  const decide = (winner: 'mine' | 'theirs', result: Values | null): readonly Decision[] =>
    edited.map((field) => ({
      field,
      rule: `onDelete.${collection.onDelete}`,
      winner,
      base: mutation.base?.[field],
      mine: null,
      theirs: current.values[field] ?? null,
      result: result?.[field] ?? null,
    }))
  if (collection.onDelete === 'delete')
    return applied(gone, { changed, clocks: {}, decisions: decide('mine', null) })
  const edit = mergeLive(input, current)
  if (edit.kind !== 'apply') return edit
  // The edit stands against the deletion; what stands in a field that the delete carried, too, is the newer value.
  const stands = edit.next.kind === 'live' ? edit.next.values : current.values
  const decisions = [...decide('theirs', stands), ...edit.decisions]
  return { ...edit, status: 'merged', decisions }
}

/** What was returned gives way to what was returned with a newer answer. Rules: ME-24. */
function yieldedTo(
  current: Exclude<RecordSnapshot, { kind: 'absent' }>,
  input: MergeInput,
  fields: readonly string[],
): readonly Decision[] {
  const mine = input.mutation.op === 'delete' ? null : mineOf(input)
  return fields.map((field) => {
    const theirs = current.kind === 'live' ? (current.values[field] ?? null) : null
    const base = input.mutation.base?.[field]
    return {
      field,
      rule: 'restored',
      winner: 'theirs',
      base,
      mine: mine?.[field] ?? null,
      theirs,
      result: theirs,
    }
  })
}

function fieldNames({ fields }: CollectionSchema): readonly string[] {
  return fields.map(({ name }) => name)
}

/** Fields others changed since the author looked, without those whose changes only add up. */
function editedSince(
  { collection, mutation, concurrent }: MergeInput,
  current: LiveRecord,
): readonly string[] {
  if (mutation.baseVersion === current.version) return []
  return collection.fields
    .filter((field) => !isAccumulated(field) && (concurrent === 'unknown' || concurrent.has(field.name)))
    .map((field) => field.name)
}

function isStrictlyConcurrent(
  { collection, mutation, concurrent, returned }: MergeInput,
  current: LiveRecord,
): boolean {
  if (!collection.strict || mutation.baseVersion === current.version) return false
  // A create has seen nothing of the record that is there, unless it is the one that had made it.
  return (mutation.op === 'create' && !returned) || concurrent === 'unknown' || concurrent.size > 0
}

function conflictOver(
  input: MergeInput,
  reason: 'fields' | 'delete',
  fields: readonly string[],
): ConflictOutcome {
  const { current, mutation } = input
  const touched = touchedFields(mutation)
  const theirs = current.kind === 'live' ? current.values : null
  return {
    kind: 'conflict',
    reason,
    fields,
    base: mutation.base && pick(mutation.base, touched),
    mine: mutation.op === 'delete' && reason === 'delete' ? null : mineOf(input),
    theirs: theirs && mutation.op !== 'delete' ? pick(theirs, touched) : theirs,
  }
}

/** The touched fields as the author wants them; what he wrote alone where nobody knows the rest. */
function mineOf({ collection, mutation, current }: MergeInput): Values {
  const op = mutation.op === 'delete' ? 'update' : mutation.op
  const forced = forceMine(collection, { ...mutation, op }, current)
  const values = forced.kind === 'live' ? forced.values : mutation.changes
  return pick(values, touchedFields(mutation))
}

function pick(values: Values, names: readonly string[]): Values {
  const picked: Record<string, Json> = {}
  for (const name of names) {
    const value = values[name]
    if (value !== undefined) picked[name] = value
  }
  return picked
}

function unchanged(current: RecordSnapshot, decisions: readonly Decision[] = []): ApplyOutcome {
  return applied(current, { changed: [], clocks: {}, decisions })
}

function applied(
  next: RecordSnapshot,
  { changed, clocks, decisions }: Pick<FieldsMerge, 'clocks'> & Pick<ApplyOutcome, 'changed' | 'decisions'>,
): ApplyOutcome {
  return {
    kind: 'apply',
    status: decisions.length > 0 ? 'merged' : 'applied',
    next,
    changed,
    clocks,
    decisions,
  }
}
