import { assertNever, type CollectionSchema, type FieldSchema, type Json } from '@holdfast/core'
import type { SQLInputValue } from 'node:sqlite'
import { hasDeletedAt, quoteName } from '../sql.ts'

/** A text as a SQL literal. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** The table of a collection. The system's own conflicts have a name of ours. */
export function tableOf(collection: Pick<CollectionSchema, 'name'>): string {
  return collection.name === '_conflicts' ? 'holdfast_conflicts' : collection.name
}

/** The column of a field, with a CHECK that lets in only what the field can hold, whoever writes. Rules: FE-9. */
export function columnOf(field: FieldSchema): string {
  const name = quoteName(field.name)
  const required = field.optional ? '' : ' NOT NULL'
  const initial = field.default === undefined ? '' : ` DEFAULT ${literalOf(field, field.default)}`
  return `${name} ${columnType(field)}${required}${initial} CHECK (${name} IS NULL OR (${checkOf(field, name)}))`
}

function columnType({ kind }: FieldSchema): string {
  if (kind === 'integer' || kind === 'counter' || kind === 'boolean') return 'INTEGER'
  return kind === 'real' ? 'REAL' : 'TEXT'
}

const uuidGlob = [8, 4, 4, 4, 12].map((length) => '[0-9a-f]'.repeat(length)).join('-')
const safeInteger = Number.MAX_SAFE_INTEGER

/** The shape of a UUID in lower case. */
export function uuidCheck(name: string): string {
  return `${name} GLOB '${uuidGlob}'`
}

function checkOf(field: FieldSchema, name: string): string {
  switch (field.kind) {
    case 'text':
      return `typeof(${name}) = 'text'`
    case 'reference':
      return uuidCheck(name)
    case 'integer':
    case 'counter':
      return `typeof(${name}) = 'integer' AND ${name} BETWEEN -${safeInteger} AND ${safeInteger}`
    case 'real':
      return `typeof(${name}) = 'real' AND abs(${name}) <= ${Number.MAX_VALUE}`
    case 'decimal':
      return (
        `typeof(${name}) = 'text' AND ltrim(${name}, '-') GLOB '[0-9]*' AND ${name} NOT GLOB '?*-*' ` +
        `AND ${name} NOT GLOB '*[^0-9.-]*' AND ${name} NOT GLOB '*.*.*' AND ${name} NOT GLOB '*.'`
      )
    case 'boolean':
      return `${name} IN (0, 1)`
    case 'timestamp':
      return `strftime('%Y-%m-%dT%H:%M:%fZ', ${name}) IS ${name}`
    case 'json':
      return `json_valid(${name})`
    case 'set':
      return `json_valid(${name}) AND json_type(${name}) = 'array'`
    case 'attachment':
      return `json_valid(${name}) AND json_type(${name}) = 'object'`
    default:
      return assertNever(field.kind)
  }
}

/** An expression that gives the value of a column as JSON functions take it. `row` is a table, alias, OLD or NEW. */
export function wireOf(field: FieldSchema, row: string): string {
  const column = `${row}.${quoteName(field.name)}`
  switch (field.kind) {
    case 'boolean':
      return `json(CASE ${column} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)`
    case 'json':
    case 'set':
    case 'attachment':
      return `json(${column})`
    default:
      return column
  }
}

/** `json_object(…)` of all fields, and more members after them. */
export function fieldsObject(
  collection: CollectionSchema,
  row: string,
  more: readonly string[] = [],
): string {
  const members = collection.fields.map((field) => `${quoteText(field.name)}, ${wireOf(field, row)}`)
  return `json_object(${[...members, ...more].join(', ')})`
}

/** The canonical row of plain answers. */
export function canonicalRow(
  collection: CollectionSchema,
  row: string,
  more: readonly string[] = [],
): string {
  const times = ['version', 'created_at', 'updated_at', 'server_updated_at'].map(
    (name) => `'${name}', ${row}.${name}`,
  )
  const deleted = `'deleted_at', ${hasDeletedAt(collection) ? `${row}.deleted_at` : 'NULL'}`
  const members = collection.fields.map((field) => `${quoteText(field.name)}, ${wireOf(field, row)}`)
  return `json_object(${[`'id', ${row}.id`, ...members, ...times, deleted, ...more].join(', ')})`
}

/** A value as a column holds it. */
export function columnValue(field: FieldSchema, value: Json | undefined): SQLInputValue {
  if (value === null || value === undefined) return null
  if (field.kind === 'json' || field.kind === 'set' || field.kind === 'attachment')
    return JSON.stringify(value)
  if (typeof value === 'boolean') return value ? 1 : 0
  // Only the three kinds above hold lists and objects.
  return typeof value === 'string' || typeof value === 'number' ? value : JSON.stringify(value)
}

function literalOf(field: FieldSchema, value: Json): string {
  const held = columnValue(field, value)
  return typeof held === 'string' ? quoteText(held) : JSON.stringify(held)
}

/** A scope template as SQL; NULL where a field is null or the scope would be too long. */
export function scopeExpressions(
  collection: CollectionSchema,
  row: string,
  scopeLength: number,
): readonly string[] {
  return collection.scopes.map((template) => {
    const parts = template.literals.flatMap((literal, index) => {
      const name = template.fields[index]
      const text = literal === '' ? [] : [quoteText(literal)]
      return name === undefined ? text : [...text, `${row}.${quoteName(name)}`]
    })
    const scope = parts.join(' || ')
    return `CASE WHEN length(${scope}) <= ${scopeLength} THEN ${scope} END`
  })
}
