import { assertNever, SyncError } from '../errors.ts'
import { limits } from '../limits.ts'
import { parseFieldValue, statesOf } from '../values/parse-field-value.ts'
import type { Field, FieldKind, MergeRule, MergeRuleName } from './field.ts'
import { fieldNameMistake } from './reserved-names.ts'

const scalarRules = ['ask', 'latest', 'server', 'custom'] as const
const orderedRules = [...scalarRules, 'max', 'min'] as const

/** The rules each kind may have; the first is what it has when none is named. */
const rulesByKind: Readonly<Record<FieldKind, readonly MergeRuleName[]>> = {
  text: [...scalarRules, 'paragraphs', 'transitions'],
  integer: orderedRules,
  real: orderedRules,
  decimal: orderedRules,
  boolean: scalarRules,
  timestamp: orderedRules,
  json: scalarRules,
  counter: ['add'],
  set: ['union'],
  reference: scalarRules,
  attachment: scalarRules,
}

/** A mistake in a schema, with the place it is in. */
export function mistakeIn(collection: string, member: string | undefined, message: string): SyncError {
  const at = member === undefined ? collection : `${collection}.${member}`
  return new SyncError('SCHEMA_INVALID', `${at}: ${message}`, { at })
}

/** Checks every field by itself. `collectionNames` are those a reference may name. Errors: SCHEMA_INVALID. Rules: SCH-2 to SCH-5. */
export function checkFields(
  collection: string,
  fields: Readonly<Record<string, Field>>,
  collectionNames: readonly string[],
): void {
  const names = Object.keys(fields)
  if (names.length === 0) throw mistakeIn(collection, undefined, 'has no field; declare at least one')
  if (names.length > limits.collectionFields) {
    throw mistakeIn(collection, undefined, `has more than ${limits.collectionFields} fields; split it`)
  }
  const seen = new Map<string, string>()
  for (const [name, field] of Object.entries(fields)) {
    const twin = seen.get(name.toLowerCase())
    seen.set(name.toLowerCase(), name)
    const mistake =
      twin === undefined
        ? (fieldNameMistake(name) ?? fieldMistake(field, collectionNames) ?? defaultMistake(field))
        : `differs from "${twin}" only in case, which no database tells apart`
    if (mistake !== undefined) throw mistakeIn(collection, name, mistake)
  }
}

function fieldMistake(field: Field, collectionNames: readonly string[]): string | undefined {
  if (!Object.hasOwn(rulesByKind, field.kind)) {
    return 'is no field; write text(), integer(), … from @holdfast/core'
  }
  const rules = rulesByKind[field.kind]
  if (!rules.includes(field.merge.rule)) {
    return `a ${field.kind} cannot merge by "${field.merge.rule}"; it can by ${rules.join(', ')}`
  }
  return ruleMistake(field) ?? kindMistake(field, collectionNames) ?? ownerMistake(field)
}

function ruleMistake(field: Field): string | undefined {
  const { merge } = field
  switch (merge.rule) {
    case 'transitions':
      return transitionsMistake(field, merge)
    case 'custom':
      if (typeof merge.merge !== 'function') return 'custom() takes a function and its explanation'
      if (merge.explanation.trim() === '') return 'custom() needs one sentence that explains it'
      return undefined
    case 'ask':
    case 'latest':
    case 'server':
    case 'add':
    case 'union':
    case 'paragraphs':
    case 'max':
    case 'min':
      return undefined
    default:
      return assertNever(merge)
  }
}

function transitionsMistake(
  field: Field,
  merge: Extract<MergeRule, { rule: 'transitions' }>,
): string | undefined {
  if (field.optional)
    return 'a field with transitions always has a state; give it a default instead of optional'
  const states = statesOf(merge.allowed)
  if (states.length === 0) return 'transitions({}) names no state'
  if (states.includes('')) return 'a state needs a name'
  for (const [state, next] of Object.entries(merge.allowed)) {
    if (new Set(next).size < next.length) return `the steps from "${state}" name a state twice`
    if (next.includes(state)) return `"${state}" is listed as its own next state; staying needs no step`
  }
  const start = field.default
  if (start !== undefined && !states.some((state) => state === start)) {
    return `the default ${JSON.stringify(start)} is none of the states ${states.join(', ')}`
  }
  return undefined
}

function kindMistake(field: Field, collectionNames: readonly string[]): string | undefined {
  const { maxLength, validate } = field
  if (maxLength !== undefined && !(Number.isSafeInteger(maxLength) && maxLength > 0)) {
    return 'maxLength must be a whole number from 1'
  }
  if (maxLength !== undefined && maxLength > limits.textLength)
    return `maxLength is at most ${limits.textLength}`
  if (field.kind === 'set' && field.of !== 'text' && field.of !== 'integer') {
    return 'a set holds text() or integer()'
  }
  if (field.kind === 'reference' && !collectionNames.includes(field.references ?? '')) {
    return `refers to "${field.references}", which is no collection; there are ${collectionNames.join(', ')}`
  }
  if (validate !== undefined && typeof validate['~standard']?.validate !== 'function') {
    return 'validate takes a Standard Schema validator'
  }
  return undefined
}

function ownerMistake(field: Field): string | undefined {
  if (field.owner !== 'anyone' && field.owner !== 'server') return 'owner is "anyone" or "server"'
  if (field.owner === 'server' && !field.optional && field.default === undefined) {
    return 'a field that only the server sets needs a default, or optional: true, for rows made on a device'
  }
  return undefined
}

function defaultMistake(field: Field): string | undefined {
  if (field.default === undefined) return undefined
  try {
    parseFieldValue(field, field.default, 'the default')
    return undefined
  } catch (error) {
    if (error instanceof SyncError) return error.message
    throw error
  }
}
