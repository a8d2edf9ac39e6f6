import type { Mutation, Payload, RecordSnapshot } from '../mutation.ts'
import type { CollectionSchema } from '../schema/schema.ts'
import { fillValues } from '../values/parse-input.ts'
import { applyPayload } from './apply-payload.ts'

/**
 * The record as the author of a mutation sees it while a person has not decided: his own values win. Never throws.
 * An update of a record whose values nobody knows leaves it as it is. Rules: ME-19.
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
      ? { kind: 'deleted', version, values: applyPayload(collection, current.values, mutation) }
      : current
  }
  // A create carries every field; what stands in a record of the same id was written without its author's knowledge.
  if (mutation.op === 'create' && current.kind !== 'live') {
    return { kind: 'live', version, values: applyPayload(collection, fillValues(collection, {}), mutation) }
  }
  if (values === null) return current
  return {
    kind: 'live',
    version,
    values: applyPayload(collection, values, mutation, mutation.op !== 'create'),
  }
}
