import type { CollectionSchema, FieldSchema, Json } from '@holdfast/core'
import type { RecordWrite } from '../store.ts'
import { hasDeletedAt } from '../sql.ts'
import { columnLists, jsonText, type ListColumn, listValues } from './column-lists.ts'
import { columnType, fieldMembers, jsonObject, type Naming, quoteText } from './columns.ts'
import { ConstraintError } from '../store-errors.ts'
import { type Connection, RaceLost } from './connection.ts'

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
export function groupsOf(records: readonly RecordWrite[]): readonly WriteGroup[] {
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

interface SentColumn extends ListColumn<RecordWrite> {
  readonly column: string
}

interface SentFields {
  readonly fields: CollectionSchema['fields']
  readonly writesDeleted: boolean
}

/** What a statement writes of each row. Names inside the list of rows are positions: a field may be called anything. */
function sentColumns(
  naming: Naming,
  collection: CollectionSchema,
  { fields, writesDeleted }: SentFields,
): readonly SentColumn[] {
  return [
    { column: 'id', name: 'id', type: 'uuid', of: ({ id }) => id },
    ...fields.map((field, at) => ({
      column: naming.column(collection, field.name),
      name: `f${at}`,
      type: columnType(field),
      of: ({ values }: RecordWrite) => sentValue(field, values[field.name]),
    })),
    { column: 'version', name: 'version', type: 'bigint', of: ({ version }) => version },
    ...(writesDeleted ? times : times.filter(({ name }) => name !== 'deleted_at')),
  ]
}

const times: readonly SentColumn[] = [
  { column: 'created_at', name: 'created_at', type: 'timestamptz', of: ({ createdAt }) => createdAt },
  { column: 'updated_at', name: 'updated_at', type: 'timestamptz', of: ({ updatedAt }) => updatedAt },
  {
    column: 'server_updated_at',
    name: 'server_updated_at',
    type: 'timestamptz',
    of: ({ serverUpdatedAt }) => serverUpdatedAt,
  },
  { column: 'deleted_at', name: 'deleted_at', type: 'timestamptz', of: ({ deletedAt }) => deletedAt },
]

function sentValue(field: FieldSchema, value: Json | undefined): string | number | boolean | null {
  if (value === undefined || value === null) return null
  return columnType(field) === 'jsonb' || typeof value === 'object' ? JSON.stringify(value) : value
}

/** Writes a group and returns the ids of rows of which the host made something else. */
export async function writeGroup(
  db: Connection,
  { naming, collection, group }: GroupWrite,
): Promise<readonly string[]> {
  const table = naming.table(collection)
  if (group.write === 'delete') {
    const ids = group.rows.map(({ id }) => id)
    db.send(tombstonesSql, ...listValues(tombstoneColumns, group.rows))
    await db.all(`DELETE FROM ${table} WHERE id = ANY($1::uuid[])`, ids)
    return []
  }
  const isInsert = group.write === 'insert'
  const fields = isInsert
    ? collection.fields
    : collection.fields.filter(({ name }) => group.columns.includes(name))
  const writesDeleted = hasDeletedAt(collection) && (isInsert || group.columns.includes('deleted_at'))
  const sent = sentColumns(naming, collection, { fields, writesDeleted })
  const names = sent.map(({ name }) => `s.${name}`)
  const write = isInsert
    ? `INSERT INTO ${table} (${sent.map(({ column }) => column).join(', ')}) SELECT ${names.join(', ')} FROM s RETURNING *`
    : `UPDATE ${table} t SET ${sent
        .slice(1)
        .map(({ column, name }) => `${column} = s.${name}`)
        .join(', ')} FROM s WHERE t.id = s.id RETURNING t.*`
  const sql = `WITH s AS MATERIALIZED (SELECT * FROM ${columnLists(sent)} x), t AS (${write})
    SELECT s.id FROM s LEFT JOIN t ON t.id = s.id WHERE t.id IS NULL OR ${differs(sent)}`
  const written = await db.all(sql, ...listValues(sent, group.rows)).catch((error: unknown) => {
    throw isInsert && isIdTaken(error) ? new RaceLost('somebody has just made this record', error) : error
  })
  return written.map(({ id }) => String(id))
}

/** Whoever looked for the record did not find it. The detail is in the language of the server, and names the key as it is. */
function isIdTaken(error: unknown): boolean {
  if (!(error instanceof ConstraintError) || !(error.cause instanceof Error)) return false
  const { cause } = error
  return 'detail' in cause && typeof cause.detail === 'string' && cause.detail.includes('(id)=(')
}

/** Whether a row `t` holds something else than was sent as `s`. */
function differs(sent: readonly SentColumn[]): string {
  const compared = sent.filter(({ name }) => name.startsWith('f') || name === 'deleted_at')
  if (compared.length === 0) return 'false'
  const row = (alias: string, name: (each: SentColumn) => string): string =>
    `ROW(${compared.map((each) => `${alias}.${name(each)}`).join(', ')})`
  return `${row('t', ({ column }) => column)} IS DISTINCT FROM ${row('s', ({ name }) => name)}`
}

const tombstoneColumns: readonly ListColumn<RecordWrite>[] = [
  { name: 'collection', type: 'text', of: ({ collection }) => collection },
  { name: 'record', type: 'uuid', of: ({ id }) => id },
  { name: 'version', type: 'bigint', of: ({ version }) => version },
  { name: 'deleted_at', type: 'timestamptz', of: ({ deletedAt }) => deletedAt },
  { name: 'created_at', type: 'timestamptz', of: ({ createdAt }) => createdAt },
  { name: 'updated_at', type: 'timestamptz', of: ({ updatedAt }) => updatedAt },
  { name: 'server_updated_at', type: 'timestamptz', of: ({ serverUpdatedAt }) => serverUpdatedAt },
  { name: 'data', type: 'json', of: ({ values }) => jsonText(values) },
]

const tombstoneNames = tombstoneColumns.map(({ name }) => name).join(', ')

/** The tombstone goes first: capture reads the version of the deletion from it. */
const tombstonesSql = `INSERT INTO holdfast.tombstones (${tombstoneNames})
  SELECT ${tombstoneNames} FROM ${columnLists(tombstoneColumns)} x
  ON CONFLICT (collection, record) DO UPDATE SET version = excluded.version, deleted_at = excluded.deleted_at,
    created_at = excluded.created_at, updated_at = excluded.updated_at, server_updated_at = excluded.server_updated_at,
    data = excluded.data`

/**
 * What a trigger or a column type of the host made of rows is a change of its own, by another writer than the device: it
 * gets a version and a line in the history that says what became what. Rules: PU-22.
 */
export async function noteAltered(
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
