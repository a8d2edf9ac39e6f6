import { type CollectionSchema, globalScope } from '@holdfast/core'
import { hasDeletedAt } from '../sql.ts'
import { fieldMembers, iso, jsonObject, type Naming, quoteText, scopeExpressions, wireOf } from './columns.ts'
import { numberStep } from './system-tables.ts'

/** What the pieces of one collection's capture share. */
export interface Capture {
  readonly naming: Naming
  readonly collection: CollectionSchema
  /** The collection's name as a literal. */
  readonly name: string
  readonly table: string
  readonly latest: readonly string[]
}

/** Whether two rows differ in one of the fields. */
export function isDistinct(
  { naming, collection }: Capture,
  fields: readonly string[],
  rows: readonly [string, string],
): string {
  const row = (alias: string): string =>
    `ROW(${fields.map((field) => `${alias}.${naming.column(collection, field)}`).join(', ')})`
  return fields.length === 0 ? 'false' : `${row(rows[0])} IS DISTINCT FROM ${row(rows[1])}`
}

/**
 * Whether the engine wrote a row itself: then its version is of the step that the engine named. What a cascade of the
 * engine's own statement wrote comes in the same call of a trigger, with versions of its own.
 */
export const isOwn: string = `coalesce(n.version >= {first}::bigint AND n.version < {first}::bigint + ${numberStep}, false)`

/** Whether nobody has written down yet that a row is gone; the engine does so first. */
export function isUnknown(name: string): string {
  return `NOT EXISTS (SELECT 1 FROM holdfast.tombstones k WHERE k.collection = ${name} AND k.record = o.id AND k.version > o.version)`
}

/**
 * The rows of `rows` as entries, one per scope. A row in no scope lies in ''. In the order of the index, in which many are
 * written in half the time.
 */
function entries({ naming, collection, name }: Capture, rows: string): string {
  const isGone = hasDeletedAt(collection) ? 'n.deleted_at IS NOT NULL' : 'false'
  const [first, ...others] = scopeExpressions(naming, collection, 'n')
  const all = [first, ...others].map((scope) => `(${scope})`).join(', ')
  const scopes =
    others.length === 0
      ? ''
      : `CROSS JOIN LATERAL (SELECT DISTINCT s.scope FROM (VALUES ${all}) s (scope) WHERE s.scope IS NOT NULL
        UNION ALL SELECT '' WHERE coalesce(${all}) IS NULL) s`
  const scope =
    first === undefined ? quoteText(globalScope) : others.length === 0 ? `coalesce(${first}, '')` : 's.scope'
  return `SELECT ${scope} AS scope, ${name} AS collection, n.id AS record, {this} AS tx, n.version,
      CASE WHEN ${isGone} THEN 'delete' ELSE 'put' END AS op,
      CASE WHEN ${isOwn} THEN {maker}::integer END AS maker,
      CASE WHEN ${isGone} THEN {at}::timestamptz END AS at FROM ${rows} ${scopes} ORDER BY n.id`
}

const feedInto = 'INSERT INTO holdfast.feed AS f (scope, collection, record, tx, version, op, maker, at)'

const onKnown = `ON CONFLICT (collection, record, scope) DO UPDATE SET tx = excluded.tx, version = excluded.version,
      op = excluded.op, maker = excluded.maker, at = excluded.at WHERE excluded.version > f.version`

/** The new rows of which the feed has something, each looked for by itself: without statistics PostgreSQL would compare all with all. */
export function isInFeed({ name }: Capture): string {
  return `SELECT 1 FROM new_rows n CROSS JOIN LATERAL (
    SELECT 1 FROM holdfast.feed f WHERE f.collection = ${name} AND f.record = n.id LIMIT 1) f`
}

/** One entry per scope of rows of which the feed has nothing. */
export function firstPuts(capture: Capture, rows: string): string {
  return `${feedInto} ${entries(capture, rows)}`
}

/** One current entry per scope of a row, unless a newer one is there. */
export function puts(capture: Capture, rows: string): string {
  return `${feedInto} ${entries(capture, rows)} ${onKnown}`
}

/**
 * After the current entries were written, what is older lies in scopes the row is no longer in. The row as it stands
 * decides: a trigger of the host may have written it again inside the same statement.
 */
export function leaves({ name, table }: Capture): string {
  return `UPDATE holdfast.feed f SET op = 'leave', tx = {this}, version = r.version, maker = NULL, at = {at}
    FROM new_rows n JOIN ${table} r ON r.id = n.id
    WHERE f.collection = ${name} AND f.record = n.id AND f.op <> 'leave' AND f.version < r.version`
}

/** Where a row was live, it is gone. */
export function deletes({ name }: Capture, rows: string): string {
  return `UPDATE holdfast.feed f SET op = 'delete', tx = {this}, version = t.version, maker = NULL, at = {at}
    FROM ${rows} o, holdfast.tombstones t WHERE f.collection = ${name} AND f.record = o.id AND f.op = 'put'
    AND t.collection = ${name} AND t.record = o.id`
}

const deletedVersion = `greatest(current_setting('holdfast.version')::bigint, o.version + 1)`

