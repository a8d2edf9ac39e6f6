import { assert, type CollectionSchema, conflictsCollection } from '@holdfast/core'
import { conflictRecords } from '../conflict-records.ts'
import type { RecordWrite, StoredConflict, StoreWriter } from '../store.ts'
import { quoteName } from '../sql.ts'
import { columnLists, jsonText, type ListColumn, listValues } from './column-lists.ts'
import { columnType, Naming } from './columns.ts'
import { type Connection, RaceLost } from './connection.ts'
import { recordQueries, type Tables } from './read-records.ts'
import { numberStep } from './system-tables.ts'
import { groupsOf, noteAltered, writeGroup } from './write-group.ts'
import { type UniqueStatements, uniqueStatements } from './write-unique.ts'

type RecordStatements = UniqueStatements &
  Pick<
    StoreWriter,
    'records' | 'firstVersion' | 'reserve' | 'hostWrote' | 'movedScopes' | 'writeRecords' | 'writeConflict'
  >

/** Writes of records, their unique keys and their conflicts, for one transaction, whose number is told once it moves. */
export function recordStatements(
  db: Connection,
  tables: Tables,
  onMoved: (transaction: number) => void,
): RecordStatements {
  const { schema, naming } = tables
  const collectionOf = (name: string): CollectionSchema => {
    const collection = schema.collections.get(name)
    assert(collection, `no collection ${name}`)
    return collection
  }
  const reads = recordQueries(db, tables, { locks: true })
  let first: number | undefined
  let isWritten = false
  /** Whether what stands there is other than what was written. */
  let isAltered = false
  return {
    ...uniqueStatements(db, tables),
    records: async (name, ids) => {
      const stored = await reads.records(name, ids)
      // Read after the versions were taken, and written since by somebody who took later ones: not by what this
      // transaction itself, or a trigger of the host inside it, has written.
      if (first !== undefined && !isWritten && stored.some(({ version }) => version >= (first ?? 0)))
        throw new RaceLost('a record has a newer version than this transaction may give')
      return stored
    },
    firstVersion: async () => {
      first ??= Number((await db.get(`SELECT nextval('holdfast.numbers') AS first`))?.['first'])
      return first
    },
    reserve: async (count) => {
      assert(first !== undefined && count < numberStep, 'a batch fits into one step of versions')
    },
    hostWrote: async () => isAltered || (await hostWroteToo(db, first)),
    movedScopes: async () => {
      const rows = await db.all(movedSql)
      if (rows[0]) onMoved(Number(rows[0]['n']))
      return rows.map((row) => String(row['scope']))
    },
    writeRecords: async (records) => {
      isWritten = true
      for (const group of groupsOf(records)) {
        const collection = collectionOf(group.collection)
        const kept = (tables.keys.get(collection.name) ?? []).join(',')
        db.send(`SELECT set_config('holdfast.own', $1, true)`, `${group.maker ?? 0}:${first ?? 0}:{${kept}}`)
        const altered = await writeGroup(db, { naming, collection, group })
        if (altered.length === 0) continue
        isAltered = true
        await noteAltered(db, { naming, collection, group, altered })
      }
      db.send(`SELECT set_config('holdfast.own', '', true)`)
      writeClocks(db, records)
    },
    writeConflict: async (conflict, scopes) => {
      await writeConflict(db, conflict, scopes)
      await db.all('SELECT holdfast.ask_stamp(holdfast.this_transaction())')
    },
  }
}

/**
 * One probe of the index for each scope. Where most of a feed came with one large transaction, PostgreSQL takes every
 * transaction for as large, and reads the whole feed for the scopes of a small one if it is left to choose.
 */
