import { type FieldKind, isJsonArray, type Json } from '@holdfast/core'

/** How a field is edited: `line` and `lines` hold text, the others say what the text stands for. */
export type EditorKind =
  | 'line'
  | 'lines'
  | 'number'
  | 'decimal'
  | 'boolean'
  | 'time'
  | 'list'
  | 'json'
  | 'fixed'

/** What was typed, read as a value, or why it is none. */
export type ReadText = { readonly value: Json } | { readonly mistake: 'invalidJson' }

/** Text longer than this, or with a line break, is edited in a box instead of on a line. */
const lineChars = 80

/** The editor of a field; by what is there when the schema does not know the field. */
export function editorKindOf(kind: FieldKind | undefined, samples: readonly Json[]): EditorKind {
  switch (kind) {
    case 'decimal':
      return 'decimal'
    case 'integer':
    case 'counter':
    case 'real':
      return 'number'
    case 'boolean':
      return 'boolean'
    case 'timestamp':
      return 'time'
    case 'set':
      return samples.every(isListable) ? 'list' : 'json'
    case 'json':
      return 'json'
    case 'attachment':
      return 'fixed'
    case 'reference':
      return 'line'
    case 'text':
      return samples.some(isLong) ? 'lines' : 'line'
    default:
      return editorOfSamples(samples)
  }
}

function editorOfSamples(samples: readonly Json[]): EditorKind {
  const sample = samples.find((each) => each !== null) ?? null
  if (typeof sample === 'string') return samples.some(isLong) ? 'lines' : 'line'
  if (typeof sample === 'number') return 'number'
  if (typeof sample === 'boolean') return 'boolean'
  return 'json'
}

/** Whether each member stays what it is as a line of its own. */
function isListable(value: Json): boolean {
  if (!isJsonArray(value)) return true
  return value.every((member) => typeof member !== 'string' || /^\S(?:.*\S)?$/.test(member))
}

function isLong(value: Json): boolean {
  return typeof value === 'string' && (value.length > lineChars || value.includes('\n'))
}

/** A value as its editor shows it. */
export function valueToText(kind: EditorKind, value: Json): string {
  if (kind === 'json') return value === null ? '' : JSON.stringify(value, null, 2)
  if (value === null) return ''
  if (kind === 'list') return Array.isArray(value) ? value.map(String).join('\n') : ''
  if (typeof value === 'object') return JSON.stringify(value)
  return kind === 'time' ? isoToLocal(String(value)) : String(value)
}

/** What was typed, as a value. `isText` says that an empty line of text is text; otherwise it is null. */
export function textToValue(
  kind: EditorKind,
  text: string,
  {
    isNumberList = false,
    isOptional = true,
  }: { readonly isNumberList?: boolean; readonly isOptional?: boolean } = {},
): ReadText {
  switch (kind) {
    case 'line':
    case 'lines':
      return { value: text === '' && isOptional ? null : text }
    case 'decimal':
      return { value: text.trim() === '' ? null : text.trim() }
    case 'number':
      return { value: text.trim() === '' ? null : Number(text) }
    case 'boolean':
      return { value: text === '' ? null : text === 'true' }
    case 'time':
      return { value: text === '' ? null : localToIso(text) }
    case 'list': {
      const members = text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]))
      return { value: isNumberList ? members.map(Number) : members }
    }
    case 'json':
    case 'fixed':
      return text.trim() === '' ? { value: null } : parseJson(text)
  }
}

function parseJson(text: string): ReadText {
  try {
    // JSON.parse returns JSON by definition; its type says any.
    return { value: JSON.parse(text) as Json }
  } catch {
    return { mistake: 'invalidJson' }
  }
}

/** As `datetime-local` wants it: the wall clock of this device, to the millisecond. */
function isoToLocal(iso: string): string {
  const date = new Date(iso)
  if (Number.isNaN(date.getTime())) return ''
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, -1)
}

function localToIso(local: string): string {
  const date = new Date(local)
  return Number.isNaN(date.getTime()) ? local : date.toISOString()
}
