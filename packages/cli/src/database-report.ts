import type { DatabaseSync } from 'node:sqlite'

import type { Cell } from './format-table.ts'
import { quoteName } from './quote-name.ts'

/** Rows of one kind: how many there are, and the first of them. */
export interface ReportTable {
  readonly title: string
  readonly total: number
  readonly rows: readonly Readonly<Record<string, Cell>>[]
}

/** What is in one database. */
export interface DatabaseReport {
  readonly file: string
  readonly kind: 'device' | 'server'
  readonly facts: Readonly<Record<string, Cell>>
  readonly tables: readonly ReportTable[]
}

/** Rows of a table that are shown. */
const shownRows = 50

/** What to show of a table. Columns are SQL; `from` may have a WHERE and wants an order. */
interface TableQuery {
  readonly title: string
  readonly columns: string
  readonly from: string
  readonly order: string
}

const deviceTables: readonly TableQuery[] = [
  {
    title: 'outbox',
    columns:
      'seq, collection, record, op, status, attempts, base_version, group_id AS "group", held_by, error, payload',
    from: '_outbox',
    order: 'seq',
  },
  {
    title: 'dead letters',
    columns: 'seq, collection, record, op, error, created_at, payload',
    from: "_outbox WHERE status = 'dead'",
    order: 'seq',
  },
  {
    title: 'shadows',
    columns: 'collection, record, version, deleted, data',
    from: '_shadow',
    order: 'collection, record',
  },
  {
    title: 'deleted',
    columns: 'collection, record, version, deleted_at',
    from: '_deleted',
    order: 'deleted_at DESC',
  },
  {
    title: 'open conflicts',
    columns: 'id, collection, record, kind, author, createdAt, parts',
    from: "_conflicts WHERE status = 'open'",
    order: 'createdAt',
  },
  { title: 'scopes', columns: 'name', from: '_scopes', order: 'name' },
]

const serverTables: readonly TableQuery[] = [
  {
    title: 'feed',
    columns: 'position, scope, collection, record, op, version',
    from: 'holdfast_feed',
    order: 'position DESC',
  },
  {
    title: 'devices',
    columns: 'user, device, finals, acked, pending, first_seen_at, last_seen_at',
    from: 'holdfast_devices',
    order: 'last_seen_at DESC',
  },
  {
    title: 'outcomes',
    columns: 'd.user, d.device, o.seq, o.status, o.version, o.code, o.id',
    from: 'holdfast_outcomes o JOIN holdfast_devices d ON d.n = o.device',
    order: 'o.at DESC, o.seq DESC',
  },
  {
    title: 'open conflicts',
    columns: 'id, collection, record, kind, author, createdAt, parts',
    from: "holdfast_conflicts WHERE status = 'open'",
    order: 'createdAt',
  },
]

/** What is in a database of a device or a server; undefined when it is neither. Reads only. */
export function readReport(file: string, database: DatabaseSync): DatabaseReport | undefined {
  const names = tableNames(database)
  if (names.has('_outbox') && names.has('_meta')) {
    const facts = { ...metaFacts(database), ...recordCounts(database, deviceCollections(names)) }
    return { file, kind: 'device', facts, tables: readTables(database, names, deviceTables) }
  }
  if (!names.has('holdfast_state')) return undefined
  const [state = {}] = readRows(database, 'SELECT * FROM holdfast_state LIMIT 1')
  const facts = { ...state, ...recordCounts(database, serverCollections(names)) }
  return { file, kind: 'server', facts, tables: readTables(database, names, serverTables) }
}

function tableNames(database: DatabaseSync): ReadonlySet<string> {
  const rows = readRows(
    database,
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'",
  )
  return new Set(rows.map(({ name }) => String(name)))
}

function deviceCollections(names: ReadonlySet<string>): readonly string[] {
  return [...names].filter((name) => !name.startsWith('_'))
}

function serverCollections(names: ReadonlySet<string>): readonly string[] {
  return [...names].filter((name) => !name.startsWith('holdfast_'))
}

function metaFacts(database: DatabaseSync): Readonly<Record<string, Cell>> {
  const rows = readRows(database, 'SELECT key, value FROM _meta ORDER BY key')
  return Object.fromEntries(rows.map(({ key, value }): [string, Cell] => [String(key), value ?? null]))
}

function recordCounts(
  database: DatabaseSync,
  collections: readonly string[],
): Readonly<Record<string, Cell>> {
  return Object.fromEntries(
    collections.map((name): [string, Cell] => [`rows in ${name}`, count(database, quoteName(name))]),
  )
}

function readTables(
  database: DatabaseSync,
  names: ReadonlySet<string>,
  queries: readonly TableQuery[],
): readonly ReportTable[] {
  return queries
    .filter(({ from }) => names.has(from.split(' ')[0] ?? ''))
    .map(({ title, columns, from, order }) => ({
      title,
      total: count(database, from),
      rows: readRows(database, `SELECT ${columns} FROM ${from} ORDER BY ${order} LIMIT ${shownRows}`),
    }))
}

function count(database: DatabaseSync, from: string): number {
  return Number(readRows(database, `SELECT count(*) AS total FROM ${from}`)[0]?.['total'] ?? 0)
}

function readRows(database: DatabaseSync, sql: string): readonly Readonly<Record<string, Cell>>[] {
  return database
    .prepare(sql)
    .all()
    .map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, toCell(value)])))
}

function toCell(value: unknown): Cell {
  if (value === null || typeof value === 'number' || typeof value === 'string') return value
  if (typeof value === 'bigint') return Number(value)
  return value instanceof Uint8Array ? `${value.byteLength} bytes` : null
}
