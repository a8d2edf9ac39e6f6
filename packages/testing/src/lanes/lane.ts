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
  /** How much was run, in what its lane counts. */
  readonly count: number
  readonly failures: readonly CaseFailure[]
  /** Processor time, which says the same on a machine that is busy with other things. */
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

/** One run of a case. */
export interface Ran {
  /** How many of what the lane counts it was; 0 for one that only prepared others. */
  readonly worth: number
  readonly failure: CaseFailure | null
}

/** One thing a lane runs to its end: many runs that differ in one choice. */
export interface LaneCase {
  readonly name: string
  /** What its numbers are added to in print. */
  readonly group: string
  /** Whoever counts less than this was not run in full; for `part` one is enough. */
  readonly least: number
  /** Gives what each run came to, one after the other. */
  readonly runs: (extent: Extent) => AsyncGenerator<Ran, void, void>
  /** One run once more, as a failure names it. */
  readonly replay: (run: string, observe: Observe) => Promise<readonly Violation[]>
}

/** A list of cases that is run in full or fails. Rules: SIM-44. */
export interface Lane {
  readonly name: string
  /** What it counts, in the plural. */
  readonly unit: string
  /** A part of all its cases takes seconds: who wants the first failure begins with it. */
  readonly isQuick?: boolean
  readonly cases: readonly LaneCase[]
}

/** Runs a case; what it throws is a failure of it. null: it was called off in the middle. */
export async function runCase(
  { name, runs }: LaneCase,
  { extent, failureMax, goOn }: CaseOptions,
): Promise<CaseResult | null> {
  const before = process.cpuUsage()
  const failures: CaseFailure[] = []
  let count = 0
  try {
    for await (const { worth, failure } of runs(extent)) {
      count += worth
      if (failure) failures.push(failure)
      const isOver = !goOn()
      if (isOver && failures.length === 0) return null
      if (isOver || failures.length >= failureMax) break
    }
  } catch (error) {
    failures.push({ run: `after ${count}`, violation: defectOf(error) })
  }
  const { user, system } = process.cpuUsage(before)
  return { name, count, failures, ms: (user + system) / 1_000 }
}

function defectOf(error: unknown): Violation {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { invariant: 'no-defect', index: 0, atMs: 0, message: message.slice(0, 2_000) }
}

/** What of a lane's own list was not run, or ran less than it must: nothing when all is well. Rules: SIM-44. */
export function shortfalls(
  cases: readonly LaneCase[],
  results: readonly CaseResult[],
  extent: Extent,
): readonly string[] {
  const byName = new Map(results.map((result) => [result.name, result]))
  return cases.flatMap(({ name, least }) => {
    const result = byName.get(name)
    if (!result) return [`${name} was not run`]
    const wanted = extent === 'all' ? least : Math.min(least, 1)
    const isStopped = result.failures.length > 0
    return result.count < wanted && !isStopped ? [`${name} ran ${result.count}, not ${wanted}`] : []
  })
}
