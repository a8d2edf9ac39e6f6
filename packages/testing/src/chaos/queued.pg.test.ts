import { expect, test } from 'vitest'

import { hasPostgres, sharedRedisUrl } from '../services/shared-servers.ts'
import { chaosSummary, runChaos } from './run-chaos.ts'

test.skipIf(!hasPostgres() || sharedRedisUrl() === undefined)(
  '[SIM-68] [QU-6] [QU-7] [QU-16] nodes, a worker, a PostgreSQL and a Redis that hangs and forgets: nothing is lost, doubled or torn',
  async () => {
    const report = await runChaos({ seed: 3, kills: 14, server: 'queued' })
    expect(report.violations.length === 0 ? '' : chaosSummary(report)).toBe('')
    for (const whose of ['server', 'worker', 'database', 'redis'] as const)
      expect(report.kills[whose]).toBeGreaterThan(0)
    expect(report.troubles['freeze redis']).toBeGreaterThan(0)
    expect(report.troubles['flush redis']).toBeGreaterThan(0)
    expect(report.writes.durable).toBeGreaterThan(100)
  },
  300_000,
)
