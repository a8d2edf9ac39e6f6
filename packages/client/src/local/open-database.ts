import {
  type CollectionSchema,
  type Environment,
  type FieldSchema,
  newUuid,
  type Schema,
  SyncError,
} from '@holdfast/core'

import type { SqliteConnection, SqliteDriver } from '../drivers/sqlite-driver.ts'
import { eraseUnnamedBytes } from '../attachments/spare-bytes.ts'
import { beginReset, dropStaging, isReplacing, readCursor } from '../apply/staging.ts'
import { checksum } from '../outbox/checksum.ts'
import { noteGrown } from '../sync/verification.ts'
import type { Identity } from '../sync-context.ts'
import { type Durability, LocalDatabase, type LocalTransaction } from './local-database.ts'
import { readMeta, writeMeta } from './meta.ts'
import { rebuildRecords, recordsIn } from './records.ts'
import {
  addedEntryColumns,
  applicationId,
  columnDefinition,
  createIndexes,
  createTable,
  escrowColumn,
  layoutVersion,
  quoteName,
  systemTables,
  valueToColumn,
} from './tables.ts'

/** What is needed to open a device's database. */
export interface OpenDatabaseOptions {
  /** With the system collections. */
  readonly schema: Schema
  readonly storage: SqliteDriver
  readonly env: Pick<Environment, 'now' | 'randomBytes' | 'setTimer'>
  readonly durability: Durability
  /** The account the app says it is for; null when it does not say. */
  readonly account: string | null
  /** The server's base URL; null for a database that never syncs. */
  readonly server: string | null
}

/**
 * Opens the database, makes what is missing, and says who it belongs to. What is there is only ever added to; a file
 * that is damaged, newer or not ours is left as it is. Takes no time that grows with the data, unless the schema changed.
 * Errors: STORE_FOREIGN, STORE_NEWER, STORE_CORRUPT, STORE_LOCKED, ACCOUNT_MISMATCH, SCHEMA_INVALID. Rules: LO-6 to LO-10.
 */
export async function openDatabase(
  options: OpenDatabaseOptions,
): Promise<{ readonly database: LocalDatabase; readonly identity: Identity }> {
  const connection = await options.storage.open()
  try {
    await recogniseFile(connection, options.storage.name)
    await setPragmas(connection, options.durability)
    const database = new LocalDatabase(connection, options.durability, options.env)
    const identity = await database.write(async (tx) => {
      await makeTables(tx, options.schema)
      return bindIdentity(tx, options)
    })
    return { database, identity }
  } catch (error) {
    await connection.close()
    throw error
  }
}

/** How long a statement waits for another process, ms: longer than any transaction of ours lasts. */
const busyTimeoutMs = 10_000

/** Pages in the write-ahead log before it is copied back, 16 MB: pages written again and again are copied once. */
const checkpointPages = 4_000

