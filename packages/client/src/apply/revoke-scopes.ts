import type { CollectionSchema, Schema } from '@holdfast/core'
import type { LocalTransaction } from '../local/local-database.ts'
import { readShadow } from '../local/records.ts'
import { quoteName } from '../local/tables.ts'
import type { RecordsToRebase } from './records-to-rebase.ts'
import { isOutside, withoutScope } from './change-shadow.ts'
import { saveShadow } from './rebase-record.ts'

/** Scopes that are no longer granted. */
export interface RevokedScopes {
  readonly schema: Schema
  readonly scopes: readonly string[]
  readonly toRebase: RecordsToRebase
}

/**
 * Erases rows that were received in these scopes and in no other: from tables, shadows and quarantine, in the transaction
 * that moves the cursor. Own unsent edits stay in the outbox: they are their author's. Tables are looked through once,
 * however many scopes go. Rules: AP-8, AP-13, PR-6.
 */
export async function revokeScopes(tx: LocalTransaction, revoked: RevokedScopes): Promise<void> {
  if (revoked.scopes.length === 0) return
  const names = JSON.stringify(revoked.scopes)
  const rows = await tx.all('SELECT n FROM _scopes WHERE name IN (SELECT value FROM json_each(?))', [names])
  const gone: ReadonlySet<string> = new Set(rows.map(({ n }) => String(n)))
  // No row was ever received in what has no number.
  if (gone.size > 0)
    for (const collection of revoked.schema.collections.values())
      await revokeFrom(tx, { collection, gone, toRebase: revoked.toRebase })
  await tx.run('DELETE FROM _quarantine WHERE scope IN (SELECT value FROM json_each(?))', [names])
  await tx.run('DELETE FROM _scopes WHERE name IN (SELECT value FROM json_each(?))', [names])
}

/**
 * Tombstones do not know their scopes. Without values they still say that the record is gone. Once the pages are in: they
 * may tell of the deletion of a record that had moved on from a scope that is gone. Rules: AP-8, PR-6.
 */
export async function emptyTombstones(tx: LocalTransaction, toRebase: RecordsToRebase): Promise<void> {
  await tx.run('UPDATE _deleted SET data = NULL WHERE version > 0')
  const shadows = await tx.all(
    'UPDATE _shadow SET data = NULL WHERE deleted AND data IS NOT NULL RETURNING collection, record',
  )
  for (const { collection, record } of shadows) toRebase.add(String(collection), String(record))
}

interface RevokedCollection {
  readonly collection: CollectionSchema
  /** Numbers of scopes. */
  readonly gone: ReadonlySet<string>
  readonly toRebase: RecordsToRebase
}

async function revokeFrom(
  tx: LocalTransaction,
  { collection, gone, toRebase }: RevokedCollection,
): Promise<void> {
  const table = quoteName(collection.name)
  const goneOf = (scopes: unknown): readonly string[] => numbersIn(scopes).filter((n) => gone.has(n))
  const dirty = await tx.all("SELECT record, scopes FROM _shadow WHERE collection = ? AND scopes <> ''", [
    collection.name,
  ])
  for (const row of dirty) {
    const numbers = goneOf(row['scopes'])
    if (numbers.length === 0) continue
    const record = String(row['record'])
    let next = await readShadow(tx, collection, record)
    for (const n of numbers) next = withoutScope(next, Number(n))
    await saveShadow(tx, { collection, record }, next)
    // A page may say that the row as it stands is the server's copy, in the scopes it has besides.
    await tx.run(`UPDATE ${table} SET _scopes = ? WHERE id = ?`, [next.scopes, record])
    toRebase.add(collection.name, record, isOutside(next))
  }
  const places = (await tx.all(`SELECT DISTINCT _scopes FROM ${table}`)).map((row) => String(row['_scopes']))
  const left = places.filter((scopes) => goneOf(scopes).length > 0)
  const isAll = (scopes: string): boolean => goneOf(scopes).length === numbersIn(scopes).length
  const isClean = `_scopes IN (SELECT value FROM json_each(?))
    AND NOT EXISTS (SELECT 1 FROM _shadow s WHERE s.collection = '${collection.name}' AND s.record = ${table}.id)`
  const erased = await tx.run(`DELETE FROM ${table} WHERE ${isClean}`, [JSON.stringify(left.filter(isAll))])
  const kept = left.filter((scopes) => !isAll(scopes))
  if (kept.length > 0) {
    const rows = await tx.all(`SELECT id, _scopes FROM ${table} WHERE ${isClean}`, [JSON.stringify(kept)])
    const rest = (scopes: unknown): string =>
      `,${numbersIn(scopes)
        .filter((n) => !gone.has(n))
        .join(',')},`
    await tx.run(
      `UPDATE ${table} SET _scopes = moved.value ->> 1 FROM json_each(?) AS moved WHERE ${table}.id = moved.value ->> 0`,
      [JSON.stringify(rows.map((row) => [row['id'], rest(row['_scopes'])]))],
    )
  }
  if (erased.changes > 0) tx.touch(collection.name, 'all')
}

/** Numbers of scopes, as `_scopes` of a row has them. */
function numbersIn(scopes: unknown): readonly string[] {
  return String(scopes).split(',').filter(Boolean)
}
