import { type ErrorCode, isErrorCode } from '@holdfast/core'

import type { SqlRow } from '../drivers/sqlite-driver.ts'
import type { LocalReader } from '../local/local-database.ts'

/** Bytes of a record that the server does not have, or not all of them. */
export interface AttachmentUpload {
  readonly collection: string
  readonly record: string
  /** SHA-256 of the bytes, 64 hex digits. */
  readonly hash: string
  /** Bytes. */
  readonly size: number
  /** Bytes that the server has said it has. */
  readonly sent: number
  readonly status: 'waiting' | 'sending'
  /** Failed ones since it last got ahead. */
  readonly attempts: number
  /** ISO time before which it is not tried again; null when only its turn, its record or the network is waited for. */
  readonly nextAttemptAt: string | null
  /**
   * What the last attempt failed with; null when it got ahead, or there was none. ATTACHMENT_MISMATCH without a next attempt:
   * the bytes on this device were damaged and are gone; it goes on once they are added again.
   */
  readonly code: ErrorCode | null
  /** ISO time of the write that put it into the record. */
  readonly createdAt: string
}

/** What is not uploaded, in numbers. */
export interface UploadCounts {
  readonly uploads: number
  /** Bytes that are still to be sent. */
  readonly uploadBytes: number
}

/** Uploads that are not over, oldest first. */
export async function listUploads(tx: LocalReader): Promise<readonly AttachmentUpload[]> {
  const rows = await tx.all('SELECT * FROM _uploads ORDER BY created_at, collection, record, hash')
  return rows.map(readUpload)
}

/** Counts them. */
export async function countUploads(tx: LocalReader): Promise<UploadCounts> {
  const [row] = await tx.all('SELECT count(*) AS uploads, sum(size - sent) AS bytes FROM _uploads')
  return { uploads: Number(row?.['uploads'] ?? 0), uploadBytes: Number(row?.['bytes'] ?? 0) }
}

/** Reads a row of `_uploads`. */
export function readUpload(row: SqlRow): AttachmentUpload {
  const { next_attempt_at: dueMs, code } = row
  return {
    collection: String(row['collection']),
    record: String(row['record']),
    hash: String(row['hash']),
    size: Number(row['size']),
    sent: Number(row['sent']),
    status: row['status'] === 'sending' ? 'sending' : 'waiting',
    attempts: Number(row['attempts']),
    nextAttemptAt: typeof dueMs === 'number' ? new Date(dueMs).toISOString() : null,
    code: isErrorCode(code) ? code : null,
    createdAt: String(row['created_at']),
  }
}
