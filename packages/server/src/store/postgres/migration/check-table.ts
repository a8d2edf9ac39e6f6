import type { CollectionSchema, FieldKind, FieldSchema } from '@holdfast/core'
import { triggerNames } from '../capture.ts'
import { checkOf, type Naming, realTime } from '../columns.ts'
import type { Connection } from '../connection.ts'
import { hasDeletedAt, quoteName } from '../../sql.ts'
import type { ColumnShape, TableShape } from './table-shape.ts'

/** What is looked at. */
export interface TableAsked {
  readonly naming: Naming
  readonly collection: CollectionSchema
  readonly shape: TableShape
}

const integers = ['smallint', 'integer', 'bigint']

/** Types of the host's columns that hold a field as it is; what is written comes back the same, or not at all. */
const fitting: Readonly<Record<FieldKind, readonly string[]>> = {
  text: ['text', 'character varying'],
  reference: ['uuid'],
  integer: integers,
  counter: integers,
  real: ['double precision'],
  decimal: ['numeric'],
  boolean: ['boolean'],
  timestamp: ['timestamp with time zone'],
  json: ['jsonb'],
  set: ['jsonb'],
  attachment: ['jsonb'],
}

const reasons: Readonly<Record<string, string>> = {
  'timestamp without time zone':
    "does not say which moment it means: ALTER it to timestamptz USING … AT TIME ZONE 'UTC', or the zone it was written in",
  json: 'keeps a value as it was typed, so that equal values differ: ALTER it to jsonb',
  character: 'pads what is written with blanks',
  real: 'rounds what is written',
}

/** Our own columns and what they must be. */
const ownTypes: Readonly<Record<string, string>> = {
  version: 'bigint',
  created_at: 'timestamp with time zone',
  updated_at: 'timestamp with time zone',
  server_updated_at: 'timestamp with time zone',
}

/** Names of our own columns in a table of the host's. */
export function ownColumns(collection: CollectionSchema): readonly string[] {
  return [...Object.keys(ownTypes), ...(hasDeletedAt(collection) ? ['deleted_at'] : [])]
}

/** Why a table of the host's cannot be a collection's, by its shape; nothing when it can. Rules: MI-3. */
export function refuseTable(asked: TableAsked): readonly string[] {
  const { naming, collection, shape } = asked
  const table = naming.table(collection)
  const kind = refuseKind(table, shape)
  if (kind !== undefined) return [kind]
  return [
    ...refuseKey(table, shape),
    ...collection.fields.flatMap((field) => refuseField(asked, field)),
    ...ownColumns(collection).flatMap((name) =>
      refuseType(
        `${table}.${name}`,
        shape.columns.get(name),
        [ownTypes[name] ?? 'timestamp with time zone'],
        'a column of ours',
      ),
    ),
    ...refuseUnique(asked),
    ...shape.lateTriggers.map(
      (name) =>
        `${table} has the trigger ${name}, which fires after ${triggerNames.row} and may change a row unseen: ALTER TRIGGER ${quoteName(name)} ON ${table} RENAME TO a name before it`,
    ),
  ]
}

const kinds: Readonly<Record<string, string>> = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
  S: 'a sequence',
  i: 'an index',
  I: 'an index',
  c: 'a type',
}

function refuseKind(table: string, { kind, ...shape }: TableShape): string | undefined {
  if (kind !== 'r' && kind !== 'p')
    return `${table} is ${kinds[kind] ?? 'no table'}: rows are captured by triggers of a table, map the collection to the table itself`
  if (!shape.isOwned)
    return `${table} belongs to the role ${shape.owner}: run migrate as that role, columns and triggers are its to add`
  if (shape.isInherited)
    return `${table} is part of an inheritance or a partition of another table: map the collection to a table of its own, or to the partitioned table`
  if (shape.isUnlogged)
    return `${table} is unlogged: a crash empties it without telling a trigger; ALTER TABLE … SET LOGGED first`
  return undefined
}

function refuseKey(table: string, { columns, indexes }: TableShape): readonly string[] {
  const id = columns.get('id')
  const primary = indexes.find(({ isPrimary }) => isPrimary)
  const remedy = `add a column id uuid that is NOT NULL and UNIQUE (docs/postgres.md says how without stopping writers)`
  if (id !== undefined && id.base !== 'uuid')
    return [
      `${table}.id is ${id.type}: devices make ids while they are offline, so an id is a uuid. Rename the column, which may stay the primary key, then ${remedy}`,
    ]
  if (id === undefined) {
    const found =
      primary === undefined
        ? 'no primary key'
        : primary.columns.length > 1
          ? `the primary key (${primary.columns.join(', ')}), and a record has one id of its own`
          : `the primary key ${primary.columns.join(', ')}`
    return [`${table} has no column id, but ${found}: ${remedy}`]
  }
  const isSole = indexes.some(
    (index) =>
      index.isUnique &&
      index.isValid &&
      index.predicate === null &&
      index.columns.length === 1 &&
      index.columns[0] === 'id',
  )
  if (isSole && !id.isNullable) return []
  const found =
    primary !== undefined && primary.columns.length > 1
      ? `the primary key is (${primary.columns.join(', ')}), and a record has one id of its own`
      : 'nothing makes it the key'
  return [`${table}.id may be null or stand in two rows; ${found}: make it NOT NULL and UNIQUE`]
}

