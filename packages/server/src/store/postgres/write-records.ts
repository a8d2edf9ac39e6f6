import {
  assert,
  type CollectionSchema,
  conflictsCollection,
  isJsonArray,
  isObject,
  type Json,
  uniqueKeyText,
  type Values,
} from '@holdfast/core'
import type { RecordWrite, StoredConflict, StoreWriter, UniqueText } from '../store.ts'
import {
  columnType,
  fieldMembers,
  hasDeletedAt,
  jsonObject,
  Naming,
  quoteName,
  quoteText,
} from './columns.ts'
import { type Connection, RaceLost } from './connection.ts'
import { decisionQueries } from './read-decisions.ts'
import { recordQueries, type Tables } from './read-records.ts'

type RecordStatements = Pick<
  StoreWriter,
  | 'records'
  | 'uniqueOwners'
  | 'firstVersion'
  | 'reserve'
  | 'hostWrote'
  | 'movedScopes'
  | 'writeRecords'
  | 'writeUnique'
  | 'writeConflict'
> & {
  /** First in every transaction: what other writers did to unique keys. */
  readonly readForeignNotes: () => Promise<void>
}

/** Notes of other writers read at once; the loop goes on until there are none. */
const foreignBatch = 1_000

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
  const decisions = decisionQueries(db, { locks: true })
  const owners = new Map<string, Set<string>>()
  let noting = Promise.resolve()
  let first: number | undefined
  let isWritten = false
  /** Whether what stands there is other than what was written. */
  let isAltered = false
  const writeUnique: StoreWriter['writeUnique'] = (changes) => writeUniqueKeys(db, owners, changes)
  return {
    records: async (name, ids) => {
      const stored = await reads.records(name, ids)
      // Read after the versions were taken, and written since by somebody who took later ones: not by what this
      // transaction itself, or a trigger of the host inside it, has written.
      if (first !== undefined && !isWritten && stored.some(({ version }) => version >= (first ?? 0)))
        throw new RaceLost('a record has a newer version than this transaction may give')
      return stored
    },
    uniqueOwners: async (texts) => {
      await noting
      const found = await decisions.uniqueOwners(texts)
      for (const text of texts) owners.set(keyOf(text), new Set())
      for (const owner of found) owners.get(keyOf(owner))?.add(owner.record)
      return found
    },
    firstVersion: async () => {
      first ??= Number((await db.get(`SELECT nextval('holdfast.numbers') AS first`))?.['first'])
      return first
    },
    reserve: async (count) => {
      assert(first !== undefined && count < 4_096, 'a batch fits into one step of versions')
    },
    hostWrote: async () => isAltered || (await hostWroteToo(db, first)),
    movedScopes: async () => {
      const rows = await db.all(movedSql)
      if (rows[0]) onMoved(Number(rows[0]['n']))
      return rows.map((row) => String(row['scope']))
    },
    readForeignNotes: () => {
      // Only collections with unique keys leave notes.
      const isNoted = [...schema.collections.values()].some(({ unique }) => unique.length > 0)
      if (isNoted) noting = readForeignNotes(db, { ...tables, writeUnique })
      return noting
    },
    writeRecords: async (records) => {
      isWritten = true
      for (const group of groupsOf(records)) {
        const collection = collectionOf(group.collection)
        db.send(`SELECT set_config('holdfast.own', $1, true)`, `${group.maker ?? 0}:${first ?? 0}`)
        const altered = await writeGroup(db, { naming, collection, group })
        if (altered.length === 0) continue
        isAltered = true
        await noteAltered(db, { naming, collection, group, altered })
      }
      db.send(`SELECT set_config('holdfast.own', '', true)`)
      writeClocks(db, records)
    },
    writeUnique,
    writeConflict: async (conflict, scopes) => {
      await writeConflict(db, conflict, scopes)
      await db.all('SELECT holdfast.ask_stamp(holdfast.this_transaction())')
    },
  }
}

const movedSql = `WITH RECURSIVE this AS (SELECT t.n FROM holdfast.transactions t
    WHERE t.n = nullif(current_setting('holdfast.tx', true), '')::bigint AND t.xid = pg_current_xact_id_if_assigned()),
  found (scope) AS (
    (SELECT f.scope FROM holdfast.feed f, this WHERE f.tx = this.n ORDER BY f.scope LIMIT 1)
    UNION ALL SELECT (SELECT f.scope FROM holdfast.feed f, this WHERE f.tx = this.n AND f.scope > found.scope ORDER BY f.scope LIMIT 1)
    FROM found WHERE found.scope IS NOT NULL)
  SELECT scope, (SELECT n FROM this) AS n FROM found WHERE scope IS NOT NULL`

