import { assertNever, type CollectionSchema, type FieldSchema, type Json, limits } from '@holdfast/core'
import { hasDeletedAt, quoteName } from '../sql.ts'

/** A text as a SQL literal. */
export function quoteText(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`
  return text.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted
}

/** Where the host keeps the rows of a collection. */
export interface TableMapping {
  /** Name of the table, with its schema if that is not `public`; the collection's name unless said. */
  readonly table?: string
  /** Columns by field; the field's name unless said. */
  readonly columns?: Readonly<Record<string, string>>
}

/** Tables by collection. */
export type TableMappings = Readonly<Record<string, TableMapping>>

/** How the host's tables and columns are called. */
export class Naming {
  readonly #mappings: TableMappings

  constructor(mappings: TableMappings = {}) {
    this.#mappings = mappings
  }

  /** Schema and name of a collection's table, unquoted. */
  tableParts({ name }: Pick<CollectionSchema, 'name'>): readonly [schema: string, table: string] {
    if (name === '_conflicts') return ['holdfast', 'conflicts']
    const [first, second] = (this.#mappings[name]?.table ?? name).split('.', 2)
    return second === undefined ? ['public', first ?? name] : [first ?? 'public', second]
  }

  table(collection: Pick<CollectionSchema, 'name'>): string {
    return this.tableParts(collection).map(quoteName).join('.')
  }

  /** Unquoted. */
  columnName({ name }: Pick<CollectionSchema, 'name'>, field: string): string {
    return this.#mappings[name]?.columns?.[field] ?? field
  }

  column(collection: Pick<CollectionSchema, 'name'>, field: string): string {
    return quoteName(this.columnName(collection, field))
  }
}

/** The type a field's column is made with, and as which its values are bound. */
export function columnType({ kind }: FieldSchema): string {
  switch (kind) {
    case 'text':
      return 'text'
    case 'reference':
      return 'uuid'
    case 'integer':
    case 'counter':
      return 'bigint'
    case 'real':
      return 'double precision'
    case 'decimal':
      return 'numeric'
    case 'boolean':
      return 'boolean'
    case 'timestamp':
      return 'timestamptz'
    case 'json':
    case 'set':
    case 'attachment':
      return 'jsonb'
    default:
      return assertNever(kind)
  }
}

/** Behind a column of times: those that a device can hold. */
export const realTime = "BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999Z'"

const safeInteger = Number.MAX_SAFE_INTEGER

/**
 * The column of a field in a table that we make, with a CHECK that lets in only what the field can hold, unless that is
 * added by itself. Rules: FE-9.
 */
export function columnOf(
  field: FieldSchema,
  column: string,
  { checks = true }: { readonly checks?: boolean } = {},
): string {
  const required = field.optional ? '' : ' NOT NULL'
  const initial = field.default === undefined ? '' : ` DEFAULT ${literalOf(field, field.default)}`
  const check = checks ? checkOf(field, column) : ''
  return `${column} ${columnType(field)}${required}${initial}${check === '' ? '' : ` CHECK (${check})`}`
}

/** What a column of the field must keep to beyond its type; empty when that is nothing. */
export function checkOf({ kind }: Pick<FieldSchema, 'kind'>, column: string): string {
  switch (kind) {
    case 'integer':
    case 'counter':
      return `${column} BETWEEN -${safeInteger} AND ${safeInteger}`
    case 'real':
      return `abs(${column}) <= ${Number.MAX_VALUE}`
    case 'decimal':
      return `${column} NOT IN ('NaN', 'Infinity', '-Infinity')`
    case 'timestamp':
      return `${column} ${realTime}`
    case 'set':
      return `jsonb_typeof(${column}) = 'array'`
    case 'attachment':
      return `jsonb_typeof(${column}) = 'object'`
    default:
      return ''
  }
}

function literalOf(field: FieldSchema, value: Json): string {
  const type = columnType(field)
  const isText = typeof value === 'string' && type !== 'jsonb'
  return `${quoteText(isText ? value : JSON.stringify(value))}::${type}`
}

/** A time as ISO text in ms. */
export function iso(expression: string): string {
  return `to_char(${expression} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
}

/** The value of a column as JSON carries it. */
export function wireOf(field: FieldSchema, column: string): string {
  if (field.kind === 'decimal') return `${column}::text`
  return field.kind === 'timestamp' ? iso(column) : column
}

/** A JSON object: members are expressions by name. Compact, in the order given, with no object made in between. */
export function jsonObject(members: readonly (readonly [name: string, expression: string])[]): string {
  const columns = members.map(([name, expression]) => `${expression} AS ${quoteName(name)}`)
  return `(SELECT row_to_json(x) FROM (SELECT ${columns.join(', ')}) x)`
}

/** The members of an object with all fields of a row. `row` is an alias, OLD or NEW. */
export function fieldMembers(
  naming: Naming,
  collection: CollectionSchema,
  row: string,
): readonly (readonly [string, string])[] {
  return collection.fields.map((field) => [
    field.name,
    wireOf(field, `${row}.${naming.column(collection, field.name)}`),
  ])
}

/** The canonical row of plain answers. */
export function canonicalMembers(
  naming: Naming,
  collection: CollectionSchema,
  row: string,
): readonly (readonly [string, string])[] {
  return [
    ['id', `${row}.id`],
    ...fieldMembers(naming, collection, row),
    ['version', `${row}.version`],
    ['created_at', iso(`${row}.created_at`)],
    ['updated_at', iso(`${row}.updated_at`)],
    ['server_updated_at', iso(`${row}.server_updated_at`)],
    ['deleted_at', hasDeletedAt(collection) ? iso(`${row}.deleted_at`) : 'NULL::text'],
  ]
}

/** A value as a statement takes it inside a JSON list of rows. */
export function boundValue(field: FieldSchema, value: Json | undefined): Json {
  if (value === undefined || value === null) return null
  // Inside jsonb a list or an object is itself; a text, number or boolean of a JSON field too.
  return value
}

/** Scope templates as SQL; NULL where a field is null or the scope would be too long. */
export function scopeExpressions(
  naming: Naming,
  collection: CollectionSchema,
  row: string,
): readonly string[] {
  return collection.scopes.map((template) => {
    const parts = template.literals.flatMap((literal, index) => {
      const name = template.fields[index]
      const text = literal === '' ? [] : [quoteText(literal)]
      const field = name === undefined ? undefined : collection.fieldsByName.get(name)
      if (!field) return text
      return [...text, `${wireOf(field, `${row}.${naming.column(collection, field.name)}`)}::text`]
    })
    const scope = parts.join(' || ')
    return `CASE WHEN char_length(${scope}) <= ${limits.scopeLength} THEN ${scope} END`
  })
}
