import type { Environment, Limits, Schema } from '@holdfast/core'

import type { LocalDatabase } from '../local/local-database.ts'
import type { AttachmentOptions, Logger } from '../sync-context.ts'
import type { AskForBytes, BytesAnswer } from '../transport/transport.ts'

/** What whoever sends or fetches bytes works with. */
export interface TransferContext {
  readonly env: Environment
  readonly schema: Schema
  readonly database: LocalDatabase
  readonly limits: Limits
  readonly options: AttachmentOptions
  /** One request to the server. Errors: as `Transport.askForBytes`. */
  readonly ask: (ask: Omit<AskForBytes, 'traceparent'>) => Promise<BytesAnswer>
  readonly log: Logger['log']
}

/** Where the bytes of an attachment lie on the server, below its base path. */
export function pathOf(key: {
  readonly collection: string
  readonly record: string
  readonly hash: string
}): string {
  return `/attachments/${[key.collection, key.record, key.hash].map(encodeURIComponent).join('/')}`
}
