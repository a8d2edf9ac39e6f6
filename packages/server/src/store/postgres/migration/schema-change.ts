import { canonicalJson, type CollectionSchema, isObject, type Json, type Schema } from '@holdfast/core'

type Described = Readonly<Record<string, unknown>>

/** What a later schema changes about one collection that the database was made for before. */
export interface CollectionChange {
  /** Why it cannot be. */
  readonly refusals: readonly string[]
  readonly movesRows: boolean
}

/** Collections by name, as `describeSchema` said them when the database was last prepared. */
export function describedCollections(described: string): ReadonlyMap<string, Described> {
  const parsed: unknown = described === '' ? {} : JSON.parse(described)
  const collections = isObject(parsed) && isObject(parsed['collections']) ? parsed['collections'] : {}
  return new Map(
    Object.entries(collections).flatMap(([name, value]) => (isObject(value) ? [[name, value] as const] : [])),
  )
}

/** Compares a collection with what it was. Rules: FE-12. */
export function changeOf(collection: CollectionSchema, old: Described): CollectionChange {
  const fields = isObject(old['fields']) ? old['fields'] : {}
  const refusals = collection.fields.flatMap((field) => {
    const known = fields[field.name]
    if (!isObject(known)) return []
    const at = `${collection.name}.${field.name}`
    if (known['kind'] !== field.kind || known['of'] !== (field.of ?? null))
      return [`${at} was a ${String(known['kind'])}; a field keeps its kind, add a new one`]
    if (known['optional'] === true && !field.optional)
      return [`${at} was optional and the rows may hold null; it must stay optional`]
    if (known['optional'] === false && field.optional)
      return [`${at} was required, and its column stays so; it must stay required`]
    return []
  })
  if (old['deletes'] !== collection.deletes)
    refusals.push(`${collection.name}: deletes was "${String(old['deletes'])}" and must stay so`)
  const scopes = collection.scopes.map(({ text }) => text)
  // As it was read from canonical JSON.
  return { refusals, movesRows: canonicalJson((old['scopes'] ?? null) as Json) !== canonicalJson(scopes) }
}

/** Whether two collections share a table; says which. */
export function sharedTables(
  schema: Schema,
  tableOf: (collection: CollectionSchema) => string,
): readonly string[] {
  return [...Map.groupBy(schema.collections.values(), tableOf)].flatMap(([table, some]) =>
    some.length < 2
      ? []
      : [`${table} is the table of ${some.map(({ name }) => name).join(' and ')}: map each to its own`],
  )
}
