import { type CollectionSchema, isUuid, type Json, type ScopeTemplate, type Values } from '@holdfast/core'

/**
 * By template of the collection, the values that put a row into one of the scopes: `warehouse:{warehouseId}` and the
 * scope `warehouse:berlin` give `{ warehouseId: 'berlin' }`. Scopes that no template can spell give nothing.
 */
export function placesOf(
  collection: CollectionSchema,
  scopes: readonly string[],
): readonly (readonly Values[])[] {
  let byScopes = known.get(collection)
  if (byScopes === undefined) known.set(collection, (byScopes = new WeakMap()))
  const made = byScopes.get(scopes)
  if (made !== undefined) return made
  const places = collection.scopes.map((template) =>
    scopes.flatMap((scope): readonly Values[] => {
      const values = invert(collection, template, scope)
      return values === undefined ? [] : [values]
    }),
  )
  byScopes.set(scopes, places)
  return places
}

/** By collection, then by the list of scopes: lists are kept by whoever grants, and asked for again and again. */
const known = new WeakMap<CollectionSchema, WeakMap<readonly string[], readonly (readonly Values[])[]>>()

/** What the fields of a template must be for it to give this scope; undefined when they cannot. */
function invert(collection: CollectionSchema, template: ScopeTemplate, scope: string): Values | undefined {
  const { literals, fields } = template
  const values: Record<string, Json> = {}
  let at = (literals[0] ?? '').length
  if (!scope.startsWith(literals[0] ?? '')) return undefined
  for (const [index, name] of fields.entries()) {
    const literal = literals[index + 1] ?? ''
    const isLast = index === fields.length - 1
    const end = isLast ? scope.length - literal.length : scope.indexOf(literal, at)
    if (end <= at || !scope.startsWith(literal, end)) return undefined
    const value = valueOf(collection, name, scope.slice(at, end))
    if (value === undefined) return undefined
    values[name] = value
    at = end + literal.length
  }
  return at === scope.length ? values : undefined
}

function valueOf(collection: CollectionSchema, name: string, text: string): Json | undefined {
  const kind = collection.fieldsByName.get(name)?.kind
  if (kind === 'reference') return isUuid(text) ? text : undefined
  if (kind !== 'integer') return text
  const value = Number(text)
  return Number.isSafeInteger(value) && `${value}` === text ? value : undefined
}
