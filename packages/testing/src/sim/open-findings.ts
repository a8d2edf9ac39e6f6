import type { FailedSeed, Summary } from './run-seeds.ts'

/** A promise that a seed is known to break, and nobody has mended yet. */
export interface OpenFinding {
  readonly seed: number
  readonly invariant: string
  /** What is known of it. */
  readonly story: string
}

/**
 * What is known to be wrong, told at the end of every run and in docs/reliability.md. The list is for the shortest time:
 * a seed is on it by number and promise, so that anything else it breaks fails, and it is to go once it is mended.
 */
export const openFindings: readonly OpenFinding[] = []

/** The failures of a run that are known, and those that are not. */
export function partFindings(
  { failures }: Pick<Summary, 'failures'>,
  known: readonly OpenFinding[],
): { readonly open: readonly FailedSeed[]; readonly fresh: readonly FailedSeed[] } {
  const isKnown = ({ seed, violation }: FailedSeed): boolean =>
    known.some((finding) => finding.seed === seed && finding.invariant === violation.invariant)
  return { open: failures.filter(isKnown), fresh: failures.filter((failure) => !isKnown(failure)) }
}
