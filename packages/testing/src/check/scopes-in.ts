import type { Values } from './observation.ts'
import type { CollectionFacts } from './schema-facts.ts'

/** Scopes that a row lies in by its values; undefined where everybody sees the collection. */
export function scopesIn(facts: CollectionFacts | undefined, values: Values): readonly string[] | undefined {
  const templates = facts?.scopes ?? []
  if (templates.length === 0) return undefined
  return templates.flatMap(({ literals, fields }) => {
    const parts = fields.map((field) => values[field]).filter(isWord)
    if (parts.length < fields.length) return []
    return [literals.map((literal, at) => `${literal}${parts[at] ?? ''}`).join('')]
  })
}

/** What a scope can be spelled with. */
function isWord(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number'
}
