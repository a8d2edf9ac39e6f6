import { describe, expect, test } from 'vitest'

import { givenHistory } from './given-history.ts'
import type { Values } from './observation.ts'
import { readYourWrites } from './read-your-writes.ts'

function found(wrote: Values | null, read: Values | null): readonly string[] {
  const o = { kind: 'own-read', atMs: 0, disk: 'd1', collection: 'items', record: 'r1', wrote, read } as const
  return givenHistory().add(o).found(readYourWrites)
}

describe('writes that are not read', () => {
  test('[SIM-81] an old value, a missing record, a deleted one', () => {
    expect(found({ name: 'Cord' }, { name: 'Rope' })).toEqual([
      'items/r1 on d1 was given name "Cord" and reads "Rope"',
    ])
    expect(found({ name: 'Cord' }, null)).toEqual(['items/r1 on d1 was written and is not there'])
    expect(found(null, { name: 'Rope' })).toEqual(['items/r1 on d1 was deleted and is still read'])
  })
})

describe('writes that are', () => {
  test('[SIM-81] among others, in another spelling, or as null', () => {
    expect(found({ name: 'Cord' }, { name: 'Cord', stock: 3 })).toEqual([])
    expect(
      found({ price: '9.50', details: { a: 1, b: 2 } }, { price: '9.5', details: { b: 2, a: 1 } }),
    ).toEqual([])
    expect(found({ city: null }, {})).toEqual([])
    expect(found(null, null)).toEqual([])
  })
})
