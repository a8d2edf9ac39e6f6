import {
  type CollectionSchema,
  describeSchema,
  type FieldSchema,
  isObject,
  newUuid,
  type Schema,
  SyncError,
} from '@holdfast/core'
import type { StoreSetup } from '../store.ts'
import { hasDeletedAt, quoteName } from '../sql.ts'
import { captureTriggers, conflictTriggers } from './capture-triggers.ts'
import { columnOf, fieldsObject, quoteText } from './columns.ts'
import type { Connection } from './connection.ts'
import {
  sqliteApplicationId,
  createIndexes,
  createTable,
  layoutSteps,
  sqliteLayout,
  systemTables,
} from './create-tables.ts'

/**
 * Makes a new file ours, or adds to ours what the schema adds: tables, columns, indexes, triggers. Nothing is ever
 * dropped or rewritten but triggers. Runs in the caller's transaction. Errors: STORE_FOREIGN, STORE_NEWER,
 * SCHEMA_INVALID. Rules: FE-11, FE-12.
 */
export function prepareDatabase(db: Connection, { schema, env }: StoreSetup): void {
  const before = checkOwnership(db, schema)
  const old = collectionsOf(before?.schema ?? '', 'collections')
  const made = withGone(old, collectionsOf(before?.schema ?? '', 'gone'))
  const described = describeWithGone(schema, made)
  if (before === null) {
    db.exec(systemTables)
    for (const sql of conflictTriggers()) db.exec(sql)
    db.run(
      'INSERT INTO holdfast_state (one, epoch, counter, horizon, schema_version) VALUES (1, ?, 0, 0, ?)',
      newUuid(env),
      schema.version,
    )
    db.run("INSERT INTO holdfast_schema (one, described) VALUES (1, '')")
    db.exec(`PRAGMA application_id = ${sqliteApplicationId}`)
  }
  for (let layout = before?.layout ?? sqliteLayout; layout < sqliteLayout; layout++)
    db.exec(layoutSteps[layout + 1] ?? '')
  db.exec(`PRAGMA user_version = ${sqliteLayout}`)
  // A process that died inside a transaction left nothing, but a copy of a file may have been taken by other means.
  db.exec('UPDATE holdfast_state SET engine = NULL, maker = NULL, now = NULL')
  noteOpening(db, env)
  if (before?.schema === described && before.layout === sqliteLayout) return
  for (const collection of schema.collections.values()) {
    prepareCollection(db, collection, made[collection.name])
    if (isBack(collection, { old: old[collection.name], made: made[collection.name] }))
      tellAll(db, collection)
  }
  db.run('UPDATE holdfast_state SET schema_version = ?', schema.version)
  db.run('UPDATE holdfast_schema SET described = ?', described)
}

/**
 * From here on positions are made under a tag of this opening. One at the same position gives way: no position was made
 * under it, so that no cursor names it. Rules: PL-21.
 */
function noteOpening(db: Connection, env: StoreSetup['env']): void {
  db.run(
    'INSERT OR REPLACE INTO holdfast_openings (position, tag, at) SELECT counter, ?, ? FROM holdfast_state',
    Buffer.from(env.randomBytes(new Uint8Array(8))).toString('hex'),
    new Date(env.now()).toISOString(),
  )
}

/** What a database was made for before. */
export interface Before {
  /** As `describeSchema` said it. */
  readonly schema: string
  /** Of our own tables. */
  readonly layout: number
}

/**
 * What our database was before, null when the file is empty. Reads only, so that a file of somebody else stays as it is.
 * Errors: STORE_FOREIGN, STORE_NEWER, STORE_CORRUPT.
 */
export function checkOwnership(db: Connection, schema: Schema): Before | null {
  const count = Number(db.get('SELECT count(*) AS n FROM sqlite_master')?.['n'] ?? 0)
  const id = Number(db.get('PRAGMA application_id')?.['application_id'] ?? 0)
  if (count === 0 && id === 0) return null
  if (id !== sqliteApplicationId || !db.get(`SELECT 1 FROM sqlite_master WHERE name = 'holdfast_state'`)) {
    throw new SyncError('STORE_FOREIGN', 'the file is a database of something else; nothing was changed')
  }
  const state = db.get('SELECT schema_version FROM holdfast_state')
  if (!state) throw new SyncError('STORE_CORRUPT', 'the database has lost its state')
  const layout = Number(db.get('PRAGMA user_version')?.['user_version'])
  if (layout > sqliteLayout || Number(state['schema_version']) > schema.version) {
    throw new SyncError('STORE_NEWER', 'the database was written by a newer version; nothing was changed')
  }
  // Layouts before the third kept it in the row of the state.
  const made = db.get(
    layout < 3 ? 'SELECT schema FROM holdfast_state' : 'SELECT described AS schema FROM holdfast_schema',
  )
  return { schema: String(made?.['schema'] ?? ''), layout }
}

type Described = Readonly<Record<string, unknown>>

type Collections = Readonly<Record<string, Described>>

/** `gone`: what a schema of before had, and the one after it had not, whose tables and columns are there. */
function collectionsOf(described: string, member: 'collections' | 'gone'): Collections {
  const parsed: unknown = described === '' ? {} : JSON.parse(described)
  const collections = isObject(parsed) && isObject(parsed[member]) ? parsed[member] : {}
  return Object.fromEntries(
    Object.entries(collections).flatMap(([name, value]) => (isObject(value) ? [[name, value]] : [])),
  )
}

function fieldsOf(described: Described | undefined): Described {
  return described && isObject(described['fields']) ? described['fields'] : {}
}

