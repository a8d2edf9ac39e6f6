import { countRanges, type Ranges } from '../ranges.ts'

/** A mutation as far as its numbers and keys go; `covers` holds as many numbers as there are ids, if they are all told. */
export interface Numbered {
  readonly id: string
  readonly covers: Ranges
  readonly folded?: readonly string[] | undefined
}

/** Characters at the end of a key that tell it from another under the same number: 32 of its random bits. */
export const keyEndLength = 8

/**
 * Which mutation each covered number is, by number: the first is `id`, the others are those folded into it. Where they
 * are not told, only the first is known. Pure. Rules: FO-11.
 */
export function coveredIds({ id, covers, folded = [] }: Numbered): ReadonlyMap<number, string> {
  const [first] = covers
  if (!first) return new Map()
  if (countRanges(covers) !== folded.length + 1) return new Map([[first[0], id]])
  const ids = [id, ...folded]
  const numbers = covers.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, at) => from + at))
  return new Map(numbers.map((number, at) => [number, ids[at] ?? '']))
}
