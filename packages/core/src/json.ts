/** A value that survives `JSON.parse(JSON.stringify(value))` unchanged. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** Values by field name, as they travel and as they are merged. */
export type Values = Readonly<Record<string, Json>>

/**
 * One spelling per value: object keys sorted by code unit, no white space. Equal values give equal text, so the text
 * can be compared, hashed and used as a key. Rules: VAL-7.
 */
export function canonicalJson(value: Json): string {
  if (typeof value === 'string') return quoted(value)
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  let text = ''
  if (isJsonArray(value)) {
    for (const member of value) text += `${text === '' ? '' : ','}${canonicalJson(member)}`
    return `[${text}]`
  }
  for (const key of Object.keys(value).sort()) {
    text += `${text === '' ? '' : ','}${quoted(key)}:${canonicalJson(value[key] ?? null)}`
  }
  return `{${text}}`
}

/** Text in which JSON escapes nothing. */
const plainText = /^[ !#-[\]-\ud7ff\ue000-\uffff]*$/

/** As `JSON.stringify`, which is slow for the short plain texts that most are. */
function quoted(text: string): string {
  return plainText.test(text) ? `"${text}"` : JSON.stringify(text)
}

/** Deep equality of two JSON values, blind to the order of object keys. */
export function jsonEqual(left: Json | undefined, right: Json | undefined): boolean {
  if (left === right) return true
  if (left === undefined || right === undefined) return false
  if (left === null || right === null || typeof left !== 'object' || typeof right !== 'object') return false
  return canonicalJson(left) === canonicalJson(right)
}

/** `Array.isArray` that keeps the element type of a readonly JSON array. */
export function isJsonArray(value: unknown): value is readonly Json[] {
  return Array.isArray(value)
}

/** True for a plain object: not null, not an array. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** How deep a JSON value nests: 0 for a scalar, 1 for a flat object or array. Stops counting past `limit`. */
export function jsonDepth(value: unknown, limit: number): number {
  if (typeof value !== 'object' || value === null) return 0
  if (limit <= 0) return 1
  let deepest = 0
  for (const member of Object.values(value)) deepest = Math.max(deepest, jsonDepth(member, limit - 1))
  return deepest + 1
}
