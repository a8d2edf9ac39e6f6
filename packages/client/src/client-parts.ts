import { conflictsCollection, type Environment, type FieldsByCollection, type Schema } from '@holdfast/core'

import type { SqliteDriver } from './drivers/sqlite-driver.ts'
import { callListener } from './live/call-listener.ts'
import { LiveQueries } from './live/live-queries.ts'
import type { Durability, LocalDatabase, TransactionRunner } from './local/local-database.ts'
import { openDatabase } from './local/open-database.ts'
import { createSync, type SyncParts } from './sync/create-sync.ts'
import type { Logger, SyncContext, SyncOptions } from './sync-context.ts'
import { systemEnvironment } from './system-environment.ts'
import type { Auth } from './transport/auth.ts'
import { Verdicts } from './write/verdicts.ts'
import type { WriterParts } from './write/writer.ts'

/** What `openClient` takes. */
export interface ClientOptions<S extends Schema> {
  readonly schema: S
  readonly storage: SqliteDriver
  /** Base URL of the server; without one the database never syncs. */
  readonly server?: string
  /** How the app proves who is using it. */
  readonly auth?: Auth
  /** Whom the database is for. Learnt from the server's first answer when it is not given. */
  readonly account?: string
  /** `full` unless said: a write that returned survives power loss. `fast`: it survives the death of the process. */
  readonly durability?: Durability
  readonly sync?: SyncOptions
  readonly logger?: Logger
  /** W3C `traceparent` of what the app is doing now; kept with each mutation. */
  readonly trace?: () => string | undefined
  /** The world; the real one unless said. */
  readonly env?: Environment
}

/** An open database and everything that works on it, before anybody is given a client of it. */
export interface ClientParts<S extends Schema> {
  /** As the app declared it. */
  readonly declared: S
  /** With the system collections. */
  readonly schema: Schema
  readonly database: LocalDatabase
  readonly writer: WriterParts
  readonly live: LiveQueries
  readonly syncParts: SyncParts
}

/** What a logger that nobody gave does. */
const silence: Logger = { log: () => undefined }

/** Opens what `openClient` opens; nothing is synced before `syncParts.start`. Errors: as `openClient`. */
export async function openParts<S extends Schema<FieldsByCollection>>(
  options: ClientOptions<S> & Pick<SyncContext, 'onIdentity'>,
): Promise<ClientParts<S>> {
  const { env = systemEnvironment, logger: given = silence } = options
  // What it throws is its own failure, and none of the work that it was told of.
  const logger: Logger = { log: (...line) => callListener((told) => given.log(...told), line) }
  const schema = withSystemCollections(options.schema)
  const server = options.server?.replace(/\/+$/, '') ?? null
  const { database, identity } = await openDatabase({
    schema,
    storage: options.storage,
    env,
    durability: options.durability ?? 'full',
    account: options.account ?? null,
    server,
  })
  const syncParts = createSync({
    schema,
    database,
    processes: options.storage.processes,
    env,
    identity,
    auth: options.auth,
    options: options.sync ?? {},
    logger,
    onIdentity: options.onIdentity,
  })
  const context = {
    schema: options.schema,
    env,
    device: () => syncParts.identity().device,
    trace: () => options.trace?.() ?? null,
  }
  const writer: WriterParts = { context, database, env, verdicts: new Verdicts(database) }
  const live = new LiveQueries({ database, schema, logger })
  return { declared: options.schema, schema, database, writer, live, syncParts }
}

/** Stops syncing and closes the database. */
export async function closeParts(parts: ClientParts<Schema>): Promise<void> {
  parts.live.close()
  await parts.syncParts.close()
  parts.writer.verdicts.close()
  await parts.database.close()
}

/** Whether the server has ruled on every mutation, and has every attachment. */
export async function canSafelySignOut(database: TransactionRunner): Promise<boolean> {
  const [row] = await database.all(
    "SELECT 1 FROM _outbox WHERE status <> 'answered' UNION ALL SELECT 1 FROM _uploads LIMIT 1",
  )
  return row === undefined
}

/** The schema that the database is made for. */
export function withSystemCollections(schema: Schema): Schema {
  const collections = new Map(schema.collections)
  collections.set(conflictsCollection.name, conflictsCollection)
  return { version: schema.version, collections }
}
