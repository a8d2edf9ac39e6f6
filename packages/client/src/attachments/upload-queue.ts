import type { ErrorCode, Schema } from '@holdfast/core'

import type { LocalReader, LocalTransaction } from '../local/local-database.ts'
import { quoteName } from '../local/tables.ts'
import { type AttachmentUpload, readUpload } from './attachment-upload.ts'

/** Which upload: the same bytes in two records are two. */
export type UploadKey = Pick<AttachmentUpload, 'collection' | 'record' | 'hash'>

/** A write, as far as attachments are concerned. */
export interface WrittenPayload {
  readonly collection: string
  readonly record: string
  /** From `payloadText`. */
  readonly payload: string
  /** ISO time. */
  readonly createdAt: string
}

/**
 * In the transaction of a write: what it puts into its record is to be uploaded, if the bytes are here. Looks by hash alone;
 * what turns out to be no attachment of the record is dropped like one that was taken out of it. Rules: AT-22.
 */
export async function queueUploads(tx: LocalTransaction, written: WrittenPayload): Promise<void> {
  const { collection, record, payload, createdAt } = written
  // Most writes hold none, and shall not pay for those that do.
  if (!payload.includes('"hash":"')) return
  const { changes } = await tx.run(
    `INSERT OR IGNORE INTO _uploads (collection, record, hash, size, created_at)
     SELECT ?, ?, a.hash, a.size, ? FROM json_each(?, '$.changes') AS c
       JOIN _attachments a ON a.hash = CASE c.type WHEN 'object' THEN c.value ->> '$.hash' END`,
    [collection, record, createdAt, payload],
  )
  if (changes > 0) tx.touch('_uploads', 'all')
}

/** Fields of the kind attachment, by collection; collections without any are left out. */
export function attachmentFields(schema: Schema): ReadonlyMap<string, readonly string[]> {
  const known = fieldsBySchema.get(schema)
  if (known !== undefined) return known
  const made = new Map<string, readonly string[]>()
  for (const { name, fields } of schema.collections.values()) {
    const own = fields.filter(({ kind }) => kind === 'attachment').map((field) => field.name)
    if (own.length > 0) made.set(name, own)
  }
  fieldsBySchema.set(schema, made)
  return made
}

const fieldsBySchema = new WeakMap<Schema, ReadonlyMap<string, readonly string[]>>()

/** An entry that the server has not taken puts it into the record. What an entry replaces is in the record until then. */
const isHeldBack = `SELECT 1 FROM _outbox o WHERE o.record = u.record AND o.collection = u.collection
  AND o.status IN ('pending', 'sending', 'held', 'dead')
  AND instr(CASE WHEN json_valid(o.payload) THEN o.payload -> '$.changes' ELSE o.payload END, u.hash) > 0`

/** Something other than the row names the hash: the server's copy, an edit, one in escrow, a dispute. */
const isNamedBeside = `EXISTS (SELECT 1 FROM _escrow_uploads e WHERE e.collection = u.collection AND e.record = u.record AND e.hash = u.hash)
  OR EXISTS (SELECT 1 FROM _shadow s WHERE s.collection = u.collection AND s.record = u.record AND instr(s.data, u.hash) > 0)
  OR EXISTS (SELECT 1 FROM _outbox o WHERE o.record = u.record AND o.collection = u.collection
    AND o.status <> 'answered' AND instr(o.payload, u.hash) > 0)
  OR EXISTS (SELECT 1 FROM _conflicts c WHERE c.status = 'open' AND instr(c.parts, u.hash) > 0)`

/**
 * In the transaction that drops entries which the server has in escrow, before it does: what they name is still to be
 * uploaded. Rules: AT-41.
 */
export async function keepUploadsOf(tx: LocalTransaction, seqs: readonly number[]): Promise<void> {
  await tx.run(
    `INSERT OR IGNORE INTO _escrow_uploads SELECT u.collection, u.record, u.hash
     FROM _outbox o JOIN _uploads u ON u.record = o.record AND u.collection = o.collection
     WHERE o.seq IN (SELECT value FROM json_each(?)) AND instr(o.payload, u.hash) > 0`,
    [JSON.stringify(seqs)],
  )
}

