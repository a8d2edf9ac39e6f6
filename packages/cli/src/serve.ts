import { createServer, type HoldfastServer, type HttpServerOptions } from '@holdfast/server'

import { CommandError, firstLine } from './command-error.ts'
import type { GivenOptions } from './given-options.ts'
import { listen, parsePort } from './http-listener.ts'
import { failureLogger, lineLogger } from './line-logger.ts'
import { loadOptions } from './load-options.ts'
import { nextSignal } from './next-signal.ts'

const defaultHost = '0.0.0.0'
const defaultPort = '8787'
/** Longer than the 60 s for which nginx and the balancers of the large clouds keep a connection. */
const keepAliveMs = 75_000
/** A request that has not ended this long after the signal is cut off, ms: less than the 30 s that Kubernetes waits. */
const drainMs = 25_000

/** `holdfast serve`: a server from a module's options, until a signal; resolves with the exit code. Rules: OP-37. */
export async function runServe(given: GivenOptions, file: string | undefined): Promise<number> {
  const { host = defaultHost } = given
  const port = parsePort(given.port ?? defaultPort)
  const options = await loadOptions('serve', file)
  const signal = nextSignal()
  const sync = await startServer(options, given)
  try {
    const listener = await listen({ fetch: sync.fetch, host, port, keepAliveMs })
    process.stdout.write(`listening on http://${host.includes(':') ? `[${host}]` : host}:${listener.port}\n`)
    await signal
    await listener.drain(sync.close(), drainMs)
  } finally {
    await sync.close()
  }
  return 0
}

async function startServer(options: HttpServerOptions, given: GivenOptions): Promise<HoldfastServer> {
  const logger = options.logger ?? (given.verbose === true ? lineLogger() : failureLogger())
  try {
    return await createServer({ ...options, logger })
  } catch (cause) {
    throw new CommandError(`the server cannot start: ${firstLine(cause)}`, { cause })
  }
}
