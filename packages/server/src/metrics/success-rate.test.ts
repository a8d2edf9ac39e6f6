import { expect, test } from 'vitest'

import { createSuccessRate } from './success-rate.ts'

test('[OP-6] the rate is 1 before anything happened, and then the share that succeeded', () => {
  const rate = createSuccessRate()
  expect(rate.value()).toBe(1)
  for (const isSuccess of [true, true, false, true]) rate.add(isSuccess)
  expect(rate.value()).toBe(0.75)
})

test('[OP-6] only the newest 1,000 count', () => {
  const rate = createSuccessRate()
  for (let index = 0; index < 1_500; index++) rate.add(index >= 500)
  expect(rate.value()).toBe(1)
  for (let index = 0; index < 250; index++) rate.add(false)
  expect(rate.value()).toBe(0.75)
})
