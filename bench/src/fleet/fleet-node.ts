/** One node of a fleet's server: the library on PostgreSQL, behind node:http. Gone when its parent is. */
import { createServer, postgresStore } from '@holdfast/server'
import { createAdaptorServer } from '@hono/node-server'

import { fleetSchema } from './fleet-schema.ts'

/** What a node is told. */
export interface NodeOrder {
  readonly url: string
  readonly connections: number
  readonly mode: 'inline' | 'queued' | 'auto'
  /** Where pushes are queued. */
  readonly redis: string | null
  /** Whether it also decides what is queued. */
  readonly works: boolean
}

/** What a node says of itself. */
export interface NodeReport {
  readonly port: number
  readonly rssBytes: number
  /** CPU time since it started, ms. */
  readonly cpuMs: number
}

// Its only caller writes the argument in this shape.
const order = JSON.parse(process.argv[2] ?? '') as NodeOrder
const sync = await createServer({
  schema: fleetSchema,
  store: postgresStore({ url: order.url, migrate: true, connections: order.connections }),
  // The token is the user, and the user's warehouse: `u17.w3`.
  authenticate: (request) => {
    const id = /^Bearer (u\d+\.w\d+)$/.exec(request.headers.get('authorization') ?? '')?.[1]
    return id === undefined ? null : { id }
  },
  scopes: (user) => [`warehouse:${user.id.split('.')[1]}`],
  limits: { streams: 20_000 },
  ...(order.redis !== null && { ingest: { mode: order.mode, redis: order.redis, works: order.works } }),
})
const http = createAdaptorServer({ fetch: sync.fetch })
http.listen(0, '127.0.0.1', () => {
  const address = http.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  const report = (): NodeReport => {
    const { user, system } = process.cpuUsage()
    return { port, rssBytes: process.memoryUsage.rss(), cpuMs: (user + system) / 1_000 }
  }
  process.on('message', () => process.send?.(report()))
  process.send?.(report())
})
process.on('disconnect', () => process.exit(0))