const movedSql = `WITH RECURSIVE this (n) AS MATERIALIZED (
    SELECT t.n FROM holdfast.transactions t
    WHERE t.n = nullif(current_setting('holdfast.tx', true), '')::bigint AND t.xid = pg_current_xact_id_if_assigned()),
  found (scope) AS (
    (SELECT f.scope FROM holdfast.feed f WHERE f.tx = (SELECT n FROM this) ORDER BY f.scope LIMIT 1)
    UNION ALL
    SELECT (SELECT f.scope FROM holdfast.feed f WHERE f.tx = (SELECT n FROM this) AND f.scope > found.scope ORDER BY f.scope LIMIT 1)
    FROM found WHERE found.scope IS NOT NULL)
  SELECT found.scope, this.n FROM found CROSS JOIN this WHERE found.scope IS NOT NULL`

/** Foreign statements take numbers after the transaction's first, and entries of this transaction carry them. */
async function hostWroteToo(db: Connection, first: number | undefined): Promise<boolean> {
  if (first === undefined) return false
  const sql = `SELECT EXISTS (SELECT 1 FROM holdfast.feed f WHERE f.tx = nullif(current_setting('holdfast.tx', true), '')::bigint
    AND f.collection <> '_conflicts' AND (f.version < $1 OR f.version >= $1 + ${numberStep})) AS wrote`
  return (await db.get(sql, first))?.['wrote'] === true
}

function writeClocks(db: Connection, records: readonly RecordWrite[]): void {
  const changed = records.filter(({ clocksChanged }) => clocksChanged)
  if (changed.length === 0) return
  db.send(clocksSql, ...listValues(clockColumns, changed))
}

const clockColumns: readonly ListColumn<RecordWrite>[] = [
  { name: 'collection', type: 'text', of: ({ collection }) => collection },
  { name: 'record', type: 'uuid', of: ({ id }) => id },
  { name: 'clocks', type: 'jsonb', of: ({ clocks }) => jsonText(clocks) },
]

const clocksSql = `INSERT INTO holdfast.clocks (collection, record, clocks)
  SELECT x.collection, x.record, x.clocks FROM ${columnLists(clockColumns)} x
  ON CONFLICT (collection, record) DO UPDATE SET clocks = excluded.clocks`

const conflictNaming = new Naming()
const conflictTypes = conflictsCollection.fields.map(
  (field) => `${quoteName(field.name)} ${columnType(field)}`,
)
const conflictNames = conflictsCollection.fields.map(({ name }) => quoteName(name))
const conflictSql = `INSERT INTO ${conflictNaming.table(conflictsCollection)}
    (id, ${conflictNames.join(', ')}, version, created_at, updated_at, server_updated_at)
  SELECT $2::uuid, ${conflictNames.map((name) => `x.${name}`).join(', ')}, $3::bigint, x."createdAt", $4::timestamptz, $4::timestamptz
  FROM json_to_record($1::json) x (${conflictTypes.join(', ')})
  ON CONFLICT (id) DO UPDATE SET ${conflictNames.map((name) => `${name} = excluded.${name}`).join(', ')},
    version = excluded.version, updated_at = excluded.updated_at, server_updated_at = excluded.server_updated_at`

async function writeConflict(
  db: Connection,
  { id, version, values, updatedAt }: StoredConflict,
  scopes: readonly string[] | null,
): Promise<void> {
  db.send(conflictSql, JSON.stringify(values), id, version, updatedAt)
  if (scopes === null) {
    db.send(
      `UPDATE holdfast.feed SET tx = holdfast.this_transaction(), version = $1
       WHERE collection = '_conflicts' AND record = $2::uuid AND op <> 'leave'`,
      version,
      id,
    )
    return
  }
  db.send(
    `INSERT INTO holdfast.conflict_records (collection, record, conflict)
     SELECT x.collection, x.record, $2::uuid FROM json_to_recordset($1::json) x (collection text, record uuid) ON CONFLICT DO NOTHING`,
    JSON.stringify(conflictRecords(values)),
    id,
  )
  db.send(
    `INSERT INTO holdfast.feed (scope, collection, record, tx, version, op)
     SELECT s, '_conflicts', $2::uuid, holdfast.this_transaction(), $3, 'put' FROM unnest($1::text[]) s`,
    scopes,
    id,
    version,
  )
}
