import { newUuid } from '@holdfast/core'
import { type RedisServer, startRedis } from '@holdfast/testing/services'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { systemEnvironment } from '../system-environment.ts'
import { until } from './given-queue.ts'
import { RedisQueue } from './redis-queue.ts'

const real = systemEnvironment()

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedis({ isOwn: true })
})
afterAll(() => redis.stop())

describe('a queue whose Redis hangs', () => {
  test('[QU-16] is left alone until it has answered a question, however much time goes by', async () => {
    let skewMs = 0
    const env = {
      ...real,
      monotonicMs: () => real.monotonicMs() + skewMs,
      // A second is as good as forty.
      setTimer: (work: () => void, ms: number) => real.setTimer(work, ms / 40),
    }
    const queue = await RedisQueue.open({ url: redis.url, name: newUuid(real), env, logger: undefined })
    const add = (): Promise<boolean> => queue.add([{ receipt: newUuid(real), rank: 0 }])
    try {
      await until(async () => queue.isReachable && (await add()), 'queue')
      redis.freeze()
      expect(await add()).toBe(false)
      skewMs = 3_600_000
      expect([queue.isReachable, await add(), await queue.depth()]).toEqual([false, false, undefined])
      redis.thaw()
      await until(async () => queue.isReachable, 'queue again')
      expect(await add()).toBe(true)
      expect(await queue.depth()).toBeGreaterThanOrEqual(2)
    } finally {
      redis.thaw()
      await queue.close()
    }
  })
})

describe('a queue whose Redis answers and takes nothing', () => {
  test('[QU-16] is left alone until it takes something again: without room, and as a replica', async () => {
    const questions: number[] = []
    const env = {
      ...real,
      setTimer: (work: () => void, ms: number) => real.setTimer(() => (questions.push(ms), work()), ms / 40),
    }
    const admin = new Redis(redis.url)
    const queue = await RedisQueue.open({ url: redis.url, name: newUuid(real), env, logger: undefined })
    const add = (): Promise<boolean> => queue.add([{ receipt: newUuid(real), rank: 0 }])
    const refusing: readonly (readonly [begin: () => Promise<unknown>, end: () => Promise<unknown>])[] = [
      [() => admin.config('SET', 'maxmemory', '1'), () => admin.config('SET', 'maxmemory', '0')],
      [() => admin.replicaof('127.0.0.1', '1'), () => admin.replicaof('NO', 'ONE')],
    ]
    try {
      for (const [begin, end] of refusing) {
        await until(async () => queue.isReachable && (await add()), 'queue')
        await begin()
        expect(await add()).toBe(false)
        questions.length = 0
        await until(async () => {
          expect(queue.isReachable).toBe(false)
          return questions.length > 8
        }, 'question asked several times')
        await end()
        await until(async () => queue.isReachable, 'queue again')
      }
    } finally {
      await admin.config('SET', 'maxmemory', '0')
      await admin.replicaof('NO', 'ONE')
      admin.disconnect()
      await queue.close()
    }
  })
})
