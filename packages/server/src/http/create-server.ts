import { type Environment, limits as defaultLimits, newUuid } from '@holdfast/core'

import { type AttachmentOptions, checkAttachments } from '../attachments/attachment-options.ts'
import { attachmentRoutes } from '../attachments/attachment-routes.ts'
import type { Engine, User } from '../engine.ts'
import { type Background, startBackground } from '../events/background.ts'
import { consumersOf } from '../events/consumers.ts'
import type { EventOptions } from '../events/event-options.ts'
import type { Events } from '../events/events.ts'
import { checkRetention, type RetentionOptions } from '../events/retention.ts'
import { createMetrics } from '../metrics/metrics.ts'
import { plainRoutes } from '../plain/plain-routes.ts'
import { Admission } from '../queue/admission.ts'
import type { IngestOptions } from '../queue/ingest-options.ts'
import { Load, measuredStore } from '../queue/load.ts'
import { createEngine, type ServerOptions } from '../server.ts'
import { safeLogger } from '../safe-logger.ts'
import type { StoreState } from '../store/store.ts'
import { systemEnvironment } from '../system-environment.ts'
import { conflictRoutes } from './conflict-routes.ts'
import { escrowRoutes } from './escrow-routes.ts'
import { eventRoutes } from './event-routes.ts'
import { handleRequest } from './handle-request.ts'
import type { HttpServices } from './http-call.ts'
import { operationRoutes } from './operation-routes.ts'
import { createRouteTable } from './route-table.ts'
import { StreamHub } from './stream-hub.ts'
import { syncRoutes } from './sync-routes.ts'

/**
 * What `createServer` takes: the engine's options and where it is mounted. A user that `authenticate` gives may carry
 * `expiresAt`, when its token ends in ms since 1970: requests after it are refused, streams end with it.
 * `authenticate` leaves the body of the request alone.
 */
export interface HttpServerOptions<U extends User = User> extends ServerOptions<U>, EventOptions {
  /** Where the host mounts it, such as '/api'; the root unless said. */
  readonly basePath?: string
  /** Who may read /metrics, which names collections and counts; everybody unless said. */
  readonly metricsAccess?: (request: Request) => boolean
  /**
   * Whether pushes are decided in their request (unless said), or stored, queued and decided by a worker; see
   * docs/queue.md. What `authenticate` gives is then stored as JSON until the push is decided: keep tokens out of it.
   */
  readonly ingest?: IngestOptions
  /** Who may list, retry and discard events that were given up; nobody unless said. */
  readonly operatorAccess?: (request: Request) => boolean
  /** What is forgotten by itself; nothing unless said. */
  readonly retention?: RetentionOptions
  /** Where the bytes of attachments are kept; without it the server takes none. */
  readonly attachments?: AttachmentOptions
}

/** A server that runs. */
export interface HoldfastServer<U extends User = User> {
  /** A Fetch-standard handler: mount it in Hono, Next, Bun, Deno or node:http. Needs no `this`. Never rejects. */
  readonly fetch: (request: Request) => Promise<Response>
  /** For the host's own code: the same engine the routes use. */
  readonly engine: Engine<U>
  /** Handlers and webhooks, for whoever runs the server. */
  readonly events: Events
  /** `Engine.write`: the host's own statements in one transaction, whose changes devices are told of at once. */
  readonly write: Engine<U>['write']
  /** Ends streams, finishes requests and deliveries under way, then closes the store. Repeating is harmless. */
  readonly close: () => Promise<void>
}

/**
 * Opens the store and answers sync over HTTP. Errors: those of `createEngine`. Rules: PH-1 to PH-22, OP-1 to OP-9.
 *
 * @example
 * const sync = await createServer({ schema, store: sqliteStore('stock.db'), authenticate, scopes })
 * app.mount('/', sync.fetch)
 */
