import { canonicalJson, type Json, type Values } from '../json.ts'
import type { CollectionSchema, FieldSchema, UniqueKey } from '../schema/schema.ts'
import { canonicalDecimal } from './decimal.ts'

/**
 * Text as unique keys compare it: Unicode form NFC, so that é typed on two keyboards is one key, and if asked without
 * regard to case. The stored text stays as typed. Rules: VAL-8.
 */
export function normaliseKeyText(text: string, ignoreCase: boolean): string {
  const composed = text.normalize('NFC')
  // Upper case first: it is what makes ß and ss, and both small sigmas, the same.
  return ignoreCase ? composed.toUpperCase().toLowerCase().normalize('NFC') : composed
}

/**
 * What a row occupies in a unique key: two rows collide when their texts are equal. Undefined when a field of the key
 * is null; such a row collides with none. Rules: VAL-8.
 */
export function uniqueKeyText(
  collection: CollectionSchema,
  key: UniqueKey,
  values: Values,
): string | undefined {
  const parts: Json[] = []
  for (const name of key.fields) {
    const value = values[name] ?? null
    if (value === null) return undefined
    const kind = collection.fieldsByName.get(name)?.kind
    parts.push(kind === 'decimal' ? decimalPart(value) : textPart(value, key.ignoreCase))
  }
  return canonicalJson(parts)
}

function textPart(value: Json, ignoreCase: boolean): Json {
  return typeof value === 'string' ? normaliseKeyText(value, ignoreCase) : value
}

/**
 * The field of a unique key that takes a number where two records must not be alike: its last text that says neither where
 * its record lies nor in which state it is. Rules: PU-19, SCH-8.
 */
export function numberedField(
  { fieldsByName, scopes }: Pick<CollectionSchema, 'fieldsByName' | 'scopes'>,
  key: Pick<UniqueKey, 'fields'>,
): FieldSchema | undefined {
  const places = new Set(scopes.flatMap((template) => template.fields))
  const texts = key.fields.flatMap((name) => fieldsByName.get(name) ?? [])
  return texts.findLast(
    ({ name, kind, merge }) => kind === 'text' && merge.rule !== 'transitions' && !places.has(name),
  )
}

/** Amounts, not spellings, collide: '5.0' is '5'. */
function decimalPart(value: Json): Json {
  const decimal = typeof value === 'string' ? canonicalDecimal(value) : undefined
  if (decimal === undefined || !decimal.includes('.')) return decimal ?? value
  return decimal.replace(/\.?0+$/, '')
}
