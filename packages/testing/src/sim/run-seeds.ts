import type { Violation } from '../check/checker.ts'
import { generatePlan } from '../gen/generate-plan.ts'
import { runPlan } from './run-plan.ts'

/** Several seeds, one after the other. */
export interface SeedsOptions {
  readonly first: number
  readonly count: number
  /** Operations each plan asks for, about; as many as its seed draws unless said. */
  readonly operations?: number
  /** Every nth seed is run twice, and both runs must be the same; 0 is none. */
  readonly twice: number
  /** Stops after the first seed that breaks a promise. */
  readonly untilFailure: boolean
  /** As in `SwarmOptions`. */
  readonly dense?: boolean
  /** Called after each seed; false ends it. */
  readonly goOn: (soFar: Summary) => boolean
}

/** A seed that broke a promise. */
export interface FailedSeed {
  readonly seed: number
  readonly violation: Violation
  readonly count: number
}

/** What many runs came to. Plain JSON, and two of them can be added. */
export interface Summary {
  seeds: number
  operations: number
  events: number
  observations: number
  virtualMs: number
  /** Seeds run twice with the same result. */
  repeated: number
  faults: Record<string, number>
  states: number[]
  failures: FailedSeed[]
}

/** Nothing yet. */
export function emptySummary(): Summary {
  return {
    seeds: 0,
    operations: 0,
    events: 0,
    observations: 0,
    virtualMs: 0,
    repeated: 0,
    faults: {},
    states: [],
    failures: [],
  }
}

/** Adds `more` to `sum`. */
export function addSummary(sum: Summary, more: Summary): void {
  sum.seeds += more.seeds
  sum.operations += more.operations
  sum.events += more.events
  sum.observations += more.observations
  sum.virtualMs += more.virtualMs
  sum.repeated += more.repeated
  for (const [name, count] of Object.entries(more.faults)) sum.faults[name] = (sum.faults[name] ?? 0) + count
  sum.states = [...new Set([...sum.states, ...more.states])]
  sum.failures.push(...more.failures)
}

/** Runs seeds and adds up what came of them. Each is run once, whatever comes of it. Rules: SIM-6, SIM-7. */
export async function runSeeds(options: SeedsOptions): Promise<Summary> {
  const sum = emptySummary()
  const states = new Set<number>()
  for (let seed = options.first; seed < options.first + options.count; seed++) {
    const { operations, dense } = options
    const plan = generatePlan(seed, {
      ...(operations === undefined ? {} : { operations }),
      ...(dense === true && { dense }),
    })
    const result = await runPlan(plan, { untilFailure: options.untilFailure })
    const [first] = result.violations
    if (first) sum.failures.push({ seed, violation: first, count: result.violations.length })
    if (options.twice > 0 && seed % options.twice === 0 && !(first && options.untilFailure)) {
      const again = await runPlan(plan)
      if (again.traceHash === result.traceHash) sum.repeated += 1
      else sum.failures.push({ seed, violation: notTheSame(result.traceHash, again.traceHash), count: 1 })
    }
    sum.seeds += 1
    sum.operations += result.operations
    sum.events += result.events
    sum.observations += result.observations
    sum.virtualMs += result.virtualMs
    for (const [name, count] of Object.entries(result.faults))
      sum.faults[name] = (sum.faults[name] ?? 0) + count
    for (const state of result.states) states.add(state)
    if ((options.untilFailure && sum.failures.length > 0) || !options.goOn(sum)) break
  }
  sum.states = [...states]
  return sum
}

function notTheSame(one: string, other: string): Violation {
  const message = `two runs of one plan differ: ${one} and ${other}`
  return { invariant: 'determinism', index: 0, atMs: 0, message }
}