export async function createServer<U extends User>(
  options: HttpServerOptions<U>,
): Promise<HoldfastServer<U>> {
  const running = trackRunning()
  const attachments = checkAttachments(options.attachments, { ...defaultLimits, ...options.limits })
  const basePath = normaliseBasePath(options.basePath ?? '')
  const { services, background } = await openServices(options, {
    attachments,
    isClosing: () => running.isClosing(),
  })
  const { engine, env, streams } = services
  const { events } = background
  const operatorAccess = options.operatorAccess ?? (() => false)
  const routes = [
    ...syncRoutes(services),
    ...conflictRoutes(services),
    ...escrowRoutes(services),
    ...plainRoutes(services),
    ...(attachments ? attachmentRoutes({ services, attachments, basePath }) : []),
    ...eventRoutes(services, { events, operatorAccess }),
  ]
  const metricsAccess = options.metricsAccess ?? (() => true)
  const table = createRouteTable<U>([...routes, ...operationRoutes(services, { metricsAccess, routes })])
  const parts = {
    services,
    authenticate: options.authenticate,
    table,
    basePath,
    nextRequestId: requestIds(env),
  }
  return {
    fetch: (request) => running.run(() => handleRequest(request, parts)),
    engine,
    events,
    write: (work) => engine.write(work),
    close: async () => {
      const idle = running.close()
      streams.close()
      await background.close(idle)
    },
  }
}

async function openServices<U extends User>(
  options: HttpServerOptions<U>,
  {
    attachments,
    isClosing,
  }: {
    readonly attachments: Required<AttachmentOptions> | undefined
    readonly isClosing: () => boolean
  },
): Promise<{ readonly services: HttpServices<U>; readonly background: Background<U> }> {
  const env = options.env ?? systemEnvironment()
  const limits = { ...defaultLimits, ...options.limits }
  const { schema, retention } = options
  const logger = safeLogger(options.logger)
  const consumers = consumersOf(options, schema, env)
  checkRetention(retention)
  const load = new Load(env, options.ingest?.auto)
  const store = measuredStore(options.store, load, env)
  const engine = await createEngine<U>({ ...options, store, env })
  const admission = new Admission(env, limits)
  const metrics = createMetrics({
    engine,
    ingest: { stats: () => background.ingest.stats(), turnedAway: () => admission.turnedAway },
    events: { stats: () => background.events.stats() },
    env,
    entryAttempts: limits.entryAttempts,
    collections: schema.collections.keys(),
  })
  const streams = new StreamHub<U>({ engine, env, limits, metrics, logger })
  const background = await startBackground<U>({
    engine,
    store,
    schema,
    env,
    limits,
    load,
    logger,
    options: options.ingest ?? {},
    onResult: (result) => streams.tellResult(result),
    onVerdicts: ({ results }) => metrics.pushAnswered(results),
    consumers,
    retention,
    attachments,
  })
  const { ingest } = background
  const parts = { engine, env, limits, metrics, streams, ingest, admission, schema, logger, isClosing }
  const storeState = (): Promise<StoreState> => store.read((tx) => tx.state())
  return { services: { ...parts, storeState }, background }
}

function normaliseBasePath(basePath: string): string {
  const path = basePath.replace(/\/+$/, '')
  return path === '' || path.startsWith('/') ? path : `/${path}`
}

/** Names for requests: drawn once for the life of the server, then counted, which is cheaper than drawing for each. */
function requestIds(env: Environment): () => string {
  const life = newUuid(env)
  let count = 0
  return () => `${life}-${(++count).toString(36)}`
}

/** Counts requests under way, so that closing can wait for the last one. */
function trackRunning(): {
  run: <Value>(work: () => Promise<Value>) => Promise<Value>
  isClosing: () => boolean
  close: () => Promise<void>
} {
  let runningCount = 0
  let isClosing = false
  let becameIdle: () => void = () => undefined
  const idle = new Promise<void>((resolve) => {
    becameIdle = resolve
  })
  const settle = (): void => {
    if (isClosing && runningCount === 0) becameIdle()
  }
  return {
    run: async (work) => {
      runningCount++
      try {
        return await work()
      } finally {
        runningCount--
        settle()
      }
    },
    isClosing: () => isClosing,
    close: () => {
      isClosing = true
      settle()
      return idle
    },
  }
}
