import { afterEach, beforeEach, expect, test } from 'vitest'

import { type GivenDatabase, newDatabase } from '../given-database.ts'
import { stockSchema } from '../given-engine.ts'
import type { Store } from '../store/store.ts'
import { systemEnvironment } from '../system-environment.ts'
import { erasingClock } from './erasing-clock.ts'

const dayMs = 86_400_000
const hourMs = 3_600_000

let database: GivenDatabase
let store: Store
let nowMs: number
beforeEach(async () => {
  nowMs = 1_000 * dayMs
  database = await newDatabase(stockSchema)
  store = database.store()
  await store.open({ schema: stockSchema, env: systemEnvironment() })
})
afterEach(async () => {
  await store.close()
  await database.remove()
})

const clock = (): (() => Promise<number | null>) => erasingClock({ now: () => nowMs }, store)

test('[OP-42] from one round to the next the time is a day on at most, and none before the database knows one', async () => {
  const ask = clock()
  expect([await ask(), await ask()]).toEqual([null, null])
  nowMs += hourMs
  expect(await ask()).toBe(nowMs)
  const rightMs = nowMs
  nowMs += 365 * dayMs
  expect(await ask()).toBe(rightMs + dayMs)
  expect(await ask()).toBe(rightMs + 2 * dayMs)
  nowMs = rightMs + 3 * hourMs
  expect(await ask()).toBe(nowMs)
  nowMs -= 365 * dayMs
  expect(await ask()).toBe(nowMs)
})

test('[OP-42] a process that is started with a wrong clock, and keeps it, goes on from the time of those before it', async () => {
  const before = clock()
  for (let round = 0; round < 3; round++) await before()
  const rightMs = nowMs
  nowMs += 365 * dayMs
  for (let start = 0; start < 5; start++) expect(await clock()()).toBe(null)
  const after = clock()
  expect([await after(), await after(), await after()]).toEqual([null, rightMs + dayMs, rightMs + 2 * dayMs])
})

test('[OP-42] a machine that starts with a wrong clock and is told the time between two rounds erases nothing by it', async () => {
  nowMs = 5_000 * dayMs
  const ask = clock()
  expect(await ask()).toBeNull()
  nowMs = 1_000 * dayMs
  expect(await ask()).toBeNull()
  expect(await ask()).toBe(nowMs)
})
