import { limits as defaultLimits } from '@holdfast/core'

import { type AttachmentOptions, checkAttachments } from '../attachments/attachment-options.ts'
import type { User } from '../engine.ts'
import { startBackground } from '../events/background.ts'
import { consumersOf } from '../events/consumers.ts'
import type { EventOptions } from '../events/event-options.ts'
import { checkRetention, type RetentionOptions } from '../events/retention.ts'
import { safeLogger } from '../safe-logger.ts'
import { createEngine, type ServerOptions } from '../server.ts'
import { systemEnvironment } from '../system-environment.ts'
import type { IngestOptions } from './ingest-options.ts'
import { Load } from './load.ts'

/** What `createWorker` takes: the options of the server whose pushes it applies, and whose events it tells. */
export interface WorkerOptions<U extends User = User>
  extends Omit<ServerOptions<U>, 'authenticate'>,
    EventOptions {
  readonly ingest?: IngestOptions
  readonly retention?: RetentionOptions
  /** Given these, it looks for attachments that nothing names any more, as the server does. */
  readonly attachments?: AttachmentOptions
}

/** A worker that runs. */
export interface HoldfastWorker {
  /** Whether its store answers. */
  readonly isReady: () => Promise<boolean>
  /** Finishes what it is applying and telling, takes no more, then closes the store. Repeating is harmless. */
  readonly close: () => Promise<void>
}

/**
 * Applies queued pushes in a process of its own, with the same schema, store, scopes and authorize as the server that took
 * them; works handlers and webhooks, and forgets what is old, where it is given them. Errors: those of `createEngine`, and
 * SCHEMA_INVALID for handlers and webhooks. Rules: QU-2 to QU-9, EV-17.
 *
 * @example
 * const worker = await createWorker({ schema, store: postgresStore(url), scopes, authorize, ingest: { redis } })
 */
export async function createWorker<U extends User>(options: WorkerOptions<U>): Promise<HoldfastWorker> {
  const env = options.env ?? systemEnvironment()
  const limits = { ...defaultLimits, ...options.limits }
  const { store, schema, retention } = options
  const logger = safeLogger(options.logger)
  const consumers = consumersOf(options, schema, env)
  checkRetention(retention)
  const attachments = checkAttachments(options.attachments, limits)
  const engine = await createEngine<U>({ ...options, env })
  const background = await startBackground<U>({
    engine,
    store,
    schema,
    env,
    limits,
    logger,
    load: new Load(env),
    options: { ...options.ingest, works: true },
    onResult: () => undefined,
    onVerdicts: () => undefined,
    consumers,
    retention,
    attachments,
  })
  return {
    isReady: () =>
      options.store
        .read((tx) => tx.state())
        .then(
          () => true,
          () => false,
        ),
    close: () => background.close(),
  }
}
