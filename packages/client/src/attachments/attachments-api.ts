import {
  attachment as attachmentField,
  type AttachmentValue,
  type Environment,
  limits,
  parseFieldValue,
  SyncError,
} from '@holdfast/core'

import type { StopWatching } from '../live/live-queries.ts'
import { watchList } from '../live/watch-list.ts'
import type { TransactionRunner } from '../local/local-database.ts'
import { cutBytes, hasBytes, storeBytes } from './attachment-store.ts'
import { type AttachmentUpload, listUploads } from './attachment-upload.ts'

/** `db.attachments`: the bytes of attachments, which travel on their own. Rules: AT-20 to AT-49. */
export interface AttachmentsApi {
  /**
   * Keeps bytes on this device and gives the value for a field. They are stored like a write when it resolves; adding the same again changes
   * nothing. Errors: STORE_FULL, VALUE_TOO_LARGE over `limits.attachmentBytes`, VALUE_INVALID for a name or media type that is no text.
   */
  add(
    bytes: Uint8Array | Blob,
    about?: { readonly name?: string; readonly mediaType?: string },
  ): Promise<AttachmentValue>
  /**
   * The bytes: those on this device, or else fetched from the server, checked against the hash and kept. Errors: OFFLINE and the
   * like, ATTACHMENT_MISSING while the server does not have them, ATTACHMENT_MISMATCH.
   */
  read(
    of: { readonly collection: string; readonly record: string },
    attachment: AttachmentValue,
  ): Promise<Uint8Array>
  /** Whether the bytes are on this device. */
  has(attachment: AttachmentValue): Promise<boolean>
  /** Uploads that are not over, oldest first. */
  list(): Promise<readonly AttachmentUpload[]>
  /** Calls `listener` with the list at once and after each change. Returns the way to stop. */
  watch(listener: (uploads: readonly AttachmentUpload[]) => void): StopWatching
  /** Tries all uploads that wait for another attempt now. */
  retry(): Promise<void>
}

/** What `db.attachments` works with, beside who runs its transactions. */
export interface AttachmentsParts {
  readonly env: Pick<Environment, 'now'>
  /** Gives the bytes, from wherever they are. */
  readonly read: AttachmentsApi['read']
}

/** Makes `db.attachments`. */
export function createAttachmentsApi(database: TransactionRunner, parts: AttachmentsParts): AttachmentsApi {
  const list = (): Promise<readonly AttachmentUpload[]> => database.read(listUploads)
  return {
    async add(bytes, about = {}) {
      // Not by its class: bytes may come from another realm, such as a frame.
      const isBlob = 'arrayBuffer' in bytes
      const size = isBlob ? bytes.size : bytes.byteLength
      if (size > limits.attachmentBytes)
        throw new SyncError('VALUE_TOO_LARGE', `an attachment is over ${limits.attachmentBytes} bytes`)
      const cut = cutBytes(isBlob ? new Uint8Array(await bytes.arrayBuffer()) : bytes)
      const value = parseAttachment({ hash: cut.hash, size: cut.size, ...about })
      await database.write((tx) => storeBytes(tx, cut, parts.env.now()))
      return value
    },
    read: async (of, attachment) => parts.read(of, parseAttachment(attachment)),
    has: async (attachment) => {
      const { hash } = parseAttachment(attachment)
      return database.read((tx) => hasBytes(tx, hash))
    },
    list,
    watch: (listener) => watchList(database, { table: '_uploads', list, listener }),
    retry: () =>
      database.write(async (tx) => {
        const { changes } = await tx.run('UPDATE _uploads SET next_attempt_at = NULL')
        if (changes > 0) tx.touch('_uploads', 'all')
      }),
  }
}

/** Errors: VALUE_INVALID. */
function parseAttachment(value: unknown): AttachmentValue {
  // What the parser of this kind of field lets through is an attachment.
  return parseFieldValue(attachmentField(), value, 'attachment') as unknown as AttachmentValue
}
