import type { CollectionSchema } from '@holdfast/core'
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'

import type { DumpedConflict, DumpedRow, Json, Values } from '../check/observation.ts'
import { arrays } from './device-state.ts'

/** A row by column name. */
export type NamedRow = Readonly<Record<string, SQLOutputValue>>

/** A name as SQL wants it. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** The tables there are, but SQLite's own. */
export function tableNames(database: DatabaseSync): readonly string[] {
  return database
    .prepare(
      "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )
    .all()
    .map((row) => String(row['name']))
}

/** The fields of a row as the schema declares them. */
export function valuesOf(collection: CollectionSchema, row: NamedRow): Values {
  const values: Record<string, Json> = {}
  for (const { name, kind } of collection.fields) {
    const stored = row[name]
    if (stored === null || stored === undefined) values[name] = null
    else if (kind === 'boolean') values[name] = stored === 1
    else if (kind === 'json' || kind === 'set' || kind === 'attachment') values[name] = parseJson(stored)
    // Columns of the other kinds hold text and numbers.
    else values[name] = stored as string | number
  }
  return values
}

/** A row of a collection; `prefix` is what the names of the columns that are not fields begin with. */
export function dumpedRow(collection: CollectionSchema, row: NamedRow, prefix: '' | '_'): DumpedRow {
  return {
    id: String(row['id']),
    version: Number(row[`${prefix}version`]),
    createdAt: textOf(row[`${prefix}created_at`]),
    updatedAt: textOf(row[`${prefix}updated_at`]),
    values: valuesOf(collection, row),
  }
}

interface Part {
  readonly collection: string
  readonly record: string
  readonly mine: Values | null
  readonly theirs: Values | null
}

/** The conflicts in a table. */
export function dumpConflicts(database: DatabaseSync, table: string): readonly DumpedConflict[] {
  return database
    .prepare(
      `SELECT id, status, collection, record, mutation, author, kind, fields, parts, "createdAt", "resolvedAt" FROM ${quoted(table)} ORDER BY id`,
    )
    .all()
    .map(dumpedConflict)
}

/** A conflict as the table of conflicts holds it. */
export function dumpedConflict(row: NamedRow): DumpedConflict {
  // The server writes no other kinds, a list of names, and parts of this form.
  const parts = (JSON.parse(String(row['parts'])) as readonly Part[]).map(
    ({ collection, record, mine, theirs }) => ({ record: `${collection}/${record}`, mine, theirs }),
  )
  return {
    id: String(row['id']),
    status: row['status'] === 'open' ? 'open' : 'resolved',
    collection: String(row['collection']),
    record: String(row['record']),
    mutation: String(row['mutation']),
    author: String(row['author']),
    createdAt: String(row['createdAt']),
    resolvedAt: row['resolvedAt'] === null ? null : String(row['resolvedAt']),
    reason: String(row['kind']) as DumpedConflict['reason'],
    fields: JSON.parse(String(row['fields'])) as readonly string[],
    records: parts.map(({ record }) => record),
    parts,
  }
}

/** The marks in every text of every table, sorted. */
export function marksIn(
  database: DatabaseSync,
  tables: readonly string[],
  markOf: (text: string) => readonly string[],
): readonly string[] {
  const marks = new Set<string>()
  for (const table of tables) {
    for (const row of arrays(database, `SELECT * FROM ${quoted(table)}`).all()) {
      for (const value of row) {
        if (typeof value === 'string') for (const mark of markOf(value)) marks.add(mark)
      }
    }
  }
  return [...marks].sort()
}

/** What SQLite itself finds wrong; empty when all is well. */
export function damageIn(database: DatabaseSync): readonly string[] {
  return database
    .prepare('PRAGMA main.integrity_check')
    .all()
    .map((row) => String(row['integrity_check']))
    .filter((message) => message !== 'ok')
}

function parseJson(text: SQLOutputValue): Json {
  // JSON.parse returns JSON by definition; its type says any.
  return JSON.parse(String(text)) as Json
}

function textOf(value: SQLOutputValue | undefined): string | null {
  return typeof value === 'string' ? value : null
}
