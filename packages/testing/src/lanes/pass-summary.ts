import { type CaseResult, type Extent, type Lane, type LaneCase, shortfalls } from './lane.ts'

/** What a pass over the lanes was asked for, and what came of it. */
export interface Pass {
  readonly lanes: readonly Lane[]
  /** The cases that were asked for. */
  readonly chosen: readonly LaneCase[]
  readonly extent: Extent
  readonly results: readonly CaseResult[]
  /** It was told to stop when its time was over, or at the first failure. */
  readonly mayStopEarly: boolean
  /** What there is of the machine and of the time it took, in a few words. */
  readonly around: string
}

/** What a pass comes to. */
export interface Verdict {
  readonly lines: readonly string[]
  /** No promise was broken, and nothing was left out that was asked for. */
  readonly isGood: boolean
}

/** Failures that are printed of one case. */
const shownMax = 3

/** Cases that were not run and are named. */
const namedMax = 20

/**
 * Says of each lane what was run, how long it took and what failed; whether that was everything there is; and, where it
 * was not, what is missing. Rules: SIM-44, SIM-46.
 */
export function summarise(pass: Pass): Verdict {
  const { chosen, extent, results, mayStopEarly, around } = pass
  const missing = shortfalls(chosen, results, extent)
  const failed = results.filter(({ failures }) => failures.length > 0)
  const lines = [
    around,
    rowOf(['lane', 'cases', 'run', 'cpu s', 'broken']),
    ...pass.lanes.map((lane) => laneRow(lane, pass)),
    ...failed.flatMap(failureLines),
    ...missing.slice(0, namedMax).map((text) => `NOT RUN: ${text}`),
  ]
  if (missing.length > namedMax) lines.push(`NOT RUN: ${missing.length - namedMax} more`)
  lines.push(extentLine(pass, missing.length))
  return {
    lines,
    isGood: failed.length === 0 && chosen.length > 0 && (missing.length === 0 || mayStopEarly),
  }
}

function laneRow({ name, unit, cases }: Lane, { chosen, results }: Pass): string {
  const names = new Set(cases.map((each) => each.name))
  if (!chosen.some((each) => names.has(each.name))) return rowOf([name, 'not asked for', '', '', ''])
  const own = results.filter((result) => names.has(result.name))
  const count = sum(own.map((result) => result.count))
  const seconds = sum(own.map(({ ms }) => ms)) / 1_000
  const broken = sum(own.map(({ failures }) => failures.length))
  return rowOf([
    name,
    `${own.length} of ${cases.length}`,
    `${format(count)} ${unit}`,
    format(seconds),
    format(broken),
  ])
}

function failureLines({ name, failures }: CaseResult): readonly string[] {
  const shown = failures
    .slice(0, shownMax)
    .map(
      ({ run, violation }) => `FAILED: ${name}, run ${run}\n  ${violation.invariant}: ${violation.message}`,
    )
  return failures.length > shownMax
    ? [...shown, `  and ${failures.length - shownMax} more runs of ${name}`]
    : shown
}

/** Never says more than was done. */
function extentLine({ lanes, chosen, extent, results }: Pass, missing: number): string {
  const total = sum(lanes.map(({ cases }) => cases.length))
  if (extent === 'part') return `a sample of ${results.length} cases of ${total}`
  if (missing > 0) return `not a full pass: ${missing} of ${chosen.length} cases were not run to their end`
  if (chosen.length < total) return `not a full pass: ${chosen.length} of ${total} cases were asked for`
  const isBroken = results.some(({ failures }) => failures.length > 0)
  return `a full pass: ${total} cases, ${isBroken ? 'and PROMISES WERE BROKEN' : 'every promise kept'}`
}

function rowOf([lane, ...rest]: readonly [string, string, string, string, string]): string {
  const [cases, run, seconds, broken] = rest
  return [lane.padEnd(14), cases.padEnd(14), run.padStart(18), seconds.padStart(8), broken.padStart(7)]
    .join(' ')
    .trimEnd()
}

function sum(values: readonly number[]): number {
  return values.reduce((left, right) => left + right, 0)
}

function format(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
