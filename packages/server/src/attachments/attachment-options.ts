import { type Limits, SyncError } from '@holdfast/core'

import type { User } from '../engine.ts'
import type { HttpServices } from '../http/http-call.ts'
import type { AttachmentStore } from './attachment-store.ts'

/** Where a server keeps the bytes of attachments, and how many of them. */
export interface AttachmentOptions {
  readonly store: AttachmentStore
  /** Bytes of one attachment; 100 MiB unless said. */
  readonly maxBytes?: number
  /** Days for which bytes are kept that no record and no open conflict names any more; 30 unless said. */
  readonly keepDays?: number
}

/** The options with what was left open. Errors: SCHEMA_INVALID. */
export function checkAttachments(
  options: AttachmentOptions | undefined,
  limits: Limits,
): Required<AttachmentOptions> | undefined {
  if (!options) return undefined
  const { store, maxBytes = limits.attachmentBytes, keepDays = limits.attachmentKeepDays } = options
  if (!(Number.isSafeInteger(maxBytes) && maxBytes >= 1))
    throw new SyncError('SCHEMA_INVALID', 'attachments.maxBytes is a whole number of bytes from 1')
  if (!(Number.isFinite(keepDays) && keepDays >= 0))
    throw new SyncError('SCHEMA_INVALID', 'attachments.keepDays is a number of days from 0')
  return { store, maxBytes, keepDays }
}

/** What the routes of attachments work with. */
export interface AttachmentParts<U extends User> {
  readonly services: HttpServices<U>
  readonly attachments: Required<AttachmentOptions>
  /** '' or '/api': what `Location` begins with. */
  readonly basePath: string
}
