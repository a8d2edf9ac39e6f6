import type { Violation } from '../check/checker.ts'
import type { FailedSeed, Summary } from './run-seeds.ts'

/** What is printed beside the summary itself. */
export interface Around {
  readonly seconds: number
  readonly jobs: number
  readonly machine: string
  readonly problems: readonly string[]
  /** Failures that are known. */
  readonly open: readonly FailedSeed[]
  /** What a seed is replayed with beside its number. */
  readonly replayOptions: string
}

/** Says what ran, what struck and what broke. */
export function printSummary(summary: Summary, around: Around): void {
  const { seconds, jobs, machine, problems, open, replayOptions } = around
  const { seeds, operations, events, faults, states, failures, virtualMs, repeated } = summary
  const line = (text = ''): void => void process.stdout.write(`${text}\n`)
  line(`${machine}, ${jobs} process${jobs === 1 ? '' : 'es'}`)
  line(`${format(operations)} user operations in ${format(seeds)} seeds, ${seconds.toFixed(0)} s`)
  line(`${format(operations / seconds / jobs)} operations a second and process, ${format(events)} events`)
  line(`${format(virtualMs / 86_400_000)} virtual days, ${format(states.length)} distinct states`)
  line(`${format(repeated)} seeds run twice with the same trace`)
  line('faults:')
  for (const [name, count] of Object.entries(faults).sort(([left], [right]) => left.localeCompare(right)))
    line(`  ${name.padEnd(20)} ${format(count).padStart(12)}`)
  for (const problem of problems) line(`NOT ENOUGH: ${problem}`)
  for (const { seed, violation } of open)
    line(`OPEN, known and not mended: seed ${seed} breaks ${violation.invariant}`)
  line(failures.length === 0 ? 'no violations' : `${failures.length} SEEDS BROKE A PROMISE`)
  for (const { seed, violation, count } of failures.slice(0, 20)) {
    printFailure(violation)
    if (count > 1) line(`  and ${count - 1} more in this seed`)
    line(`  replay: npm run simulate -- --replay ${seed}${replayOptions}`)
  }
}

/** One broken promise: which, where in the run, and what was seen. */
export function printFailure({ invariant, index, atMs, message }: Violation): void {
  process.stdout.write(
    `${invariant} at event ${index}, ${(atMs / 1_000).toFixed(3)} virtual s\n  ${message}\n`,
  )
}

function format(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