/** What is left of rows that go, unless the engine wrote it down already. */
export function tombstones({ naming, collection, name }: Capture, rows: string): string {
  const [at, kept] = hasDeletedAt(collection)
    ? [
        'coalesce(o.deleted_at, {at})',
        `CASE WHEN o.deleted_at IS NULL THEN ${deletedVersion} ELSE o.version END`,
      ]
    : ['{at}', deletedVersion]
  return `INSERT INTO holdfast.tombstones (collection, record, version, deleted_at, created_at, updated_at, server_updated_at, data)
    SELECT ${name}, o.id, ${kept}, ${at}::timestamptz, o.created_at, o.updated_at, {at}::timestamptz,
      ${jsonObject(fieldMembers(naming, collection, 'o'))} FROM ${rows} o WHERE ${isUnknown(name)}
    ON CONFLICT (collection, record) DO UPDATE SET version = excluded.version, deleted_at = excluded.deleted_at,
      created_at = excluded.created_at, updated_at = excluded.updated_at, server_updated_at = excluded.server_updated_at,
      data = excluded.data`
}

const auditInto =
  'INSERT INTO holdfast.audit (tx, collection, record, version, op, account, at, received_at, before, after, status) SELECT {this},'

/** A line of the audit for each row that another writer made. */
export function auditOfInserts({ naming, collection, name }: Capture): string {
  return `${auditInto} ${name}, n.id, n.version, 'create', {account}::text, n.updated_at, {at}::timestamptz, NULL,
    ${jsonObject(fieldMembers(naming, collection, 'n'))}, 'applied' FROM new_rows n WHERE NOT ${isOwn}`
}

/** A line of the audit for each row that another writer changed. */
export function auditOfUpdates(capture: Capture, rows: string): string {
  const { collection, name } = capture
  const op = hasDeletedAt(collection)
    ? `CASE WHEN o.deleted_at IS NULL AND n.deleted_at IS NOT NULL THEN 'delete'
      WHEN o.deleted_at IS NOT NULL AND n.deleted_at IS NULL THEN 'restore' ELSE 'update' END`
    : `'update'`
  return `${auditInto} ${name}, n.id, n.version, ${op}, {account}::text, n.updated_at, {at}::timestamptz,
    ${changedFields(capture, 'o')}, ${changedFields(capture, 'n')}, 'applied' FROM ${rows} WHERE NOT ${isOwn}`
}

/** A line of the audit for each row that another writer removed; before the tombstones. */
export function auditOfDeletes({ naming, collection, name }: Capture, rows: string): string {
  const wasLive = hasDeletedAt(collection) ? 'o.deleted_at IS NULL' : 'true'
  return `${auditInto} ${name}, o.id, ${deletedVersion}, 'delete', {account}::text, {at}::timestamptz, {at}::timestamptz,
    ${jsonObject(fieldMembers(naming, collection, 'o'))}, NULL, 'applied'
    FROM ${rows} o WHERE ${wasLive} AND ${isUnknown(name)}`
}

/** The values of the fields in which `o` and `n` differ, as a JSON object; as text, which is several times as fast. */
function changedFields({ naming, collection }: Capture, row: 'o' | 'n'): string {
  const members = collection.fields.map((field) => {
    const column = naming.column(collection, field.name)
    const label = quoteText(`${JSON.stringify(field.name)}:`)
    const value = `coalesce(to_json(${wireOf(field, `${row}.${column}`)})::text, 'null')`
    return `CASE WHEN o.${column} IS DISTINCT FROM n.${column} THEN ${label} || ${value} END`
  })
  return `('{' || concat_ws(',', ${members.join(', ')}) || '}')::json`
}

/** The stamp of a writer without a clock of ours: the row's `updated_at`, before any device's stamp of that ms. */
export function clocks(capture: Capture, rows: string): readonly string[] {
  const { naming, collection, name, latest } = capture
  if (latest.length === 0) return []
  const stamp = `(${iso('n.updated_at')} || '-0000--')`
  const isUpdate = rows.includes('old_rows')
  const stamps = latest.map((field) => {
    const column = naming.column(collection, field)
    const one = `jsonb_build_object(${quoteText(field)}, ${stamp})`
    return isUpdate ? `CASE WHEN o.${column} IS DISTINCT FROM n.${column} THEN ${one} ELSE '{}' END` : one
  })
  const changed = isUpdate ? ` AND ${isDistinct(capture, latest, ['o', 'n'])}` : ''
  return [
    `INSERT INTO holdfast.clocks AS c (collection, record, clocks) SELECT ${name}, n.id, ${stamps.join(' || ')}
    FROM ${rows} WHERE NOT ${isOwn}${changed}
    ON CONFLICT (collection, record) DO UPDATE SET clocks = c.clocks || excluded.clocks`,
  ]
}

/**
 * Unique keys compare text as SQL cannot; the engine reads these notes before its next decision. Of what an engine wrote
 * itself, those are left that it does not know, because its schema is another one.
 */
export function noteUnique(
  { naming, collection, name }: Capture,
  rows: string,
  row: 'n' | 'o',
): readonly string[] {
  if (collection.unique.length === 0) return []
  const before = row === 'n' ? 'NULL::json' : jsonObject(fieldMembers(naming, collection, 'o'))
  const isForeign = rows.includes('new_rows') ? `NOT ${isOwn}` : isUnknown(name)
  return [
    `INSERT INTO holdfast.foreign_writes (collection, record, before, keys) SELECT ${name}, ${row}.id, ${before},
      CASE WHEN NOT ${isForeign} THEN {others}::integer[] END FROM ${rows} WHERE ${isForeign} OR {others}::integer[] <> '{}'`,
  ]
}
