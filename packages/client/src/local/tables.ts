import type {
  CollectionSchema,
  FieldKind,
  FieldSchema,
  Json,
  RecordState,
  Schema,
  Values,
} from '@holdfast/core'

import type { SqlParam, SqlRow, SqlValue } from '../drivers/sqlite-driver.ts'

/** Marks a SQLite file as ours: "HFst". */
export const applicationId = 0x48467374

/** The layout of the tables below; raised when one of them changes. */
export const layoutVersion = 4

/** Columns every collection table has after its fields, in this order. */
export const metaColumns = [
  '_created_at',
  '_updated_at',
  '_server_updated_at',
  '_version',
  '_state',
  '_scopes',
] as const

const columnTypes: Readonly<Record<FieldKind, 'TEXT' | 'INTEGER' | 'REAL'>> = {
  text: 'TEXT',
  decimal: 'TEXT',
  timestamp: 'TEXT',
  reference: 'TEXT',
  json: 'TEXT',
  set: 'TEXT',
  attachment: 'TEXT',
  integer: 'INTEGER',
  counter: 'INTEGER',
  boolean: 'INTEGER',
  real: 'REAL',
}

/** What every entry of the outbox is, kept or not. */
const entryTable = `id TEXT NOT NULL, collection TEXT NOT NULL, record TEXT NOT NULL,
     op TEXT NOT NULL, payload TEXT NOT NULL, hash TEXT NOT NULL, base_version INTEGER NOT NULL, after TEXT,
     at TEXT NOT NULL, resolves TEXT, group_id TEXT, schema INTEGER NOT NULL, trace TEXT, created_at TEXT NOT NULL,
     status TEXT NOT NULL DEFAULT 'pending', verdict TEXT,
     exact INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, next_attempt_at INTEGER,
     offer INTEGER, wire TEXT, depends TEXT, held_by TEXT, version INTEGER, server_updated_at TEXT, error TEXT`

/** The columns of `_outbox` since the second layout. */
export const addedEntryColumns: Readonly<Record<string, string>> = {
  was: 'was TEXT',
  returned_at: 'returned_at INTEGER',
}

/**
 * Since the third: its record is out of sight, and it goes to escrow. 2: it had been offered before anybody knew, so that the
 * server may have ruled on it as on any other. What is kept is never of such a record.
 */
export const escrowColumn = 'escrow INTEGER NOT NULL DEFAULT 0'

const kept =
  'id, collection, record, op, payload, hash, base_version, after, at, resolves, group_id, schema, trace, created_at, ' +
  'status, verdict, exact, offer, wire, depends, version, server_updated_at'

const keptValues = kept
  .split(', ')
  .map((name) => `old.${name}`)
  .join(', ')