/** Foreign statements take numbers after the transaction's first, and entries of this transaction carry them. */
async function hostWroteToo(db: Connection, first: number | undefined): Promise<boolean> {
  if (first === undefined) return false
  const sql = `SELECT EXISTS (SELECT 1 FROM holdfast.feed f WHERE f.tx = nullif(current_setting('holdfast.tx', true), '')::bigint
    AND f.collection <> '_conflicts' AND (f.version < $1 OR f.version >= $1 + 4096)) AS wrote`
  return (await db.get(sql, first))?.['wrote'] === true
}

function keyOf({ collection, key, text }: UniqueText): string {
  return `${collection} ${key} ${text}`
}

/** Rows that one statement can write. */
interface WriteGroup {
  readonly collection: string
  readonly write: RecordWrite['write']
  readonly maker: number | null
  /** Columns of fields, and `deleted_at`. */
  readonly columns: readonly string[]
  readonly rows: readonly RecordWrite[]
}

/** One group per collection, kind of write, maker and set of columns, in the order in which they were first touched. */
function groupsOf(records: readonly RecordWrite[]): readonly WriteGroup[] {
  const groups = new Map<string, WriteGroup & { readonly rows: RecordWrite[] }>()
  for (const record of records) {
    if (record.write === 'none') continue
    const { collection, write, maker } = record
    const columns = write === 'update' ? [...record.changed].sort() : []
    const key = JSON.stringify([collection, write, maker, columns])
    const group = groups.get(key)
    if (group) group.rows.push(record)
    else groups.set(key, { collection, write, maker, columns, rows: [record] })
  }
  return [...groups.values()]
}

interface GroupWrite {
  readonly naming: Naming
  readonly collection: CollectionSchema
  readonly group: WriteGroup
}

/** Writes a group and returns the ids of rows of which the host made something else. */
async function writeGroup(
  db: Connection,
  { naming, collection, group }: GroupWrite,
): Promise<readonly string[]> {
  const table = naming.table(collection)
  if (group.write === 'delete') {
    const ids = group.rows.map(({ id }) => id)
    db.send(tombstonesSql, JSON.stringify(group.rows.map(tombstoneRow)))
    await db.all(`DELETE FROM ${table} WHERE id = ANY($1::uuid[])`, ids)
    return []
  }
  const isInsert = group.write === 'insert'
  const fields = isInsert
    ? collection.fields
    : collection.fields.filter(({ name }) => group.columns.includes(name))
  const writesDeleted = hasDeletedAt(collection) && (isInsert || group.columns.includes('deleted_at'))
  const ours = ['version', 'created_at', 'updated_at', 'server_updated_at']
  // Names inside the list of rows are positions: a field may be called anything.
  const sent = [
    { column: 'id', as: 'id', type: 'uuid' },
    ...fields.map((field, at) => ({
      column: naming.column(collection, field.name),
      as: `f${at}`,
      type: columnType(field),
    })),
    { column: 'version', as: 'version', type: 'bigint' },
    ...ours.slice(1).map((name) => ({ column: name, as: name, type: 'timestamptz' })),
    ...(writesDeleted ? [{ column: 'deleted_at', as: 'deleted_at', type: 'timestamptz' }] : []),
  ]
  const rows = group.rows.map((record) => ({
    id: record.id,
    ...Object.fromEntries(fields.map(({ name }, at) => [`f${at}`, record.values[name] ?? null])),
    version: record.version,
    created_at: record.createdAt,
    updated_at: record.updatedAt,
    server_updated_at: record.serverUpdatedAt,
    deleted_at: record.deletedAt,
  }))
  const source = `json_to_recordset($1::json) s (${sent.map(({ as, type }) => `${as} ${type}`).join(', ')})`
  const compared = sent.filter(({ as }) => as.startsWith('f') || as === 'deleted_at')
  const row = (alias: string, name: (each: (typeof sent)[number]) => string): string =>
    `ROW(${compared.map((each) => `${alias}.${name(each)}`).join(', ')})`
  const differs =
    compared.length === 0
      ? 'false'
      : `${row('t', ({ column }) => column)} IS DISTINCT FROM ${row('s', ({ as }) => as)}`
  const sql = isInsert
    ? `WITH s AS MATERIALIZED (SELECT * FROM ${source}), t AS (
        INSERT INTO ${table} (${sent.map(({ column }) => column).join(', ')}) SELECT ${sent.map(({ as }) => as).join(', ')} FROM s RETURNING *)
       SELECT s.id, t.id IS NOT NULL AS written, ${differs} AS altered FROM s LEFT JOIN t ON t.id = s.id`
    : `WITH s AS MATERIALIZED (SELECT * FROM ${source}), t AS (
        UPDATE ${table} t SET ${sent
          .slice(1)
          .map(({ column, as }) => `${column} = s.${as}`)
          .join(', ')} FROM s WHERE t.id = s.id RETURNING t.*)
       SELECT s.id, t.id IS NOT NULL AS written, ${differs} AS altered FROM s LEFT JOIN t ON t.id = s.id`
  const written = await db.all(sql, JSON.stringify(rows))
  return written
    .filter((each) => each['altered'] === true || each['written'] !== true)
    .map(({ id }) => String(id))
}

