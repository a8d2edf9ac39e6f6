import type { BenchCase } from './cases.ts'
import { type Measurement, percentile } from './measurement.ts'

/** Both sides of a case in one round. */
export interface Round {
  readonly ours: Measurement
  readonly limit: Measurement
}

/** A line of the result, as `--json` writes it. */
export interface ResultLine {
  readonly case: string
  readonly unit: string
  /** Median over the rounds. */
  readonly ours: number
  /** Median over the rounds. */
  readonly limit: number
  /** `ours` divided by `limit`: for rates more is better, for ms and bytes less is. */
  readonly ratio: number
  /** The smallest ratio of a round. */
  readonly min: number
  /** The largest ratio of a round. */
  readonly max: number
}

/** A result with what it was to reach. */
export interface JudgedLine {
  readonly line: ResultLine
  readonly goal: string
  /** Undefined when there is no goal. */
  readonly isReached: boolean | undefined
  /** Medians of the figures beside the value, by side and name. */
  readonly notes: Readonly<Record<string, number>>
}

/** Medians over the rounds of one case, held against its goal. */
export function summarize(bench: BenchCase, rounds: readonly Round[]): JudgedLine {
  const ours = median(rounds.map((round) => round.ours.value))
  const limit = median(rounds.map((round) => round.limit.value))
  const ratios = rounds.map((round) => round.ours.value / round.limit.value)
  const line: ResultLine = {
    case: bench.name,
    unit: bench.unit,
    ours,
    limit,
    ratio: ours / limit,
    min: Math.min(...ratios),
    max: Math.max(...ratios),
  }
  const notes = { ...notesOf('ours', rounds), ...notesOf('limit', rounds) }
  return { line, notes, ...judge(bench, line, notes) }
}

function judge(
  { goal }: BenchCase,
  line: ResultLine,
  notes: Readonly<Record<string, number>>,
): Pick<JudgedLine, 'goal' | 'isReached'> {
  if (goal.kind === 'none') return { goal: 'none', isReached: undefined }
  if (goal.kind === 'bytes') {
    const plain = notes['ours: plain'] ?? Number.POSITIVE_INFINITY
    const isReached = line.ours <= goal.atMost && plain <= goal.plainAtMost
    return { goal: `≤ ${goal.atMost} B, plain ≤ ${goal.plainAtMost} B`, isReached }
  }
  if ('atLeast' in goal) return { goal: `≥ ${goal.atLeast}×`, isReached: line.ratio >= goal.atLeast }
  return { goal: `≤ ${goal.atMost}×`, isReached: line.ratio <= goal.atMost }
}

function notesOf(side: keyof Round, rounds: readonly Round[]): Record<string, number> {
  const names = Object.keys(rounds[0]?.[side].notes ?? {})
  const medianOf = (name: string): number =>
    median(rounds.map((round) => round[side].notes?.[name] ?? Number.NaN))
  return Object.fromEntries(names.map((name) => [`${side}: ${name}`, medianOf(name)]))
}

function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}
