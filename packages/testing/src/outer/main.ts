import { cpus } from 'node:os'

import { numberOf, readCommandLine } from '../command-line.ts'
import { startPostgres } from '../services/postgres.ts'
import { startRedis } from '../services/redis.ts'
import { printFailure } from '../sim/print-summary.ts'
import { dropTemplates } from './given-postgres.ts'
import { type OuterResult, runOuter } from './run-outer.ts'

const help = `npm run outer -- [options]

Plays seeds of the simulator on the simulated disk, over a real PostgreSQL, and over a real PostgreSQL and Redis.

  --seeds N         how many; 20 unless said
  --seed N          the first; 1 unless said
  --seconds N       begin no seed after N seconds
  --operations N    about as many user operations in each; as many as the seed draws unless said
`

const args = readCommandLine({
  seeds: { type: 'string', default: '20' },
  seed: { type: 'string', default: '1' },
  seconds: { type: 'string' },
  operations: { type: 'string' },
  help: { type: 'boolean', default: false },
})

if (args.help) process.stdout.write(help)
else {
  await conduct()
  // Workers of processes that were killed within a run know of no end, and would keep this one.
  process.exit()
}

async function conduct(): Promise<void> {
  const [first, count] = [
    numberOf('seed', args.seed, { least: 0 }),
    numberOf('seeds', args.seeds, { least: 1 }),
  ]
  const seconds =
    numberOf('seconds', args.seconds, { least: 1, isFraction: true }) ?? Number.POSITIVE_INFINITY
  const operations = numberOf('operations', args.operations, { least: 1 })
  const postgres = await startPostgres({ flavour: 'embedded', fast: true })
  const redis = await startRedis({ isOwn: true })
  const endMs = performance.now() + seconds * 1_000
  const results: OuterResult[] = []
  try {
    for (let seed = first; seed < first + count && performance.now() < endMs; seed++) {
      const servers = { postgres: postgres.url, redis: redis.url }
      const result = await runOuter(servers, seed, {
        ...(operations !== undefined && { operations }),
      })
      results.push(result)
      report(result)
    }
  } finally {
    await dropTemplates()
    await redis.stop()
    await postgres.stop()
  }
  summarise(results)
}

function report(result: OuterResult): void {
  const { seed, onSqlite, onPostgres, queued, alike, told, difference } = result
  const counts = [onSqlite, onPostgres, queued].map(({ operations }) => operations).join(' / ')
  const words = `seed ${seed}: ${counts} operations, ${alike} of ${told} writes and verdicts alike`
  process.stdout.write(`${words}\n`)
  if (difference !== undefined) process.stdout.write(`  DECIDED DIFFERENTLY: ${difference}\n`)
  for (const [name, { violations }] of Object.entries({ onSqlite, onPostgres, queued })) {
    if (violations.length > 0) process.stdout.write(`  ${violations.length} BROKEN ${name}: `)
    for (const violation of violations.slice(0, 3)) printFailure(violation)
  }
}

function summarise(results: readonly OuterResult[]): void {
  const sum = (count: (result: OuterResult) => number): string =>
    results.reduce((total, result) => total + count(result), 0).toLocaleString('en-US')
  const broken = results.filter(
    ({ onSqlite, onPostgres, queued, difference }) =>
      difference !== undefined ||
      [onSqlite, onPostgres, queued].some(({ violations }) => violations.length > 0),
  )
  const lines = [
    `${cpus()[0]?.model ?? 'unknown processor'}, 1 process`,
    `${sum(() => 1)} seeds: ${sum(({ onSqlite }) => onSqlite.operations)} user operations on SQLite, ` +
      `${sum(({ onPostgres }) => onPostgres.operations)} over PostgreSQL, ${sum(({ queued }) => queued.operations)} queued in Redis`,
    `${sum(({ queued }) => queued.faults['server-restore'] ?? 0)} times PostgreSQL was put back from a backup under them`,
    `${sum(({ alike }) => alike)} of ${sum(({ told }) => told)} writes and verdicts were compared; ` +
      `${sum(({ difference }) => Number(difference !== undefined))} seeds were decided differently`,
    broken.length === 0
      ? 'no violations'
      : `${broken.length} SEEDS FAILED: ${broken.map(({ seed }) => seed).join(', ')}`,
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
  if (broken.length > 0 || results.length === 0) process.exitCode = 1
}
