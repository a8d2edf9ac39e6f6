import { expect, test } from 'vitest'

import { SeededRandom } from '../seeded-random.ts'
import { hasPostgres } from '../services/shared-servers.ts'
import { runLoad } from './concurrent-load.ts'
import { givenWarehouse } from './given-warehouse.ts'

test.skipIf(!hasPostgres())(
  '[SIM-49] writers of every kind at once: each reader sees moments of the server in one order of commits, and ends with its rows',
  async () => {
    const warehouse = await givenWarehouse({ connections: 12 })
    try {
      const random = new SeededRandom(48)
      const report = await runLoad(warehouse, { seconds: 4, writers: 16, readers: 16, random })
      expect(report.differences).toEqual([])
      expect(report.anomalies).toEqual([])
      expect(Object.entries(report.byKind).filter(([, count]) => count === 0)).toEqual([])
      expect(report.moments).toBeGreaterThan(16)
    } finally {
      await warehouse.close()
    }
  },
  60_000,
)
