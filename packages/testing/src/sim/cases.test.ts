import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

import type { Plan } from './plan.ts'
import { runPlan } from './run-plan.ts'

/** Plans that once broke a promise, as small as they could be made; named by what went wrong. */
const folder = join(import.meta.dirname, 'cases')
const cases = readdirSync(folder).filter((name) => name.endsWith('.json'))

test.each(cases)('[SIM-8] %s does not come back', async (name) => {
  // Written by `npm run simulate -- --shrink`.
  const plan = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Plan
  const { violations } = await runPlan(plan)
  expect(violations.map(({ invariant, message }) => `${invariant}: ${message}`)).toEqual([])
})
