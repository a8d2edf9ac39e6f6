import { newUuid } from '@holdfast/core'
import { hasPostgres, startRedis } from '@holdfast/testing/services'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { type Copy, takeCopy } from '../../given-copies.ts'
import { createEngine, type Engine } from '../../index.ts'
import { exampleSchema } from '../../http/given-server.ts'
import { until } from '../../queue/given-queue.ts'
import { systemEnvironment } from '../../system-environment.ts'
import { postgresStore, type PostgresStoreOptions } from './postgres-store.ts'

const env = systemEnvironment()

let database: Copy
let opened: Engine[]
beforeEach(async () => {
  opened = []
  if (hasPostgres()) database = await takeCopy(exampleSchema)
})
afterEach(async () => {
  for (const engine of opened) await engine.close()
  if (hasPostgres()) await database.drop()
})

/** A node of the database, and the scopes it was told of by others. */
async function openNode(
  options: Partial<PostgresStoreOptions>,
): Promise<{ engine: Engine; told: Set<string> }> {
  const store = postgresStore({ url: database.url, pollMs: 0, ...options })
  const engine = await createEngine({ schema: exampleSchema, store, scopes: () => '*' })
  opened.push(engine)
  const told = new Set<string>()
  engine.subscribe(({ scopes, user }) => {
    if (user === null && scopes !== '*') for (const scope of scopes) told.add(scope)
  })
  return { engine, told }
}

/** Commits in a scope of its own, which it gives. */
async function commit(engine: Engine): Promise<string> {
  const warehouseId = newUuid(env)
  const caller = { user: { id: 'ann' }, device: null, grants: '*', schemaVersion: 1, requestId: 'r' } as const
  await engine.apply(caller, [
    {
      collection: 'items',
      record: newUuid(env),
      op: 'create',
      values: { warehouseId, name: 'Rope' },
      precondition: { kind: 'none' },
    },
  ])
  return `warehouse:${warehouseId}`
}

/** How many hints its Redis was ever sent. */
async function publishedTo(url: string): Promise<number> {
  const client = new Redis(url)
  const told = await client.info('commandstats')
  client.disconnect()
  return Number(/cmdstat_publish:calls=(\d+)/.exec(told)?.[1] ?? 0)
}

const hears = ({ told }: { told: Set<string> }, scope: string): Promise<unknown> =>
  until(async () => told.has(scope), 'word of another node')

describe.skipIf(!hasPostgres())('nodes that wake each other', () => {
  test('[FE-66] a listener that cannot be had at the start is told as a database that cannot be reached', async () => {
    await expect(openNode({ listen: 'postgres://127.0.0.1:1/none' })).rejects.toMatchObject({
      code: 'STORE_BUSY',
    })
  })

  test('[FE-66] a listener that PostgreSQL cut off listens again, and hears what it missed', async () => {
    const [writer, reader] = [await openNode({}), await openNode({})]
    await hears(reader, await commit(writer.engine))
    const admin = new Client({ connectionString: database.url })
    await admin.connect()
    const cut = await admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN holdfast'`,
    )
    await admin.end()
    expect(cut.rows).toHaveLength(2)
    await hears(reader, await commit(writer.engine))
    await hears(reader, await commit(writer.engine))
  })

  test('[FE-66] through a Redis: flushed, killed and back, and what was missed is told then', {
    timeout: 60_000,
  }, async () => {
    const redis = await startRedis({ isOwn: true })
    try {
      const listen = redis.url
      const [writer, reader] = [await openNode({ listen }), await openNode({ listen })]
      const polling = await openNode({ listen, pollMs: 50 })
      await hears(reader, await commit(writer.engine))
      await redis.flush()
      await hears(reader, await commit(writer.engine))

      await redis.kill()
      const missed = await commit(writer.engine)
      await hears(polling, missed)
      expect(reader.told).not.toContain(missed)
      await redis.restart()
      await hears(reader, missed)
      await until(async () => {
        const scope = await commit(writer.engine)
        await new Promise((resolve) => setTimeout(resolve, 100))
        return reader.told.has(scope)
      }, 'word of another node')
    } finally {
      await redis.stop()
    }
  })

  test('[FE-66] a Redis that hangs is sent one hint, and what was committed meanwhile shares the next', async () => {
    const redis = await startRedis({ isOwn: true })
    try {
      const listen = redis.url
      const [writer, reader] = [await openNode({ listen }), await openNode({ listen })]
      await hears(reader, await commit(writer.engine))
      const before = await publishedTo(redis.url)
      redis.freeze()
      const scopes: string[] = []
      for (let n = 0; n < 20; n++) {
        scopes.push(await commit(writer.engine))
        // Long enough for a hint of its own.
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      redis.thaw()
      for (const scope of scopes) await hears(reader, scope)
      await hears(reader, await commit(writer.engine))
      const hints = (await publishedTo(redis.url)) - before
      expect(hints).toBeGreaterThanOrEqual(2)
      expect(hints).toBeLessThanOrEqual(3)
    } finally {
      redis.thaw()
      await redis.stop()
    }
  })

  test('[FE-66] a node starts and takes writes while its Redis is away, and notices others by polling', async () => {
    const listen = 'redis://127.0.0.1:1'
    const [writer, polling] = [await openNode({ listen }), await openNode({ listen, pollMs: 50 })]
    await hears(polling, await commit(writer.engine))
  })
})