function tombstoneRow(record: RecordWrite): object {
  const { collection, id, version, deletedAt, createdAt, updatedAt, serverUpdatedAt, values } = record
  return { collection, id, version, deletedAt, createdAt, updatedAt, serverUpdatedAt, values }
}

/** The tombstone goes first: capture reads the version of the deletion from it. */
const tombstonesSql = `INSERT INTO holdfast.tombstones (collection, record, version, deleted_at, created_at, updated_at, server_updated_at, data)
  SELECT x.collection, x.id, x.version, x."deletedAt", x."createdAt", x."updatedAt", x."serverUpdatedAt", x.values
  FROM json_to_recordset($1::json) x (collection text, id uuid, version bigint, "deletedAt" timestamptz, "createdAt" timestamptz,
    "updatedAt" timestamptz, "serverUpdatedAt" timestamptz, values json)
  ON CONFLICT (collection, record) DO UPDATE SET version = excluded.version, deleted_at = excluded.deleted_at,
    created_at = excluded.created_at, updated_at = excluded.updated_at, server_updated_at = excluded.server_updated_at,
    data = excluded.data`

/**
 * What a trigger or a column type of the host made of rows is a change of its own, by another writer than the device: it
 * gets a version and a line in the history that says what became what. Rules: PU-22.
 */
async function noteAltered(
  db: Connection,
  { naming, collection, group, altered }: GroupWrite & { readonly altered: readonly string[] },
): Promise<void> {
  const table = naming.table(collection)
  await db.all(`SELECT set_config('holdfast.own', '', true), set_config('holdfast.touch', '1', true)`)
  await db.all(`UPDATE ${table} SET id = id WHERE id = ANY($1::uuid[])`, altered)
  await db.all(`SELECT set_config('holdfast.touch', '', true)`)
  const sent = group.rows.filter(({ id }) => altered.includes(id)).map(({ id, values }) => ({ id, values }))
  await db.all(
    `UPDATE holdfast.audit a SET before = d.before, after = d.after FROM (
       SELECT r.id, r.version, json_object_agg(k.key, s.values -> k.key) AS before, json_object_agg(k.key, k.value) AS after
       FROM json_to_recordset($1::json) s (id uuid, values jsonb) JOIN ${table} r ON r.id = s.id
       CROSS JOIN LATERAL jsonb_each(to_jsonb(${jsonObject(fieldMembers(naming, collection, 'r'))})) k
       WHERE k.value IS DISTINCT FROM coalesce(s.values -> k.key, 'null') GROUP BY r.id, r.version) d
     WHERE a.collection = ${quoteText(collection.name)} AND a.record = d.id AND a.version = d.version AND a.account IS NULL`,
    JSON.stringify(sent),
  )
}

function writeClocks(db: Connection, records: readonly RecordWrite[]): void {
  const changed = records.filter(({ clocksChanged }) => clocksChanged)
  if (changed.length === 0) return
  const rows = changed.map(({ collection, id, clocks }) => ({ collection, id, clocks }))
  db.send(
    `INSERT INTO holdfast.clocks (collection, record, clocks)
     SELECT x.collection, x.id, x.clocks FROM json_to_recordset($1::json) x (collection text, id uuid, clocks jsonb)
     ON CONFLICT (collection, record) DO UPDATE SET clocks = excluded.clocks`,
    JSON.stringify(rows),
  )
}

