import type { Schema } from '@holdfast/core'

import { type Checker, type Violation, Watch } from '../check/checker.ts'
import { checkersFor } from '../check/checkers.ts'
import { factsOf } from '../check/facts-of.ts'
import type { Observation } from '../check/observation.ts'
import { appOf, onlyApp } from '../gen/app-of-plan.ts'
import { InstalledServers } from './installed-servers.ts'
import type { Plan } from './plan.ts'
import { play } from './play.ts'
import { type FirstRow, putRows } from './put-rows.ts'
import { runStopped } from './scheduler.ts'
import { type OutsideStorage, World } from './world.ts'

/** How a plan is run. */
export interface RunOptions {
  /** That of the plan unless said. */
  readonly schema?: Schema
  /** All unless said. */
  readonly checkers?: readonly Checker[]
  /** Scopes that a person of a tenant has; those of the mix schema unless said. */
  readonly scopesOf?: (tenant: number, user: number) => readonly string[]
  /** How many values of a unique key each tenant wants; 12 unless said, so that they collide often. */
  readonly codeCount?: number
  /** What is in the server's tables before anybody opens the app. */
  readonly rows?: readonly FirstRow[]
  /** Another database beneath the server than the simulated one. */
  readonly outside?: OutsideStorage
  /** Stops at the first broken promise, without the rest of the plan. */
  readonly untilFailure?: boolean
  /** Told everything, for traces. */
  readonly observe?: (observation: Observation) => void
}

/** What came of a run. */
export interface RunResult {
  readonly violations: readonly Violation[]
  /** Mutations people asked for and were told to be durable. */
  readonly operations: number
  readonly events: number
  readonly observations: number
  /** The same for two runs of one plan. */
  readonly traceHash: string
  /** How often each fault struck. */
  readonly faults: Readonly<Record<string, number>>
  /** Fingerprints of the states that were seen. */
  readonly states: ReadonlySet<number>
  readonly virtualMs: number
}

/** Plays a plan to its end: faults, then healing, then everybody at rest, then the audit. Rules: SIM-1 to SIM-9. */
export async function runPlan(plan: Plan, options: RunOptions = {}): Promise<RunResult> {
  const { observe, untilFailure = false } = options
  const app = options.schema ? onlyApp(options.schema) : appOf(plan)
  const { schema } = app
  // Made once for many runs; not where it is made for this one, or begins with another schema.
  const isUsual = plan.schemaSeed === undefined && plan.isServerEarlier !== true
  const watch = new Watch(options.checkers ?? checkersFor(factsOf(schema)))
  const world = new World(plan, {
    app,
    ...(isUsual && { servers: await InstalledServers.for(schema) }),
    scopesOf: options.scopesOf,
    codeCount: options.codeCount,
    outside: options.outside,
    observe:
      observe || untilFailure
        ? (observation) => {
            observe?.(observation)
            watch.observe(observation)
            if (untilFailure && watch.violations.length > 0) world.scheduler.stop()
          }
        : watch.observe,
  })
  const onRejection = (error: unknown): void => world.onDefect(error)
  process.on('unhandledRejection', onRejection)
  try {
    await world.server.start()
    if (options.rows) putRows(world.serverDisk, world.schema, options.rows)
    await play(world)
  } catch (error) {
    if (error !== runStopped) throw error
  } finally {
    process.off('unhandledRejection', onRejection)
    await world.close()
  }
  const { operations, defects, faults, coverage, scheduler, traceHash } = world
  return {
    violations: [...defects, ...watch.violations].sort((left, right) => left.atMs - right.atMs),
    operations,
    events: scheduler.eventCount,
    observations: watch.count,
    traceHash,
    faults: faults.sorted(),
    states: coverage.seen,
    virtualMs: scheduler.nowMs,
  }
}
