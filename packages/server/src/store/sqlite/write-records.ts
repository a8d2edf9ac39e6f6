import { assert, assertNever, type CollectionSchema, conflictsCollection, type Schema } from '@holdfast/core'
import type { SQLInputValue } from 'node:sqlite'
import type { RecordWrite, StoredConflict, StoreWriter } from '../store.ts'
import { conflictRecords } from '../conflict-records.ts'
import { uniqueTexts } from '../unique-texts.ts'
import { hasDeletedAt, quoteName } from '../sql.ts'
import { columnValue, fieldsObject } from './columns.ts'
import type { Connection } from './connection.ts'

type RecordStatements = Pick<
  StoreWriter,
  'firstVersion' | 'reserve' | 'hostWrote' | 'writeRecords' | 'writeUnique' | 'writeConflict'
> & {
  /** First in every transaction: what other writers did to unique keys. */
  readonly readForeignNotes: () => Promise<void>
}

/** Notes of other writers read at once; the loop goes on until there are none. */
const foreignBatch = 1_000

/** Writes of records, their unique keys and their conflicts. */
export function recordStatements(db: Connection, schema: Schema): RecordStatements {
  const collectionOf = (name: string): CollectionSchema => {
    const collection = schema.collections.get(name)
    assert(collection, `no collection ${name}`)
    return collection
  }
  const writeUnique: StoreWriter['writeUnique'] = async (changes) => {
    const add = db.prepare(
      'INSERT OR IGNORE INTO holdfast_unique (collection, key, text, record) VALUES (?, ?, ?, ?)',
    )
    const remove = db.prepare(
      'DELETE FROM holdfast_unique WHERE collection = ? AND key = ? AND text = ? AND record = ?',
    )
    for (const { op, collection, key, text, record } of changes)
      (op === 'add' ? add : remove)(collection, key, text, record)
  }
  let reserved = 0
  return {
    firstVersion: async () => counterOf(db) + 1,
    reserve: async (count, now) => {
      reserved = counterOf(db) + count
      db.run('UPDATE holdfast_state SET counter = counter + ?1, engine = counter + 1, now = ?2', count, now)
    },
    hostWrote: async () =>
      // Only in a transaction that reserved versions does it stand; the store takes it back at the end of each.
      Number(
        db.get('SELECT counter - ? AS more FROM holdfast_state WHERE engine IS NOT NULL', reserved)?.[
          'more'
        ] ?? 0,
      ) > 0,
    readForeignNotes: () => readForeignNotes(db, collectionOf, writeUnique),
    writeRecords: async (records) => {
      let maker: number | null = null
      for (const record of records) {
        if (record.maker !== maker) {
          maker = record.maker
          db.run('UPDATE holdfast_state SET maker = ?', maker)
        }
        writeRecord(db, collectionOf(record.collection), record)
      }
      if (maker !== null) db.run('UPDATE holdfast_state SET maker = NULL')
    },
    writeUnique,
    writeConflict: async (conflict, scopes) => writeConflict(db, conflict, scopes),
  }
}

function counterOf(db: Connection): number {
  return Number(db.get('SELECT counter FROM holdfast_state')?.['counter'])
}

function writeRecord(db: Connection, collection: CollectionSchema, record: RecordWrite): void {
  switch (record.write) {
    case 'insert':
      insert(db, collection, record)
      break
    case 'update':
      update(db, collection, record)
      break
    case 'delete':
      remove(db, collection, record)
      break
    case 'none':
      break
    default:
      assertNever(record.write)
  }
  if (!record.clocksChanged) return
  const sql = 'INSERT OR REPLACE INTO holdfast_clocks (collection, record, clocks) VALUES (?, ?, ?)'
  db.run(sql, collection.name, record.id, JSON.stringify(record.clocks))
}

function insert(db: Connection, collection: CollectionSchema, record: RecordWrite): void {
  const values: SQLInputValue[] = [record.id]
  for (const field of collection.fields) values.push(columnValue(field, record.values[field.name]))
  values.push(record.version, record.createdAt, record.updatedAt, record.serverUpdatedAt)
  if (hasDeletedAt(collection)) values.push(record.deletedAt)
  db.run(insertSql(collection), ...values)
}

const insertTexts = new WeakMap<CollectionSchema, string>()

/** Columns in the order in which `insert` gives their values. */
function insertSql(collection: CollectionSchema): string {
  let sql = insertTexts.get(collection)
  if (sql === undefined) {
    const fields = collection.fields.map(({ name }) => name)
    const times = ['version', 'created_at', 'updated_at', 'server_updated_at']
    const names = ['id', ...fields, ...times, ...(hasDeletedAt(collection) ? ['deleted_at'] : [])]
    const columns = names.map(quoteName).join(', ')
    sql = `INSERT INTO ${quoteName(collection.name)} (${columns}) VALUES (${names.map(() => '?').join(', ')})`
    insertTexts.set(collection, sql)
  }
  return sql
}

