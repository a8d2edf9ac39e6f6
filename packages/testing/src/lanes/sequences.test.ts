import { describe, expect, test } from 'vitest'

import { type SequenceStep, sequencesOf } from './sequence-steps.ts'
import { playSequences } from './sequences.ts'

const onParent = (...ops: readonly ('name' | 'tag')[]): readonly SequenceStep[] =>
  ops.map((op) => ({ row: 'parent', op }) as const)

describe('sequences of writes', () => {
  test('[SIM-43] every sequence that makes sense is there, once', () => {
    expect(sequencesOf(1, false)).toEqual([
      [{ row: 'parent', op: 'create' }],
      [{ row: 'child', op: 'create' }],
    ])
    const counts = [1, 2, 3].map((length) => [
      sequencesOf(length, false).length,
      sequencesOf(length, true).length,
    ])
    expect(counts).toEqual([
      [2, 10],
      [12, 97],
      [73, 922],
    ])
    expect(new Set(sequencesOf(3, true).map((steps) => JSON.stringify(steps))).size).toBe(922)
  })

  test('[AP-9] a mutation without effect leaves no time behind on its device', async () => {
    const { violations } = await playSequences([onParent('name', 'tag', 'tag')], {
      areThere: true,
      offered: 1,
      isServed: false,
    })
    expect(violations).toEqual([])
  })
})
