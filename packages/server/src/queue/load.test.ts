import { expect, test } from 'vitest'

import type { Store, WriteOptions } from '../store/store.ts'
import { Load, measuredStore } from './load.ts'

/** A load on a clock that only moves when told. */
function givenLoad(): { load: Load; advance: (ms: number) => void } {
  let nowMs = 0
  const load = new Load({ monotonicMs: () => nowMs }, { pushes: 4, waitMs: 100, calmMs: 1_000 })
  return { load, advance: (ms) => (nowMs += ms) }
}

test('[QU-10] load is high from a bound of pushes on, and low once they were half of it for a while', () => {
  const { load, advance } = givenLoad()
  const ends = Array.from({ length: 4 }, () => load.begin())
  expect(load.isHigh()).toBe(false)
  ends.push(load.begin())
  expect(load.isHigh()).toBe(true)
  ends.splice(0, 2).forEach((end) => end())
  advance(5_000)
  expect(load.isHigh(), 'three are more than half of four').toBe(true)
  ends.pop()?.()
  advance(999)
  expect(load.isHigh()).toBe(true)
  advance(1)
  expect(load.isHigh()).toBe(false)
})

test('[QU-10] a writer that waits long is load, for as long as that is fresh', () => {
  const { load, advance } = givenLoad()
  load.waited(100)
  expect(load.isHigh()).toBe(false)
  load.waited(150)
  expect(load.isHigh()).toBe(true)
  advance(1_000)
  expect(load.isHigh(), '75 are more than half of 100').toBe(true)
  advance(2_000)
  expect(load.isHigh()).toBe(false)
})

test('[QU-10] load does not end before the receipts that wait', () => {
  const { load, advance } = givenLoad()
  load.waited(150)
  load.isHigh()
  load.backlog(true)
  advance(60_000)
  expect(load.isHigh()).toBe(true)
  load.backlog(false)
  advance(1_000)
  expect(load.isHigh()).toBe(false)
})

test('[PU-43] a store whose waits are measured waits as it is told to', async () => {
  const told: (WriteOptions | undefined)[] = []
  const write: Store['write'] = async (_work, options) => {
    told.push(options)
    throw new Error('not here')
  }
  const store = { write } as Store
  const { load } = givenLoad()
  const work = measuredStore(store, load, { monotonicMs: () => 0 }).write(async () => 1, { isBrief: true })
  await expect(work).rejects.toThrow('not here')
  expect(told).toEqual([{ isBrief: true }])
})
