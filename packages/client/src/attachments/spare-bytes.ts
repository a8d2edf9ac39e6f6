import type { Schema } from '@holdfast/core'

import { oweRewriting } from '../apply/rewrite-file.ts'
import type { LocalTransaction } from '../local/local-database.ts'
import { quoteName } from '../local/tables.ts'
import { attachmentFields, dropUnnamedUploads, type UploadKey } from './upload-queue.ts'

/**
 * No row, server's copy, edit or dispute names the hash. Of a collection that the app does not have any more there are no rows:
 * what is to be uploaded for it is named by that.
 */
function isUnnamed(schema: Schema): string {
  const known = [...schema.collections.keys()].map((name) => `'${name}'`).join(', ')
  const rows = [...attachmentFields(schema)].flatMap(([name, fields]) =>
    fields.map(
      (field) =>
        `SELECT ${quoteName(field)} ->> '$.hash' FROM ${quoteName(name)} WHERE ${quoteName(field)} IS NOT NULL`,
    ),
  )
  // Rows name nearly all of them; what else may is looked through only for what is left.
  const isInRow = rows.length === 0 ? '0' : `a.hash IN (${rows.join(' UNION ALL ')})`
  return `NOT ${isInRow} AND NOT EXISTS (SELECT 1 FROM _shadow WHERE instr(data, a.hash) > 0)
    AND NOT EXISTS (SELECT 1 FROM _outbox WHERE instr(payload, a.hash) > 0)
    AND NOT EXISTS (SELECT 1 FROM _conflicts WHERE status = 'open' AND instr(parts, a.hash) > 0)
    AND NOT EXISTS (SELECT 1 FROM _escrow_uploads e WHERE e.hash = a.hash)
    AND NOT EXISTS (SELECT 1 FROM _uploads u WHERE u.hash = a.hash AND u.collection NOT IN (${known}))`
}

/**
 * Drops bytes that nothing names and that were stored before `storedBeforeMs`, once two looks have found it so: between adding
 * and writing a clock may be put right. And parts that nobody goes on fetching. Rules: AT-38.
 */
export async function dropSpareBytes(
  tx: LocalTransaction,
  schema: Schema,
  { storedBeforeMs, fetching }: { readonly storedBeforeMs: number; readonly fetching: readonly string[] },
): Promise<void> {
  await tx.run(
    'DELETE FROM _attachment_parts WHERE hash NOT IN (SELECT hash FROM _attachments UNION SELECT value FROM json_each(?))',
    [JSON.stringify(fetching)],
  )
  const [row] = await tx.all('SELECT 1 FROM _attachments WHERE stored_at < ? LIMIT 1', [storedBeforeMs])
  if (row === undefined) return
  const unnamed = isUnnamed(schema)
  await tx.run(`DELETE FROM _attachments AS a WHERE spare AND stored_at < ? AND ${unnamed}`, [storedBeforeMs])
  await tx.run(`UPDATE _attachments AS a SET spare = (${unnamed}) WHERE stored_at < ?`, [storedBeforeMs])
}

/**
 * In the transaction that erases rows the device may not keep: their attachments go with them. What was added and is in no
 * record yet stays. Rules: AT-39.
 */
export async function eraseUnnamedBytes(tx: LocalTransaction, schema: Schema): Promise<void> {
  const [row] = await tx.all('SELECT 1 FROM _attachments UNION ALL SELECT 1 FROM _attachment_parts LIMIT 1')
  if (row === undefined) return
  await tx.run('DELETE FROM _attachment_parts WHERE hash NOT IN (SELECT hash FROM _attachments)')
  await tx.run(
    `DELETE FROM _attachments AS a WHERE (on_server OR hash IN (SELECT hash FROM _uploads)) AND ${isUnnamed(schema)}`,
  )
  await dropUnnamedUploads(tx, schema)
}

/**
 * The server has what an edit in escrow named, or does not want it any more: unless something else names it, it goes from
 * this device, like the values of the edit. Does nothing for other uploads. Rules: AT-41.
 */
export async function releaseEscrowed(
  tx: LocalTransaction,
  schema: Schema,
  { collection, record, hash }: UploadKey,
): Promise<void> {
  const { changes } = await tx.run(
    'DELETE FROM _escrow_uploads WHERE collection = ? AND record = ? AND hash = ?',
    [collection, record, hash],
  )
  if (changes === 0) return
  await eraseUnnamedBytes(tx, schema)
  await oweRewriting(tx)
}

/**
 * Drops what the server has too and is too much, the least recently used first, but not the bytes of `exceptHash`, which
 * somebody is about to read. Rules: AT-37.
 */
export async function boundCache(
  tx: LocalTransaction,
  { cacheBytes, exceptHash }: { readonly cacheBytes: number; readonly exceptHash: string },
): Promise<void> {
  await tx.run(
    `DELETE FROM _attachments WHERE hash <> ?2 AND hash IN (SELECT hash FROM (
       SELECT hash, sum(size) OVER (ORDER BY hash = ?2 DESC, used_at DESC, hash) AS total FROM _attachments a
       WHERE on_server AND NOT EXISTS (SELECT 1 FROM _uploads u WHERE u.hash = a.hash)) WHERE total > ?1)`,
    [cacheBytes, exceptHash],
  )
}
