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
 * that moves the cursor. Own unsent edits stay in the outbox: they are their author's. Rules: AP-8, PR-6.
 */
export async function revokeScopes(tx: LocalTransaction, revoked: RevokedScopes): Promise<void> {
  for (const scope of revoked.scopes) {
    const [row] = await tx.all('SELECT n FROM _scopes WHERE name = ?', [scope])
    if (!row) continue
    for (const collection of revoked.schema.collections.values()) {
      await revokeFrom(tx, { collection, scope: Number(row['n']), toRebase: revoked.toRebase })
    }
    await tx.run('DELETE FROM _quarantine WHERE scope = ?', [scope])
    await tx.run('DELETE FROM _scopes WHERE name = ?', [scope])
  }
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

async function revokeFrom(
  tx: LocalTransaction,
  { collection, scope, toRebase }: { collection: CollectionSchema; scope: number; toRebase: RecordsToRebase },
): Promise<void> {
  const table = quoteName(collection.name)
  const mark = `,${scope},`
  const dirty = await tx.all('SELECT record FROM _shadow WHERE collection = ? AND instr(scopes, ?) > 0', [
    collection.name,
    mark,
  ])
  for (const row of dirty) {
    const record = String(row['record'])
    const next = withoutScope(await readShadow(tx, collection, record), scope)
    await saveShadow(tx, { collection, record }, next)
    // A page may say that the row as it stands is the server's copy, in the scopes it has besides.
    await tx.run(`UPDATE ${table} SET _scopes = ? WHERE id = ?`, [next.scopes, record])
    toRebase.add(collection.name, record, isOutside(next))
  }
  const isClean = `NOT EXISTS (SELECT 1 FROM _shadow s WHERE s.collection = '${collection.name}' AND s.record = ${table}.id)`
  const erased = await tx.run(`DELETE FROM ${table} WHERE _scopes = ? AND ${isClean}`, [mark])
  await tx.run(
    `UPDATE ${table} SET _scopes = replace(_scopes, ?1, ',') WHERE instr(_scopes, ?1) > 0 AND ${isClean}`,
    [mark],
  )
  if (erased.changes > 0) tx.touch(collection.name, 'all')
}
