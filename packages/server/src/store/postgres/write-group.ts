import type { CollectionSchema } from '@holdfast/core'
import type { RecordWrite } from '../store.ts'
import { hasDeletedAt } from '../sql.ts'
import { columnType, fieldMembers, jsonObject, type Naming, quoteText } from './columns.ts'
import type { Connection } from './connection.ts'

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

interface SentColumn {
  readonly column: string
  readonly as: string
  readonly type: string
}

/** What a statement writes of each row. Names inside the list of rows are positions: a field may be called anything. */
function sentColumns(
  naming: Naming,
  collection: CollectionSchema,
  { fields, writesDeleted }: { readonly fields: CollectionSchema['fields']; readonly writesDeleted: boolean },
): readonly SentColumn[] {
  const times = ['created_at', 'updated_at', 'server_updated_at', ...(writesDeleted ? ['deleted_at'] : [])]
  return [
    { column: 'id', as: 'id', type: 'uuid' },
    ...fields.map((field, at) => ({
      column: naming.column(collection, field.name),
      as: `f${at}`,
      type: columnType(field),
    })),
    { column: 'version', as: 'version', type: 'bigint' },
    ...times.map((name) => ({ column: name, as: name, type: 'timestamptz' })),
  ]
}

/** Writes a group and returns the ids of rows of which the host made something else. */
export async function writeGroup(
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
  const sent = sentColumns(naming, collection, { fields, writesDeleted })
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
  const row = (alias: string, name: (each: SentColumn) => string): string =>
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
