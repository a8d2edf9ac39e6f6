import type { Limits } from '@holdfast/core'

/** How many rows a page is to have: `limits.pullRows` unless another number was asked for, from 1 to `limits.pullRowsMax`. */
export function pageRows(
  asked: number | undefined,
  { pullRows, pullRowsMax }: Pick<Limits, 'pullRows' | 'pullRowsMax'>,
): number {
  return Math.max(1, Math.min(asked ?? pullRows, pullRowsMax))
}
