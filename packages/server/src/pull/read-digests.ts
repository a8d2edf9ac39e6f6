import { foldRanges, type Limits, rangeCountFor, type RowRange, type ScopeDigest } from '@holdfast/core'
import type { PullOptions } from '../engine.ts'
import type { ReadFrom, StoreReader } from '../store/store.ts'

/** What a device compares its copy with, and what it is to replace. */
export interface PageDigests {
  readonly digests?: readonly ScopeDigest[]
  /** Ranges of which the page holds every row. */
  readonly ranges?: readonly RowRange[]
  /** Their rows as `put`. */
  readonly rows: readonly string[]
}

/**
 * What was asked for of the scopes that a page covers, in the snapshot of the page: whoever has applied it holds exactly
 * this. Ranges are taken in the order they were asked for, until the page is full. Rules: CS-1 to CS-3.
 */
export async function readDigests(
  tx: StoreReader,
  asked: Pick<PullOptions, 'digests' | 'ranges'>,
  { scopes, limits }: { readonly scopes: ReadFrom['scopes']; readonly limits: Limits },
): Promise<PageDigests> {
  const rows: string[] = []
  const ranges: RowRange[] = []
  let bytes = 0
  const wanted = asked.ranges ?? []
  const scans = new Map<string, Promise<ReadonlyMap<number, readonly string[]>>>()
  // One scan for all that are of the same scope, when the first of them is due.
  const recordsOf = async (wish: RowRange): Promise<readonly string[]> => {
    const key = keyOf(wish)
    const alike = wanted.filter((each) => keyOf(each) === key)
    const scan = scans.get(key) ?? tx.rangeRecords({ ...wish, ranges: alike.map(({ range }) => range) })
    scans.set(key, scan)
    return (await scan).get(wish.range) ?? []
  }
  for (const range of wanted) {
    if (rows.length >= limits.snapshotRows || bytes >= limits.pageBytes) break
    if (scopes === '*' ? range.scope !== '*' : !scopes.includes(range.scope)) continue
    ranges.push(range)
    const { collection, scope } = range
    for (const text of await tx.putsOf({ collection, scope, records: await recordsOf(range) })) {
      rows.push(text)
      bytes += text.length
    }
  }
  return {
    ...(asked.digests === true && { digests: await scopeDigests(tx, scopes, limits) }),
    ...(asked.ranges && { ranges }),
    rows,
  }
}

/** The same for ranges that one scan finds. */
function keyOf({ collection, scope, of }: RowRange): string {
  return `${of} ${collection} ${scope}`
}

async function scopeDigests(
  tx: StoreReader,
  scopes: ReadFrom['scopes'],
  limits: Limits,
): Promise<readonly ScopeDigest[]> {
  return (await tx.digests(scopes, limits.rangeRows)).map(({ scope, collection, sums }) => {
    const count = sums.reduce((total, { rows }) => total + rows, 0)
    return { collection, scope, ranges: foldRanges(sums, rangeCountFor(count, limits.rangeRows)) }
  })
}
