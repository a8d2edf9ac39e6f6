import type { Violation } from '../check/checker.ts'
import type { Observation } from '../check/observation.ts'

/** Told everything that is observed of a run. */
export type Observe = (observation: Observation) => void

/** How much of a case is run. `part`: a fixed sample of its runs, for every change of the code. */
export type Extent = 'all' | 'part'

/** A run that broke a promise. */
export interface CaseFailure {
  /** Which run of the case: says it again with `--case` and `--run`. */
  readonly run: string
  readonly violation: Violation
}

/** What came of a case. Plain JSON. */
export interface CaseResult {
  readonly name: string
  readonly runs: number
  readonly failures: readonly CaseFailure[]
  readonly ms: number
}

/** How a case is run. */
export interface CaseOptions {
  readonly extent: Extent
  /** The first failures say enough: the case ends with this many. */
  readonly failureMax: number
  /** Asked after each run; false ends the case, which then counts as not run. */
  readonly goOn: () => boolean
}

/** What a run of a case found; null: nothing. */
export type Found = CaseFailure | null

/** One thing a lane runs to its end: many runs that differ in one choice. */
export interface LaneCase {
  readonly name: string
  /** What its numbers are added to in print. */
  readonly group: string
  /** Fewer runs than this mean that it was not run at all; for `part` one is enough. */
  readonly leastRuns: number
  /** Gives what each run found, one after the other. */
  readonly runs: (extent: Extent) => AsyncGenerator<Found, void, void>
  /** One run once more, as a failure names it. */
  readonly replay: (run: string, observe: Observe) => Promise<readonly Violation[]>
}

/** A list of cases that is run in full or fails. Rules: SIM-44. */
export interface Lane {
  readonly name: string
  readonly cases: readonly LaneCase[]
}

/** Runs a case. null: it was called off in the middle. */
export async function runCase(
  { name, runs }: LaneCase,
  { extent, failureMax, goOn }: CaseOptions,
): Promise<CaseResult | null> {
  const startedMs = performance.now()
  const failures: CaseFailure[] = []
  let count = 0
  for await (const found of runs(extent)) {
    count += 1
    if (found) failures.push(found)
    const isOver = !goOn()
    if (isOver && failures.length === 0) return null
    if (isOver || failures.length >= failureMax) break
  }
  return { name, runs: count, failures, ms: performance.now() - startedMs }
}

/** What of a lane's own list was not run, or ran less than it must: nothing when all is well. Rules: SIM-44. */
export function shortfalls(
  cases: readonly LaneCase[],
  results: readonly CaseResult[],
  extent: Extent,
): readonly string[] {
  const byName = new Map(results.map((result) => [result.name, result]))
  return cases.flatMap(({ name, leastRuns }) => {
    const result = byName.get(name)
    if (!result) return [`${name} was not run`]
    const least = extent === 'all' ? leastRuns : 1
    const isStopped = result.failures.length > 0
    return result.runs < least && !isStopped ? [`${name} had ${result.runs} runs, not ${least}`] : []
  })
}
