import {
  absentRecord,
  type CollectionSchema,
  type Hlc,
  type RecordSnapshot,
  replayMutations,
  type Schema,
  type Values,
} from '@holdfast/core'

import type { SqlParam, SqlRow } from '../drivers/sqlite-driver.ts'
import { type Entry, mutationOf } from '../outbox/entry.ts'
import { entriesOfRecord, refreshStates } from '../outbox/outbox.ts'
import type { LocalReader, LocalTransaction } from './local-database.ts'
import { recordKey } from './record-key.ts'
import { columnsOf, quoteName, rowToValues, valuesToColumns } from './tables.ts'

/** The server's copy of a record as the device has it. */
export interface Shadow {
  readonly snapshot: RecordSnapshot
  readonly createdAt: string | null
  readonly updatedAt: string | null
  readonly serverUpdatedAt: string | null
  /** As in `_scopes` of a row. */
  readonly scopes: string
}

/** The statements of one collection; made once, so that every driver finds its compiled form by the same text. */
export interface CollectionStatements {
  readonly select: string
  readonly insert: string
  readonly replace: string
  readonly remove: string
}

const statementsByCollection = new WeakMap<CollectionSchema, CollectionStatements>()

/** The statements of a collection. */
export function statementsOf(collection: CollectionSchema): CollectionStatements {
  const known = statementsByCollection.get(collection)
  if (known !== undefined) return known
  const table = quoteName(collection.name)
  const columns = columnsOf(collection)
  const values = `(${columns.map(quoteName).join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`
  const made = {
    select: `SELECT * FROM ${table} WHERE id = ?`,
    insert: `INSERT INTO ${table} ${values}`,
    replace: `INSERT OR REPLACE INTO ${table} ${values}`,
    remove: `DELETE FROM ${table} WHERE id = ?`,
  }
  statementsByCollection.set(collection, made)
  return made
}

/** The row of a live record as stored. */
export async function readRow(
  tx: LocalReader,
  collection: CollectionSchema,
  record: string,
): Promise<SqlRow | undefined> {
  const [row] = await tx.all(statementsOf(collection).select, [record])
  return row
}

/** Keeps a row as its shadow, before its first unsettled mutation. The row must be clean. */
export async function keepShadow(
  tx: LocalTransaction,
  collection: CollectionSchema,
  row: SqlRow,
  values: Values,
): Promise<void> {
  const target = { collection, record: String(row.id) }
  const hasOthers = Object.keys(row).length > columnsOf(collection).length
  // A row holds what JSON holds.
  const whole = hasOthers ? { ...values, [rowKey]: row as Values } : values
  await storeShadow(tx, target, { shadow: shadowOfRow(row, whole), orElse: 'REPLACE' })
}

/** Where a shadow keeps a row of which the app has not every column: a newer one may have the database open beside it. Rules: SY-30. */
const rowKey = '_row'

/** The values of a shadow, with what an app that lacked some of the fields kept of these in the row. */
function wholeValues(collection: CollectionSchema, { [rowKey]: row, ...values }: Values): Values {
  // Written by keepShadow.
  return row ? { ...rowToValues(collection, row as SqlRow), ...values } : values
}

/** Keeps a tombstone as the shadow of the record, before it is created again. A record the server never had gets none. */
export async function keepDeletedShadow(
  tx: LocalTransaction,
  collection: CollectionSchema,
  record: string,
): Promise<void> {
  await tx.run(
    `INSERT OR IGNORE INTO _shadow (collection, record, version, server_updated_at, deleted, data, scopes)
     SELECT collection, record, version, deleted_at, 1, data, '' FROM _deleted
     WHERE collection = ? AND record = ? AND version > 0`,
    [collection.name, record],
  )
}

/**
 * The server's copy of a record: its shadow; without one, the row itself if the server has it, or its tombstone.
 * `absent` when the device knows of none.
 */