/** Looks before anything is written: even switching to WAL would change a foreign file. */
async function recogniseFile(connection: SqliteConnection, name: string): Promise<void> {
  await connection.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`)
  const id = await pragma(connection, 'application_id')
  const version = await pragma(connection, 'user_version')
  const [content] = await connection.all(
    'SELECT count(*) AS count FROM (SELECT 1 FROM sqlite_schema LIMIT 1)',
  )
  if (id !== applicationId && (id !== 0 || content?.count !== 0)) {
    throw new SyncError('STORE_FOREIGN', `${name} is a database of another application`)
  }
  if (Number(version) > layoutVersion) {
    throw new SyncError('STORE_NEWER', `${name} has layout ${version}; this version knows ${layoutVersion}`)
  }
}

async function setPragmas(connection: SqliteConnection, durability: Durability): Promise<void> {
  const { shared, journal = shared ? 'wal' : 'memory' } = connection.capabilities
  const wanted: Readonly<Record<string, string | number>> = {
    journal_mode: journal,
    synchronous: durability === 'full' ? 2 : 1,
    foreign_keys: 1,
    // What a device may not keep any more must not be readable in the free pages of its file either.
    secure_delete: 1,
    wal_autocheckpoint: checkpointPages,
  }
  for (const [name, value] of Object.entries(wanted)) {
    await connection.exec(`PRAGMA ${name} = ${value}`)
    // Drivers and builds have defaults of their own, and SQLite ignores what it cannot do: asked is not yet done.
    const actual = await pragma(connection, name)
    if (actual !== value) throw new SyncError('STORE_FAILED', `PRAGMA ${name} is ${actual}, not ${value}`)
  }
}

async function pragma(reader: Pick<SqliteConnection, 'all'>, name: string): Promise<unknown> {
  const [row] = await reader.all(`PRAGMA ${name}`)
  return row?.[name]
}

async function makeTables(tx: LocalTransaction, schema: Schema): Promise<void> {
  // Setting them writes to the file even when they stay what they are, and every start would wait for the disk.
  const [id, version] = [await pragma(tx, 'application_id'), await pragma(tx, 'user_version')]
  if (id !== applicationId || version !== layoutVersion) {
    await tx.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${layoutVersion}`)
  }
  if (version === 1 || version === 2) await addEntryColumns(tx, version)
  const isKeyedByRecord = Number(version) > 0 && Number(version) < 4
  if (isKeyedByRecord) await tx.exec('ALTER TABLE _quarantine RENAME TO _quarantine_by_record')
  for (const sql of systemTables) await tx.exec(sql)
  if (isKeyedByRecord) await takeQuarantine(tx)
  const known = Number((await readMeta(tx, 'schema')) ?? 0)
  if (known > schema.version) {
    throw new SyncError(
      'STORE_NEWER',
      `the database was used with schema ${known}; this app has ${schema.version}`,
    )
  }
  const collections = [...schema.collections.values()]
  const wanted = checksum(
    collections.flatMap((each) => [createTable(each), ...createIndexes(each)]).join('\n'),
  )
  if (known === schema.version && (await readMeta(tx, 'tables')) === wanted) return
  const before = await readDeclared(tx)
  const grown: string[] = []
  for (const collection of collections)
    if (await makeTable(tx, collection, before)) grown.push(collection.name)
  if (grown.length > 0) await showOwnEdits(tx, schema, grown)
  await eraseUndeclared(tx, schema)
  const wasPulled = (await readCursor(tx)) !== null
  // Nothing that is staged fits any more.
  if (wasPulled && (await isReplacing(tx))) await beginReset(tx, schema.version)
  else await dropStaging(tx)
  // What the server has in a new field came while no app here knew it.
  if (wasPulled && grown.length > 0) await noteGrown(tx, grown)
  // A process of the app before may be in the middle of a cycle: what it brings lacks the fields that are new.
  await tx.run("UPDATE _lease SET owner = '', fence = fence + 1, expires_at = 0")
  await writeMeta(tx, 'sync.quarantine', null)
  await writeMeta(tx, 'schema', schema.version)
  await writeMeta(tx, 'tables', wanted)
  await writeMeta(tx, 'declared', JSON.stringify(declaredIn(schema)))
}

/** Names of fields by collection. */
type Declared = Readonly<Record<string, readonly string[]>>

function declaredIn(schema: Schema): Declared {
  return Object.fromEntries(
    [...schema.collections.values()].map(({ name, fields }) => [name, fields.map((field) => field.name)]),
  )
}

/** What the app before declared; undefined for a new file, and one of before this was noted. */
async function readDeclared(tx: LocalTransaction): Promise<Declared | undefined> {
  const text = await readMeta(tx, 'declared')
  // Written by makeTables from the same type.
  return typeof text === 'string' ? (JSON.parse(text) as Declared) : undefined
}

/**
 * Rows of collections that the app does not have any more. Nobody sees them, no page finds them, and a right to them may
 * end unheard of. The tables stay, for what is in the outbox. Rules: LO-15, AT-39.
 */
async function eraseUndeclared(tx: LocalTransaction, schema: Schema): Promise<void> {
  const tables = await tx.all(
    `SELECT name FROM sqlite_schema t WHERE type = 'table' AND name NOT GLOB '_*'
       AND EXISTS (SELECT 1 FROM pragma_table_info(t.name) WHERE name = '_scopes')`,
  )
  let hasErased = false
  for (const { name } of tables) {
    const collection = String(name)
    if (schema.collections.has(collection)) continue
    const { changes } = await tx.run(`DELETE FROM ${quoteName(collection)}`)
    hasErased ||= changes > 0
    for (const table of ['_shadow', '_deleted'])
      await tx.run(`DELETE FROM ${table} WHERE collection = ?`, [collection])
  }
  if (hasErased) await eraseUnnamedBytes(tx, schema)
}

/** The outbox of an older layout. */
async function addEntryColumns(tx: LocalTransaction, layout: 1 | 2): Promise<void> {
  const columns = [...(layout === 1 ? Object.values(addedEntryColumns) : []), escrowColumn]
  for (const column of columns) await tx.exec(`ALTER TABLE _outbox ADD COLUMN ${column}`)
  // It kept whatever was settled.
  await tx.exec('DROP TRIGGER IF EXISTS _outbox_settled')
}

