import { describe, expect, test } from 'vitest'

import { faultKinds } from './faults.ts'
import { interleavings } from './interleavings.ts'
import { type Lane, type LaneCase, runCase, shortfalls } from './lane.ts'
import { blow, nthFailure } from './nth-failure.ts'
import { runScenario, type Scenario } from './run-scenario.ts'
import { scenarios } from './scenarios.ts'
import { sequencesUpTo } from './sequences.ts'
import { untouched } from './untouched.ts'

const sequences = sequencesUpTo(4)

/** One case of so many is run for every change of the code, and `npm run lanes` runs all of them. */
const every: ReadonlyMap<Lane, number> = new Map([
  [untouched, 1],
  [nthFailure, 29],
  [interleavings, 1],
  [sequences, 1],
])

async function runPart(lane: Lane): Promise<readonly string[]> {
  const stride = every.get(lane) ?? 1
  const cases: readonly LaneCase[] = lane.cases.filter((_, index) => index % stride === 0)
  const results = []
  for (const each of cases) {
    const result = await runCase(each, { extent: 'part', failureMax: 1, goOn: () => true })
    if (result) results.push(result)
  }
  const failures = results.flatMap(({ name, failures: found }) =>
    found.map(({ run, violation }) => `${name}, run ${run}: ${violation.invariant}: ${violation.message}`),
  )
  return [...failures, ...shortfalls(cases, results, 'part')]
}

describe('a part of each lane', () => {
  test('[SIM-47, SIM-89] B09, B23, B60: every scenario with no fault but its own', async () => {
    expect(await runPart(untouched)).toEqual([])
  }, 300_000)

  test('[SIM-40, SIM-41] B17, B44, B50: one chance of a fault in one case of twenty-nine', async () => {
    expect(await runPart(nthFailure)).toEqual([])
  }, 300_000)

  test('[SIM-42] B10, B27, B29, B34, B49: some orders of each delicate story', async () => {
    expect(await runPart(interleavings)).toEqual([])
  }, 300_000)

  test('[SIM-43] B28: short sequences of writes, folded and not', async () => {
    expect(await runPart(sequences)).toEqual([])
  }, 300_000)
})

describe('a lane sees', () => {
  const [scenario] = scenarios as readonly [Scenario]
  const [killed] = faultKinds as readonly [(typeof faultKinds)[number]]

  test('[SIM-40] that every scenario meets every fault', () => {
    expect(nthFailure.cases.length).toBe(scenarios.length * faultKinds.length)
    expect(scenarios.length).toBeGreaterThanOrEqual(50)
    expect(new Set(nthFailure.cases.map(({ name }) => name)).size).toBe(nthFailure.cases.length)
  })

  test('[SIM-40] that a fault no longer strikes when its chances are over', async () => {
    expect((await blow(scenario, killed, 1)).hasStruck).toBe(true)
    expect((await blow(scenario, killed, 4_000)).hasStruck).toBe(false)
  })

  test('[SIM-41] an end that nobody expects', async () => {
    const { violations } = await runScenario({ ...scenario, expected: {} })
    expect(violations[0]?.invariant).toBe('expected-end')
  })

  test('[SIM-40] the same in a run with the same fault', async () => {
    const [one, other] = [
      await runScenario(scenario, { kind: killed, n: 5 }),
      await runScenario(scenario, { kind: killed, n: 5 }),
    ]
    expect(one.traceHash).toBe(other.traceHash)
  })
})
