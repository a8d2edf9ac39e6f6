import { SyncError } from '../errors.ts'
import { type Hlc, parseHlc } from '../hlc.ts'
import type { Json, Values } from '../json.ts'
import { limits } from '../limits.ts'
import { ruleOf } from '../merge/explain-rule.ts'
import type { Mutation, Payload } from '../mutation.ts'
import { countRanges, formatRanges, parseRanges } from '../ranges.ts'
import type { CollectionSchema, FieldSchema, Schema } from '../schema/schema.ts'
import { parseFieldValue, parseMembers, parseSeenValue } from '../values/parse-field-value.ts'
import { absentValue, completeValues, fieldOf } from '../values/parse-input.ts'
import { fitsBytes } from '../values/storable-text.ts'
import { valuesEqual } from '../values/values-equal.ts'
import { type MutationShape, mutationSchema } from './message-schemas.ts'
import { parseMessage } from './parse-messages.ts'

/**
 * A mutation with everything spelled out and every value in stored form. A create is complete afterwards; a member or
 * field that is not understood refuses the whole, since half of an intent is another one. The text that is hashed for
 * idempotency is the one that arrived, not this.
 * Errors: MUTATION_INVALID, FIELD_UNKNOWN, FIELD_SERVER_OWNED, VALUE_INVALID, VALUE_TOO_LARGE. Rules: WI-2 to WI-4.
 */
export function parseMutation(schema: Schema, value: unknown): Mutation {
  const shape = parseMessage(mutationSchema, value, 'MUTATION_INVALID')
  // The members as they arrived: copying them, the validator leaves out keys such as "constructor".
  const raw = value as Partial<MutationShape>
  const collection = schema.collections.get(shape.collection)
  if (!collection) throw misfit('collection', `there is no collection "${shape.collection.slice(0, 64)}"`)
  const payload = {
    changes: parseChanges(collection, shape.op, raw.changes ?? {}),
    base: parseBase(collection, shape.op, raw.base ?? null),
    increments: parseIncrements(collection, raw.increments ?? {}),
    additions: parseMemberLists(collection, raw.additions ?? {}),
    removals: parseMemberLists(collection, raw.removals ?? {}),
  }
  checkTogether(shape.op, payload)
  const mutation: Mutation = {
    ...shape,
    ...payload,
    covers: parseCovers(shape),
    ...(shape.folded && { folded: parseFolded(shape.folded, shape) }),
    at: parseStamp(shape.at, 'at'),
    ats: parseStamps(collection, shape.op, raw.ats ?? {}),
  }
  if (!fitsBytes(JSON.stringify(mutation), limits.mutationBytes)) {
    throw new SyncError('VALUE_TOO_LARGE', `a mutation is at most ${limits.mutationBytes} bytes`, {
      at: collection.name,
    })
  }
  return mutation
}

function parseChanges(collection: CollectionSchema, op: Mutation['op'], changes: Values): Values {
  const parsed: Record<string, Json> = {}
  for (const [name, value] of Object.entries(changes)) {
    const field = fieldOf(collection, name)
    const at = `${collection.name}.${name}`
    parsed[name] = parseFieldValue(field, value, at)
    if (field.owner === 'server' && !(op === 'create' && isUntouched(field, parsed[name]))) {
      throw new SyncError('FIELD_SERVER_OWNED', `${at} is set by the server alone`, { at })
    }
  }
  return op === 'create' ? completeValues(collection, parsed) : parsed
}

/** A create carries every field; the server's own must be as they are without anybody's doing. */
function isUntouched(field: FieldSchema, value: Json | undefined): boolean {
  return valuesEqual(field, value, absentValue(field))
}

function parseBase(collection: CollectionSchema, op: Mutation['op'], base: Values | null): Values | null {
  if (base === null) return null
  if (op === 'create') throw misfit('base', 'a create has seen nothing')
  const parsed: Record<string, Json> = {}
  for (const [name, value] of Object.entries(base)) {
    parsed[name] = parseSeenValue(fieldOf(collection, name), value, `${collection.name}.${name}`)
  }
  return parsed
}

