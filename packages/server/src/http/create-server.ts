import { type Environment, limits as defaultLimits, newUuid } from '@holdfast/core'

import type { Engine, User } from '../engine.ts'
import { createMetrics } from '../metrics/metrics.ts'
import { plainRoutes } from '../plain/plain-routes.ts'
import { createEngine, type ServerOptions } from '../server.ts'
import { systemEnvironment } from '../system-environment.ts'
import { conflictRoutes } from './conflict-routes.ts'
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
export interface HttpServerOptions<U extends User = User> extends ServerOptions<U> {
  /** Where the host mounts it, such as '/api'; the root unless said. */
  readonly basePath?: string
  /** Who may read /metrics, which names collections and counts; everybody unless said. */
  readonly metricsAccess?: (request: Request) => boolean
}

/** A server that runs. */
export interface HoldfastServer<U extends User = User> {
  /** A Fetch-standard handler: mount it in Hono, Next, Bun, Deno or node:http. Needs no `this`. Never rejects. */
  readonly fetch: (request: Request) => Promise<Response>
  /** For the host's own code: the same engine the routes use. */
  readonly engine: Engine<U>
  /** Ends streams, finishes the requests under way, then closes the store. Repeating is harmless. */
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
  const env = options.env ?? systemEnvironment()
  const limits = { ...defaultLimits, ...options.limits }
  const engine = await createEngine<U>({ ...options, env })
  const metrics = createMetrics({
    engine,
    env,
    entryAttempts: limits.entryAttempts,
    collections: options.schema.collections.keys(),
  })
  const streams = new StreamHub<U>({ engine, env, limits, metrics, logger: options.logger })
  const running = trackRunning()
  const services: HttpServices<U> = {
    engine,
    env,
    limits,
    metrics,
    streams,
    schema: options.schema,
    logger: options.logger,
    isClosing: () => running.isClosing(),
  }
  const routes = [...syncRoutes(services), ...conflictRoutes(services), ...plainRoutes(services)]
  const metricsAccess = options.metricsAccess ?? (() => true)
  const table = createRouteTable<U>([...routes, ...operationRoutes(services, { metricsAccess, routes })])
  const basePath = normaliseBasePath(options.basePath ?? '')
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
    close: async () => {
      const idle = running.close()
      streams.close()
      await idle
      await engine.close()
    },
  }
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
