import {
  type CollectionSchema,
  emptyPayload,
  type FieldSchema,
  isObject,
  type Json,
  limits,
  membersOf,
  parseMembers,
  type Payload,
  payloadOfUpdate,
  SyncError,
  type Values,
} from '@holdfast/core'

/**
 * What an update of a row with these values says, once every field with a state machine allows its step. `wanted` comes
 * from `parseUpdate`; `seen` holds what its author saw where that is not what stands. Errors: TRANSITION_REFUSED,
 * VALUE_INVALID for a counter whose difference is not exact, VALUE_TOO_LARGE.
 */
export function updatePayload(
  collection: CollectionSchema,
  values: Values,
  wanted: Values,
  seen: Values = {},
): Payload {
  const payload = payloadOfUpdate(collection, { ...values, ...seen }, wanted)
  for (const [name, next] of Object.entries(payload.changes)) {
    const field = collection.fieldsByName.get(name)
    if (field !== undefined)
      checkStep(field, { from: values[name] ?? null, to: next, at: `${collection.name}.${name}` })
  }
  // A difference is an amount like any other, and must be exact.
  incrementPayload(collection, values, payload.increments)
  if (Object.keys(seen).length === 0) return payload
  // Of what came and went, some may be there, or gone, by now.
  const { additions } = additionPayload(collection, values, payload.additions)
  const { removals } = removalPayload(collection, values, payload.removals)
  return { ...payload, additions, removals }
}

/** Amounts by counter. Errors: FIELD_UNKNOWN, FIELD_SERVER_OWNED, VALUE_INVALID. */
export function incrementPayload(collection: CollectionSchema, values: Values, input: unknown): Payload {
  const increments: Record<string, number> = {}
  for (const { name, given, at } of fieldsOf(collection, input, 'counter')) {
    const next = Number(values[name] ?? 0) + Number(given)
    if (!Number.isSafeInteger(given) || !Number.isSafeInteger(next)) {
      throw new SyncError(
        'VALUE_INVALID',
        `${at} takes whole numbers, and its sum must be one that is exact`,
        { at },
      )
    }
    if (given !== 0) increments[name] = Number(given)
  }
  return { ...emptyPayload, increments }
}

/** Members to add by set; those that are there already are left out. Errors: as above, and VALUE_TOO_LARGE. */
export function additionPayload(collection: CollectionSchema, values: Values, input: unknown): Payload {
  const additions: Record<string, readonly (string | number)[]> = {}
  for (const { field, name, given, at } of fieldsOf(collection, input, 'set')) {
    const present = membersOf(values[name])
    const added = parseMembers(field, given, at).filter((member) => !present.includes(member))
    if (present.length + added.length > limits.setMembers) {
      throw new SyncError('VALUE_TOO_LARGE', `${at} holds more than ${limits.setMembers} members`, { at })
    }
    if (added.length > 0) additions[name] = added
  }
  return { ...emptyPayload, additions }
}

/** Members to remove by set; those that are not there are left out. Errors: as above. */
export function removalPayload(collection: CollectionSchema, values: Values, input: unknown): Payload {
  const removals: Record<string, readonly (string | number)[]> = {}
  for (const { field, name, given, at } of fieldsOf(collection, input, 'set')) {
    const present = membersOf(values[name])
    const removed = parseMembers(field, given, at).filter((member) => present.includes(member))
    if (removed.length > 0) removals[name] = removed
  }
  return { ...emptyPayload, removals }
}

interface GivenField {
  readonly field: FieldSchema
  readonly name: string
  readonly given: unknown
  readonly at: string
}

function fieldsOf(
  collection: CollectionSchema,
  input: unknown,
  kind: 'counter' | 'set',
): readonly GivenField[] {
  if (!isObject(input)) {
    throw new SyncError('VALUE_INVALID', `${collection.name} takes an object of fields`, {
      at: collection.name,
    })
  }
  return Object.entries(input)
    .filter(([, given]) => given !== undefined)
    .map(([name, given]) => {
      const at = `${collection.name}.${name}`
      const field = collection.fieldsByName.get(name)
      if (field === undefined)
        throw new SyncError('FIELD_UNKNOWN', `${at} is not a field of the schema`, { at })
      if (field.owner === 'server') {
        throw new SyncError('FIELD_SERVER_OWNED', `${at} is set by the server alone`, { at })
      }
      if (field.kind !== kind)
        throw new SyncError('VALUE_INVALID', `${at} is a ${field.kind}, not a ${kind}`, { at })
      return { field, name, given, at }
    })
}

function checkStep(field: FieldSchema, { from, to, at }: { from: Json; to: Json; at: string }): void {
  if (field.merge.rule !== 'transitions' || typeof from !== 'string' || from === to) return
  const allowed = new Map(Object.entries(field.merge.allowed)).get(from) ?? []
  if (typeof to === 'string' && allowed.includes(to)) return
  throw new SyncError(
    'TRANSITION_REFUSED',
    `${at} may go from "${from}" to ${allowed.join(', ') || 'nothing'}`,
    {
      at,
    },
  )
}
