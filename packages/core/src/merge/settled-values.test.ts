import { describe, expect, test } from 'vitest'
import { type SettledPart, settledValues } from './settled-values.ts'

/** A price in dispute, with two pieces that were sold in the same edit. */
const part: SettledPart = {
  op: 'update',
  fields: ['price'],
  mine: { price: '3.00', stock: 8 },
  theirs: { price: '2.00', stock: 10 },
  isInDispute: true,
  isGone: false,
}
const gone: SettledPart = { ...part, theirs: null, isGone: true }
const bystander: SettledPart = { ...part, fields: [], isInDispute: false }

describe('what a decision writes', () => {
  test.each([
    ['mine, over theirs', part, 'mine', { price: '3.00', stock: 8 }],
    ['mine, over a deletion', gone, 'mine', { price: '3.00', stock: 8 }],
    ['mine, a deletion', { ...part, mine: null }, 'mine', null],
    ['theirs: what only waited', part, 'theirs', { stock: 8 }],
    ['theirs, a deletion', gone, 'theirs', null],
    ['theirs, against a deletion', { ...part, mine: null }, 'theirs', {}],
    ['theirs, a deletion that was undone since', { ...gone, isGone: false }, 'theirs', {}],
    ['theirs: all of a record that only waited', bystander, 'theirs', { price: '3.00', stock: 8 }],
    ['theirs: a deletion that only waited', { ...bystander, mine: null }, 'theirs', null],
    ['theirs: nothing, where what waited is gone', { ...bystander, isGone: true }, 'theirs', null],
    [
      'theirs: a new record that only waited',
      { ...bystander, op: 'create', isGone: true },
      'theirs',
      part.mine,
    ],
    ['both: theirs stays', part, 'both', {}],
    ['both: a deletion stays', gone, 'both', null],
    ['both: all of a record that only waited', bystander, 'both', { price: '3.00', stock: 8 }],
    ['discard: nothing of mine', part, 'discard', {}],
    ['discard: nothing of a record that only waited', bystander, 'discard', {}],
    ['discard: a deletion stays', gone, 'discard', null],
    [
      'discard: no new record that only waited',
      { ...bystander, op: 'create', isGone: true },
      'discard',
      null,
    ],
    ['discard: no deletion that only waited', { ...bystander, mine: null }, 'discard', {}],
  ] as const)('[CF-8] [CF-13] %s', (_, of, kind, expected) => {
    expect(settledValues(of, { kind })).toEqual(expected)
  })

  test('[CF-8] other values, over what only waited; over all of mine where the record is gone', () => {
    const merged = { kind: 'merge', values: { price: '2.50' } } as const
    expect(settledValues(part, merged)).toEqual({ price: '2.50', stock: 8 })
    expect(settledValues({ ...gone, mine: { price: '3.00', name: 'Rope' } }, merged)).toEqual({
      price: '2.50',
      name: 'Rope',
    })
  })
})
