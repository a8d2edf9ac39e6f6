import type { Change, CollectionSchema } from '@holdfast/core'
import type { LocalReader, LocalTransaction } from '../local/local-database.ts'
import { readShadow } from '../local/records.ts'
import { quoteName } from '../local/tables.ts'
import type { Entry } from '../outbox/entry.ts'
import { entriesOfRecord } from '../outbox/outbox.ts'
import { pageRows } from './bulk-apply.ts'
import { versionOf } from './change-shadow.ts'
import type { Have, PageNote } from './page-note.ts'

/**
 * The own mutations that lead from a shadow's version to the one that was made, when the server took each exactly as it was,
 * so that replaying them gives what the server has. Empty when that is not known; then the record must be fetched. A history
 * that was lost may have given the number to another version: the times tell them apart. Rules: AP-9.
 */
export function chainOfHave(
  entries: readonly Entry[],
  shadowVersion: number,
  { version, serverUpdatedAt }: Pick<Change, 'version' | 'serverUpdatedAt'>,
): readonly Entry[] {
  const chain = entries.filter(
    (entry) => entry.version !== null && entry.version > shadowVersion && entry.version <= version,
  )
  const [first] = chain
  // A mutation written on top of an own one that the shadow contains by now was taken as it was only if nothing lay between.
  const beginsHere = first?.baseVersion === shadowVersion || (first?.after !== null && shadowVersion > 0)
  const last = chain.at(-1)
  const isWhole = last?.version === version && last.serverUpdatedAt === serverUpdatedAt && beginsHere
  const isExact = chain.every((entry) => entry.status === 'answered' && entry.exact)
  return isWhole && isExact ? chain : []
}

/** The `have` changes of a page, with the number of their scope: null before the flip when the scope is new. */
function havesOf(collection: CollectionSchema): string {
  return (
    `WITH ${pageRows}, haves AS MATERIALIZED (SELECT v ->> '$.record' AS record, v ->> '$.version' AS version, ` +
    "v ->> '$.scope' AS scope, v ->> '$.serverUpdatedAt' AS at, s.n AS n FROM rows LEFT JOIN _scopes s ON s.name = v ->> '$.scope' " +
    `WHERE v ->> '$.op' = 'have' AND v ->> '$.collection' = '${collection.name}')`
  )
}

/**
 * The same as `chainOfHave`, when it is all the entries the record has: then the row as shown is what the server has. One
 * without effect made no version there, and the row as shown has its time.
 */
function isWholeView(collection: CollectionSchema): string {
  const own = `FROM _outbox o WHERE o.record = haves.record AND o.collection = '${collection.name}'`
  return (
    `EXISTS (SELECT 1 ${own}) AND NOT EXISTS (SELECT 1 ${own} AND (o.status <> 'answered' OR o.exact = 0 OR o.version IS NULL)) ` +
    `AND (SELECT max(o.version) ${own}) = haves.version ` +
    `AND (SELECT o.server_updated_at ${own} ORDER BY o.version DESC LIMIT 1) = haves.at AND (SELECT o.base_version ${own} ORDER BY o.seq LIMIT 1) = ` +
    `coalesce((SELECT h.version FROM _shadow h WHERE h.collection = '${collection.name}' AND h.record = haves.record), 0)`
  )
}

/**
 * Rows whose every mutation the server took as it was, and that are at the version this made, become the server's copy
 * as they stand, in bulk and in every scope the page names. Returns their ids; whatever else a page says of having is left.
 * Rules: AP-8, AP-9.
 */
export async function promoteViews(
  tx: LocalTransaction,
  collection: CollectionSchema,
  note: PageNote,
): Promise<readonly string[]> {
  const table = quoteName(collection.name)
  const rows = await tx.all(
    `${havesOf(collection)}, gained AS MATERIALIZED (SELECT h.record, max(h.version) AS version, max(h.at) AS at,
         coalesce(group_concat(h.n || ',', '') FILTER (WHERE instr(coalesce(t._scopes, ''), ',' || h.n || ',') = 0), '') AS scopes
       FROM (SELECT record, n, max(version) AS version, max(at) AS at FROM haves GROUP BY record, n) h LEFT JOIN ${table} t ON t.id = h.record GROUP BY h.record)
     UPDATE ${table} SET _version = haves.version, _server_updated_at = haves.at, _state = 'clean',
       _scopes = CASE ${table}._scopes WHEN '' THEN ',' ELSE ${table}._scopes END || haves.scopes
     FROM gained AS haves WHERE ${table}.id = haves.record AND ${isWholeView(collection)} RETURNING ${table}.id AS id`,
    [note.page],
  )
  if (rows.length === 0) return []
  const ids = rows.map((row) => String(row['id']))
  const promoted = [collection.name, JSON.stringify(ids)]
  for (const from of ['_outbox', '_shadow']) {
    await tx.run(
      `DELETE FROM ${from} WHERE collection = ? AND record IN (SELECT value FROM json_each(?))`,
      promoted,
    )
  }
  for (const id of ids) tx.touch(collection.name, id)
  tx.touch('_outbox', 'all')
  return ids
}

/** Records of which a page says that we have them, without those that were promoted. */
export async function unpromotedHaves(
  tx: LocalReader,
  collection: CollectionSchema,
  input: { readonly note: PageNote; readonly promoted: readonly string[] },
): Promise<readonly string[]> {
  const rows = await tx.all(
    `${havesOf(collection)} SELECT DISTINCT record FROM haves WHERE record NOT IN (SELECT value FROM json_each(?2))`,
    [input.note.page, JSON.stringify(input.promoted)],
  )
  return rows.map((row) => String(row['record']))
}

/**
 * The `have` changes of a page that neither the row as it stands nor its mutations can answer at a glance. All of them
 * where the copy is about to be replaced: it may be of another history, in which the same numbers meant other versions.
 */
export async function doubtfulHaves(
  tx: LocalReader,
  collection: CollectionSchema,
  { note, isReset }: { readonly note: PageNote; readonly isReset: boolean },
): Promise<readonly Have[]> {
  const isKnown = isReset
    ? 'FALSE'
    : `${isWholeView(collection)} OR EXISTS (SELECT 1 FROM ${quoteName(collection.name)} t
       WHERE t.id = haves.record AND t._state = 'clean' AND t._version >= haves.version)`
  const rows = await tx.all(
    `${havesOf(collection)} SELECT DISTINCT record, version, at, scope FROM haves WHERE NOT (${isKnown})`,
    [note.page],
  )
  return rows.map((row) => ({
    collection: collection.name,
    record: String(row['record']),
    scope: String(row['scope']),
    version: Number(row['version']),
    serverUpdatedAt: String(row['at']),
  }))
}

/** Whether the device has the record in that version, or can build it from own mutations. */
export async function isBuildable(
  tx: LocalReader,
  collection: CollectionSchema,
  have: Have,
): Promise<boolean> {
  const version = versionOf(await readShadow(tx, collection, have.record))
  if (version >= have.version) return true
  const entries = await entriesOfRecord(tx, have.collection, have.record)
  return chainOfHave(entries, version, have).length > 0
}
