import type { Json } from '../json.ts'
import type { Mutation, Payload, RecordSnapshot } from '../mutation.ts'
import type { CollectionSchema } from '../schema/schema.ts'
import { fillValues } from '../values/parse-input.ts'
import { applyPayload } from './apply-payload.ts'

/**
 * The record as the author of a mutation sees it while a person has not decided: his own values win. Never throws.
 * An update of a record whose values nobody knows leaves it as it is. Rules: ME-19, RB-2.
 */
export function forceMine(
  collection: CollectionSchema,
  mutation: Payload & Pick<Mutation, 'op'>,
  current: RecordSnapshot,
): RecordSnapshot {
  const { op } = mutation
  if (op === 'delete' && current.kind !== 'live') return current
  // A create carries every field; what stands in a record of the same id was written without its author's knowledge.
  const isNew = op === 'create' && current.kind !== 'live'
  const values = isNew ? fillValues(collection, {}) : current.kind === 'absent' ? null : current.values
  if (values === null) return current
  const next: Record<string, Json> = {
    ...applyPayload(collection, values, mutation, isNew || op !== 'create'),
  }
  // A counter that would leave its range stands at the edge: beyond it no database gives the row back as numbers.
  const edge = Number.MAX_SAFE_INTEGER
  for (const { name, kind } of collection.fields) {
    if (kind === 'counter') next[name] = Math.max(-edge, Math.min(edge, Number(next[name])))
  }
  const version = current.kind === 'absent' ? 0 : current.version
  return { kind: op === 'delete' ? 'deleted' : 'live', version, values: next }
}
