import { countRanges, type Ranges, rangesOf } from '@holdfast/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addRanges, intersectRanges, subtractRanges } from './range-sets.ts'

const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 40 })

/** The numbers one by one. */
function spell(ranges: Ranges): readonly number[] {
  return ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, at) => first + at))
}

test('[PU-23] sets of device numbers meet, differ and grow like sets', () => {
  fc.assert(
    fc.property(numbers, numbers, (left, right) => {
      const [one, other] = [rangesOf(left), rangesOf(right)]
      const sorted = [...left].sort((a, b) => a - b)
      expect(spell(intersectRanges(one, other))).toEqual(sorted.filter((number) => right.includes(number)))
      expect(spell(subtractRanges(one, other))).toEqual(sorted.filter((number) => !right.includes(number)))
      expect(addRanges(one, other)).toEqual(rangesOf([...left, ...right]))
      expect(countRanges(addRanges(one, [[61, 61]]))).toBe(left.length + 1)
    }),
    { seed: 7, numRuns: 500 },
  )
})
