import {
  assert,
  collectionNamed,
  type CollectionSchema,
  type Hlc,
  isUuid,
  ruleOf,
  type Schema,
} from '@holdfast/core'
import type { StoredRecord, StoreReader } from '../store.ts'
import { hasDeletedAt } from '../sql.ts'
import { parseValues, textOrNull } from '../stored-rows.ts'
import { canonicalMembers, columnType, fieldMembers, iso, jsonObject, type Naming } from './columns.ts'
import type { Connection, PgRow, PgValue } from './connection.ts'
import type { KeyNumbers } from './key-numbers.ts'
import { type ReadOptions, uuidsOf } from './read-devices.ts'

type RecordQueries = Pick<StoreReader, 'records' | 'recordText' | 'list'>

/** Where the rows are, and how they are called. */
export interface Tables {
  readonly schema: Schema
  readonly naming: Naming
  readonly keys: KeyNumbers
}

/** Reads of records. */
export function recordQueries(
  db: Connection,
  { schema, naming }: Tables,
  { locks }: ReadOptions,
): RecordQueries {
  const named = (name: string): CollectionSchema => {
    const collection = collectionNamed(schema, name)
    assert(collection, `no collection ${name}`)
    return collection
  }
  return {
    records: async (name, asked) => {
      const ids = uuidsOf(asked)
      return ids.length === 0 ? [] : readRecords(db, { naming, collection: named(name), ids, locks })
    },
    recordText: async (name, id) => {
      if (!isUuid(id)) return null
      const collection = named(name)
      const sql = `SELECT ${jsonObject(canonicalMembers(naming, collection, 'r'))}::text AS text FROM ${naming.table(collection)} r WHERE r.id = $1`
      const row = await db.get(sql, id)
      return row ? String(row['text']) : null
    },
    list: async (query) => listRecords(db, { naming, collection: named(query.collection), query }),
  }
}

interface RecordsRead {
  readonly naming: Naming
  readonly collection: CollectionSchema
  readonly ids: readonly string[]
  readonly locks: boolean
}

/** In the order of ids when locked, so that two batches never wait for each other. */
async function readRecords(
  db: Connection,
  { naming, collection, ids, locks }: RecordsRead,
): Promise<readonly StoredRecord[]> {
  const lock = locks ? 'ORDER BY r.id FOR NO KEY UPDATE OF r' : ''
  const times = ['created_at', 'updated_at', 'server_updated_at'].map(
    (name) => `${iso(`r.${name}`)} AS ${name}`,
  )
  const rows = await db.all(
    `SELECT r.id, r.version, ${jsonObject(fieldMembers(naming, collection, 'r'))}::text AS data, ${times.join(', ')},
       ${hasDeletedAt(collection) ? iso('r.deleted_at') : 'NULL::text'} AS deleted_at
     FROM ${naming.table(collection)} r WHERE r.id = ANY($1::uuid[]) ${lock}`,
    ids,
  )
  // In a statement of its own: what is joined to a row that was waited for would be of before the wait.
  const clocks = await clocksOf(db, collection, ids)
  const live = rows.map((row) => recordOf(row, clocks.get(String(row['id'])), true))
  if (rows.length === ids.length) return live
  const gone = await db.all(
    `SELECT r.record AS id, r.version, r.data::text AS data, ${times.join(', ')}, ${iso('r.deleted_at')} AS deleted_at
     FROM holdfast.tombstones r WHERE r.collection = $1 AND r.record = ANY($2::uuid[]) ${locks ? 'ORDER BY r.record FOR UPDATE' : ''}`,
    collection.name,
    ids,
  )
  return [...live, ...gone.map((row) => recordOf(row, undefined, false))]
}

async function clocksOf(
  db: Connection,
  collection: CollectionSchema,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Readonly<Record<string, Hlc>>>> {
  if (!collection.fields.some((field) => ruleOf(field).rule === 'latest')) return new Map()
  const sql =
    'SELECT record, clocks::text AS clocks FROM holdfast.clocks WHERE collection = $1 AND record = ANY($2::uuid[])'
  const rows = await db.all(sql, collection.name, ids)
  // Written by writeRecords and by capture, stamps only.
  return new Map(
    rows.map((row) => [String(row['record']), JSON.parse(String(row['clocks'])) as Record<string, Hlc>]),
  )
}

function recordOf(
  row: PgRow,
  clocks: Readonly<Record<string, Hlc>> | undefined,
  isInTable: boolean,
): StoredRecord {
  return {
    id: String(row['id']),
    version: Number(row['version']),
    values: parseValues(String(row['data'])),
    createdAt: String(row['created_at']),
    updatedAt: String(row['updated_at']),
    serverUpdatedAt: String(row['server_updated_at']),
    deletedAt: textOrNull(row['deleted_at']),
    clocks: clocks ?? {},
    isInTable,
  }
}

interface ListRead {
  readonly naming: Naming
  readonly collection: CollectionSchema
  readonly query: Parameters<StoreReader['list']>[0]
}

const firstId = '00000000-0000-0000-0000-000000000000'

async function listRecords(
  db: Connection,
  { naming, collection, query }: ListRead,
): Promise<readonly { id: string; text: string }[]> {
  const values: PgValue[] = []
  const bind = (value: PgValue): string => `$${values.push(value)}`
  const after = query.after === '' ? firstId : query.after
  const conditions = [
    `r.id > ${bind(after)}::uuid`,
    ...(hasDeletedAt(collection) ? ['r.deleted_at IS NULL'] : []),
    ...Object.entries(query.filters).map(([name, value]) => {
      const field = collection.fieldsByName.get(name)
      assert(field, `no field ${name}`)
      const type = columnType(field)
      const isText = typeof value === 'string' && type !== 'jsonb'
      const text = value === null || isText ? value : JSON.stringify(value)
      return `r.${naming.column(collection, name)} IS NOT DISTINCT FROM ${bind(text)}::${type}`
    }),
    ...(query.scopes === '*'
      ? []
      : [
          `EXISTS (SELECT 1 FROM holdfast.feed f WHERE f.collection = ${bind(collection.name)} AND f.record = r.id
            AND f.op = 'put' AND f.scope = ANY(${bind(query.scopes)}::text[]))`,
        ]),
  ]
  const sql = `SELECT r.id, ${jsonObject(canonicalMembers(naming, collection, 'r'))}::text AS text
    FROM ${naming.table(collection)} r WHERE ${conditions.join(' AND ')} ORDER BY r.id LIMIT ${bind(query.limit)}`
  const rows = await db.all(sql, ...values)
  return rows.map((row) => ({ id: String(row['id']), text: String(row['text']) }))
}
