import { expect, test } from 'vitest'

import type { BenchCase } from './cases.ts'
import { formatTable } from './format-table.ts'
import { percentile } from './measurement.ts'
import { type Round, summarize } from './summarize.ts'

const size = { rows: 0, writes: 10 }
const rateCase: BenchCase = {
  name: 'write-single',
  unit: 'writes/s',
  size,
  quickSize: size,
  startsFromFixture: false,
  goal: { kind: 'ratio', atLeast: 0.5 },
}

function givenRounds(...pairs: readonly (readonly [ours: number, limit: number])[]): Round[] {
  return pairs.map(([ours, limit]) => ({ ours: { value: ours }, limit: { value: limit } }))
}

test('a result holds medians, their ratio, and the smallest and largest ratio of a round', () => {
  const { line } = summarize(rateCase, givenRounds([50, 100], [90, 120], [70, 80]))
  expect(line).toEqual({
    case: 'write-single',
    unit: 'writes/s',
    ours: 70,
    limit: 100,
    ratio: 0.7,
    min: 0.5,
    max: 0.875,
  })
})

test.each([
  [{ kind: 'ratio', atLeast: 0.5 } as const, 49, '≥ 0.5×', false],
  [{ kind: 'ratio', atLeast: 0.5 } as const, 50, '≥ 0.5×', true],
  [{ kind: 'ratio', atMost: 1.5 } as const, 150, '≤ 1.5×', true],
  [{ kind: 'ratio', atMost: 1.5 } as const, 151, '≤ 1.5×', false],
  [{ kind: 'none' } as const, 1, 'none', undefined],
])('goal %j with a ratio of %d/100', (goal, ours, text, isReached) => {
  expect(summarize({ ...rateCase, goal }, givenRounds([ours, 100]))).toMatchObject({ goal: text, isReached })
})

test.each([
  [60, 350, true],
  [61, 350, false],
  [60, 351, false],
])('%d bytes compressed and %d plain', (value, plain, isReached) => {
  const goal = { kind: 'bytes', atMost: 60, plainAtMost: 350 } as const
  const rounds = [{ ours: { value, notes: { plain } }, limit: { value: 40 } }]
  expect(summarize({ ...rateCase, goal }, rounds).isReached).toBe(isReached)
})

test('a percentile lies between the two values beside its place', () => {
  expect(percentile([4, 1, 3, 2], 0.5)).toBe(2.5)
  expect(percentile([1, 2, 3], 0.95)).toBeCloseTo(2.9)
})

test('the table marks what was reached and what was not', () => {
  const judged = [summarize(rateCase, givenRounds([60, 100])), summarize(rateCase, givenRounds([40, 100]))]
  expect(formatTable(judged)).toBe(
    [
      'case          unit      ours  limit  ratio    min–max  goal',
      'write-single  writes/s  60.0    100   0.60  0.60–0.60  ≥ 0.5×  ✓',
      'write-single  writes/s  40.0    100   0.40  0.40–0.40  ≥ 0.5×  ✗',
    ].join('\n'),
  )
})
