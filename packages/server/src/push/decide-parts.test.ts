import type { PushResult } from '@holdfast/core'
import { expect, test } from 'vitest'
import { BlockedError } from '../store/store-errors.ts'
import { decideParts, type Part } from './decide-parts.ts'
import type { Offer } from './offer.ts'

const unitsOf = (count: number): readonly (readonly Offer[])[] =>
  // No more of an offer is looked at.
  Array.from({ length: count }, (_, at) => [{ id: String(at) } as unknown as Offer])

const applied = ({ units }: Part): readonly PushResult[] =>
  units.flat().map(({ id }) => ({ id, status: 'applied', version: 1, serverUpdatedAt: null }))

test('[PU-43] where everything is blocked, parts are tried for five seconds, and the rest is put off too', async () => {
  let [nowMs, tries] = [0, 0]
  const { results } = await decideParts(
    { monotonicMs: () => nowMs },
    { units: unitsOf(1_000), held: new Map() },
    async ({ untilMs }) => {
      tries++
      nowMs += untilMs === undefined ? 4_000 : 50
      throw new BlockedError('held')
    },
  )
  expect(results.map(({ id, status }) => [id, status])).toEqual(
    unitsOf(1_000).map((_, at) => [String(at), 'retry']),
  )
  expect([tries, nowMs]).toEqual([102, 9_050])
})

test('[PU-43] a part that is blocked once and free when it is tried again is decided', async () => {
  let isFirst = true
  const { results } = await decideParts(
    { monotonicMs: () => 0 },
    { units: unitsOf(3), held: new Map() },
    async (part) => {
      if (!isFirst) return { results: applied(part), held: part.held }
      isFirst = false
      throw new BlockedError('held')
    },
  )
  expect(results).toEqual(applied({ units: unitsOf(3), held: new Map() }))
})
