import { describe, expect, test } from 'vitest'

import { givenHistory } from './given-history.ts'
import { liveLists } from './live-lists.ts'
import type { Values } from './observation.ts'

function found(shown: readonly Values[] | null, held: readonly Values[]): readonly string[] {
  const read = { kind: 'list-read', atMs: 0, disk: 'd1', list: 'items', shown, held } as const
  return givenHistory().add(read).found(liveLists)
}

const [cord, rope] = [
  { id: 'r1', name: 'Cord' },
  { id: 'r2', name: 'Rope' },
]

describe('lists that lag behind', () => {
  test('[SIM-90] an old value, a row too few or too many, another order, nothing at all', () => {
    expect(found([cord], [{ ...cord, name: 'Cable' }])).toEqual([
      'the list of items on d1 shows {"id":"r1","name":"Cord"} for {"id":"r1","name":"Cable"}',
    ])
    expect(found([cord], [cord, rope])).toEqual([
      'the list of items on d1 shows 1 rows, and the device holds 2',
    ])
    expect(found([cord, rope], [rope])).toEqual([
      'the list of items on d1 shows 2 rows, and the device holds 1',
    ])
    expect(found([cord, rope], [rope, cord]).length).toBe(2)
    expect(found(null, [])).toEqual(['the list of items on d1 never showed anything'])
  })
})

describe('lists that do not', () => {
  test('[SIM-90] the same rows, and none where there are none', () => {
    expect(found([cord, rope], [{ ...cord }, { ...rope }])).toEqual([])
    expect(found([], [])).toEqual([])
  })
})