function parseIncrements(collection: CollectionSchema, given: Payload['increments']): Payload['increments'] {
  const parsed: Record<string, number> = {}
  for (const [name, amount] of Object.entries(given)) {
    const field = fieldOfKind(collection, name, 'counter')
    // A counter's value is a safe integer, and so is what it grows by.
    parsed[field.name] = Number(parseSeenValue(field, amount, `${collection.name}.${name}`))
  }
  return parsed
}

function parseMemberLists(collection: CollectionSchema, given: Payload['additions']): Payload['additions'] {
  const parsed: Record<string, readonly (string | number)[]> = {}
  for (const [name, members] of Object.entries(given)) {
    const field = fieldOfKind(collection, name, 'set')
    parsed[field.name] = parseMembers(field, members, `${collection.name}.${name}`)
  }
  return parsed
}

function fieldOfKind(collection: CollectionSchema, name: string, kind: 'counter' | 'set'): FieldSchema {
  const field = fieldOf(collection, name)
  const at = `${collection.name}.${name}`
  if (field.kind !== kind) throw misfit(at, `is a ${field.kind}, not a ${kind}`)
  if (field.owner === 'server') {
    throw new SyncError('FIELD_SERVER_OWNED', `${at} is set by the server alone`, { at })
  }
  return field
}

/** One field is changed in one way, so that the order of the ways cannot matter. */
function checkTogether(op: Mutation['op'], payload: Payload): void {
  const { changes, increments, additions, removals } = payload
  const added = new Set([...Object.keys(increments), ...Object.keys(additions), ...Object.keys(removals)])
  if (op !== 'update' && added.size > 0) {
    throw misfit('increments', `a ${op} carries whole values only`)
  }
  for (const name of added) {
    if (Object.hasOwn(changes, name)) throw misfit(name, 'is set and added to at once')
    const both = additions[name]?.find((member) => removals[name]?.includes(member))
    if (both !== undefined) throw misfit(name, 'has a member that is added and removed at once')
  }
}

function parseCovers({ seq, covers }: MutationShape): string {
  if (covers === undefined) return String(seq)
  const ranges = parseRangesOf(covers)
  if (ranges[0]?.[0] !== seq || formatRanges(ranges) !== covers || countRanges(ranges) > limits.foldEntries) {
    throw misfit('covers', `must be at most ${limits.foldEntries} numbers in order, the first of them seq`)
  }
  return covers
}

function parseFolded(folded: readonly string[], shape: MutationShape): readonly string[] {
  if (folded.length !== countRanges(parseRanges(parseCovers(shape))) - 1)
    throw misfit('folded', 'must name one mutation for each covered number but the first')
  return folded
}

function parseRangesOf(covers: string): ReturnType<typeof parseRanges> {
  try {
    return parseRanges(covers)
  } catch (error) {
    throw new SyncError('MUTATION_INVALID', 'covers is not a list of device numbers', {
      at: 'covers',
      cause: error,
    })
  }
}

function parseStamps(
  collection: CollectionSchema,
  op: Mutation['op'],
  ats: Readonly<Record<string, string>>,
): Readonly<Record<string, Hlc>> {
  const parsed: Record<string, Hlc> = {}
  for (const [name, stamp] of Object.entries(ats)) {
    const isOfCreate = name === 'created_at' && op === 'create'
    if (!isOfCreate && ruleOf(fieldOf(collection, name)).rule !== 'latest') {
      throw misfit(`ats.${name}`, 'only fields that merge by "latest" have a time of their own')
    }
    parsed[name] = parseStamp(stamp, `ats.${name}`)
  }
  return parsed
}

function parseStamp(stamp: string, at: string): Hlc {
  const parsed = parseHlc(stamp)
  if (!parsed) throw misfit(at, 'is no stamp of a real time')
  return parsed.text
}

function misfit(at: string, message: string): SyncError {
  return new SyncError('MUTATION_INVALID', `${at}: ${message}`, { at })
}
