import { isUuid, type Schema, SyncError } from '@holdfast/core'

import type { AttachmentKey } from '../engine.ts'

/** Whether a text is a SHA-256 as fields spell it. */
export function isHash(text: string | undefined): text is string {
  return text !== undefined && /^[0-9a-f]{64}$/.test(text)
}

/**
 * The key that a request names. One that cannot be is answered like one whose record is not there: nothing of it is ever
 * part of a path or a statement. Errors: ATTACHMENT_MISSING. Rules: AT-3, AT-4.
 */
export function parseAttachmentKey(
  schema: Schema,
  named: Readonly<Partial<Record<string, string>>>,
): AttachmentKey {
  const { collection = '', record, hash } = named
  if (schema.collections.has(collection) && isUuid(record) && isHash(hash))
    return { collection, record, hash }
  throw attachmentMissing()
}

/** One answer for all that is not there or not to be seen. */
export function attachmentMissing(): SyncError {
  return new SyncError('ATTACHMENT_MISSING', 'There are no bytes for this attachment, or nothing names it.')
}
