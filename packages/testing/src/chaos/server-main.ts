/** The server of a chaos run, in a process of its own. It says its port when it listens, and is gone when stdin ends. */
import { once } from 'node:events'
import { flushCompileCache } from 'node:module'
import type { AddressInfo } from 'node:net'

import { createAdaptorServer } from '@hono/node-server'
import { createServer, sqliteStore } from '@holdfast/server'

import { chaosSchema } from './chaos-schema.ts'

/** What a server is started with. */
export interface ServerOrder {
  readonly path: string
  /** 0 takes a free one. */
  readonly port: number
}

// The conductor, its only caller, writes the argument in this shape.
const order = JSON.parse(process.argv[2] ?? '') as ServerOrder
const failure = (fields: object, message: string): void =>
  void process.stderr.write(`${message} ${JSON.stringify(fields, errorsAsText)}\n`)
const sync = await createServer({
  schema: chaosSchema,
  store: sqliteStore(order.path),
  authenticate: (request) => {
    const name = /^Bearer (\w+)$/.exec(request.headers.get('authorization') ?? '')?.[1]
    return name === undefined ? null : { id: name }
  },
  scopes: () => '*',
  logger: { info: () => undefined, warn: () => undefined, error: failure },
})
const http = createAdaptorServer({ fetch: sync.fetch })
http.listen(order.port, '127.0.0.1')
await once(http, 'listening')
process.stdin.on('end', () => process.exit(0)).resume()
// A TCP server that listens has an address of this kind; only pipes have a text.
process.stdout.write(`${JSON.stringify({ id: 0, value: (http.address() as AddressInfo).port })}\n`)

// Usually written at the end of a process, which here seldom comes in order.
flushCompileCache()

function errorsAsText(_name: string, value: unknown): unknown {
  return value instanceof Error ? (value.stack ?? value.message) : value
}
