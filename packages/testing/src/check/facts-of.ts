import type { Schema } from '@holdfast/core'
import type { CollectionFacts, SchemaFacts } from './schema-facts.ts'

/** The facts of a schema that checkers take. */
export function factsOf(schema: Schema): SchemaFacts {
  const facts: Record<string, CollectionFacts> = {}
  for (const [name, collection] of schema.collections) {
    const references: Record<string, string> = {}
    for (const field of collection.fields) {
      if (field.references !== undefined) references[field.name] = field.references
    }
    const unique = collection.unique.map(({ fields, ignoreCase }) => ({ fields, ignoresCase: ignoreCase }))
    const scopes = collection.scopes.map(({ literals, fields }) => ({ literals, fields }))
    const groups = collection.groups.map(({ fields }) => fields)
    const adding = collection.fields
      .filter(({ kind }) => kind === 'counter' || kind === 'set')
      .map((field) => field.name)
    const said = collection.fields.filter((field) => field.default !== undefined && field.default !== null)
    const defaults = Object.fromEntries(said.map((field) => [field.name, field.default ?? null]))
    facts[name] = { references, unique, scopes, groups, adding, defaults, isStrict: collection.strict }
  }
  return facts
}
