import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import type { CaseResult, Lane, LaneCase } from './lane.ts'
import { PassRecord, sourcesName } from './pass-record.ts'
import { type Pass, summarise } from './pass-summary.ts'

function givenCase(name: string): LaneCase {
  async function* none(): AsyncGenerator<never, void, void> {}
  return { name, group: name, least: 2, runs: none, replay: () => Promise.resolve([]) }
}

const faults: Lane = { name: 'nth-failure', unit: 'faults', cases: ['one', 'two'].map(givenCase) }
const orders: Lane = { name: 'interleavings', unit: 'orders', cases: [givenCase('story')] }
const result = (name: string, count: number): CaseResult => ({ name, count, failures: [], ms: 61_000 })
const done = [result('one', 1_200), result('two', 34), result('story', 9)]
const violation = { invariant: 'counters', index: 1, atMs: 0, message: 'lost one' }

function givenPass(changes: Partial<Pass>): Pass {
  return {
    lanes: [faults, orders],
    chosen: [...faults.cases, ...orders.cases],
    extent: 'all',
    results: done,
    mayStopEarly: false,
    around: '2 cores, 130 s',
    ...changes,
  }
}

describe('the summary of a pass', () => {
  test('[SIM-46] says of each lane what was run, how long it took and what broke', () => {
    const { lines, isGood } = summarise(givenPass({}))
    expect(lines).toEqual([
      '2 cores, 130 s',
      'lane           cases                         run    cpu s  broken',
      'nth-failure    2 of 2               1,234 faults      122       0',
      'interleavings  1 of 1                   9 orders       61       0',
      'a full pass: 3 cases, every promise kept',
    ])
    expect(isGood).toBe(true)
  })

  test('[SIM-44] a pass that left something out says so and fails', () => {
    const { lines, isGood } = summarise(givenPass({ results: done.slice(1) }))
    expect(lines.slice(-2)).toEqual([
      'NOT RUN: one was not run',
      'not a full pass: 1 of 3 cases were not run to their end',
    ])
    expect(isGood).toBe(false)
  })

  test('[SIM-46] one that was told to stop says the same and has not failed', () => {
    const { lines, isGood } = summarise(givenPass({ results: done.slice(1), mayStopEarly: true }))
    expect(lines.at(-1)).toBe('not a full pass: 1 of 3 cases were not run to their end')
    expect(isGood).toBe(true)
  })

  test('[SIM-46] one lane is not a full pass', () => {
    const { lines, isGood } = summarise(givenPass({ chosen: faults.cases, results: done.slice(0, 2) }))
    expect(lines.slice(-2)).toEqual([
      'interleavings  not asked for',
      'not a full pass: 2 of 3 cases were asked for',
    ])
    expect(isGood).toBe(true)
  })

  test('[SIM-45] a broken promise fails the pass and names its run', () => {
    const failed = { ...result('one', 7), failures: [{ run: '7', violation }] }
    const { lines, isGood } = summarise(givenPass({ results: [failed, ...done.slice(1)] }))
    expect(lines).toContain('FAILED: one, run 7\n  counters: lost one')
    expect(lines.at(-1)).toBe('a full pass: 3 cases, and PROMISES WERE BROKEN')
    expect(isGood).toBe(false)
  })

  test('[SIM-45] a list of cases that is empty is no success', () => {
    expect(summarise(givenPass({ chosen: [], results: [] })).isGood).toBe(false)
  })
})

describe('the record of a pass', () => {
  let folder = ''
  let path = ''

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'holdfast-pass-'))
    path = join(folder, 'pass.jsonl')
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  test('[SIM-46] what was done before is there again', () => {
    const first = PassRecord.open(path, 'all')
    expect(first.results).toEqual([])
    for (const each of done) first.add(each)
    expect(PassRecord.open(path, 'all').results).toEqual(done)
  })

  test('[SIM-46] a line that was torn by a death in the middle of it is run again', () => {
    const first = PassRecord.open(path, 'all')
    first.add(result('one', 2))
    appendFileSync(path, '{"name":"tw')
    const second = PassRecord.open(path, 'all')
    expect(second.results).toEqual([result('one', 2)])
    second.add(result('two', 3))
    expect(PassRecord.open(path, 'all').results).toEqual([result('one', 2), result('two', 3)])
  })

  test('[SIM-46] what was found of other sources is refused and left as it is', () => {
    PassRecord.open(path, 'sources a').add(result('one', 2))
    const before = readFileSync(path, 'utf8')
    expect(() => PassRecord.open(path, 'sources b')).toThrow('is of another pass or of other sources')
    expect(readFileSync(path, 'utf8')).toBe(before)
  })

  test('[SIM-46] the same sources have the same name', () => {
    expect(sourcesName()).toMatch(/^[0-9a-f]{16}$/)
    expect(sourcesName()).toBe(sourcesName())
  })
})
