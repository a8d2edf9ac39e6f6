import type { CollectionSchema, FieldSchema, MergeRuleName } from '@holdfast/core'

/** What can be done with the rows of a collection, told from its fields. */
export interface Traits {
  /** Fields a person may give a value at an insert, but those that decide where the row lies. */
  readonly given: readonly FieldSchema[]
  /** Fields a person may assign in an update: neither counters nor sets, nor what decides where the row lies. */
  readonly assigned: readonly FieldSchema[]
  readonly counters: readonly FieldSchema[]
  readonly sets: readonly FieldSchema[]
  /** Fields that scopes are made of, without repeats. */
  readonly places: readonly FieldSchema[]
  /** Fields of unique keys that are not places: values of them collide. */
  readonly codes: readonly FieldSchema[]
  /** Whether a rule decides by itself which of two values stands, so that the other may be brought back. */
  readonly isLossy: boolean
  /** Collections that a row must refer to. */
  readonly parents: readonly string[]
}

const traitsByCollection = new WeakMap<CollectionSchema, Traits>()

/** The traits of a collection; worked out once. */
export function traitsOf(collection: CollectionSchema): Traits {
  let traits = traitsByCollection.get(collection)
  if (traits === undefined) {
    traits = readTraits(collection)
    traitsByCollection.set(collection, traits)
  }
  return traits
}

const lossyRules: ReadonlySet<MergeRuleName> = new Set([
  'latest',
  'server',
  'max',
  'min',
  'transitions',
  'custom',
])

function readTraits(collection: CollectionSchema): Traits {
  const open = collection.fields.filter((field) => field.owner === 'anyone')
  const placeNames = new Set(collection.scopes.flatMap((template) => template.fields))
  const codeNames = new Set(collection.unique.flatMap((key) => key.fields))
  const given = open.filter((field) => !placeNames.has(field.name))
  return {
    given,
    assigned: given.filter((field) => field.kind !== 'counter' && field.kind !== 'set'),
    counters: given.filter((field) => field.kind === 'counter'),
    sets: given.filter((field) => field.kind === 'set'),
    places: open.filter((field) => placeNames.has(field.name)),
    codes: given.filter((field) => codeNames.has(field.name) && field.kind !== 'reference'),
    isLossy: [...given, ...collection.groups].some(({ merge }) => lossyRules.has(merge.rule)),
    parents: open.flatMap((field) => {
      const isNeeded = !field.optional && field.default === undefined
      return field.references !== undefined && isNeeded ? [field.references] : []
    }),
  }
}