/** The tables that exist whatever the schema. */
export const systemTables: readonly string[] = [
  'CREATE TABLE IF NOT EXISTS _meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS _scopes (n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT',
  `CREATE TABLE IF NOT EXISTS _outbox (
     seq INTEGER PRIMARY KEY, ${entryTable}, ${Object.values(addedEntryColumns).join(', ')}, ${escrowColumn})`,
  'CREATE INDEX IF NOT EXISTS _outbox_record ON _outbox (record)',
  "CREATE INDEX IF NOT EXISTS _outbox_busy ON _outbox (status, seq) WHERE status <> 'pending'",
  'CREATE INDEX IF NOT EXISTS _outbox_offer ON _outbox (offer) WHERE offer IS NOT NULL',
  'CREATE INDEX IF NOT EXISTS _outbox_group ON _outbox (group_id) WHERE group_id IS NOT NULL',
  'CREATE INDEX IF NOT EXISTS _outbox_escrow ON _outbox (seq) WHERE escrow',
  // Numbers and stamps outlive the entries that carried them. AUTOINCREMENT would do it for numbers, at the price of one
  // more page in every commit; this costs only when the newest entry goes.
  `CREATE TRIGGER IF NOT EXISTS _outbox_newest AFTER DELETE ON _outbox
   WHEN old.seq > coalesce((SELECT max(seq) FROM _outbox), 0) BEGIN
     INSERT INTO _meta (key, value) VALUES ('seq', old.seq), ('clock', old.at)
     ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value);
   END`,
  // What is settled: a server that is put back from a backup may have lost it. `total` is the bytes of all up to it.
  `CREATE TABLE IF NOT EXISTS _retained (
     n INTEGER PRIMARY KEY, kept_at INTEGER, total INTEGER NOT NULL, device TEXT,
     seq INTEGER NOT NULL UNIQUE, ${entryTable}, ${Object.values(addedEntryColumns).join(', ')})`,
  'CREATE INDEX IF NOT EXISTS _retained_kept ON _retained (kept_at)',
  'CREATE INDEX IF NOT EXISTS _retained_record ON _retained (record)',
  // An entry that was answered only goes because it is settled. Under another number the server does not know this one.
  `CREATE TRIGGER IF NOT EXISTS _outbox_settled AFTER DELETE ON _outbox
   WHEN old.status = 'answered' AND NOT old.escrow BEGIN
     INSERT INTO _retained (total, device, seq, was, ${kept}) SELECT
       coalesce((SELECT total FROM _retained ORDER BY n DESC LIMIT 1), 0) + length(old.payload) + length(coalesce(old.wire, '')),
       CASE WHEN old.held_by IS NOT 'known' THEN (SELECT value FROM _meta WHERE key = 'device') END, old.seq,
       coalesce(old.was, json_object('version', old.version, 'serverUpdatedAt', old.server_updated_at)), ${keptValues};
   END`,
  // What is known of edits that went to escrow: none of their values.
  `CREATE TABLE IF NOT EXISTS _escrow (
     id TEXT PRIMARY KEY, collection TEXT NOT NULL, record TEXT NOT NULL, op TEXT NOT NULL, group_id TEXT,
     created_at TEXT NOT NULL, sent_at TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'waiting', reason TEXT,
     decided_at TEXT)`,
  `CREATE TABLE IF NOT EXISTS _shadow (
     collection TEXT NOT NULL, record TEXT NOT NULL, version INTEGER NOT NULL, created_at TEXT, updated_at TEXT,
     server_updated_at TEXT, deleted INTEGER NOT NULL, data TEXT, scopes TEXT NOT NULL,
     PRIMARY KEY (collection, record)) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS _deleted (
     collection TEXT NOT NULL, record TEXT NOT NULL, version INTEGER NOT NULL, deleted_at TEXT, data TEXT,
     PRIMARY KEY (collection, record)) WITHOUT ROWID`,
  'CREATE TABLE IF NOT EXISTS _staging (n INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, body TEXT NOT NULL)',
  // A row lies in every scope it came in, like one that fits.
  `CREATE TABLE IF NOT EXISTS _quarantine (
     collection TEXT NOT NULL, record TEXT NOT NULL, version INTEGER NOT NULL, scope TEXT NOT NULL, reason TEXT NOT NULL,
     change TEXT NOT NULL, PRIMARY KEY (collection, record, scope)) WITHOUT ROWID`,
  // `on_server`: the server has given or taken them, for some record. `spare`: nothing named them when it was looked last.
  `CREATE TABLE IF NOT EXISTS _attachments (
     hash TEXT PRIMARY KEY, size INTEGER NOT NULL, stored_at INTEGER NOT NULL, used_at INTEGER NOT NULL,
     on_server INTEGER NOT NULL, spare INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID`,
  // Parts of a hash that is not in `_attachments` were fetched and are not all here: nobody reads them.
  `CREATE TABLE IF NOT EXISTS _attachment_parts (
     hash TEXT NOT NULL, n INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (hash, n))`,
  `CREATE TRIGGER IF NOT EXISTS _attachments_gone AFTER DELETE ON _attachments BEGIN
     DELETE FROM _attachment_parts WHERE hash = old.hash;
   END`,
  `CREATE TABLE IF NOT EXISTS _uploads (
     collection TEXT NOT NULL, record TEXT NOT NULL, hash TEXT NOT NULL, size INTEGER NOT NULL,
     sent INTEGER NOT NULL DEFAULT 0, status TEXT NOT NULL DEFAULT 'waiting', attempts INTEGER NOT NULL DEFAULT 0,
     next_attempt_at INTEGER, code TEXT, created_at TEXT NOT NULL,
     PRIMARY KEY (collection, record, hash)) WITHOUT ROWID`,
  // Uploads that an edit names which the server has in escrow: nothing else of it is here.
  `CREATE TABLE IF NOT EXISTS _escrow_uploads (
     collection TEXT NOT NULL, record TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (collection, record, hash)) WITHOUT ROWID`,
  'CREATE TABLE IF NOT EXISTS _lease (owner TEXT NOT NULL, fence INTEGER NOT NULL, expires_at INTEGER NOT NULL)',
]

