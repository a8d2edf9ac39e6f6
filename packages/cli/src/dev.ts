import { createServer, type HoldfastServer, sqliteStore, type User } from '@holdfast/server'
import { createAdaptorServer, type ServerType } from '@hono/node-server'
import { mkdirSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'

import { CommandError, firstLine } from './command-error.ts'
import { failureLogger, lineLogger } from './line-logger.ts'
import { loadSchema } from './load-schema.ts'
import { loadScopes } from './load-scopes.ts'
import type { GivenOptions } from './given-options.ts'
import { nextSignal } from './next-signal.ts'

const defaultPort = '8787'
const defaultData = '.holdfast'

/** A request that has not ended this long after the signal is cut off, ms. */
const drainMs = 5_000

/** `holdfast dev`: serves until a signal comes, then drains; resolves with the exit code. Rules: OP-21 to OP-26. */
export async function runDev(given: GivenOptions): Promise<number> {
  if (given.schema === undefined) throw new CommandError('dev needs --schema FILE. Try: holdfast help dev')
  const port = parsePort(given.port ?? defaultPort)
  const warn = (line: string): void => void process.stderr.write(`holdfast: ${line}\n`)
  const schema = await loadSchema(given.schema)
  const scopes = await loadScopes(given.scopes, warn)
  const folder = makeFolder(given.data ?? defaultData)
  const signal = nextSignal()
  const sync = await createServer({
    schema,
    scopes,
    authenticate: developer,
    store: sqliteStore(join(folder, 'holdfast.db')),
    logger: given.verbose === true ? lineLogger() : failureLogger(),
  }).catch((cause: unknown) => {
    throw new CommandError(`${join(folder, 'holdfast.db')} cannot be used: ${firstLine(cause)}`, { cause })
  })
  try {
    const server = createAdaptorServer({ fetch: sync.fetch })
    await listen(server, port)
    // Port 0 took a free one; a TCP server's address is an object.
    process.stdout.write(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}\n`)
    await signal
    await drain(server, sync)
  } finally {
    await sync.close()
  }
  return 0
}

/** The token `dev:ann` is the user `ann`. Only this command believes that. */
function developer(request: Request): User | null {
  const match = /^Bearer dev:(\S{1,200})$/i.exec(request.headers.get('authorization') ?? '')
  return match?.[1] === undefined ? null : { id: match[1] }
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (port <= 65_535) return port
  throw new CommandError(`--port is a number from 0 to 65535, not "${text}".`)
}

function makeFolder(path: string): string {
  const folder = resolve(path)
  try {
    // Only for whoever runs the server: the database holds everybody's rows.
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new CommandError(`folder ${folder} cannot be made: ${firstLine(cause)}`, { cause })
  }
  return folder
}

async function listen(server: ServerType, port: number): Promise<void> {
  await new Promise<void>((done, failed) => {
    server.once('error', failed)
    server.listen(port, '127.0.0.1', () => done())
  }).catch((cause: unknown) => {
    const isTaken = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE'
    throw new CommandError(isTaken ? `port ${port} is in use.` : `cannot listen: ${firstLine(cause)}`, {
      cause,
    })
  })
}

/** No new connections, streams ended, requests under way finished, then the rest is cut off. */
async function drain(server: ServerType, sync: HoldfastServer): Promise<void> {
  const closed = new Promise<void>((done) => server.close(() => done()))
  const cut = setTimeout(() => closeConnections(server, 'all'), drainMs)
  await sync.close()
  closeConnections(server, 'idle')
  await closed
  clearTimeout(cut)
}

/** HTTP/1 servers can be told; this command makes no other. */
function closeConnections(server: ServerType, which: 'all' | 'idle'): void {
  if (which === 'idle' && 'closeIdleConnections' in server) server.closeIdleConnections()
  if (which === 'all' && 'closeAllConnections' in server) server.closeAllConnections()
}
