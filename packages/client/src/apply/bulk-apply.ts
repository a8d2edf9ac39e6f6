import type { CollectionSchema } from '@holdfast/core'
import type { LocalTransaction } from '../local/local-database.ts'
import { columnsOf, jsonColumnExpression, quoteName } from '../local/tables.ts'
import type { PageNote } from './page-note.ts'

/** Rows of a page that are touched one by one at most. Live queries of more rows are read as a whole in any case. */
const namedMax = 200

/**
 * The `put` changes of a staged page, put into a collection's table by one statement over the JSON text, without an
 * object per row. Rows with entries in the outbox are left for the rebase, rows that do not fit for the quarantine. A
 * version the device has, or a newer one, stays; so repeating is safe. Returns how many were put. Rules: AP-1, AP-2.
 */
export async function bulkApply(
  tx: LocalTransaction,
  collection: CollectionSchema,
  note: PageNote,
): Promise<number> {
  const { put } = statementsOf(collection)
  if ((note.puts[collection.name] ?? 0) <= namedMax) {
    const rows = await tx.all(`${put} RETURNING id`, paramsOf(note))
    for (const { id } of rows) tx.touch(collection.name, String(id))
    return rows.length
  }
  const { changes } = await tx.run(put, paramsOf(note))
  if (changes > 0) tx.touch(collection.name, 'all')
  return changes
}

/** The changes of a page, each parsed no more than once: a plain view over the staged text would parse per column. */
export const pageRows =
  "rows AS MATERIALIZED (SELECT c.key AS k, c.value AS v FROM _staging p, json_each(p.body, '$.changes') c WHERE p.n = ?1)"

const statements = new WeakMap<CollectionSchema, { put: string; missingScopes: string }>()

function paramsOf(note: PageNote): readonly (number | string)[] {
  return [note.page, JSON.stringify(note.unfit.map(({ index }) => index))]
}

/**
 * A row that came in a further scope, or again with the version the device has, still gains the scope. For pages of which
 * not every row was put, and before anything else of the page is applied.
 */
export async function addScopes(
  tx: LocalTransaction,
  collection: CollectionSchema,
  note: PageNote,
): Promise<void> {
  const missing = await tx.all(statementsOf(collection).missingScopes, paramsOf(note))
  for (const { record, n } of missing)
    await addScope(tx, collection, { record: String(record), n: Number(n) })
}

/** Also to the shadow that a record without entries has between its leave and the end of the flip. */
async function addScope(
  tx: LocalTransaction,
  { name }: CollectionSchema,
  { record, n }: { readonly record: string; readonly n: number },
): Promise<void> {
  const added = (column: string): string => `CASE ${column} WHEN '' THEN ',' ELSE ${column} END || ?`
  await tx.run(`UPDATE ${quoteName(name)} SET _scopes = ${added('_scopes')} WHERE id = ?`, [`${n},`, record])
  await tx.run(
    `UPDATE _shadow SET scopes = ${added('scopes')} WHERE collection = ? AND record = ? AND deleted = 0`,
    [`${n},`, name, record],
  )
}

function statementsOf(collection: CollectionSchema): { put: string; missingScopes: string } {
  let known = statements.get(collection)
  if (!known) {
    known = { put: buildPut(collection), missingScopes: buildMissingScopes(collection) }
    statements.set(collection, known)
  }
  return known
}

function sourceOf(collection: CollectionSchema): string {
  const name = `'${collection.name}'`
  return (
    "FROM rows CROSS JOIN _scopes s ON s.name = v ->> '$.scope' " +
    `WHERE v ->> '$.collection' = ${name} AND v ->> '$.op' = 'put' AND k NOT IN (SELECT value FROM json_each(?2)) ` +
    `AND NOT EXISTS (SELECT 1 FROM _outbox o WHERE o.record = v ->> '$.record' AND o.collection = ${name})`
  )
}

function buildPut(collection: CollectionSchema): string {
  const table = quoteName(collection.name)
  const columns = columnsOf(collection).map(quoteName)
  const values = [
    "v ->> '$.record'",
    ...collection.fields.map((field) => jsonColumnExpression(field, 'v', '$.data')),
    "v ->> '$.data.created_at'",
    "v ->> '$.data.updated_at'",
    "v ->> '$.serverUpdatedAt'",
    "v ->> '$.version'",
    "'clean'",
    "',' || s.n || ','",
  ]
  const updates = columns.slice(1, -1).map((column) => `${column} = excluded.${column}`)
  const scopes =
    `_scopes = CASE WHEN ${table}._scopes = '' THEN excluded._scopes ` +
    `WHEN instr(${table}._scopes, excluded._scopes) > 0 THEN ${table}._scopes ` +
    `ELSE ${table}._scopes || substr(excluded._scopes, 2) END`
  return (
    `WITH ${pageRows} INSERT INTO ${table} (${columns.join(', ')}) SELECT ${values.join(', ')} ${sourceOf(collection)} ` +
    `AND NOT EXISTS (SELECT 1 FROM _deleted d WHERE d.collection = '${collection.name}' ` +
    "AND d.record = v ->> '$.record' AND d.version >= v ->> '$.version') " +
    `ON CONFLICT (id) DO UPDATE SET ${[...updates, scopes].join(', ')} WHERE excluded._version > ${table}._version`
  )
}

function buildMissingScopes(collection: CollectionSchema): string {
  return (
    `WITH ${pageRows} SELECT DISTINCT v ->> '$.record' AS record, s.n AS n ${sourceOf(collection)} ` +
    `AND EXISTS (SELECT 1 FROM ${quoteName(collection.name)} t WHERE t.id = v ->> '$.record' ` +
    "AND instr(t._scopes, ',' || s.n || ',') = 0)"
  )
}
