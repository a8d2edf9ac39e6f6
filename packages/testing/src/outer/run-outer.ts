import { randomBytes } from 'node:crypto'

import { generatePlan } from '../gen/generate-plan.ts'
import { appOf } from '../gen/app-of-plan.ts'
import type { Plan } from '../sim/plan.ts'
import { type RunResult, runPlan } from '../sim/run-plan.ts'
import { turn } from '../sim/scheduler.ts'
import type { OutsideStorage } from '../sim/world.ts'
import { givenPostgres } from './given-postgres.ts'
import { PostgresStorage } from './postgres-storage.ts'
import { RedisLife } from './redis-life.ts'
import { Story } from './story.ts'

/** Servers that are really there. */
export interface OuterServers {
  /** A PostgreSQL that nobody else writes to: what is at work there holds back what readers are told. */
  readonly postgres: string
  /** Without it nothing is queued. */
  readonly redis?: string
}

/** What came of a seed. */
export interface OuterResult {
  readonly seed: number
  readonly onSqlite: RunResult
  readonly onPostgres: RunResult
  /** With faults of the server and restores of its database as well, and each push queued in Redis. */
  readonly queued: RunResult
  /** Writes and verdicts that the first two tell alike, from the start. */
  readonly alike: number
  /** Of so many on SQLite. */
  readonly told: number
  /** What the two servers decided differently on the same. */
  readonly difference: string | undefined
}

/** About as many operations of people; as many as the seed draws unless said. */
export interface OuterOptions {
  readonly operations?: number
}

/** Plays a seed on the simulated disk, over PostgreSQL, and over PostgreSQL and Redis. Rules: SIM-97, SIM-98. */
export async function runOuter(
  servers: OuterServers,
  seed: number,
  options: OuterOptions = {},
): Promise<OuterResult> {
  const drawn = generatePlan(seed, options)
  const plan = comparable(drawn)
  const [one, two] = [new Story(), new Story()]
  const onSqlite = await runPlan(plan, { observe: one.observe })
  const outside = await outsideOf({ postgres: servers.postgres }, plan)
  const onPostgres = await runPlan(plan, { observe: two.observe, outside })
  const queued = await runPlan(drawn, { outside: await outsideOf(servers, drawn) }).finally(() =>
    RedisLife.leave(),
  )
  return { seed, onSqlite, onPostgres, queued, told: one.length, ...one.compare(two) }
}

/** Without what has the devices of both runs sooner do different things: a server that is put back to an earlier image. */
function withoutRestore(plan: Plan): Plan {
  const isRestore = new Set(['server-backup', 'server-restore'])
  return { ...plan, steps: plan.steps.filter(({ action }) => !isRestore.has(action.kind)) }
}

/** Without faults of the server that are counted in statements, of which each database has its own. */
function comparable(plan: Plan): Plan {
  const steps = withoutRestore(plan)
    .steps.filter(({ action }) => action.kind !== 'server-full')
    .map((step) =>
      step.action.kind === 'server-kill' ? { ...step, action: { ...step.action, afterCalls: 0 } } : step,
    )
  return { ...plan, steps, storage: { ...plan.storage, serverFull: 0 } }
}

/** A server that looks through its receipts every few seconds, for days on end, would do nothing else. */
const lookingLess = { receiptSweepMs: 20_000, receiptLeaseMs: 20_000 }

async function outsideOf({ postgres, redis }: OuterServers, plan: Plan): Promise<OutsideStorage> {
  const { schema, earlier } = appOf(plan)
  const database = await givenPostgres(postgres, plan.isServerEarlier ? earlier : schema)
  let storage: PostgresStorage | undefined
  let queue: RedisLife | undefined
  const isIdle = (): boolean => storage?.isIdle !== false && queue?.isIdle !== false
  return {
    storage: (options) =>
      (storage = new PostgresStorage({
        ...options,
        database,
        serverUrl: postgres,
        onKill: () => queue?.end(),
      })),
    settled: async () => {
      // What comes in is handled in one turn of the loop, and may ask for more.
      for (let idle = 0; idle < 2; ) {
        await turn()
        idle = isIdle() ? idle + 1 : 0
      }
    },
    ...(redis !== undefined && {
      limits: lookingLess,
      ingest: () => {
        queue = RedisLife.begin()
        // What was queued is forgotten with the process: the database has it.
        return { mode: 'queued', redis, queue: `sim-${randomBytes(6).toString('hex')}` }
      },
    }),
  }
}
