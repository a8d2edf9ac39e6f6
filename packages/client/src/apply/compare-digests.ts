import {
  foldRanges,
  type RangeDigest,
  rangeOfRecord,
  type RowRange,
  type Schema,
  type ScopeDigest,
} from '@holdfast/core'
import type { LocalReader } from '../local/local-database.ts'
import { type HeldSums, readHeldSums } from './held-rows.ts'

/** What came of comparing the device's copy with the server's. */
export interface Comparison {
  /** Ranges that were compared. */
  readonly ranges: number
  readonly differing: readonly RowRange[]
  /** Ranges of collections that have grown, of which one side has rows: they were not compared. */
  readonly renewed: readonly RowRange[]
}

/** What the server says it has. */
export interface DigestsToCompare {
  readonly schema: Schema
  readonly digests: readonly ScopeDigest[]
  /** Collections of which every row is to be fetched again. */
  readonly grown: readonly string[]
}

/**
 * Compares what the device holds with digests of the moment up to which it has applied everything. What it keeps in
 * quarantine, or has no collection for, is not compared. Rules: CS-2, AP-12.
 */
export async function compareDigests(
  tx: LocalReader,
  { schema, digests, grown }: DigestsToCompare,
): Promise<Comparison> {
  const keyOf = ({ collection, scope }: { readonly collection: string; readonly scope: string }): string =>
    `${collection}/${scope}`
  const parked = await tx.all('SELECT collection, record FROM _quarantine')
  const held = new Map((await readHeldSums(tx, schema)).map((sums) => [keyOf(sums), sums]))
  const told = digests.filter(({ collection }) => schema.collections.has(collection))
  const named = new Set(told.map(keyOf))
  // Where the server names nothing it holds nothing.
  const untold = [...held.values()].filter((sums) => !named.has(keyOf(sums)))
  const all = [...told, ...untold.map(({ collection, scope }) => ({ collection, scope, ranges: nothing }))]
  let ranges = 0
  const differing: RowRange[] = []
  const renewed: RowRange[] = []
  for (const digest of all) {
    const { collection } = digest
    const sums = held.get(keyOf(digest))?.sums ?? []
    if (grown.includes(collection)) {
      renewed.push(...rangesWhere(digest, sums, isFilled))
      continue
    }
    const unfit = parked.filter((row) => row['collection'] === collection)
    const skipped = new Set(unfit.map((row) => rangeOfRecord(String(row['record']), digest.ranges.length)))
    ranges += digest.ranges.length - skipped.size
    differing.push(...rangesWhere(digest, sums, isDiffering).filter(({ range }) => !skipped.has(range)))
  }
  return { ranges, differing, renewed }
}

const nothing: ScopeDigest['ranges'] = [[0, 0]]

/** Ranges of which `isMeant` holds, given what each side has of them. */
function rangesWhere(
  { collection, scope, ranges }: ScopeDigest,
  sums: HeldSums['sums'],
  isMeant: (theirs: RangeDigest, mine: RangeDigest) => boolean,
): readonly RowRange[] {
  const of = ranges.length
  const mine = foldRanges(sums, of)
  return ranges.flatMap((theirs, range) =>
    isMeant(theirs, mine[range] ?? [0, 0]) ? [{ collection, scope, range, of }] : [],
  )
}

function isDiffering([rows, sum]: RangeDigest, [myRows, mySum]: RangeDigest): boolean {
  return rows !== myRows || sum !== mySum
}

function isFilled([rows]: RangeDigest, [myRows]: RangeDigest): boolean {
  return rows > 0 || myRows > 0
}
