import { limits as defaultLimits } from '@holdfast/core'

import type { User } from '../engine.ts'
import { createEngine, type ServerOptions } from '../server.ts'
import { systemEnvironment } from '../system-environment.ts'
import { Ingest } from './ingest.ts'
import type { IngestOptions } from './ingest-options.ts'
import { Load } from './load.ts'

/** What `createWorker` takes: the options of the server whose pushes it applies. */
export interface WorkerOptions<U extends User = User> extends Omit<ServerOptions<U>, 'authenticate'> {
  readonly ingest: IngestOptions
}

/** A worker that runs. */
export interface HoldfastWorker {
  /** Whether its store answers. */
  readonly isReady: () => Promise<boolean>
  /** Finishes what it is applying, takes no more, then closes the store. Repeating is harmless. */
  readonly close: () => Promise<void>
}

/**
 * Applies queued pushes in a process of its own, with the same schema, store, scopes and authorize as the server that took
 * them. Errors: those of `createEngine`. Rules: QU-2 to QU-9.
 *
 * @example
 * const worker = await createWorker({ schema, store: postgresStore(url), scopes, authorize, ingest: { redis } })
 */
export async function createWorker<U extends User>(options: WorkerOptions<U>): Promise<HoldfastWorker> {
  const env = options.env ?? systemEnvironment()
  const engine = await createEngine<U>({ ...options, env })
  const ingest = await Ingest.open<U>({
    engine,
    store: options.store,
    schema: options.schema,
    env,
    limits: { ...defaultLimits, ...options.limits },
    logger: options.logger,
    load: new Load(env),
    options: { ...options.ingest, works: true },
    onResult: () => undefined,
    onVerdicts: () => undefined,
  }).catch(async (error: unknown) => {
    await engine.close()
    throw error
  })
  return {
    isReady: () =>
      options.store
        .read((tx) => tx.state())
        .then(
          () => true,
          () => false,
        ),
    close: async () => {
      await ingest.close()
      await engine.close()
    },
  }
}
