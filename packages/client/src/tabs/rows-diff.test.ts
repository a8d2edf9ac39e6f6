import fc from 'fast-check'
import { expect, test } from 'vitest'

import { applyDiff, diffRows } from './rows-diff.ts'

const row = (n: number): { readonly n: number } => ({ n })

test('[BR-8] a difference turns one result into the next, with the same objects wherever they went', () => {
  const rows = Array.from({ length: 12 }, (_, n) => row(n))
  const places = fc
    .array(fc.integer({ min: 0, max: 11 }), { maxLength: 12 })
    .map((list) => [...new Set(list)])
  fc.assert(
    fc.property(places, places, fc.array(fc.nat(12)), (left, right, added) => {
      const pick = (list: readonly number[]): { readonly n: number }[] =>
        list.map((at) => rows[at] ?? row(at))
      const before = pick(left)
      const after = pick(right)
      for (const at of added) after.splice(at, 0, row(100 + at))
      // A row that is new has been copied by the time it arrives.
      const arrived = structuredClone(diffRows(before, after))
      const applied = applyDiff(before, arrived)
      expect(applied).toEqual(after)
      expect(applied.filter((each) => rows.includes(each as (typeof rows)[number])).length).toBe(
        after.filter((each) => before.includes(each)).length,
      )
    }),
  )
})

test('[BR-8] a change of one row of many crosses as that row', () => {
  const before = Array.from({ length: 1_000 }, (_, n) => row(n))
  const changed = row(-1)
  expect(diffRows(before, before.with(500, changed))).toEqual([[0, 500], { rows: [changed] }, [501, 499]])
  expect(diffRows(before, before.toSpliced(10, 1))).toEqual([
    [0, 10],
    [11, 989],
  ])
})