/** Forgets uploads of what nothing names any more: nobody would take them. Rules: AT-26. */
export async function dropUnnamedUploads(tx: LocalTransaction, schema: Schema): Promise<void> {
  const collections = await tx.all('SELECT DISTINCT collection FROM _uploads')
  for (const { collection } of collections) {
    const name = String(collection)
    // An app that does not know the collection any more cannot tell.
    if (!schema.collections.has(name)) continue
    const columns = (attachmentFields(schema).get(name) ?? []).map(
      (field) => `instr(t.${quoteName(field)}, u.hash) > 0`,
    )
    const isInRow = `EXISTS (SELECT 1 FROM ${quoteName(name)} t WHERE t.id = u.record AND (${columns.join(' OR ') || '0'}))`
    const { changes } = await tx.run(
      `DELETE FROM _uploads AS u WHERE collection = ? AND NOT (${isInRow} OR ${isNamedBeside})`,
      [name],
    )
    if (changes > 0) tx.touch('_uploads', 'all')
  }
}

/** The upload whose turn it is: the oldest that may go. `capMs`: no wait is longer, so one that is says that the clock was put back. */
export async function nextUpload(
  tx: LocalReader,
  { nowMs, capMs }: { readonly nowMs: number; readonly capMs: number },
): Promise<AttachmentUpload | undefined> {
  const [row] = await tx.all(
    `SELECT u.* FROM _uploads u JOIN _attachments a ON a.hash = u.hash
     WHERE (u.next_attempt_at IS NULL OR u.next_attempt_at NOT BETWEEN ?1 + 1 AND ?1 + ?2) AND NOT EXISTS (${isHeldBack})
     ORDER BY u.created_at, u.collection, u.record, u.hash LIMIT 1`,
    [nowMs, capMs],
  )
  return row === undefined ? undefined : readUpload(row)
}

/** How long until an upload is due that is not yet, ms; infinite when none waits for a time. */
export async function nextUploadMs(tx: LocalReader, nowMs: number): Promise<number> {
  const [row] = await tx.all(
    `SELECT min(next_attempt_at) AS due FROM _uploads u JOIN _attachments a ON a.hash = u.hash
     WHERE next_attempt_at > ?`,
    [nowMs],
  )
  const due = row?.['due']
  return typeof due === 'number' ? due - nowMs : Number.POSITIVE_INFINITY
}

/** What changes of an upload. */
export interface UploadChange {
  readonly status?: AttachmentUpload['status']
  readonly sent?: number
  readonly attempts?: number
  /** ms since 1970; null for as soon as possible. */
  readonly dueMs?: number | null
  readonly code?: ErrorCode | null
}

/** Writes down how an upload stands. One that is gone stays gone. */
export async function changeUpload(
  tx: LocalTransaction,
  key: UploadKey,
  change: UploadChange,
): Promise<void> {
  const { status, sent, attempts, dueMs, code } = change
  const columns = Object.entries({ status, sent, attempts, next_attempt_at: dueMs, code }).flatMap(
    ([column, value]) => (value === undefined ? [] : [[column, value] as const]),
  )
  await tx.run(
    `UPDATE _uploads SET ${columns.map(([column]) => `${column} = ?`).join(', ')} WHERE collection = ? AND record = ? AND hash = ?`,
    [...columns.map(([, value]) => value), key.collection, key.record, key.hash],
  )
  tx.touch('_uploads', 'all')
}

/** The server has all of it. */
export async function endUpload(
  tx: LocalTransaction,
  { collection, record, hash }: UploadKey,
): Promise<void> {
  await tx.run('DELETE FROM _uploads WHERE collection = ? AND record = ? AND hash = ?', [
    collection,
    record,
    hash,
  ])
  await tx.run('UPDATE _attachments SET on_server = 1 WHERE hash = ?', [hash])
  tx.touch('_uploads', 'all')
}

/**
 * A server that was put back may have lost bytes: what rows name and is here is offered again. What it has already costs one
 * question. Rules: AT-33.
 */
export async function queueAllUploads(tx: LocalTransaction, schema: Schema, nowMs: number): Promise<void> {
  await tx.run('UPDATE _attachments SET on_server = 0')
  const createdAt = new Date(nowMs).toISOString()
  for (const [name, fields] of attachmentFields(schema))
    for (const field of fields)
      await tx.run(
        `INSERT OR IGNORE INTO _uploads (collection, record, hash, size, created_at)
         SELECT ?, t.id, a.hash, a.size, ? FROM ${quoteName(name)} t JOIN _attachments a ON a.hash = t.${quoteName(field)} ->> '$.hash'`,
        [name, createdAt],
      )
  await tx.run('UPDATE _uploads SET sent = 0, next_attempt_at = NULL')
  tx.touch('_uploads', 'all')
}
