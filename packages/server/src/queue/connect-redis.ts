import type { Redis, RedisOptions } from 'ioredis'

const firstWaitMs = 50
/** Wait between two tries to connect at most, ms. */
const waitMaxMs = 5_000

/** How long to wait before the next try to connect, ms. */
export function reconnectWaitMs(tries: number): number {
  return Math.min(firstWaitMs * 2 ** Math.min(tries, 10), waitMaxMs)
}

/** A connection that comes and goes with its Redis. Whoever uses it finds out by what does not come; without a listener an error would end the process. */
export function connectRedis(
  packages: { readonly Redis: typeof Redis },
  url: string,
  options: RedisOptions,
): Redis {
  const connection = new packages.Redis(url, { retryStrategy: reconnectWaitMs, ...options })
  connection.on('error', () => undefined)
  return connection
}
