import type { Environment, Schema } from '@holdfast/core'

import type { LocalDatabase } from './local/local-database.ts'

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

/** How the app proves who is using it. */
export interface AuthHook {
  /** The token to send now, or null for none. */
  token(): Promise<string | null>
  /** Called once after a 401; resolves with a new token, or null when a person must sign in. */
  refresh?(): Promise<string | null>
}

/** How and when to sync. */
export interface SyncOptions {
  /** Sync by itself on writes, pokes, timers and connectivity; true unless said. */
  readonly auto?: boolean
  /** Scopes to sync; all that are granted unless said. */
  readonly scopes?: readonly string[]
}

/** What the sync side is given. */
export interface SyncContext {
  /** With the system collections. */
  readonly schema: Schema
  readonly database: LocalDatabase
  readonly env: Environment
  readonly identity: Identity
  readonly auth: AuthHook | undefined
  readonly options: SyncOptions
  readonly logger: Logger
}
