import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'

import { startUnlessMissing } from './missing-service.ts'
import { clustersVariable } from './new-cluster.ts'
import { startPostgres } from './postgres.ts'
import { dropPrepared } from './prepared-database.ts'
import { startRedis } from './redis.ts'
import { temporaryFolder } from './server-process.ts'
import { unprivilegedUser } from './unprivileged-user.ts'

/** Whether this test run shares a PostgreSQL, in which `freshDatabase()` makes databases. */
export function hasPostgres(): boolean {
  return process.env['HOLDFAST_TEST_POSTGRES'] !== undefined
}

/** The Redis that this test run shares, if any. Tests share its content too: give keys a prefix of your own. */
export function sharedRedisUrl(): string | undefined {
  return process.env['HOLDFAST_TEST_REDIS']
}

/**
 * Vitest's global set-up: one PostgreSQL and one Redis for all test files. Their addresses travel in the environment,
 * which the test processes inherit.
 */
export default async function shareServers(): Promise<() => Promise<void>> {
  const clusters = await temporaryFolder('clusters', unprivilegedUser())
  process.env[clustersVariable] = clusters
  const postgres = await startUnlessMissing(() => startPostgres({ fast: true }))
  const redis = await startUnlessMissing(() => startRedis()).catch(async (error: unknown) => {
    await postgres?.stop()
    throw error
  })
  if (postgres !== undefined) process.env['HOLDFAST_TEST_POSTGRES'] = postgres.url
  // What is prepared once for all tests is of this run: another one may have other sources.
  process.env['HOLDFAST_TEST_RUN'] = randomUUID()
  if (redis !== undefined) process.env['HOLDFAST_TEST_REDIS'] = redis.url
  return async () => {
    // A server that is not ours goes on.
    if (postgres !== undefined && postgres.dataDir === undefined) await dropPrepared(postgres.url)
    await Promise.all([postgres?.stop(), redis?.stop()])
    rmSync(clusters, { recursive: true, force: true })
  }
}
