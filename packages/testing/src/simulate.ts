import type { Schema } from '@holdfast/core'

import type { Checker } from './check/checker.ts'
import { checkersFor } from './check/checkers.ts'
import { factsOf } from './check/facts-of.ts'
import { assumeScopes } from './gen/assumed-scopes.ts'
import { namedRows } from './gen/named-rows.ts'
import { type FaultLevel, openingMs, userPlan } from './gen/user-plan.ts'
import { ReportCollector } from './report/collect-report.ts'
import type { SimulationReport } from './report/report.ts'
import { runPlan } from './sim/run-plan.ts'

/** A team to simulate, and how long. */
export interface SimulateOptions {
  readonly schema: Schema
  /** 20 unless said. */
  readonly devices?: number
  /** Virtual days of a run; 2 unless said. */
  readonly days?: number
  /** Edits of one device on one day; 40 unless said. */
  readonly edits?: number
  /** How long people are without a network when they are, ms; 8 hours unless said, 0 for never. */
  readonly offlineMs?: number
  /** `usual` unless said. */
  readonly faults?: FaultLevel
  /** The first one; 1 unless said. */
  readonly seed?: number
  /** Runs, each of another seed; one unless said. */
  readonly seeds?: number
  /** Every promise unless said. */
  readonly checkers?: readonly Checker[]
  /** Told how far it is; false ends the simulation after the run that is under way. */
  readonly progress?: (soFar: SimulationProgress) => boolean
}

/** How far a simulation is. */
export interface SimulationProgress {
  /** Runs that are over. */
  readonly seeds: number
  /** Of the run that is under way, from 0 to 1. */
  readonly share: number
  /** In the runs that are over. */
  readonly operations: number
  readonly failures: number
}

/** Values of a unique key a team wants: so many that two people want the same one now and then. */
const codeCount = 5_000

/** Observations between two words on the progress. */
const progressEvery = 2_000

/**
 * Runs an app's schema with simulated people, devices and faults: shipped client and server code, in virtual time.
 * Resolves with what came of it; a broken promise is in `failures`, with the seed that shows it again. The same options
 * always give the same. Rules: SIM-71, SIM-72, SIM-77.
 */
export async function simulate(options: SimulateOptions): Promise<SimulationReport> {
  const { schema, progress } = options
  const { seed: firstSeed = 1, seeds = 1, devices = 20, days = 2 } = options
  const assumed = assumeScopes(schema)
  const collector = new ReportCollector(schema)
  const checkers = options.checkers ?? checkersFor(factsOf(schema))
  const tell = (done: number, share: number): boolean =>
    progress?.({ seeds: done, share, operations: collector.operations, failures: collector.failureCount }) ??
    true
  for (let done = 0; done < seeds; done++) {
    const seed = firstSeed + done
    const plan = userPlan(seed, {
      schema,
      devices,
      days,
      edits: options.edits ?? 40,
      offlineMs: options.offlineMs ?? 8 * 3_600_000,
      faults: options.faults ?? 'usual',
    })
    const fold = collector.start(plan, openingMs)
    let count = 0
    const result = await runPlan(plan, {
      schema,
      checkers,
      scopesOf: assumed.scopesOf,
      codeCount,
      rows: namedRows(schema, plan, assumed),
      observe: (observation) => {
        fold(observation)
        count += 1
        if (count % progressEvery === 0) tell(done, Math.min(1, observation.atMs / plan.chaosMs))
      },
    })
    collector.finish(seed, result)
    if (!tell(done + 1, 0)) break
  }
  return collector.report({ firstSeed, devices, days, assumptions: assumed.sentences })
}