/** Up to the third layout a row that does not fit was kept in one of its scopes. */
async function takeQuarantine(tx: LocalTransaction): Promise<void> {
  await tx.exec(
    'INSERT INTO _quarantine SELECT * FROM _quarantine_by_record; DROP TABLE _quarantine_by_record',
  )
}

/**
 * Adds what a table lacks. Columns that are no longer declared stay: an older entry may still need them. Returns whether
 * there are fields now of which the app before kept nothing, though it was given rows: new ones of a collection that it
 * had, and what was declared once, and not by that app.
 */
async function makeTable(
  tx: LocalTransaction,
  collection: CollectionSchema,
  before: Declared | undefined,
): Promise<boolean> {
  const columns = await tx.all(`PRAGMA table_info(${quoteName(collection.name)})`)
  if (columns.length === 0) {
    for (const sql of [createTable(collection), ...createIndexes(collection)]) await tx.exec(sql)
    return false
  }
  const types = new Map(columns.map((column) => [column.name, column.type]))
  const declared = before && new Set(before[collection.name])
  let hasGrown = false
  for (const field of collection.fields) {
    const definition = columnDefinition(field)
    const type = types.get(field.name)
    if (type === undefined) {
      await tx.exec(
        `ALTER TABLE ${quoteName(collection.name)} ADD COLUMN ${definition}${defaultClause(field)}`,
      )
    } else if (!definition.endsWith(` ${type}`)) {
      const at = `${collection.name}.${field.name}`
      throw new SyncError(
        'SCHEMA_INVALID',
        `${at} is stored as ${type}; a field of another kind needs another name`,
        { at },
      )
    } else if (declared?.has(field.name) === false) await fillRows(tx, collection, field)
    else continue
    hasGrown = true
    await fillCopies(tx, collection, field)
  }
  for (const sql of createIndexes(collection)) await tx.exec(sql)
  return hasGrown
}

/** Rows that an app without the field wrote have nothing in its column. */
async function fillRows(tx: LocalTransaction, { name }: CollectionSchema, field: FieldSchema): Promise<void> {
  if (field.optional) return
  const column = quoteName(field.name)
  await tx.run(`UPDATE ${quoteName(name)} SET ${column} = ? WHERE ${column} IS NULL`, [
    valueToColumn(field.kind, field.default),
  ])
}

/** What own edits by earlier apps say of fields that are there now is shown again. Rules: LO-8. */
async function showOwnEdits(
  tx: LocalTransaction,
  schema: Schema,
  collections: readonly string[],
): Promise<void> {
  const edited = recordsIn(await tx.all('SELECT DISTINCT collection, record FROM _outbox'))
  await rebuildRecords(
    tx,
    schema,
    edited.filter(({ collection }) => collections.includes(collection)),
  )
}

/** What stands beside own edits, and what was deleted, take the field's default as rows do. */
async function fillCopies(
  tx: LocalTransaction,
  { name }: CollectionSchema,
  field: FieldSchema,
): Promise<void> {
  const value = JSON.stringify(field.default ?? null)
  for (const table of ['_shadow', '_deleted']) {
    await tx.run(
      `UPDATE ${table} SET data = json_insert(data, '$.${field.name}', json(?)) WHERE collection = ? AND json_valid(data)`,
      [value, name],
    )
  }
}

/** Rows that are there take the field's default, without being rewritten. */
function defaultClause(field: FieldSchema): string {
  const value = valueToColumn(field.kind, field.default)
  if (typeof value === 'string') return ` DEFAULT '${value.replaceAll("'", "''")}'`
  return typeof value === 'number' ? ` DEFAULT ${value}` : ''
}

async function bindIdentity(tx: LocalTransaction, options: OpenDatabaseOptions): Promise<Identity> {
  const account = await bind(tx, 'account', options.account)
  const server = await bind(tx, 'server', options.server)
  const known = await readMeta(tx, 'device')
  const device = typeof known === 'string' ? known : newUuid(options.env)
  if (device !== known) await writeMeta(tx, 'device', device)
  return { device, account, server }
}

async function bind(
  tx: LocalTransaction,
  key: 'account' | 'server',
  said: string | null,
): Promise<string | null> {
  const known = await readMeta(tx, key)
  if (typeof known !== 'string') {
    if (said !== null) await writeMeta(tx, key, said)
    return said
  }
  if (said === null || said === known) return known
  throw new SyncError('ACCOUNT_MISMATCH', `the database belongs to the ${key} "${known}", not to "${said}"`, {
    at: key,
  })
}