/** What is given up goes first, so that two records can swap a key. */
async function writeUniqueKeys(
  db: Connection,
  owners: Map<string, Set<string>>,
  changes: Parameters<StoreWriter['writeUnique']>[0],
): Promise<void> {
  const final = new Map(changes.map((change) => [`${keyOf(change)} ${change.record}`, change]))
  const removed = [...final.values()].filter(({ op }) => op === 'remove')
  if (removed.length > 0) {
    db.send(
      `DELETE FROM holdfast.unique_keys u USING json_to_recordset($1::json) x (collection text, key integer, text text, record uuid)
       WHERE u.collection = x.collection AND u.key = x.key AND u.text = x.text AND u.record = x.record`,
      JSON.stringify(removed),
    )
    for (const each of removed) owners.get(keyOf(each))?.delete(each.record)
  }
  const added = [...final.values()].filter(({ op }) => op === 'add')
  if (added.length === 0) return
  const rows = added.map((each) => {
    const held = owners.get(keyOf(each))
    const isSole = held !== undefined && held.size === 0
    held?.add(each.record)
    return { ...each, is_sole: isSole }
  })
  db.send(
    `INSERT INTO holdfast.unique_keys (collection, key, text, record, is_sole)
     SELECT x.collection, x.key, x.text, x.record, x.is_sole
     FROM json_to_recordset($1::json) x (collection text, key integer, text text, record uuid, is_sole boolean)
     ON CONFLICT (collection, key, text, record) DO NOTHING`,
    JSON.stringify(rows),
  )
}

interface NotesRead extends Tables {
  readonly writeUnique: StoreWriter['writeUnique']
}

/** Brings the unique keys up to what other writers did. SQL compares text otherwise, so capture leaves notes. */
async function readForeignNotes(db: Connection, { naming, schema, writeUnique }: NotesRead): Promise<void> {
  // A server with a later schema reads those of collections that this one does not know.
  const names = [...schema.collections.keys()]
  for (;;) {
    const notes = await db.all(
      `WITH few AS (SELECT n FROM holdfast.foreign_writes WHERE collection = ANY($1::text[])
         ORDER BY n LIMIT ${foreignBatch} FOR UPDATE),
       gone AS (DELETE FROM holdfast.foreign_writes w USING few WHERE w.n = few.n RETURNING w.n, w.collection, w.record, w.before::text AS before)
       SELECT * FROM gone ORDER BY n`,
      names,
    )
    if (notes.length === 0) return
    const byCollection = Map.groupBy(notes, (note) => String(note['collection']))
    for (const [name, some] of byCollection) {
      const collection = schema.collections.get(name)
      assert(collection, `no collection ${name}`)
      const isLive = hasDeletedAt(collection) ? 'AND r.deleted_at IS NULL' : ''
      const rows = await db.all(
        `SELECT r.id, ${jsonObject(fieldMembers(naming, collection, 'r'))}::text AS data FROM ${naming.table(collection)} r
         WHERE r.id = ANY($1::uuid[]) ${isLive}`,
        [...new Set(some.map((note) => String(note['record'])))],
      )
      const before = some.flatMap((note) =>
        note['before'] === null
          ? []
          : uniqueTexts(collection, String(note['record']), String(note['before']), 'remove'),
      )
      await writeUnique(before)
      await writeUnique(
        rows.flatMap((row) => uniqueTexts(collection, String(row['id']), String(row['data']), 'add')),
      )
    }
  }
}

function uniqueTexts(
  collection: CollectionSchema,
  record: string,
  data: string,
  op: 'add' | 'remove',
): Parameters<StoreWriter['writeUnique']>[0] {
  // Built by the database over columns that the schema describes.
  const values = JSON.parse(data) as Values
  return collection.unique.flatMap((unique, key) => {
    const text = uniqueKeyText(collection, unique, values)
    return text === undefined ? [] : [{ collection: collection.name, key, text, record, op }]
  })
}

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
    JSON.stringify(partsOf(values)),
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

function partsOf(values: Values): readonly Json[] {
  const parts = values['parts']
  assert(isJsonArray(parts), 'a conflict has parts')
  return parts.map((part) => {
    assert(isObject(part), 'a part of a conflict is an object')
    const { collection = null, record = null } = part
    return { collection, record }
  })
}
