/**
 * `npm run bench:wake -- [--seconds 10] [--rounds 3] [--rate 200] [--nodes 2]`: how soon other nodes hear of a commit, and what
 * waking them costs whoever commits: by NOTIFY, through a Redis, and by polling alone. On a PostgreSQL with fsync of its own.
 */
import { newUuid } from '@holdfast/core'
import { systemEnvironment } from '@holdfast/client'
import { createEngine, type Engine, postgresStore } from '@holdfast/server'
import { freshDatabase, startPostgres, startRedis } from '@holdfast/testing/services'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Client } from 'pg'

import { percentile } from '../measurement.ts'
import type { Heard } from './wake-node.ts'
import { wakeSchema } from './wake-schema.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
    rate: { type: 'string', default: '200' },
    nodes: { type: 'string', default: '2' },
  },
})
const spanMs = 1_000 * Number(values.seconds)
const rate = Number(values.rate)
/** Beside the node that writes. */
const listening = Number(values.nodes) - 1
const writers = 16

interface Measured {
  readonly p50: number
  readonly p99: number
  readonly unheard: number
  /** Commits a second of writers who wait for nothing but their commits. */
  readonly most: number
  /** Transactions of the database for each commit, and bytes of its log. */
  readonly transactions: number
  readonly logBytes: number
}

async function commit(engine: Engine): Promise<string> {
  const place = newUuid(systemEnvironment)
  const caller = { user: { id: 'ann' }, device: null, grants: '*', schemaVersion: 1, requestId: 'r' } as const
  await engine.apply(caller, [
    {
      collection: 'items',
      record: newUuid(systemEnvironment),
      op: 'create',
      values: { place, name: 'Rope' },
      precondition: { kind: 'none' },
    },
  ])
  return `place:${place}`
}

/** How long each listener took to hear of each commit, at a steady rate. */
async function measureDelays(engine: Engine, nodes: readonly ChildProcess[]): Promise<number[]> {
  const committed = new Map<string, number>()
  const heard: Heard[] = []
  const listen = (message: unknown): void => void heard.push(message as Heard)
  for (const node of nodes) node.on('message', listen)
  const startMs = performance.now()
  const commits: Promise<void>[] = []
  for (let n = 0; n < (spanMs / 1_000) * rate; n++) {
    const waitMs = startMs + (1_000 * n) / rate - performance.now()
    if (waitMs > 0) await pause(waitMs)
    commits.push(
      commit(engine).then((scope) => {
        committed.set(scope, performance.timeOrigin + performance.now())
      }),
    )
  }
  await Promise.all(commits)
  await pause(1_500)
  for (const node of nodes) node.off('message', listen)
  const delays = heard.flatMap(({ scope, atMs }) => {
    const fromMs = committed.get(scope)
    return fromMs === undefined ? [] : [Math.max(0, atMs - fromMs)]
  })
  return delays.sort((left, right) => left - right)
}

async function measureMost(engine: Engine): Promise<number> {
  const startMs = performance.now()
  let count = 0
  const write = async (): Promise<void> => {
    while (performance.now() - startMs < spanMs) {
      await commit(engine)
      count += 1
    }
  }
  await Promise.all(Array.from({ length: writers }, write))
  return (1_000 * count) / (performance.now() - startMs)
}

interface Counters {
  readonly transactions: number
  readonly logBytes: number
}

async function readCounters(client: Client): Promise<Counters> {
  await pause(1_200)
  const { rows } = await client.query<{ transactions: string; log: string }>(
    `SELECT xact_commit AS transactions, pg_current_wal_lsn() - '0/0' AS log FROM pg_stat_database WHERE datname = current_database()`,
  )
  return { transactions: Number(rows[0]?.transactions), logBytes: Number(rows[0]?.log) }
}

async function measure(serverUrl: string, listen: boolean | string): Promise<Measured> {
  const database = await freshDatabase(serverUrl)
  const store = postgresStore({ url: database.url, migrate: true, listen })
  const engine = await createEngine({ schema: wakeSchema, store, scopes: () => '*' })
  const client = new Client({ connectionString: database.url })
  await client.connect()
  const nodes: ChildProcess[] = []
  try {
    for (let n = 0; n < listening; n++) {
      const order = JSON.stringify({ url: database.url, listen })
      const node = fork(new URL('./wake-node.ts', import.meta.url), [order])
      const ended = once(node, 'exit').then(() => Promise.reject(new Error('a node did not start')))
      await Promise.race([once(node, 'message'), ended])
      ended.catch(() => undefined)
      nodes.push(node)
    }
    const before = await readCounters(client)
    const delays = await measureDelays(engine, nodes)
    const after = await readCounters(client)
    const count = (spanMs / 1_000) * rate
    return {
      p50: percentile(delays, 0.5),
      p99: percentile(delays, 0.99),
      unheard: count * listening - delays.length,
      transactions: (after.transactions - before.transactions) / count,
      logBytes: (after.logBytes - before.logBytes) / count,
      most: await measureMost(engine),
    }
  } finally {
    for (const node of nodes) node.kill()
    await client.end()
    await engine.close()
    await database.drop()
  }
}

const [postgres, redis] = [await startPostgres({ flavour: 'embedded' }), await startRedis({ isOwn: true })]
try {
  const ways = [
    ['NOTIFY', true],
    ['Redis', redis.url],
    ['polling', false],
  ] as const
  const measured = new Map<string, Measured[]>()
  for (let round = 0; round < Number(values.rounds); round++)
    for (const [name, listen] of ways)
      measured.set(name, [...(measured.get(name) ?? []), await measure(postgres.url, listen)])
  process.stdout.write(
    `${rate} commits/s for ${values.seconds} s, ${listening} other node(s), medians of ${values.rounds} rounds\n` +
      `way       heard p50   p99      unheard   transactions/commit   log/commit   most commits/s\n`,
  )
  for (const [name, all] of measured) {
    const middle = (of: (one: Measured) => number): number => percentile(all.map(of), 0.5)
    const cells = [
      `${middle(({ p50 }) => p50).toFixed(1)} ms`.padEnd(12),
      `${middle(({ p99 }) => p99).toFixed(0)} ms`.padEnd(9),
      `${all.reduce((sum, { unheard }) => sum + unheard, 0)}`.padEnd(10),
      middle(({ transactions }) => transactions)
        .toFixed(2)
        .padEnd(22),
      `${middle(({ logBytes }) => logBytes).toFixed(0)} B`.padEnd(13),
      middle(({ most }) => most).toFixed(0),
    ]
    process.stdout.write(`${name.padEnd(10)}${cells.join('')}\n`)
  }
} finally {
  await Promise.all([postgres.stop(), redis.stop()])
}
