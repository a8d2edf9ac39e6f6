/** `node packages/testing/src/postgres/load-main.ts [--seconds 60] [--writers 20] [--readers 50] [--seed 1]`: writers of every kind against one PostgreSQL. */
import { parseArgs } from 'node:util'

import { SeededRandom } from '../seeded-random.ts'
import { startPostgres } from '../services/postgres.ts'
import { isSound, runLoad } from './concurrent-load.ts'
import { givenWarehouse } from './given-warehouse.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    writers: { type: 'string', default: '20' },
    readers: { type: 'string', default: '50' },
    seed: { type: 'string', default: '1' },
  },
})
const server = await startPostgres()
const warehouse = await givenWarehouse({ serverUrl: server.url, connections: 20 })
const { history: _, ...report } = await runLoad(warehouse, {
  seconds: Number(values.seconds),
  writers: Number(values.writers),
  readers: Number(values.readers),
  random: new SeededRandom(Number(values.seed)),
})
await warehouse.close()
await server.stop()
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
process.exitCode = isSound(report) ? 0 : 1