function refuseField({ naming, collection, shape }: TableAsked, field: FieldSchema): readonly string[] {
  const column = shape.columns.get(naming.columnName(collection, field.name))
  const at = `${naming.table(collection)}.${naming.columnName(collection, field.name)}`
  const typed = refuseType(at, column, fitting[field.kind], `the ${field.kind} ${field.name}`)
  if (column === undefined || typed.length > 0) return typed
  if (column.isGenerated)
    return [`${at} is GENERATED ALWAYS: leave it out of the schema, nobody may write it`]
  if (!column.isNullable && field.optional)
    return [`${at} is NOT NULL, and the field is optional: make the field required, or drop the constraint`]
  return []
}

function refuseType(
  at: string,
  column: ColumnShape | undefined,
  fits: readonly string[],
  what: string,
): readonly string[] {
  if (column === undefined || (fits.includes(column.base) && !column.isEnum)) return []
  const reason = column.isEnum ? 'takes no text: use text with a CHECK' : reasons[column.base]
  return [
    `${at} is ${column.type}${reason === undefined ? '' : `, which ${reason}`}; ${what} fits ${fits.join(', ')}`,
  ]
}

/** A row that is softly deleted stays, and would keep its keys from everybody. */
function refuseUnique({ naming, collection, shape }: TableAsked): readonly string[] {
  if (!hasDeletedAt(collection)) return []
  const columns = new Set(collection.fields.map(({ name }) => naming.columnName(collection, name)))
  const table = naming.table(collection)
  return shape.indexes
    .filter(
      (index) =>
        index.isUnique &&
        !isOfLiveRows(index.predicate) &&
        index.columns.some((column) => column === null || columns.has(column)),
    )
    .map(({ name, columns: of, predicate }) => {
      const list = of.map((column) => (column === null ? '(…)' : quoteName(column))).join(', ')
      const where = `deleted_at IS NULL${predicate === null ? '' : ` AND ${predicate}`}`
      return `${table} has the unique index ${name}, in which deleted rows would keep their keys: CREATE UNIQUE INDEX CONCURRENTLY … ON ${table} (${list}) WHERE ${where} and drop ${name}, or delete hard (deletes: 'hard')`
    })
}

/** Whether a predicate, as PostgreSQL spells it, lets in no deleted row: it says so alone, or as one of what it joins by AND. */
function isOfLiveRows(predicate: string | null): boolean {
  const says = '(deleted_at IS NULL)'
  if (predicate === null || predicate === says) return predicate === says
  const parts: string[] = []
  let [depth, from, isQuoted] = [0, 1, false]
  for (let at = 0; at < predicate.length; at++) {
    const sign = predicate[at]
    if (sign === "'" || sign === '"') isQuoted = !isQuoted
    if (isQuoted) continue
    if (sign === '(') depth += 1
    if (sign === ')') depth -= 1
    if (depth === 1 && predicate.startsWith(' OR ', at)) return false
    if ((depth === 1 && predicate.startsWith(' AND ', at)) || depth === 0) {
      parts.push(predicate.slice(from, at))
      from = at + ' AND '.length
    }
  }
  return parts.includes(says)
}

/** What rows hold that their fields, or some of them, or we cannot. Reads the whole table once. Rules: MI-3, MI-11. */
export async function unfitValues(
  db: Connection,
  { naming, collection, shape }: TableAsked,
  fields: readonly FieldSchema[] = collection.fields,
): Promise<readonly string[]> {
  const there = fields.filter(({ name }) => shape.columns.has(naming.columnName(collection, name)))
  const cases = [
    ...there.flatMap((field) => {
      const column = naming.column(collection, field.name)
      const at = `${naming.table(collection)}.${naming.columnName(collection, field.name)}`
      const check = checkOf(field, column)
      const nulls = { at, says: 'null, and the field is required', when: `${column} IS NULL` }
      const values = { at, says: `a value that no ${field.kind} can hold`, when: `NOT (${check})` }
      return [...(field.optional ? [] : [nulls]), ...(check === '' ? [] : [values])]
    }),
    ...ownColumns(collection).flatMap((name) => {
      const at = `${naming.table(collection)}.${name}`
      const column = quoteName(name)
      const nulls = { at, says: 'null: set it', when: `${column} IS NULL` }
      const times = { at, says: 'a time that no device can hold', when: `NOT (${column} ${realTime})` }
      const shaped = shape.columns.get(name)
      if (!shaped) return []
      const mayBeNull = shaped.isNullable && name !== 'deleted_at'
      return [...(mayBeNull ? [nulls] : []), ...(name === 'version' ? [] : [times])]
    }),
  ]
  if (cases.length === 0) return []
  const counts = cases.map(({ when }, index) => `count(*) FILTER (WHERE ${when}) AS c${index}`)
  const row = await db.get(`SELECT ${counts.join(', ')} FROM ${naming.table(collection)}`)
  return cases.flatMap(({ at, says }, index) => {
    const count = Number(row?.[`c${index}`])
    return count === 0 ? [] : [`${at} holds in ${count} ${count === 1 ? 'row' : 'rows'} ${says}`]
  })
}
