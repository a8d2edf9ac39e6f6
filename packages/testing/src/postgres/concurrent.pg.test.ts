import { expect, test } from 'vitest'

import { SeededRandom } from '../seeded-random.ts'
import { hasPostgres } from '../services/shared-servers.ts'
import { runLoad } from './concurrent-load.ts'
import { givenWarehouse } from './given-warehouse.ts'

test.skipIf(!hasPostgres())(
  '[FE-40, FE-41, SIM-48] 18 writers of every kind and 50 readers: every reader ends with its rows, and no order is impossible',
  async () => {
    const warehouse = await givenWarehouse({ connections: 20 })
    const report = await runLoad(warehouse, {
      seconds: 8,
      writers: 18,
      readers: 50,
      random: new SeededRandom(1),
    })
    await warehouse.close()
    expect(report.differences.slice(0, 5)).toEqual([])
    expect(report.anomalies.slice(0, 5)).toEqual([])
    expect(report.checkpoints).toBeGreaterThan(20)
    expect(report.committed).toBeGreaterThan(20)
  },
  300_000,
)
