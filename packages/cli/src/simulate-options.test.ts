import { describe, expect, test } from 'vitest'

import { readSimulation, replayOptions } from './simulate-options.ts'

describe('what a simulation is asked for', () => {
  test('[OP-29] without options: twenty devices, two days, half of the people offline for eight hours, five minutes', () => {
    expect(readSimulation({})).toEqual({
      team: { devices: 20, days: 2, edits: 40, seed: 1, offlineMs: 28_800_000, faults: 'usual' },
      budgetMs: 300_000,
      seeds: Number.POSITIVE_INFINITY,
    })
  })

  test('[OP-29] minutes may have a fraction, and a number of runs needs no minutes', () => {
    expect(readSimulation({ minutes: '0.5' }).budgetMs).toBe(30_000)
    expect(readSimulation({ seeds: '3' })).toMatchObject({ budgetMs: Number.POSITIVE_INFINITY, seeds: 3 })
    expect(readSimulation({ seeds: '3', minutes: '1' })).toMatchObject({ budgetMs: 60_000, seeds: 3 })
  })

  test.each([
    ['30m', 1_800_000],
    ['1.5h', 5_400_000],
    ['2d', 172_800_000],
    ['0', 0],
  ])('[OP-29] offline for %s', (offline, ms) => {
    expect(readSimulation({ offline }).team.offlineMs).toBe(ms)
  })

  test.each([
    [{ devices: '0' }, '--devices is a whole number from 1 to 500, not "0".'],
    [{ devices: '2.5' }, '--devices is a whole number from 1 to 500, not "2.5".'],
    [{ minutes: 'x' }, '--minutes is a number from 0.01 to 10000, not "x".'],
    [{ days: '61' }, '--days is a whole number from 1 to 60, not "61".'],
    [{ offline: '8' }, '--offline is a time of at most 30d, such as 30m, 8h or 2d, or 0 for never; not "8".'],
    [
      { offline: '31d' },
      '--offline is a time of at most 30d, such as 30m, 8h or 2d, or 0 for never; not "31d".',
    ],
    [{ faults: 'bad' }, '--faults is none, usual or harsh, not "bad".'],
  ])('[OP-20] %j is refused in one line that says what there is', (given, message) => {
    expect(() => readSimulation(given)).toThrow(message)
  })

  test('[OP-31] a seed is shown again by the options it was run with', () => {
    const asked = readSimulation({ devices: '4', offline: '0', faults: 'harsh', minutes: '2' })
    const options = replayOptions('schema.ts', asked, 17)
    expect(options).toBe(
      '--schema schema.ts --devices 4 --days 2 --edits 40 --offline 0 --faults harsh --seed 17 --seeds 1',
    )
    expect(replayOptions("my team's/schema.ts", asked, 17)).toContain("--schema 'my team'\\''s/schema.ts' --")
  })
})
