import type { RangeSum } from '@holdfast/core'

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
  /** The records of each of these ranges, in one scan of the scope. */
  rangeRecords(ranges: RangesOfScope): Promise<ReadonlyMap<number, readonly string[]>>
  /** These rows as `put` in the scope. */
  putsOf(records: RecordsOfScope): Promise<readonly string[]>
}

interface InScope {
  readonly collection: string
  /** '*' is everything. */
  readonly scope: string
}

/** Ranges of a collection in a scope, out of so many. */
export interface RangesOfScope extends InScope {
  readonly of: number
  readonly ranges: readonly number[]
}

/** Records of a collection in a scope. */
export interface RecordsOfScope extends InScope {
  readonly records: readonly string[]
}

/** By range, from the rows of a store. */
export function recordsByRange(
  rows: readonly Readonly<Record<string, unknown>>[],
): ReadonlyMap<number, readonly string[]> {
  const found = new Map<number, string[]>()
  for (const { range, record } of rows) {
    const records = found.get(Number(range)) ?? []
    found.set(Number(range), records)
    records.push(String(record))
  }
  return found
}
