import { describe, expect, test } from 'vitest'

import type { Lane, LaneCase } from './lane.ts'
import { planPass } from './plan-pass.ts'

function givenLane(name: string, count: number, isQuick: boolean): Lane {
  async function* none(): AsyncGenerator<never, void, void> {}
  const cases = Array.from({ length: count }, (_, index): LaneCase => {
    const each = `${name} ${index}`
    return { name: each, group: each, least: 1, runs: none, replay: () => Promise.resolve([]) }
  })
  return { name, unit: 'runs', isQuick, cases }
}

const lanes = [givenLane('slow', 3, false), givenLane('plain', 2, true), givenLane('story', 1, true)]
const all = { extent: 'all', isHunt: false, text: undefined, seed: 0 } as const
const named = ({ chosen, jobs }: ReturnType<typeof planPass>): readonly string[] =>
  jobs.map(({ place, extent }) => `${extent} ${chosen[place]?.name}`)

describe('the order of a pass', () => {
  test('[SIM-47] who wants the first failure only begins with a part of what is quick, and meets everything in the end', () => {
    expect(named(planPass(lanes, { ...all, isHunt: true }))).toEqual([
      'part plain 0',
      'part story 0',
      'part plain 1',
      'part slow 0',
      'part slow 1',
      'part slow 2',
      'all plain 0',
      'all story 0',
      'all plain 1',
      'all slow 0',
      'all slow 1',
      'all slow 2',
    ])
  })

  test('[SIM-44] everybody else runs every case once, in full or in part', () => {
    const full = named(planPass(lanes, all))
    expect(full).toEqual([
      'all plain 0',
      'all story 0',
      'all plain 1',
      'all slow 0',
      'all slow 1',
      'all slow 2',
    ])
    const parts = named(planPass(lanes, { ...all, extent: 'part', isHunt: true }))
    expect(parts).toEqual(full.map((job) => job.replace('all', 'part')))
    expect(named(planPass(lanes, { ...all, seed: 1 })).toSorted()).toEqual(full.toSorted())
    expect(named(planPass(lanes, { ...all, text: 'plain' }))).toEqual(['all plain 0', 'all plain 1'])
    expect(named(planPass([], all))).toEqual([])
  })
})
