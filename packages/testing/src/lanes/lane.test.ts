import { describe, expect, test } from 'vitest'

import { type CaseResult, type Found, type LaneCase, runCase, shortfalls } from './lane.ts'

const broken = { run: '2', violation: { invariant: 'counters', index: 1, atMs: 0, message: 'lost one' } }

function givenCase(name: string, runs: readonly Found[]): LaneCase {
  async function* each(): AsyncGenerator<Found, void, void> {
    yield* runs
  }
  return { name, group: name, leastRuns: 2, runs: each, replay: () => Promise.resolve([]) }
}

const all = { extent: 'all', failureMax: 20, goOn: () => true } as const
const result = (name: string, runs: number): CaseResult => ({ name, runs, failures: [], ms: 1 })

describe('a lane', () => {
  test('[SIM-44] a case that was left out is a failure', () => {
    const cases = [givenCase('one', []), givenCase('two', [])]
    expect(shortfalls(cases, [result('one', 2)], 'all')).toEqual(['two was not run'])
  })

  test('[SIM-44] a case that ran less than it says is a failure', () => {
    const cases = [givenCase('one', [])]
    expect(shortfalls(cases, [result('one', 1)], 'all')).toEqual(['one had 1 runs, not 2'])
    expect(shortfalls(cases, [result('one', 1)], 'part')).toEqual([])
    expect(shortfalls(cases, [result('one', 0)], 'part')).toEqual(['one had 0 runs, not 1'])
  })

  test('[SIM-44] a case that was called off does not count as run', async () => {
    const found = await runCase(givenCase('one', [null, null]), { ...all, goOn: () => false })
    expect(found).toBe(null)
  })

  test('[SIM-44] every run of a case counts, and those that broke a promise are kept', async () => {
    const found = await runCase(givenCase('one', [null, broken, null]), all)
    expect(found).toMatchObject({ name: 'one', runs: 3, failures: [broken] })
  })

  test('[SIM-45] who wants the first failure only gets no further', async () => {
    const found = await runCase(givenCase('one', [null, broken, broken]), { ...all, failureMax: 1 })
    expect(found).toMatchObject({ runs: 2, failures: [broken] })
  })
})
