/** The server of a chaos run, in a process of its own. It says its port when it listens, and is gone when stdin ends. */
import { once } from 'node:events'
import { flushCompileCache } from 'node:module'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

import { createAdaptorServer } from '@hono/node-server'
import { SyncError } from '@holdfast/core'
import { createServer, type HoldfastServer, postgresStore, sqliteStore } from '@holdfast/server'

import { chaosSchema } from './chaos-schema.ts'

/** What a server is started with. */
export interface ServerOrder {
  readonly path: string
  /** 0 takes a free one. */
  readonly port: number
  /** Of a PostgreSQL to use in place of the file. */
  readonly database: string | null
}

// The conductor, its only caller, writes the argument in this shape.
const order = JSON.parse(process.argv[2] ?? '') as ServerOrder
const failure = (fields: object, message: string): void =>
  void process.stderr.write(`${message} ${JSON.stringify(fields, errorsAsText)}\n`)
const sync = await createWhenUp()
const http = createAdaptorServer({ fetch: sync.fetch })
http.listen(order.port, '127.0.0.1')
await once(http, 'listening')
process.stdin.on('end', () => process.exit(0)).resume()
// A TCP server that listens has an address of this kind; only pipes have a text.
process.stdout.write(`${JSON.stringify({ id: 0, value: (http.address() as AddressInfo).port })}\n`)

// Usually written at the end of a process, which here seldom comes in order.
flushCompileCache()

/** A database that is down at the start is asked again, as whatever watches over a server would do. */
async function createWhenUp(): Promise<HoldfastServer> {
  for (;;) {
    try {
      return await createServer({
        schema: chaosSchema,
        store:
          order.database === null
            ? sqliteStore(order.path)
            : postgresStore({ url: order.database, migrate: true }),
        authenticate: (request) => {
          const name = /^Bearer (\w+)$/.exec(request.headers.get('authorization') ?? '')?.[1]
          return name === undefined ? null : { id: name }
        },
        scopes: () => '*',
        logger: { info: () => undefined, warn: () => undefined, error: failure },
      })
    } catch (error) {
      if (order.database === null || !(error instanceof SyncError) || error.code !== 'STORE_BUSY') throw error
      await sleep(100)
    }
  }
}

function errorsAsText(_name: string, value: unknown): unknown {
  return value instanceof Error ? (value.stack ?? value.message) : value
}
