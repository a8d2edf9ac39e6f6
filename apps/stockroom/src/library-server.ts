import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

import { getRequestListener } from '@hono/node-server'
import { createServer, sqliteStore } from '@holdfast/server'

import type { AnswerGate } from './answer-gate.ts'
import { branches } from './catalogue.ts'
import { schema } from './schema.ts'
import type { TokenOffice } from './tokens.ts'

/** A server that runs. */
export interface LibraryServer {
  readonly url: string
  close(): Promise<void>
}

/** What the library's server is started with. */
export interface LibraryServerOptions {
  /** The SQLite file that holds everything. */
  readonly storePath: string
  /** 0 takes any free port. */
  readonly port: number
  readonly office: TokenOffice
  readonly gate: AnswerGate
}

/** The whole server of the library: Holdfast, mounted in node:http on the loopback address. */
export async function startLibraryServer({
  storePath,
  port,
  office,
  gate,
}: LibraryServerOptions): Promise<LibraryServer> {
  const sync = await createServer({
    schema,
    store: sqliteStore(storePath),
    authenticate: (request) => office.authenticate(request),
    scopes: () => branches.map((branch) => `branch:${branch}`),
    authorize: ({ after }) =>
      Number(after?.['price'] ?? 0) < 100 || 'a disc for 100.00 or more needs the owner’s word',
  })
  const listener = getRequestListener(async (request) => gate.pass(request, await sync.fetch(request)))
  const host = http.createServer((incoming, outgoing) => void listener(incoming, outgoing))
  host.listen(port, '127.0.0.1')
  await once(host, 'listening')
  // A TCP server that listens has an address of this kind; only pipes have a text.
  const address = host.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: async () => {
      await sync.close()
      host.close()
      host.closeAllConnections()
    },
  }
}
