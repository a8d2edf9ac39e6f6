import type { RangeSum, RowRange } from '@holdfast/core'

/** Rows of a collection in a scope, summed up by the smallest ranges that are not empty. */
export interface StoredDigest {
  readonly scope: string
  readonly collection: string
  readonly sums: readonly RangeSum[]
}

/** Reads for the comparison of copies. */
export interface DigestReads {
  /**
   * What there is of each collection of the schema in each scope; for '*' in '*'. In ranges that can be folded to those of
   * about `rangeRows` rows. Rules: CS-1.
   */
  digests(scopes: readonly string[] | '*', rangeRows: number): Promise<readonly StoredDigest[]>
  /** Every row of a range as `put`. */
  rangeRows(range: RowRange): Promise<readonly string[]>
}
