import {
  assert,
  collectionNamed,
  type CollectionSchema,
  ruleOf,
  type Hlc,
  type Json,
  type Schema,
} from '@holdfast/core'
import type { StoredRecord, StoreReader } from '../store.ts'
import { hasDeletedAt, quoteName } from '../sql.ts'
import { parseValues, textOrNull } from '../stored-rows.ts'
import { canonicalRow, columnValue, fieldsObject, tableOf } from './columns.ts'
import type { Connection, SqlRow } from './connection.ts'

type RecordQueries = Pick<StoreReader, 'records' | 'recordText' | 'list'>

/** Reads of records. */
export function recordQueries(db: Connection, schema: Schema): RecordQueries {
  const named = (name: string): CollectionSchema => {
    const collection = collectionNamed(schema, name)
    assert(collection, `no collection ${name}`)
    return collection
  }
  return {
    records: async (name, ids) => (ids.length === 0 ? [] : readRecords(db, named(name), ids)),
    recordText: async (name, id) => {
      const collection = named(name)
      const row = db.get(
        `SELECT ${canonicalRow(collection, 'r')} AS text FROM ${quoteName(tableOf(collection))} r WHERE id = ?`,
        id,
      )
      return row ? String(row['text']) : null
    },
    list: async (query) => listRecords(db, named(query.collection), query),
  }
}

function readRecords(
  db: Connection,
  collection: CollectionSchema,
  ids: readonly string[],
): readonly StoredRecord[] {
  const keys = JSON.stringify(ids)
  const [clocks, join] = collection.fields.some((field) => ruleOf(field).rule === 'latest')
    ? ['c.clocks', 'LEFT JOIN holdfast_clocks c ON c.collection = ?2 AND c.record = r.id']
    : ['NULL', '']
  const rows = db.all(
    `SELECT r.id, r.version, ${fieldsObject(collection, 'r')} AS data, r.created_at, r.updated_at, r.server_updated_at,
       ${hasDeletedAt(collection) ? 'r.deleted_at' : 'NULL AS deleted_at'}, ${clocks} AS clocks, 1 AS in_table
     FROM json_each(?1) k CROSS JOIN ${quoteName(tableOf(collection))} r ON r.id = k.value ${join}`,
    ...(join === '' ? [keys] : [keys, collection.name]),
  )
  if (rows.length === ids.length) return rows.map(recordOf)
  const gone = db.all(
    `SELECT t.record AS id, t.version, t.data, t.created_at, t.updated_at, t.server_updated_at, t.deleted_at,
       NULL AS clocks, 0 AS in_table
     FROM json_each(?) k CROSS JOIN holdfast_tombstones t ON t.collection = ? AND t.record = k.value`,
    keys,
    collection.name,
  )
  return [...rows, ...gone].map(recordOf)
}

function recordOf(row: SqlRow): StoredRecord {
  return {
    id: String(row['id']),
    version: Number(row['version']),
    values: parseValues(String(row['data'])),
    createdAt: String(row['created_at']),
    updatedAt: String(row['updated_at']),
    serverUpdatedAt: String(row['server_updated_at']),
    deletedAt: textOrNull(row['deleted_at']),
    // Written by writeRecords and by capture, stamps only.
    clocks: row['clocks'] === null ? {} : (JSON.parse(String(row['clocks'])) as Record<string, Hlc>),
    isInTable: row['in_table'] === 1,
  }
}

function listRecords(
  db: Connection,
  collection: CollectionSchema,
  query: Parameters<StoreReader['list']>[0],
): readonly { id: string; text: string }[] {
  const filters = Object.entries(query.filters)
  const conditions = [
    'r.id > ?',
    ...(hasDeletedAt(collection) ? ['r.deleted_at IS NULL'] : []),
    ...filters.map(([name]) => `r.${quoteName(name)} IS ?`),
    ...(query.scopes === '*'
      ? []
      : [
          `EXISTS (SELECT 1 FROM json_each(?) s CROSS JOIN holdfast_feed f ON f.scope = s.value AND f.collection = ? AND f.record = r.id AND f.op = 'put')`,
        ]),
  ]
  const values = filters.map(([name, value]: [string, Json]) => {
    const field = collection.fieldsByName.get(name)
    assert(field, `no field ${name}`)
    return columnValue(field, value)
  })
  const scopes = query.scopes === '*' ? [] : [JSON.stringify(query.scopes), collection.name]
  const sql = `SELECT r.id, ${canonicalRow(collection, 'r')} AS text FROM ${quoteName(tableOf(collection))} r
    WHERE ${conditions.join(' AND ')} ORDER BY r.id LIMIT ?`
  return db
    .all(sql, query.after, ...values, ...scopes, query.limit)
    .map((row) => ({ id: String(row['id']), text: String(row['text']) }))
}
