/** Tells a record from every other one: two of different collections may have the same id. In SQL: `collection || ' ' || record`. */
export function recordKey(named: { readonly collection: string; readonly record: string }): string {
  return `${named.collection} ${named.record}`
}
