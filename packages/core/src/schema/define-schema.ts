import { SyncError } from '../errors.ts'
import { limits } from '../limits.ts'
import { checkFields, mistakeIn } from './check-fields.ts'
import { checkGroups } from './check-groups.ts'
import { buildIndexes, buildScopes, buildUnique } from './check-keys.ts'
import { parseFieldValue } from '../values/parse-field-value.ts'
import type { Field } from './field.ts'
import { collectionNameMistake } from './reserved-names.ts'
import type {
  CollectionDeclaration,
  CollectionSchema,
  FieldGroup,
  FieldSchema,
  Schema,
  SchemaOf,
} from './schema.ts'

/** What `defineSchema` takes. */
export interface SchemaDeclaration<
  Collections extends Readonly<Record<string, CollectionDeclaration>> = Readonly<
    Record<string, CollectionDeclaration>
  >,
> {
  /** A whole number from 1; one more with every change that is released. */
  readonly version: number
  readonly collections: Collections
}

/** Gives a collection back as it is, with the types of its fields kept. */
export function collection<const Fields extends Record<string, Field>>(
  declaration: CollectionDeclaration<Fields>,
): CollectionDeclaration<Fields> {
  return declaration
}

/**
 * Checks a schema and spells everything out. The result is shared by both sides and never changes.
 * Errors: SCHEMA_INVALID, naming collection, field and what to write instead. Rules: SCH-1 to SCH-9.
 */
export function defineSchema<const Collections extends Readonly<Record<string, CollectionDeclaration>>>(
  declaration: SchemaDeclaration<Collections>,
): SchemaOf<Collections> {
  const { version, collections } = declaration
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new SyncError('SCHEMA_INVALID', 'version must be a whole number from 1', { at: 'version' })
  }
  const names = Object.keys(collections)
  if (names.length === 0 || names.length > limits.schemaCollections) {
    throw new SyncError('SCHEMA_INVALID', `declare 1 to ${limits.schemaCollections} collections`)
  }
  const seen = new Map<string, string>()
  const built = new Map<string, CollectionSchema>()
  for (const [name, declared] of Object.entries(collections)) {
    const mistake = collectionNameMistake(name)
    if (mistake !== undefined) throw mistakeIn(name, undefined, mistake)
    const twin = seen.get(name.toLowerCase())
    if (twin !== undefined) {
      throw mistakeIn(name, undefined, `differs from "${twin}" only in case, which no database tells apart`)
    }
    seen.set(name.toLowerCase(), name)
    built.set(name, buildCollection(name, declared, names))
  }
  const schema: Schema = { version, collections: built }
  // The type parameter is only carried by the optional member '~collections', which is never set.
  return schema as SchemaOf<Collections>
}

const choices = {
  deletes: ['soft', 'hard'],
  onDelete: ['ask', 'delete', 'edit'],
  outbox: ['coalesce', 'preserve'],
  strict: [true, false],
  review: [true, false],
} as const
const knownOptions: readonly string[] = [
  'fields',
  'scope',
  'unique',
  'indexes',
  'groups',
  'priority',
  ...Object.keys(choices),
]

/** One collection with everything spelled out. `collectionNames` are those a reference may name. Errors: SCHEMA_INVALID. */
export function buildCollection(
  name: string,
  declaration: CollectionDeclaration,
  collectionNames: readonly string[],
): CollectionSchema {
  checkOptions(name, declaration)
  checkFields(name, declaration.fields, collectionNames)
  const groups = checkGroups(name, declaration)
  const fields = buildFields(declaration, groups)
  const fieldsByName = new Map(fields.map((field) => [field.name, field]))
  const scopes = buildScopes(name, declaration.scope, fieldsByName)
  return {
    name,
    fields,
    fieldsByName,
    scopes,
    unique: buildUnique(name, declaration.unique ?? [], { fields: fieldsByName, scopes }),
    indexes: buildIndexes(name, declaration.indexes ?? [], fieldsByName),
    deletes: declaration.deletes ?? 'soft',
    strict: declaration.strict ?? false,
    groups,
    onDelete: declaration.onDelete ?? 'ask',
    outbox: declaration.outbox ?? 'coalesce',
    priority: declaration.priority ?? 0,
    review: declaration.review ?? false,
  }
}

function checkOptions(name: string, declaration: CollectionDeclaration): void {
  const unknown = Object.keys(declaration).find((key) => !knownOptions.includes(key))
  if (unknown !== undefined) {
    throw mistakeIn(name, undefined, `unknown option "${unknown}"; there are ${knownOptions.join(', ')}`)
  }
  for (const [option, allowed] of Object.entries(choices)) {
    // The keys of `choices` are options of a declaration; the values come from JavaScript as well.
    const given: unknown = declaration[option as keyof typeof choices]
    if (given !== undefined && !allowed.some((choice) => choice === given)) {
      throw mistakeIn(name, undefined, `${option} is one of ${allowed.join(', ')}`)
    }
  }
  if (!Number.isSafeInteger(declaration.priority ?? 0)) {
    throw mistakeIn(name, undefined, 'priority must be a whole number')
  }
}

function buildFields(
  declaration: CollectionDeclaration,
  groups: readonly FieldGroup[],
): readonly FieldSchema[] {
  return Object.entries(declaration.fields).map(([name, field]) => ({
    ...field,
    name,
    default: field.default === undefined ? undefined : parseFieldValue(field, field.default, name),
    group: groups.find((group) => group.fields.includes(name)),
  }))
}
