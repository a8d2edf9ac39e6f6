import type { Observation } from '../check/observation.ts'

/**
 * What becomes of a statement. `full`: it fails, the disk is full; a statement that writes nothing is not touched by
 * that. `kill`: the process dies before it. `slowMs`: it runs later, and everybody else goes on meanwhile; `until`: as soon
 * as that is so.
 */
export type Fate = 'run' | 'full' | 'kill' | { readonly slowMs: number } | { readonly until: Promise<void> }

/** What a simulated disk needs of its world. */
export interface DiskPorts {
  /** Told in order, right after the commit that shows it. */
  readonly observe: (observation: Observation) => void
  /** Virtual ms since the run began. */
  readonly nowMs: () => number
  /** Asked before each statement that matters: all but pragmas that only read. */
  readonly judge: (sql: string) => Fate
  readonly sleep: (ms: number) => Promise<void>
}
