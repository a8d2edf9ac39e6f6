import { SyncError } from './errors.ts'

/** Sorted, disjoint, not touching: `[[1, 17], [19, 19]]`. Both ends belong to the range. */
export type Ranges = readonly (readonly [first: number, last: number])[]

/** Reads `"1-17,19"`. Throws REQUEST_INVALID on anything else. Round-trips with `formatRanges`. Rules: WI-7. */
export function parseRanges(text: string): Ranges {
  if (text === '') return []
  const parsed = text.split(',').map((part): [number, number] => {
    const match = /^([1-9]\d{0,15})(?:-([1-9]\d{0,15}))?$/.exec(part)
    const first = Number(match?.[1])
    const last = match?.[2] === undefined ? first : Number(match[2])
    if (!match || last < first || !Number.isSafeInteger(last)) {
      throw new SyncError(
        'REQUEST_INVALID',
        `"${text.slice(0, 80)}" is not a list of device numbers such as "1-17,19"`,
      )
    }
    return [first, last]
  })
  return unionRanges(parsed)
}

/** Writes the ranges the way `parseRanges` reads them. */
export function formatRanges(ranges: Ranges): string {
  return ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(',')
}

/** The smallest sorted list of ranges that holds the same numbers. */
export function unionRanges(ranges: Ranges): Ranges {
  const sorted = [...ranges].sort((left, right) => left[0] - right[0])
  const merged: [number, number][] = []
  for (const [first, last] of sorted) {
    const previous = merged.at(-1)
    if (previous && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last)
    else merged.push([first, last])
  }
  return merged
}

/** The ranges of single numbers, in any order, repeats allowed. */
export function rangesOf(numbers: Iterable<number>): Ranges {
  return unionRanges(Array.from(numbers, (number): [number, number] => [number, number]))
}

/** How many numbers of `wanted` are in `held`: 0 is none, `countRanges(wanted)` is all, between is a partial overlap. */
export function overlapCount(held: Ranges, wanted: Ranges): number {
  let count = 0
  for (const [first, last] of wanted) {
    let low = 0
    let high = held.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((held[middle]?.[1] ?? 0) < first) low = middle + 1
      else high = middle
    }
    for (let index = low; index < held.length; index++) {
      const range = held[index]
      if (!range || range[0] > last) break
      count += Math.min(last, range[1]) - Math.max(first, range[0]) + 1
    }
  }
  return count
}

/** How many numbers the ranges hold. */
export function countRanges(ranges: Ranges): number {
  return ranges.reduce((count, [first, last]) => count + last - first + 1, 0)
}
