import type { CaseName } from './contender.ts'

/** How much work a case does. */
export interface CaseSize {
  /** Rows there are before the clock starts. */
  readonly rows: number
  /** Writes that are timed; records edited for `coalesce`. */
  readonly writes: number
}

/** What a case measures, how much of it, and what it is to reach. */
export interface BenchCase {
  readonly name: CaseName
  readonly unit: 'writes/s' | 'rows/s' | 'ms' | 'bytes/record'
  readonly size: CaseSize
  /** Enough to show that the harness works, far too little to mean anything. */
  readonly quickSize: CaseSize
  /** The server and devices with all rows are made once and copied for each process. */
  readonly startsFromFixture: boolean
  readonly goal: Goal
}

/** What counts as reached. Ratios are always ours divided by the limit. */
type Goal =
  | { readonly kind: 'ratio'; readonly atLeast: number }
  | { readonly kind: 'ratio'; readonly atMost: number }
  /** Bytes of ours, compressed as they travel and with compression undone. */
  | { readonly kind: 'bytes'; readonly atMost: number; readonly plainAtMost: number }
  /** Only to be known. */
  | { readonly kind: 'none' }

const allRows = 100_000
const quickRows = 2_000

/** Every case, in the order in which it runs. */
export const benchCases: readonly BenchCase[] = [
  {
    name: 'write-single',
    unit: 'writes/s',
    size: { rows: 0, writes: 5_000 },
    quickSize: { rows: 0, writes: 50 },
    startsFromFixture: false,
    goal: { kind: 'ratio', atLeast: 0.5 },
  },
  {
    name: 'write-single-full',
    unit: 'writes/s',
    size: { rows: 0, writes: 5_000 },
    quickSize: { rows: 0, writes: 50 },
    startsFromFixture: false,
    goal: { kind: 'ratio', atLeast: 0.8 },
  },
  {
    name: 'write-bulk',
    unit: 'rows/s',
    size: { rows: 0, writes: 20_000 },
    quickSize: { rows: 0, writes: 1_200 },
    startsFromFixture: false,
    goal: { kind: 'ratio', atLeast: 0.5 },
  },
  {
    name: 'live-query',
    unit: 'ms',
    size: { rows: 10_000, writes: 500 },
    quickSize: { rows: quickRows, writes: 20 },
    startsFromFixture: false,
    goal: { kind: 'ratio', atMost: 1.5 },
  },
  {
    name: 'cold-open',
    unit: 'ms',
    size: { rows: allRows, writes: 0 },
    quickSize: { rows: quickRows, writes: 0 },
    startsFromFixture: true,
    goal: { kind: 'ratio', atMost: 2.5 },
  },
  {
    name: 'push',
    unit: 'rows/s',
    size: { rows: 0, writes: 10_000 },
    quickSize: { rows: 0, writes: 600 },
    startsFromFixture: false,
    goal: { kind: 'ratio', atLeast: 0.4 },
  },
  {
    name: 'first-sync',
    unit: 'rows/s',
    size: { rows: allRows, writes: 0 },
    quickSize: { rows: quickRows, writes: 0 },
    startsFromFixture: true,
    goal: { kind: 'ratio', atLeast: 0.4 },
  },
  {
    name: 'pull-one',
    unit: 'ms',
    size: { rows: allRows, writes: 50 },
    quickSize: { rows: quickRows, writes: 5 },
    startsFromFixture: true,
    goal: { kind: 'none' },
  },
  {
    name: 'coalesce',
    unit: 'bytes/record',
    size: { rows: allRows, writes: 1_000 },
    quickSize: { rows: quickRows, writes: 50 },
    startsFromFixture: true,
    goal: { kind: 'bytes', atMost: 60, plainAtMost: 350 },
  },
]
