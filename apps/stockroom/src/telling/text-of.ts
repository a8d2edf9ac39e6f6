import type { Json } from '@holdfast/core'

/** A value for people: sets as words, paragraphs on one line, nothing as a dash. */
export function textOf(value: Json | undefined): string {
  if (value === null || value === undefined) return '–'
  if (Array.isArray(value)) return value.join(', ')
  if (typeof value === 'object') return JSON.stringify(value)
  return String(value).replace(/\n+/g, ' ¶ ')
}
