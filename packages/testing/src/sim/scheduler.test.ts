import { expect, test } from 'vitest'

import { ActorClock } from './actor-clock.ts'
import { Life } from './life.ts'
import { Scheduler } from './scheduler.ts'

test('[SIM-1] what is planned for one moment happens in the order it was planned, everything else by time', async () => {
  const scheduler = new Scheduler()
  const seen: string[] = []
  for (const [atMs, name] of [
    [20, 'c'],
    [5, 'a'],
    [20, 'd'],
    [10, 'b'],
  ] as const)
    scheduler.at(atMs, () => seen.push(`${name}@${scheduler.nowMs}`))
  scheduler.at(15, () => seen.push('never'))()
  await scheduler.run(100)
  expect([seen, scheduler.nowMs]).toEqual([['a@5', 'b@10', 'c@20', 'd@20'], 100])
})

test('[SIM-1] what an event starts is finished before the next event, however many promises it takes', async () => {
  const scheduler = new Scheduler()
  const seen: string[] = []
  scheduler.at(1, () => {
    void (async () => {
      for (let step = 0; step < 500; step++) await Promise.resolve()
      seen.push(`work ${scheduler.nowMs}`)
    })()
  })
  scheduler.at(2, () => seen.push('next'))
  await scheduler.run(10)
  expect(seen).toEqual(['work 1', 'next'])
})

test('[SIM-1] a run ends where it was told to, or after the event that was waited for', async () => {
  const scheduler = new Scheduler()
  let count = 0
  const again = (): void => {
    count += 1
    scheduler.after(10, again)
  }
  scheduler.after(10, again)
  await scheduler.run(35)
  expect([count, scheduler.nowMs]).toEqual([3, 35])
  await scheduler.run(1_000, () => count === 5)
  expect([count, scheduler.nowMs, scheduler.eventCount]).toEqual([5, 50, 5])
})

test('[SIM-2] a life ends at the call that was named, and nothing reaches it afterwards', async () => {
  const scheduler = new Scheduler()
  const life = new Life(scheduler)
  const seen: string[] = []
  life.dieAfter(3, () => seen.push('dead'))
  expect([life.call(), life.call(), life.call(), life.call()]).toEqual([true, true, false, false])
  life.deliver(() => seen.push('late'))
  void life.sleep(5).then(() => seen.push('slept'))
  await scheduler.run(10)
  expect([life.isAlive, seen]).toEqual([false, ['dead']])
})

test('[SIM-2] a suspended life hears everything after it was resumed, in order', async () => {
  const scheduler = new Scheduler()
  const life = new Life(scheduler)
  const seen: string[] = []
  for (const atMs of [10, 20, 30])
    scheduler.at(atMs, () => life.deliver(() => seen.push(`${atMs}@${scheduler.nowMs}`)))
  scheduler.at(5, () => life.suspend())
  scheduler.at(25, () => life.resume())
  await scheduler.run(50)
  expect(seen).toEqual(['10@25', '20@25', '30@30'])
})

test('[SIM-3] a clock is wrong by its offset and its drift, can be put wrong further, and stays between 1970 and 2100', () => {
  let virtualMs = 0
  const clock = new ActorClock({
    startMs: 1_000_000,
    virtualMs: () => virtualMs,
    offsetMs: 500,
    driftPpm: 100,
  })
  virtualMs = 1_000_000
  expect(clock.now()).toBe(2_000_600)
  clock.jump(-10_000_000)
  expect(clock.now()).toBe(0)
  clock.jump(1e15)
  expect(new Date(clock.now()).toISOString()).toBe('2100-01-01T00:00:00.000Z')
  clock.mend()
  expect(clock.now()).toBe(2_000_000)
})
