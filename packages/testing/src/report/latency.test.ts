import { expect, test } from 'vitest'

import { Latency } from './latency.ts'

test('[SIM-75] a share of the waits is exact to two in a hundred, however many there are', () => {
  const latency = new Latency()
  for (let ms = 1; ms <= 10_000; ms++) latency.add(ms)
  const { count, p50, p95, p99, max } = latency.figures()
  expect([count, max]).toEqual([10_000, 10_000])
  for (const [found, right] of [
    [p50, 5_000],
    [p95, 9_500],
    [p99, 9_900],
  ] as const) {
    expect(Math.abs(found / right - 1)).toBeLessThan(0.02)
  }
})

test('[SIM-75] nobody waited: all is zero; and no share is longer than the longest', () => {
  expect(new Latency().figures()).toEqual({ count: 0, p50: 0, p95: 0, p99: 0, max: 0 })
  const latency = new Latency()
  latency.add(101)
  expect(latency.figures()).toEqual({ count: 1, p50: 101, p95: 101, p99: 101, max: 101 })
})