/** A name as SQL wants it. Names come from a checked schema; quoting keeps keywords from being read as such. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Columns of a collection table in the order of its statements: id, fields as declared, then `metaColumns`. */
export function columnsOf(collection: CollectionSchema): readonly string[] {
  return ['id', ...collection.fields.map((field) => field.name), ...metaColumns]
}

/** A column as CREATE TABLE and ALTER TABLE want it. */
export function columnDefinition(field: FieldSchema): string {
  return `${quoteName(field.name)} ${columnTypes[field.kind]}`
}

/** The statement that creates the table of a collection. No unique index but the primary key, no foreign keys. */
export function createTable(collection: CollectionSchema): string {
  const fields = collection.fields.map(columnDefinition)
  const meta =
    "_created_at TEXT, _updated_at TEXT, _server_updated_at TEXT, _version INTEGER NOT NULL, _state TEXT NOT NULL, _scopes TEXT NOT NULL DEFAULT ''"
  return `CREATE TABLE IF NOT EXISTS ${quoteName(collection.name)} (${['id TEXT PRIMARY KEY', ...fields, meta].join(', ')})`
}

/** The statements that create the declared indexes of a collection. */
export function createIndexes(collection: CollectionSchema): readonly string[] {
  return collection.indexes.map((fields) => {
    const name = quoteName(`${collection.name}.${fields.join('.')}`)
    return `CREATE INDEX IF NOT EXISTS ${name} ON ${quoteName(collection.name)} (${fields.map(quoteName).join(', ')})`
  })
}

/** Whether a field is stored as JSON text. */
export function isJsonColumn(kind: FieldKind): boolean {
  return kind === 'json' || kind === 'set' || kind === 'attachment'
}

/** A field value as it is bound. Undefined counts as null. */
export function valueToColumn(kind: FieldKind, value: Json | undefined): SqlParam {
  if (value === null || value === undefined) return null
  if (isJsonColumn(kind)) return JSON.stringify(value)
  if (typeof value === 'boolean') return value ? 1 : 0
  // Fields of the other kinds hold numbers and text: the parsers of the schema let nothing else through.
  return value as string | number
}

/** The reverse of `valueToColumn`. A JSON column whose text cannot be read gives null. */
export function columnToValue(kind: FieldKind, column: SqlValue | undefined): Json {
  if (column === null || column === undefined || column instanceof Uint8Array) return null
  if (kind === 'boolean') return column !== 0
  return isJsonColumn(kind) ? parseJson(String(column)) : column
}

/** Field values of a row, as they travel. */
export function rowToValues(collection: CollectionSchema, row: SqlRow): Values {
  const values: Record<string, Json> = {}
  for (const field of collection.fields) values[field.name] = columnToValue(field.kind, row[field.name])
  return values
}

/** Field values in the order of the columns. */
export function valuesToColumns(collection: CollectionSchema, values: Values): SqlParam[] {
  return collection.fields.map((field) => valueToColumn(field.kind, values[field.name]))
}

/** A row as the app reads it: decoded fields and the visible meta columns. */
export function rowToRecord(collection: CollectionSchema, row: SqlRow): Readonly<Record<string, Json>> {
  const record: Record<string, Json> = { id: String(row.id) }
  for (const field of collection.fields) record[field.name] = columnToValue(field.kind, row[field.name])
  record._created_at = columnToValue('text', row._created_at)
  record._updated_at = columnToValue('text', row._updated_at)
  record._server_updated_at = columnToValue('text', row._server_updated_at)
  record._version = columnToValue('integer', row._version)
  record._state = columnToValue('text', row._state)
  return record
}

/**
 * SQL for a field's column out of JSON text that holds it as it travels: `jsonColumnExpression(field, "value", "$.data")`
 * reads member `data` of the JSON in `value`. Booleans become 1 and 0, JSON null becomes NULL, sets and json stay text.
 */
export function jsonColumnExpression(field: FieldSchema, json: string, path = '$'): string {
  const member = `'${path}."${field.name}"'`
  return isJsonColumn(field.kind) ? `nullif(${json} -> ${member}, 'null')` : `${json} ->> ${member}`
}

/** The collections of a schema by name, with the system ones an app can read. */
export type Collections = Schema['collections']

/** The states a record can be in, the strongest last. */
export const recordStates: readonly RecordState[] = ['clean', 'pending', 'syncing', 'conflicted', 'failed']

function parseJson(text: string): Json {
  try {
    // JSON.parse returns JSON by definition; its type says any.
    return JSON.parse(text) as Json
  } catch {
    return null
  }
}
