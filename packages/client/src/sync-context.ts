import type { Environment, Schema } from '@holdfast/core'

import type { ProcessTable } from './drivers/sqlite-driver.ts'
import type { LocalDatabase } from './local/local-database.ts'
import type { SyncPolicy } from './sync/sync-policy.ts'
import type { Auth } from './transport/auth.ts'

/** Who this database belongs to. */
export interface Identity {
  /** UUID of this device on its server; a copied database takes a new one. */
  readonly device: string
  /** null until the first answer of the server, or until the app says it. */
  readonly account: string | null
  /** Base URL without a trailing slash; null for a database that never syncs. */
  readonly server: string | null
}

/** A record of what happened, for whoever reads logs. Never holds values of rows. */
export interface Logger {
  log(
    level: 'debug' | 'info' | 'warn' | 'error',
    event: string,
    details?: Readonly<Record<string, unknown>>,
  ): void
}

/** How and when to sync. */
export interface SyncOptions {
  /** Sync by itself on writes, pokes, timers and connectivity; true unless said. */
  readonly auto?: boolean
  /** Scopes to sync; all that are granted unless said. */
  readonly scopes?: readonly string[]
  /** What waits under a data saver, on a low battery or a metered network; collections of negative priority unless said. */
  readonly policy?: SyncPolicy
  /** Time between two comparisons of this device's copy with the server's, ms; a day unless said. */
  readonly verifyIntervalMs?: number
  readonly attachments?: AttachmentOptions
}

/** How the bytes of attachments are kept. */
export interface AttachmentOptions {
  /** `demand` unless said: they are fetched when somebody reads them. `eager`: after each sync, as long as there is room. */
  readonly download?: 'demand' | 'eager'
  /** Bytes kept at most, `limits.attachmentCacheBytes` unless said: what the server has too is dropped beyond that, the least recently used first. */
  readonly cacheBytes?: number
}

/** What the sync side is given. */
export interface SyncContext {
  /** With the system collections. */
  readonly schema: Schema
  readonly database: LocalDatabase
  readonly processes?: ProcessTable
  readonly env: Environment
  readonly identity: Identity
  /** Where tokens come from; undefined when the server needs none. */
  readonly auth: Auth | undefined
  readonly options: SyncOptions
  readonly logger: Logger
  /** Told after the account was learnt or the device took a new identity; both are stored by then. */
  readonly onIdentity?: (identity: Identity) => void
}
