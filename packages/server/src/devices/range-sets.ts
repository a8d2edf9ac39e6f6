import { type Ranges, unionRanges } from '@holdfast/core'

/** The numbers that are in both. */
export function intersectRanges(left: Ranges, right: Ranges): Ranges {
  const both: [number, number][] = []
  let index = 0
  for (const [first, last] of left) {
    while (index < right.length && (right[index]?.[1] ?? 0) < first) index++
    for (let at = index; at < right.length; at++) {
      const range = right[at]
      if (!range || range[0] > last) break
      both.push([Math.max(first, range[0]), Math.min(last, range[1])])
    }
  }
  return unionRanges(both)
}

/** The numbers of `left` that are not in `right`. */
export function subtractRanges(left: Ranges, right: Ranges): Ranges {
  const rest: [number, number][] = []
  for (const [first, last] of left) {
    let from = first
    for (const [gone, end] of intersectRanges([[first, last]], right)) {
      if (gone > from) rest.push([from, gone - 1])
      from = end + 1
    }
    if (from <= last) rest.push([from, last])
  }
  return rest
}

/** `held` with more numbers. Quick where they follow the last one, as the numbers of a device nearly always do. */
export function addRanges(held: Ranges, more: Ranges): Ranges {
  const [last, first] = [held.at(-1), more[0]]
  if (!last || !first || more.length > 1 || first[0] !== last[1] + 1) return unionRanges([...held, ...more])
  return held.with(-1, [last[0], first[1]])
}
