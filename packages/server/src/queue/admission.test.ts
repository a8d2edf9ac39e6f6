import { SyncError } from '@holdfast/core'
import { expect, test } from 'vitest'

import { Admission } from './admission.ts'

/** An admission on a clock that only moves when told. */
function givenAdmission(random: () => number = () => 0.5) {
  let nowMs = 0
  const limits = {
    pushesInFlight: 2,
    pullsInFlight: 1,
    uploadsInFlight: 1,
    shareOfUser: 0.5,
    turnAwayMs: 300_000,
  }
  const admission = new Admission({ monotonicMs: () => nowMs, random }, limits)
  return { admission, advance: (ms: number) => (nowMs += ms) }
}

function waitOf(enter: () => unknown): number | undefined {
  try {
    enter()
    return undefined
  } catch (error) {
    if (error instanceof SyncError && error.code === 'RATE_LIMITED') return error.retryAfterMs
    throw error
  }
}

test('[QU-14] so many are let in, pushes and pulls apart, and the next when one has left', () => {
  const { admission } = givenAdmission()
  const leave = admission.enter('push')
  admission.enter('push')
  expect(waitOf(() => admission.enter('push'))).toBeGreaterThan(0)
  expect(waitOf(() => admission.enter('pull'))).toBeUndefined()
  expect(waitOf(() => admission.enter('pull'))).toBeGreaterThan(0)
  leave()
  expect(waitOf(() => admission.enter('push'))).toBeUndefined()
  expect(admission.turnedAway).toBe(2)
})

test('[QU-15] B60: devices that are turned away together are told times as far apart as the server is slow', () => {
  const { admission, advance } = givenAdmission()
  for (let n = 0; n < 400; n++) {
    const leave = [admission.enter('push'), admission.enter('push')]
    advance(200)
    leave.forEach((each) => each())
  }
  admission.enter('push')
  admission.enter('push')
  const waits = Array.from({ length: 1_000 }, () => waitOf(() => admission.enter('push')) ?? 0)
  // Two at once, 200 ms each: ten a second, so that the thousandth has a place in 100 s.
  expect(waits[0]).toBeCloseTo(1_100, -1)
  expect(waits.at(-1)).toBeCloseTo(101_000, -2)
  const inFirstTen = waits.filter((ms) => ms < 11_000).length
  expect(inFirstTen).toBeCloseTo(100, -1)
})

test('[QU-15] B60: no wait is longer than the cap by more than its jitter, and those at the cap are spread around it', () => {
  let roll = 0
  const { admission } = givenAdmission(() => (roll = (roll + 0.01) % 1))
  admission.enter('pull')
  const waits = Array.from({ length: 10_000 }, () => waitOf(() => admission.enter('pull')) ?? 0)
  const late = waits.slice(-1_000)
  expect(Math.max(...waits)).toBeLessThanOrEqual(450_000)
  expect(Math.min(...late)).toBeLessThan(160_000)
  expect(new Set(late).size).toBeGreaterThan(90)
})
