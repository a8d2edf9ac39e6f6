import { expect, test } from 'vitest'

import { hasPostgres } from '../services/shared-servers.ts'
import { chaosSummary, runChaos } from './run-chaos.ts'

test.skipIf(!hasPostgres())(
  '[SIM-68] [PR-1] [PR-3] two nodes over a PostgreSQL, all of which are killed, lose, double and tear nothing',
  async () => {
    const report = await runChaos({ seed: 2, kills: 12, server: 'postgres' })
    expect(report.violations.length === 0 ? '' : chaosSummary(report)).toBe('')
    expect(report.kills.server).toBeGreaterThan(0)
    expect(report.kills.database).toBeGreaterThan(0)
    expect(report.writes.durable).toBeGreaterThan(100)
  },
  180_000,
)
