import type { Json, Values } from '../json.ts'
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
  const values = current.kind === 'absent' ? null : current.values
  const version = current.kind === 'absent' ? 0 : current.version
  if (mutation.op === 'delete') {
    return current.kind === 'live'
      ? {
          kind: 'deleted',
          version,
          values: shown(collection, applyPayload(collection, current.values, mutation)),
        }
      : current
  }
  // A create carries every field; what stands in a record of the same id was written without its author's knowledge.
  if (mutation.op === 'create' && current.kind !== 'live') {
    return {
      kind: 'live',
      version,
      values: shown(collection, applyPayload(collection, fillValues(collection, {}), mutation)),
    }
  }
  if (values === null) return current
  return {
    kind: 'live',
    version,
    values: shown(collection, applyPayload(collection, values, mutation, mutation.op !== 'create')),
  }
}

/** A counter that would leave its range stands at the edge: beyond it no database gives the row back as numbers. */
function shown(collection: CollectionSchema, values: Values): Values {
  const edge = Number.MAX_SAFE_INTEGER
  const next: Record<string, Json> = { ...values }
  for (const { name, kind } of collection.fields) {
    const value = next[name]
    if (kind === 'counter' && typeof value === 'number') next[name] = Math.max(-edge, Math.min(edge, value))
  }
  return next
}
