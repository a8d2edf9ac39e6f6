import { Redis } from 'ioredis'
import { afterEach, describe, expect, test, vi } from 'vitest'

import { startUnlessMissing } from './missing-service.ts'
import { startRedis } from './redis.ts'
import { sharedRedisUrl } from './shared-servers.ts'

const server = await startUnlessMissing(() => startRedis({ isOwn: true }))

afterEach(() => vi.unstubAllEnvs())

async function withClient<Result>(url: string, work: (client: Redis) => Promise<Result>): Promise<Result> {
  const client = new Redis(url, { retryStrategy: () => null })
  client.on('error', () => undefined)
  try {
    return await work(client)
  } finally {
    client.disconnect()
  }
}

describe.skipIf(server === undefined)('Redis', () => {
  const redis = server!
  const put = (): Promise<unknown> => withClient(redis.url, (client) => client.set('key', 'value'))
  const get = (): Promise<unknown> => withClient(redis.url, (client) => client.get('key'))

  test('flushed, it is empty', async () => {
    await put()
    expect(await get()).toBe('value')
    await redis.flush()
    expect(await get()).toBeNull()
  })

  test('killed, it answers nobody, and comes back empty at its port', async () => {
    await put()
    await redis.kill()
    await expect(get()).rejects.toThrow('Connection is closed')
    await redis.restart()
    expect(await get()).toBeNull()
  })

  test('frozen, it takes connections and answers nobody, and then answers all', async () => {
    await put()
    redis.freeze()
    const late = get()
    expect(await Promise.race([late, new Promise((resolve) => setTimeout(resolve, 200, 'nothing'))])).toBe(
      'nothing',
    )
    redis.thaw()
    expect(await late).not.toBeNull()
  })

  test('the one of REDIS_URL is taken as it is, and never ended', async () => {
    vi.stubEnv('REDIS_URL', redis.url)
    const given = await startRedis()
    expect(given.url).toBe(redis.url)
    await expect(given.kill()).rejects.toThrow('not ours')
    await expect(given.restart()).rejects.toThrow('not ours')
    expect(() => given.freeze()).toThrow('not ours')
    await given.stop()
    await put()
    await given.flush()
    expect(await get()).toBeNull()
  })

  test('stopped, it is gone', async () => {
    await redis.stop()
    await expect(get()).rejects.toThrow('Connection is closed')
  })

  test('a test run shares another one', async () => {
    expect(await withClient(sharedRedisUrl()!, (client) => client.ping())).toBe('PONG')
  })
})
