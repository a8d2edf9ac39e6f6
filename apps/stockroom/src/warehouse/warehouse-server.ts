import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

import { getRequestListener } from '@hono/node-server'
import { createServer, fileAttachments, sqliteStore } from '@holdfast/server'

import { TokenOffice } from '../tokens.ts'
import { fillWarehouse } from './fill-warehouse.ts'
import { isPerson } from './people.ts'
import { schema } from './schema.ts'
import { type BuiltApp, pageOf } from './web-app.ts'

/** A server that runs. */
export interface WarehouseServer {
  readonly url: string
  close(): Promise<void>
}

/** What the warehouse's server is started with. */
export interface WarehouseServerOptions {
  /** The SQLite file that holds everything. */
  readonly storePath: string
  /** 0 takes any free port. */
  readonly port: number
  readonly app: BuiltApp
  /** Stands between the network and the server: where tests let the line fail. */
  readonly line?: (request: Request, ends: LineEnds) => Promise<Response>
}

/** Both ends of the line that a request comes by. */
export interface LineEnds {
  /** The server's answer to a request. */
  readonly answer: (request: Request) => Promise<Response>
  /** Breaks the connection to whoever asked. */
  readonly cut: () => void
}

/** The whole server of the warehouse: Holdfast below `/api`, sign-in, and the app's files, on the loopback address. */
export async function startWarehouseServer(options: WarehouseServerOptions): Promise<WarehouseServer> {
  const office = new TokenOffice()
  const sync = await createServer({
    schema,
    store: sqliteStore(options.storePath),
    attachments: { store: fileAttachments(`${options.storePath}-photos`) },
    basePath: '/api',
    authenticate: (request) => office.authenticate(request),
    scopes: () => '*',
    authorize: ({ after }) =>
      Number(after?.['price'] ?? 0) < 1000 || 'a price of 1,000 or more needs the owner’s word',
  })
  fillWarehouse(options.storePath)
  const handle = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url)
    if (pathname.startsWith('/api/')) return sync.fetch(request)
    if (pathname === '/sign-in' && request.method === 'POST') return signIn(office, request)
    return pageOf(options.app, request)
  }
  const { line } = options
  const listener = getRequestListener((request, { incoming }) => {
    if (line === undefined) return handle(request)
    return line(request, { answer: handle, cut: () => void incoming.socket?.destroy() })
  })
  const host = http.createServer((incoming, outgoing) => void listener(incoming, outgoing))
  try {
    host.listen(options.port, '127.0.0.1')
    await once(host, 'listening')
  } catch (error) {
    await sync.close()
    throw error
  }
  // A TCP server that listens has an address of this kind; only pipes have a text.
  const address = host.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: async () => {
      host.close()
      host.closeAllConnections()
      await sync.close()
    },
  }
}

/** A demo's sign-in: whoever says who they are is believed. A real app asks its identity provider here. */
async function signIn(office: TokenOffice, request: Request): Promise<Response> {
  const person = new URL(request.url).searchParams.get('person')
  if (!isPerson(person)) return Response.json({ error: 'nobody of that name works here' }, { status: 401 })
  return Response.json({ token: office.issue({ id: person }) })
}
