/** A value for people: sets as words, paragraphs on one line, nothing as a dash. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) return '–'
  if (Array.isArray(value)) return value.join(', ')
  return String(value).replace(/\n+/g, ' ¶ ')
}