/** Only columns that changed are named, so that triggers of the host fire for what happened and no more. */
function update(db: Connection, collection: CollectionSchema, record: RecordWrite): void {
  const fields = collection.fields.filter((field) => record.changed.has(field.name))
  const values: SQLInputValue[] = fields.map((field) => columnValue(field, record.values[field.name]))
  const names = [
    ...fields.map(({ name }) => name),
    'version',
    'created_at',
    'updated_at',
    'server_updated_at',
  ]
  values.push(record.version, record.createdAt, record.updatedAt, record.serverUpdatedAt)
  if (hasDeletedAt(collection) && record.changed.has('deleted_at')) {
    names.push('deleted_at')
    values.push(record.deletedAt)
  }
  // Capture watches the fields and the id; a write that changes none of them must still be seen.
  if (fields.length === 0 && !record.changed.has('deleted_at')) {
    names.push('id')
    values.push(record.id)
  }
  const sets = names.map((name) => `${quoteName(name)} = ?`).join(', ')
  db.run(`UPDATE ${quoteName(collection.name)} SET ${sets} WHERE id = ?`, ...values, record.id)
}

/** The tombstone goes first: its version tells capture that the delete is the engine's own. */
function remove(db: Connection, collection: CollectionSchema, record: RecordWrite): void {
  const { id, version, createdAt, updatedAt, deletedAt } = record
  db.run(
    `INSERT OR REPLACE INTO holdfast_tombstones (collection, record, version, deleted_at, created_at, updated_at, server_updated_at, data)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    collection.name,
    id,
    version,
    deletedAt,
    createdAt,
    updatedAt,
    record.serverUpdatedAt,
    JSON.stringify(record.values),
  )
  db.run(`DELETE FROM ${quoteName(collection.name)} WHERE id = ?`, id)
}

/** Brings the unique keys up to what other writers did. SQL has no NFC, so capture leaves notes. */
async function readForeignNotes(
  db: Connection,
  collectionOf: (name: string) => CollectionSchema,
  writeUnique: StoreWriter['writeUnique'],
): Promise<void> {
  for (;;) {
    const notes = db.all(
      `SELECT n, collection, record, before FROM holdfast_foreign ORDER BY n LIMIT ${foreignBatch}`,
    )
    const last = notes.at(-1)
    if (!last) return
    for (const note of notes) {
      const collection = collectionOf(String(note['collection']))
      const record = String(note['record'])
      const isLive = hasDeletedAt(collection) ? 'AND r.deleted_at IS NULL' : ''
      const row = db.get(
        `SELECT ${fieldsObject(collection, 'r')} AS data FROM ${quoteName(collection.name)} r WHERE r.id = ? ${isLive}`,
        record,
      )
      if (note['before'] !== null)
        await writeUnique(uniqueTexts(collection, record, String(note['before']), 'remove'))
      if (row) await writeUnique(uniqueTexts(collection, record, String(row['data']), 'add'))
    }
    db.run('DELETE FROM holdfast_foreign WHERE n <= ?', Number(last['n']))
  }
}

function writeConflict(
  db: Connection,
  { id, version, values, updatedAt }: StoredConflict,
  scopes: readonly string[] | null,
): void {
  const fields = conflictsCollection.fields
  const names = [
    'id',
    ...fields.map(({ name }) => name),
    'version',
    'created_at',
    'updated_at',
    'server_updated_at',
  ].map(quoteName)
  const held = fields.map((field) => columnValue(field, values[field.name]))
  const createdAt = textMember(values, 'createdAt')
  db.run(
    `INSERT OR REPLACE INTO holdfast_conflicts (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`,
    id,
    ...held,
    version,
    createdAt,
    updatedAt,
    updatedAt,
  )
  if (scopes === null) {
    db.run(
      `UPDATE holdfast_feed SET position = ?1, version = ?1 WHERE collection = '_conflicts' AND record = ?2 AND op <> 'leave'`,
      version,
      id,
    )
    return
  }
  for (const { collection, record } of conflictRecords(values)) {
    db.run(
      'INSERT OR IGNORE INTO holdfast_conflict_records (collection, record, conflict) VALUES (?, ?, ?)',
      collection,
      record,
      id,
    )
  }
  for (const scope of scopes) {
    db.run(
      `INSERT INTO holdfast_feed (scope, collection, record, position, version, op) VALUES (?, '_conflicts', ?, ?, ?, 'put')`,
      scope,
      id,
      version,
      version,
    )
  }
}

function textMember(values: Readonly<Record<string, unknown>>, name: string): string {
  const text = values[name]
  assert(typeof text === 'string', `a conflict has its ${name}`)
  return text
}