export async function readShadow(
  tx: LocalReader,
  collection: CollectionSchema,
  record: string,
): Promise<Shadow> {
  const [stored] = await tx.all('SELECT * FROM _shadow WHERE collection = ? AND record = ?', [
    collection.name,
    record,
  ])
  if (stored !== undefined) {
    const values = stored.data === null ? null : wholeValues(collection, parseValues(stored.data))
    const version = Number(stored.version)
    if (stored.deleted === 1) return shadowOf({ kind: 'deleted', version, values }, stored)
    return shadowOf({ kind: 'live', version, values: values ?? {} }, stored)
  }
  const row = await readRow(tx, collection, record)
  if (row !== undefined && Number(row._version) > 0) {
    return shadowOfRow(row, rowToValues(collection, row))
  }
  const [tombstone] = await tx.all('SELECT * FROM _deleted WHERE collection = ? AND record = ?', [
    collection.name,
    record,
  ])
  if (tombstone === undefined || Number(tombstone.version) === 0) return shadowOf(absentRecord, {})
  const values = tombstone.data === null ? null : parseValues(tombstone.data)
  return shadowOf(
    { kind: 'deleted', version: Number(tombstone.version), values },
    { server_updated_at: tombstone.deleted_at ?? null },
  )
}

/**
 * Computes a record anew: its shadow with every entry replayed on it. Without entries the record becomes what its shadow
 * is, and the shadow goes. Use it after anything but a plain write has changed entries or shadow. Rules: PR-1.
 */
export async function rebuildRecord(
  tx: LocalTransaction,
  collection: CollectionSchema,
  record: string,
): Promise<void> {
  const entries = await entriesOfRecord(tx, collection.name, record)
  await showRecord(tx, { collection, record, entries, shadow: await readShadow(tx, collection, record) })
}

/** The same for several records, each named once. Those of collections that this app no longer has have no table. */
export async function rebuildRecords(
  tx: LocalTransaction,
  schema: Schema,
  records: readonly { readonly collection: string; readonly record: string }[],
): Promise<void> {
  const each = new Map(records.map((named) => [recordKey(named), named]))
  for (const { collection: name, record } of each.values()) {
    const collection = schema.collections.get(name)
    if (collection !== undefined) await rebuildRecord(tx, collection, record)
  }
}

/** The records that rows with these two columns name. */
export function recordsIn(
  rows: readonly SqlRow[],
): readonly { readonly collection: string; readonly record: string }[] {
  return rows.map(({ collection, record }) => ({ collection: String(collection), record: String(record) }))
}

/** A record and all it is made of. */
export interface RecordParts {
  readonly collection: CollectionSchema
  readonly record: string
  readonly shadow: Shadow
  /** Every readable one, in the order written. */
  readonly entries: readonly Entry[]
}

/** `rebuildRecord` for whoever has read shadow and entries already. */
export async function showRecord(tx: LocalTransaction, parts: RecordParts): Promise<void> {
  const { collection, record, shadow, entries } = parts
  const { view, madeAt } = replayMutations(collection, shadow.snapshot, entries.map(mutationOf))
  // A row that entries come back to may have been clean: its view would be taken for the server's copy from then on.
  if (entries.length > 0) await storeShadow(tx, parts, { shadow, orElse: 'IGNORE' })
  await writeView(tx, { ...parts, view, madeAt })
  if (entries.length === 0) {
    await tx.run('DELETE FROM _shadow WHERE collection = ? AND record = ?', [collection.name, record])
  }
  if (view.kind === 'live') await refreshStates(tx, [{ collection: collection.name, record }])
}

