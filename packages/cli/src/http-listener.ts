import { createAdaptorServer, type ServerType } from '@hono/node-server'
import type { AddressInfo } from 'node:net'

import { CommandError, firstLine } from './command-error.ts'

/** A server that takes connections. */
export interface Listener {
  /** The port it has, also when any free one was asked for. */
  readonly port: number
  /**
   * Takes no new connections, lets `closing` and the requests under way end, and cuts off what has not ended after
   * `drainMs`.
   */
  readonly drain: (closing: Promise<void>, drainMs: number) => Promise<void>
}

/** Where to listen, and with what to answer. */
export interface ListenOptions {
  readonly fetch: (request: Request) => Promise<Response> | Response
  readonly host: string
  readonly port: number
  /** How long a connection may be idle, ms: longer than a proxy in front keeps it, or it writes into a closing one. */
  readonly keepAliveMs?: number
}

/** Answers HTTP. Errors: CommandError, when the port cannot be had. */
export async function listen({ fetch, host, port, keepAliveMs }: ListenOptions): Promise<Listener> {
  const server = createAdaptorServer({ fetch })
  if (keepAliveMs !== undefined && 'keepAliveTimeout' in server) server.keepAliveTimeout = keepAliveMs
  await new Promise<void>((done, failed) => {
    server.once('error', failed)
    server.listen(port, host, () => done())
  }).catch((cause: unknown) => {
    const isTaken = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE'
    throw new CommandError(isTaken ? `port ${port} is in use.` : `cannot listen: ${firstLine(cause)}`, {
      cause,
    })
  })
  return {
    // A TCP server's address is an object.
    port: (server.address() as AddressInfo).port,
    drain: (closing, drainMs) => drain(server, closing, drainMs),
  }
}

/** What `--port` says. Errors: CommandError. */
export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (port <= 65_535) return port
  throw new CommandError(`--port is a number from 0 to 65535, not "${text}".`)
}

async function drain(server: ServerType, closing: Promise<void>, drainMs: number): Promise<void> {
  const closed = new Promise<void>((done) => server.close(() => done()))
  const cut = setTimeout(() => closeConnections(server, 'all'), drainMs)
  await closing
  closeConnections(server, 'idle')
  await closed
  clearTimeout(cut)
}

/** HTTP/1 servers can be told; this command makes no other. */
function closeConnections(server: ServerType, which: 'all' | 'idle'): void {
  if (which === 'idle' && 'closeIdleConnections' in server) server.closeIdleConnections()
  if (which === 'all' && 'closeAllConnections' in server) server.closeAllConnections()
}
