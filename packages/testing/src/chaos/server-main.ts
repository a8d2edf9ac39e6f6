/** The server of a chaos run, in a process of its own. It says its port when it listens, and is gone when stdin ends. */
import { once } from 'node:events'
import { flushCompileCache } from 'node:module'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

import { createAdaptorServer } from '@hono/node-server'
import { createServer, type HoldfastServer } from '@holdfast/server'

import { isDown, type ServerOrder, serverOptions } from './server-order.ts'

// The conductor, its only caller, writes the argument in this shape.
const order = JSON.parse(process.argv[2] ?? '') as ServerOrder
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
        ...serverOptions(order),
        authenticate: (request) => {
          const name = /^Bearer (\w+)$/.exec(request.headers.get('authorization') ?? '')?.[1]
          return name === undefined ? null : { id: name }
        },
      })
    } catch (error) {
      if (order.database === null || !isDown(error)) throw error
      await sleep(100)
    }
  }
}