/** Everything that there are tables and columns for. */
function withGone(old: Collections, gone: Collections): Collections {
  const names = new Set([...Object.keys(old), ...Object.keys(gone)])
  return Object.fromEntries(
    [...names].map((name) => [
      name,
      { ...gone[name], ...old[name], fields: { ...fieldsOf(gone[name]), ...fieldsOf(old[name]) } },
    ]),
  )
}

/** The schema, and what there is beyond it, so that a later one can have it again. */
function describeWithGone(schema: Schema, made: Collections): string {
  const described = describeSchema(schema)
  const gone = Object.entries(made).flatMap(([name, collection]): [string, Described][] => {
    const now = schema.collections.get(name)
    if (!now) return [[name, collection]]
    const fields = Object.entries(fieldsOf(collection)).filter(([field]) => !now.fieldsByName.has(field))
    return fields.length === 0 ? [] : [[name, { fields: Object.fromEntries(fields) }]]
  })
  if (gone.length === 0) return described
  return JSON.stringify({ ...(JSON.parse(described) as Described), gone: Object.fromEntries(gone) })
}

/** Whether the schema has something again that the one before it had not. */
function isBack(
  collection: CollectionSchema,
  { old, made }: { readonly old: Described | undefined; readonly made: Described | undefined },
): boolean {
  const [before, ever] = [fieldsOf(old), fieldsOf(made)]
  return made !== undefined && collection.fields.some(({ name }) => name in ever && !(name in before))
}

/** Every row writes itself again as any other writer would: it finds its new scopes, and devices hear of all that it holds. */
function tellAll(db: Connection, collection: CollectionSchema): void {
  db.exec(`UPDATE ${quoteName(collection.name)} SET id = id`)
}

function prepareCollection(db: Connection, collection: CollectionSchema, old: Described | undefined): void {
  if (old === undefined) db.exec(createTable(collection))
  else addColumns(db, collection, old)
  for (const sql of createIndexes(collection)) db.exec(sql)
  for (const row of db.all(
    `SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ? AND name LIKE 'holdfast\\_%' ESCAPE '\\'`,
    collection.name,
  )) {
    db.exec(`DROP TRIGGER ${quoteName(String(row['name']))}`)
  }
  for (const sql of captureTriggers(collection)) db.exec(sql)
  if (old === undefined) return
  if (JSON.stringify(old['scopes']) !== JSON.stringify(collection.scopes.map(({ text }) => text))) {
    tellAll(db, collection)
  }
  if (JSON.stringify(old['unique']) !== JSON.stringify(collection.unique.map((key) => ({ ...key }))))
    indexUniqueAgain(db, collection)
}

function addColumns(db: Connection, collection: CollectionSchema, old: Described): void {
  const fields = fieldsOf(old)
  for (const field of collection.fields) {
    const known = fields[field.name]
    if (!isObject(known)) addColumn(db, collection, field)
    else if (known['kind'] !== field.kind || known['of'] !== (field.of ?? null)) {
      throw invalid(
        collection,
        field,
        `was a ${String(known['kind'])}; a field keeps its kind, add a new one`,
      )
    } else if (known['optional'] === true && !field.optional) {
      throw invalid(collection, field, 'was optional and the rows may hold null; it must stay optional')
    } else if (known['optional'] === false && field.optional) {
      throw invalid(collection, field, 'was required, and its column stays so; it must stay required')
    }
  }
  for (const { name, notnull, dflt_value: initial } of db.all(
    `PRAGMA table_info(${quoteName(collection.name)})`,
  )) {
    const isGone = isObject(fields[String(name)]) && !collection.fieldsByName.has(String(name))
    if (!isGone || notnull !== 1 || initial !== null) continue
    const at = `${collection.name}.${String(name)}`
    throw new SyncError(
      'SCHEMA_INVALID',
      `${at} is required and its column stays: no record could be made without it, keep the field`,
      { at },
    )
  }
  if (old['deletes'] !== collection.deletes) {
    throw new SyncError(
      'SCHEMA_INVALID',
      `${collection.name}: deletes was "${String(old['deletes'])}" and must stay so`,
      { at: collection.name },
    )
  }
}

function addColumn(db: Connection, collection: CollectionSchema, field: FieldSchema): void {
  if (
    !field.optional &&
    field.default === undefined &&
    db.get(`SELECT 1 FROM ${quoteName(collection.name)} LIMIT 1`)
  ) {
    throw invalid(
      collection,
      field,
      'is new and required: give it a default for the rows there are, or make it optional',
    )
  }
  const column =
    field.optional || field.default !== undefined ? columnOf(field) : columnOf({ ...field, optional: true })
  db.exec(`ALTER TABLE ${quoteName(collection.name)} ADD COLUMN ${column}`)
}

function invalid(collection: CollectionSchema, field: FieldSchema, message: string): SyncError {
  const at = `${collection.name}.${field.name}`
  return new SyncError('SCHEMA_INVALID', `${at} ${message}`, { at })
}

function indexUniqueAgain(db: Connection, collection: CollectionSchema): void {
  db.run('DELETE FROM holdfast_unique WHERE collection = ?', collection.name)
  if (collection.unique.length === 0) return
  const isLive = hasDeletedAt(collection) ? 'deleted_at IS NULL' : 'true'
  db.exec(
    `INSERT INTO holdfast_foreign (collection, record, before)
     SELECT ${quoteText(collection.name)}, r.id, ${fieldsObject(collection, 'r')} FROM ${quoteName(collection.name)} r WHERE ${isLive}`,
  )
}
