import type { Schema } from '@holdfast/core'

import type { Violation } from '../check/checker.ts'
import type { Observation } from '../check/observation.ts'
import type { Plan } from '../sim/plan.ts'
import { AwayTimes } from './away-times.ts'
import { Figures } from './figures.ts'
import type { FailedRun, SimulationReport } from './report.ts'
import { RunFold } from './run-fold.ts'
import { suggest } from './suggestions.ts'

/** What a run says of itself at its end. */
export interface EndedRun {
  readonly operations: number
  readonly virtualMs: number
  readonly faults: Readonly<Record<string, number>>
  readonly violations: readonly Violation[]
}

/** Adds runs up to a report: a fold over what was observed of each, and nothing else. Rules: SIM-72. */
export class ReportCollector {
  readonly #schema: Schema
  readonly #figures: Figures
  readonly #faults = new Map<string, number>()
  readonly #failures: FailedRun[] = []
  #operations = 0
  #virtualMs = 0
  #runCount = 0

  constructor(schema: Schema) {
    this.#schema = schema
    this.#figures = new Figures(schema)
  }

  get operations(): number {
    return this.#operations
  }

  get failureCount(): number {
    return this.#failures.length
  }

  /** Begins a run: what is returned takes its observations in order. What people do before `startMs` does not count. */
  start(plan: Pick<Plan, 'devices' | 'steps' | 'chaosMs'>, startMs = 0): (observation: Observation) => void {
    const away = new AwayTimes(plan)
    const fold = new RunFold(
      this.#figures,
      (disk, fromMs, toMs) => away.isReachable(disk, fromMs, toMs),
      startMs,
    )
    return fold.observe
  }

  /** Ends it. */
  finish(seed: number, { operations, virtualMs, faults, violations }: EndedRun): void {
    this.#runCount += 1
    this.#operations += operations
    this.#virtualMs += virtualMs
    for (const [name, count] of Object.entries(faults))
      this.#faults.set(name, (this.#faults.get(name) ?? 0) + count)
    const [violation] = violations
    if (violation) this.#failures.push({ seed, violation, count: violations.length })
  }

  /** What the runs so far came to. */
  report(
    about: Pick<SimulationReport, 'devices' | 'days' | 'assumptions'> & { readonly firstSeed: number },
  ): SimulationReport {
    const { firstSeed, ...rest } = about
    const counted = this.#figures.counted()
    return {
      seeds: { first: firstSeed, count: this.#runCount },
      ...rest,
      virtualMs: this.#virtualMs,
      operations: this.#operations,
      faults: Object.fromEntries([...this.#faults].sort(([left], [right]) => (left < right ? -1 : 1))),
      failures: this.#failures,
      ...counted,
      suggestions: suggest(this.#schema, counted),
    }
  }
}
