import { expect, test } from 'vitest'

import { erasingClock } from './erasing-clock.ts'

const dayMs = 86_400_000
const hourMs = 3_600_000

test('[OP-42] the first round only looks, and from one to the next the time is a day on at most', () => {
  let nowMs = 1_000 * dayMs
  const clock = erasingClock({ now: () => nowMs })
  expect(clock()).toBeNull()
  nowMs += hourMs
  expect(clock()).toBe(nowMs)
  const rightMs = nowMs
  nowMs += 365 * dayMs
  expect(clock()).toBe(rightMs + dayMs)
  expect(clock()).toBe(rightMs + 2 * dayMs)
  nowMs = rightMs + 3 * hourMs
  expect(clock()).toBe(nowMs)
  nowMs -= 365 * dayMs
  expect(clock()).toBe(nowMs)
})

test('[OP-42] a machine that starts with a wrong clock and is told the time between two rounds erases nothing by it', () => {
  let nowMs = 5_000 * dayMs
  const clock = erasingClock({ now: () => nowMs })
  expect(clock()).toBeNull()
  nowMs = 1_000 * dayMs
  expect(clock()).toBe(nowMs)
})
