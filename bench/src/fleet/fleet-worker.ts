/** A worker of a fleet's queue, as `holdfast worker` is one. Gone when its parent is. */
import { createWorker, postgresStore } from '@holdfast/server'

import type { NodeOrder, NodeReport } from './fleet-node.ts'
import { fleetSchema } from './fleet-schema.ts'

// Its only caller writes the argument in this shape.
const order = JSON.parse(process.argv[2] ?? '') as NodeOrder
await createWorker({
  schema: fleetSchema,
  store: postgresStore({ url: order.url, connections: order.connections }),
  scopes: (user) => [`warehouse:${user.id.split('.')[1]}`],
  ...(order.redis !== null && { ingest: { mode: order.mode, redis: order.redis } }),
})
const report = (): NodeReport => {
  const { user, system } = process.cpuUsage()
  return { port: 0, rssBytes: process.memoryUsage.rss(), cpuMs: (user + system) / 1_000 }
}
process.on('message', () => process.send?.(report()))
process.on('disconnect', () => process.exit(0))
process.send?.(report())
