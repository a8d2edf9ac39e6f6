import { type CancelTimer, type Environment, newUuid } from '@holdfast/core'
import type { Redis } from 'ioredis'
import type { Client } from 'pg'

import { connectRedis, reconnectWaitMs } from '../../queue/connect-redis.ts'
import { translate } from './connection.ts'
import type { Driver } from './driver.ts'

/**
 * How nodes of one database tell each other that something was committed. A hint that says only who gives it: whoever else
 * hears it looks into the database, and whoever does not looks when it polls. Rules: FE-64, FE-65.
 */
export interface WakeChannel {
  /** Tells the others. Never rejects; may take as long as a Redis hangs, until it is closed. */
  readonly send: () => Promise<void>
  readonly close: () => Promise<void>
}

/** What a channel is made from. */
export interface WakeOptions {
  readonly env: Environment
  /** Heard something, or may have missed something. */
  readonly onWake: () => void
}

/** What is waited for a Redis, ms; later is as good. */
const redisMs = 2_000

/**
 * NOTIFY through `notify`, LISTEN on a session of its own to `url`, which is made anew when it breaks. Errors: STORE_BUSY when
 * the first one cannot be had.
 */
export async function openListener(
  pg: Driver,
  url: string,
  notify: (sql: string) => Promise<void>,
  { env, onWake }: WakeOptions,
): Promise<WakeChannel> {
  let client: Client | undefined
  let cancelRetry: CancelTimer = () => undefined
  let isClosed = false
  const self = newUuid(env)
  const connect = async (): Promise<void> => {
    const next = new pg.Client({ connectionString: url, keepAlive: true })
    next.on('error', () => undefined)
    next.on('notification', ({ payload }) => {
      if (payload !== self) onWake()
    })
    await next.connect()
    try {
      await next.query('LISTEN holdfast')
    } catch (error) {
      await next.end()
      throw error
    }
    if (isClosed) return next.end()
    client = next
    next.on('end', () => reconnect(0))
  }
  const reconnect = (tries: number): void => {
    client = undefined
    if (isClosed) return
    cancelRetry = env.setTimer(() => {
      connect().then(onWake, () => reconnect(tries + 1))
    }, reconnectWaitMs(tries))
  }
  await connect().catch((error: unknown) => {
    throw translate(error)
  })
  return {
    send: () => notify(`NOTIFY holdfast, '${self}'`).catch(() => undefined),
    close: async () => {
      isClosed = true
      cancelRetry()
      await client?.end().catch(() => undefined)
    },
  }
}

/** Pub/sub of a Redis, which may come and go. `name` is of the database. Needs the package `ioredis`. */
export async function openRedisChannel(
  url: string,
  name: string,
  { env, onWake }: WakeOptions,
): Promise<WakeChannel> {
  const packages = await import('ioredis')
  const self = newUuid(env)
  const connect = (): Redis =>
    connectRedis(packages, url, { enableOfflineQueue: false, maxRetriesPerRequest: 0 })
  const sender = connect()
  const listener = connect()
  const subscribed = new Promise<void>((resolve) => {
    listener.on('ready', () => {
      listener.subscribe(name).then(
        () => {
          onWake()
          resolve()
        },
        () => undefined,
      )
    })
  })
  listener.on('message', (_, message) => {
    if (message !== self) onWake()
  })
  let stopWaiting: CancelTimer = () => undefined
  const late = new Promise<void>((resolve) => {
    stopWaiting = env.setTimer(resolve, redisMs)
  })
  await Promise.race([subscribed, late])
  stopWaiting()
  return {
    send: async () => {
      if (sender.status === 'ready') await sender.publish(name, self).catch(() => undefined)
    },
    close: async () => {
      sender.disconnect()
      listener.disconnect()
    },
  }
}
