import { describe, expect, test } from 'vitest'

import { countSequences, isRepresentative, type SequenceStep, sequencesOf } from './sequence-steps.ts'
import { playSequences, sequencesUpTo } from './sequences.ts'

const onParent = (...ops: readonly ('name' | 'tag')[]): readonly SequenceStep[] =>
  ops.map((op) => ({ row: 'parent', op }) as const)

const onChild = (...ops: readonly ('create' | 'name' | 'tag' | 'delete')[]): readonly SequenceStep[] =>
  ops.map((op) => ({ row: 'child', op }) as const)

describe('sequences of writes', () => {
  test('[SIM-43] every sequence that makes sense is there, once', () => {
    expect([...sequencesOf(1, { areThere: false })]).toEqual([
      [{ row: 'parent', op: 'create' }],
      [{ row: 'child', op: 'create' }],
    ])
    const three = [...sequencesOf(3, { areThere: true })]
    expect(three.length).toBe(922)
    expect(new Set(three.map((steps) => JSON.stringify(steps))).size).toBe(922)
    const begun = [...sequencesOf(3, { areThere: true, first: onParent('name') })]
    expect(begun).toEqual(three.filter(([first]) => first?.row === 'parent' && first.op === 'name'))
  })

  test('[SIM-43] how many there are is known before they are made', () => {
    const counts = [1, 2, 3, 4, 5].map((length) =>
      [false, true].map((areThere) => countSequences(length, { areThere })),
    )
    expect(counts).toEqual([
      [2, 10],
      [12, 97],
      [73, 922],
      [523, 8_679],
      [4_210, 81_284],
    ])
    expect(countSequences(3, { areThere: true, first: onParent('name') })).toBe(
      [...sequencesOf(3, { areThere: true, first: onParent('name') })].length,
    )
  })

  test('[SIM-43] the cases of the lane hold every sequence once', () => {
    const long = sequencesUpTo(5).cases.filter(({ name }) => name.startsWith('5 steps'))
    expect(long.length).toBeGreaterThan(2)
    expect(long.reduce((sum, { least }) => sum + least, 0)).toBe(4_210 + 81_284)
  })

  test('[SIM-43] a representative stands for those that are worth the same', () => {
    const step = (text: string): SequenceStep => {
      const [row, op] = text.split(' ')
      return { row, op } as SequenceStep
    }
    const isOne = (...texts: readonly string[]): boolean => isRepresentative(texts.map(step))
    expect(isOne('parent name', 'parent note', 'child name')).toBe(true)
    expect(isOne('parent note', 'parent name', 'child name')).toBe(false)
    expect(isOne('parent count', 'child note')).toBe(false)
    expect(isOne('child count', 'parent tag')).toBe(false)
    expect(isOne('parent tag', 'parent count')).toBe(false)
    expect(isOne('parent count', 'parent count')).toBe(true)
    expect(isOne('child point', 'parent tag')).toBe(true)
    expect(isOne('child delete', 'parent delete')).toBe(true)
    const all = [...sequencesOf(4, { areThere: true })]
    expect(all.filter(isRepresentative).length).toBe(1_652)
  })

  test('[PU-37] nobody is in dispute with themselves over a delete behind a tag that came and went', async () => {
    const offeredEarly = onChild('name', 'tag', 'tag', 'delete')
    const madeAgain = onChild('delete', 'create', 'tag', 'tag', 'delete')
    for (const [steps, offered] of [
      [offeredEarly, 1],
      [madeAgain, 0],
    ] as const) {
      const together = { some: [steps], isServed: true, families: ['folded', 'raw'] } as const
      const { violations } = await playSequences(together, { areThere: true, offered })
      expect(violations).toEqual([])
    }
  })

  test('[PU-37] nor over a delete that was read after what it stands on had been folded', async () => {
    const child = (op: 'tag' | 'point'): SequenceStep => ({ row: 'child', op })
    const parent = (op: 'tag' | 'name' | 'delete' | 'create'): SequenceStep => ({ row: 'parent', op })
    const steps = [
      parent('tag'),
      child('tag'),
      child('point'),
      parent('name'),
      parent('delete'),
      parent('create'),
    ]
    // So many that the outbox is read in several windows, one of which begins with the delete.
    const some = Array.from({ length: 240 }, () => steps)
    const { violations } = await playSequences(
      { some, isServed: false, families: ['folded'] },
      { areThere: true, offered: 0 },
    )
    expect(violations).toEqual([])
  })

  test('[AP-9] a mutation without effect leaves no time behind on its device', async () => {
    const { violations } = await playSequences(
      { some: [onParent('name', 'tag', 'tag')], isServed: false, families: ['folded', 'raw'] },
      { areThere: true, offered: 1 },
    )
    expect(violations).toEqual([])
  })
})
