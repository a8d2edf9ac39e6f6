import { expect, test } from 'vitest'
import { coveredIds } from './covered-ids.ts'

test.each([
  ['one alone', { id: 'a', covers: [[7, 7]] }, [[7, 'a']]],
  [
    'a fold, with gaps',
    {
      id: 'a',
      covers: [
        [7, 8],
        [11, 11],
      ],
      folded: ['b', 'c'],
    },
    [
      [7, 'a'],
      [8, 'b'],
      [11, 'c'],
    ],
  ],
  ['a fold that does not tell', { id: 'a', covers: [[7, 9]] }, [[7, 'a']]],
  ['a fold that tells too few', { id: 'a', covers: [[7, 9]], folded: ['b'] }, [[7, 'a']]],
  ['nothing', { id: 'a', covers: [] }, []],
] as const)('[FO-11] each covered number is told apart by its key: %s', (_, numbered, expected) => {
  expect([...coveredIds(numbered)]).toEqual(expected)
})
