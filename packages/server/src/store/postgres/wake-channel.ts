import type { CancelTimer, Environment } from '@holdfast/core'
import type { Redis } from 'ioredis'
import type { Client } from 'pg'

import { connectRedis, reconnectWaitMs } from '../../queue/connect-redis.ts'
import { translate } from './connection.ts'
import type { Driver } from './driver.ts'

/**
 * How nodes of one database tell each other that something was committed. A hint without content: whoever hears it looks
 * into the database, and whoever does not looks when it polls. Rules: FE-64, FE-65.
 */
export interface WakeChannel {
  /** Tells the others. Never rejects. */
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
  const connect = async (): Promise<void> => {
    const next = new pg.Client({ connectionString: url, keepAlive: true })
    next.on('error', () => undefined)
    next.on('notification', onWake)
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
    send: () => notify('NOTIFY holdfast').catch(() => undefined),
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
  listener.on('message', onWake)
  let stopWaiting: CancelTimer = () => undefined
  const late = new Promise<void>((resolve) => {
    stopWaiting = env.setTimer(resolve, redisMs)
  })
  await Promise.race([subscribed, late])
  stopWaiting()
  return {
    send: oneAtATime(async () => {
      if (sender.status === 'ready') await sender.publish(name, '')
    }),
    close: async () => {
      sender.disconnect()
      listener.disconnect()
    },
  }
}

/** While one is under way the next waits, and all that wait are one: to a Redis that hangs hints would heap up without end. */
function oneAtATime(send: () => Promise<void>): () => Promise<void> {
  let underWay: Promise<void> | undefined
  let isWanted = false
  const sendAll = async (): Promise<void> => {
    while (isWanted) {
      isWanted = false
      await send().catch(() => undefined)
    }
    underWay = undefined
  }
  return () => {
    isWanted = true
    underWay ??= sendAll()
    return underWay
  }
}
