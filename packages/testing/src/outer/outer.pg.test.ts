import { Redis } from 'ioredis'
import { afterAll, describe, expect, test } from 'vitest'

import type { Observation } from '../check/observation.ts'
import { startUnlessMissing } from '../services/missing-service.ts'
import { startPostgres } from '../services/postgres.ts'
import { sharedRedisUrl } from '../services/shared-servers.ts'
import { dropTemplates } from './given-postgres.ts'
import { runOuter } from './run-outer.ts'
import { Story } from './story.ts'

// One of its own: what other tests have at work holds back what readers are told.
const postgres = await startUnlessMissing(() => startPostgres({ flavour: 'embedded', fast: true }))
const redis = sharedRedisUrl()

afterAll(async () => {
  await dropTemplates()
  await postgres?.stop()
})

describe.skipIf(postgres === undefined || redis === undefined)('a seed over real servers', () => {
  test('[SIM-97] [SIM-98] it keeps every promise and is decided as on the simulated disk', async () => {
    const servers = { postgres: postgres!.url, redis: redis! }
    const { onSqlite, onPostgres, queued, alike, told, difference } = await runOuter(servers, 61, {
      operations: 40,
    })
    for (const { violations } of [onSqlite, onPostgres, queued]) expect(violations).toEqual([])
    expect(difference).toBeUndefined()
    expect(alike).toBe(told)
    expect(alike).toBeGreaterThan(25)
    expect(onPostgres.operations).toBe(onSqlite.operations)
    expect(queued.operations).toBeGreaterThan(10)
    expect(queued.faults['server-restore']).toBe(1)
    // Nothing of the last life of a server is left in the driver.
    const client = new Redis(redis!)
    expect(await client.ping()).toBe('PONG')
    client.disconnect()
  }, 120_000)
})

const verdict: Observation = {
  kind: 'outcome',
  atMs: 5,
  user: 'u0',
  device: 'd',
  seq: 1,
  covers: '1',
  id: 'm1',
  status: 'applied',
  version: 7,
  code: null,
}

function story(...observations: readonly Observation[]): Story {
  const made = new Story()
  for (const observation of observations) made.observe(observation)
  return made
}

describe('two stories', () => {
  test('[SIM-98] are alike whatever numbers a database gives, and when', () => {
    expect(story(verdict).compare(story({ ...verdict, version: 4_096, atMs: 9 }))).toEqual({
      alike: 1,
      difference: undefined,
    })
  })

  test('[SIM-98] differ where one mutation is decided otherwise', () => {
    const other = story({ ...verdict, status: 'rejected', code: 'FORBIDDEN' })
    expect(story(verdict).compare(other).difference).toContain('applied')
  })

  test('[SIM-98] part ways where the servers come to another mutation', () => {
    expect(story(verdict).compare(story({ ...verdict, id: 'm2' }))).toEqual({
      alike: 0,
      difference: undefined,
    })
  })
})
