import { Redis } from 'ioredis'

import { findProgram } from './debian-package.ts'
import { freePort } from './free-port.ts'
import { ServerProcess, temporaryFolder } from './server-process.ts'

/** Which Redis. */
export interface RedisOptions {
  /** A server of one's own, to kill and restart, even when there is a REDIS_URL. */
  readonly isOwn?: boolean
}

/** A running Redis. It keeps nothing on disk: a restart begins empty. */
export interface RedisServer {
  readonly url: string
  readonly port: number
  /** Ends it. A server that is not ours is left alone. */
  stop(): Promise<void>
  kill(signal?: NodeJS.Signals): Promise<void>
  /** It hangs: connections to it stay open, new ones are taken, and nothing is answered. */
  freeze(): void
  /** It goes on, with all that was sent to it meanwhile. */
  thaw(): void
  /** Starts it again at its port; one that runs is ended before. */
  restart(): Promise<void>
  /** Empties the database of `url`, no other. */
  flush(): Promise<void>
}

/** The Redis of REDIS_URL, or one of its own on a free port of the loopback interface. */
export async function startRedis({ isOwn = false }: RedisOptions = {}): Promise<RedisServer> {
  const given = process.env['REDIS_URL']
  if (!isOwn && given !== undefined && given !== '') return givenRedis(given)
  const path = findProgram({
    name: 'redis-server',
    debianPackage: 'redis-server',
    otherwise: 'set REDIS_URL',
  })
  const folder = await temporaryFolder('redis', undefined)
  const port = await freePort()
  const address = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder]
  const server = new ServerProcess({
    path,
    args: [...address, '--save', '', '--appendonly', 'no', '--daemonize', 'no'],
    ready: /Ready to accept connections/,
    busy: /Address already in use/,
    stopSignal: 'SIGTERM',
    orphanSignal: 'KILL',
    folder,
  })
  await server.start()
  const url = `redis://127.0.0.1:${port}`
  return {
    url,
    port,
    stop: () => server.remove(),
    kill: (signal = 'SIGKILL') => server.kill(signal),
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
    restart: () => server.restart(),
    flush: () => flush(url),
  }
}

function givenRedis(url: string): RedisServer {
  const refusal = new Error('the server of REDIS_URL is not ours to end: start one with isOwn')
  const notOurs = (): Promise<never> => Promise.reject(refusal)
  const notOursEither = (): never => {
    throw refusal
  }
  return {
    url,
    port: Number(new URL(url).port || 6379),
    stop: () => Promise.resolve(),
    kill: notOurs,
    freeze: notOursEither,
    thaw: notOursEither,
    restart: notOurs,
    flush: () => flush(url),
  }
}

async function flush(url: string): Promise<void> {
  const client = new Redis(url)
  try {
    await client.flushdb()
  } finally {
    client.disconnect()
  }
}