/** Keeps what the server has of a record beside its view; nothing for a record that the server does not have. */
export async function storeShadow(
  tx: LocalTransaction,
  { collection, record }: Pick<RecordParts, 'collection' | 'record'>,
  { shadow, orElse }: { readonly shadow: Shadow; readonly orElse: 'REPLACE' | 'IGNORE' },
): Promise<void> {
  const { snapshot } = shadow
  if (snapshot.kind === 'absent') return
  await tx.run(
    `INSERT OR ${orElse} INTO _shadow (collection, record, version, created_at, updated_at, server_updated_at, ` +
      'deleted, data, scopes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    [
      collection.name,
      record,
      snapshot.version,
      shadow.createdAt,
      shadow.updatedAt,
      shadow.serverUpdatedAt,
      snapshot.kind === 'deleted',
      snapshot.values === null ? null : JSON.stringify(snapshot.values),
      shadow.scopes,
    ],
  )
}

interface View extends RecordParts {
  readonly view: RecordSnapshot
  readonly madeAt: Hlc | null
}

async function writeView(
  tx: LocalTransaction,
  { collection, record, view, madeAt, shadow, entries }: View,
): Promise<void> {
  tx.touch(collection.name, record)
  const lastEdit = entries.at(-1)?.at.slice(0, 24) ?? ''
  if (view.kind !== 'deleted') await forgetTombstone(tx, collection, record)
  if (view.kind !== 'live') await tx.run(statementsOf(collection).remove, [record])
  if (view.kind === 'deleted') {
    await keepTombstone(tx, {
      collection,
      record,
      version: view.version,
      deletedAt: lastEdit || shadow.serverUpdatedAt,
      values: view.values,
    })
  }
  if (view.kind !== 'live') return
  const createdAt = madeAt?.slice(0, 24) ?? shadow.createdAt
  // As on the server: the newest edit counts, also one by a clock that is behind that of the edit before it.
  const updatedAt = lastEdit === '' ? shadow.updatedAt : lastEdit
  const state = entries.length === 0 ? 'clean' : 'pending'
  const meta: SqlParam[] = [createdAt, updatedAt, shadow.serverUpdatedAt, view.version, state, shadow.scopes]
  await tx.run(statementsOf(collection).replace, [
    record,
    ...valuesToColumns(collection, view.values),
    ...meta,
  ])
}

/** A record that is gone, as `_deleted` keeps it. */
export interface Tombstone {
  readonly collection: CollectionSchema
  readonly record: string
  /** 0 when the server never had it. */
  readonly version: number
  readonly deletedAt: string | null
  /** Its last values, so that it can be brought back. */
  readonly values: Values | null
}

/** Moves the memory of a record to the side table. The row itself is removed by the caller. */
export async function keepTombstone(tx: LocalTransaction, tombstone: Tombstone): Promise<void> {
  await tx.run(
    'INSERT OR REPLACE INTO _deleted (collection, record, version, deleted_at, data) VALUES (?, ?, ?, ?, ?)',
    [
      tombstone.collection.name,
      tombstone.record,
      tombstone.version,
      tombstone.deletedAt,
      tombstone.values === null ? null : JSON.stringify(tombstone.values),
    ],
  )
}

/** The record is alive again, or was never there. */
export async function forgetTombstone(
  tx: LocalTransaction,
  collection: CollectionSchema,
  record: string,
): Promise<void> {
  await tx.run('DELETE FROM _deleted WHERE collection = ? AND record = ?', [collection.name, record])
}

/** Of a row that is clean. */
function shadowOfRow(row: SqlRow, values: Values): Shadow {
  return {
    snapshot: { kind: 'live', version: Number(row._version), values },
    createdAt: textOrNull(row._created_at),
    updatedAt: textOrNull(row._updated_at),
    serverUpdatedAt: textOrNull(row._server_updated_at),
    scopes: String(row._scopes),
  }
}

function shadowOf(snapshot: RecordSnapshot, row: SqlRow): Shadow {
  return {
    snapshot,
    createdAt: textOrNull(row.created_at),
    updatedAt: textOrNull(row.updated_at),
    serverUpdatedAt: textOrNull(row.server_updated_at),
    scopes: textOrNull(row.scopes) ?? '',
  }
}

function parseValues(text: unknown): Values {
  // `data` is written by JSON.stringify and by SQLite's JSON functions, from field values alone.
  return JSON.parse(String(text)) as Values
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
