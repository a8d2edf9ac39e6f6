import fc from 'fast-check'
import { expect, test } from 'vitest'
import { countRanges, formatRanges, overlapCount, parseRanges, rangesOf, unionRanges } from './ranges.ts'

const numbers = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 40 })

test('[WI-7] ranges read back as they were written, and hold exactly their numbers', () => {
  fc.assert(
    fc.property(numbers, numbers, (held, wanted) => {
      const ranges = rangesOf(held)
      expect(parseRanges(formatRanges(ranges))).toEqual(ranges)
      expect(countRanges(ranges)).toBe(new Set(held).size)
      expect(overlapCount(ranges, rangesOf(wanted))).toBe(
        new Set(wanted.filter((number) => held.includes(number))).size,
      )
      expect(unionRanges([...ranges, ...rangesOf(wanted)])).toEqual(rangesOf([...held, ...wanted]))
    }),
    { numRuns: 500, seed: 15 },
  )
})

test.each([
  ['', []],
  [
    '1-17,19',
    [
      [1, 17],
      [19, 19],
    ],
  ],
  ['19,1-17,18', [[1, 19]]],
  ['9007199254740991', [[9007199254740991, 9007199254740991]]],
])('[WI-7] %j reads as %j', (written, ranges) => {
  expect(parseRanges(written)).toEqual(ranges)
})

test.each(['0', '1-', '-1', '2-1', '1,,2', '1 - 2', 'x', '1;2', '9007199254740993', '99999999999999999'])(
  '[WI-7] %j is refused',
  (written) => {
    expect(() => parseRanges(written)).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID' }))
  },
)
