import { describe, expect, test } from 'vitest'

import { type CaseResult, type LaneCase, type Ran, runCase, shortfalls } from './lane.ts'

const failure = { run: '2', violation: { invariant: 'counters', index: 1, atMs: 0, message: 'lost one' } }
const sound: Ran = { worth: 1, failure: null }
const broken: Ran = { worth: 1, failure }
const preparing: Ran = { worth: 0, failure: null }

function givenCase(name: string, runs: readonly Ran[], end?: Error): LaneCase {
  async function* each(): AsyncGenerator<Ran, void, void> {
    yield* runs
    if (end) throw end
  }
  return { name, group: name, least: 2, runs: each, replay: () => Promise.resolve([]) }
}

const all = { extent: 'all', failureMax: 20, goOn: () => true } as const
const result = (name: string, count: number): CaseResult => ({ name, count, failures: [], ms: 1 })

describe('a lane', () => {
  test('[SIM-44] a case that was left out is a failure', () => {
    const cases = [givenCase('one', []), givenCase('two', [])]
    expect(shortfalls(cases, [result('one', 2)], 'all')).toEqual(['two was not run'])
  })

  test('[SIM-44] a case that ran less than it says is a failure', () => {
    const cases = [givenCase('one', [])]
    expect(shortfalls(cases, [result('one', 1)], 'all')).toEqual(['one ran 1, not 2'])
    expect(shortfalls(cases, [result('one', 1)], 'part')).toEqual([])
    expect(shortfalls(cases, [result('one', 0)], 'part')).toEqual(['one ran 0, not 1'])
  })

  test('[SIM-44] a case that was called off does not count as run', async () => {
    const found = await runCase(givenCase('one', [sound, sound]), { ...all, goOn: () => false })
    expect(found).toBe(null)
  })

  test('[SIM-44] every run of a case counts, and those that broke a promise are kept', async () => {
    const found = await runCase(givenCase('one', [preparing, sound, broken, { ...sound, worth: 5 }]), all)
    expect(found).toMatchObject({ name: 'one', count: 7, failures: [failure] })
  })

  test('[SIM-44] a case that cannot go on has failed', async () => {
    const found = await runCase(givenCase('one', [sound], new Error('the story is another one')), all)
    expect(found).toMatchObject({ count: 1, failures: [{ run: 'after 1' }] })
    expect(found?.failures[0]?.violation.message).toContain('the story is another one')
  })

  test('[SIM-45] who wants the first failure only gets no further', async () => {
    const found = await runCase(givenCase('one', [sound, broken, broken]), { ...all, failureMax: 1 })
    expect(found).toMatchObject({ count: 2, failures: [failure] })
  })
})
