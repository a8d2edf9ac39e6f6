import { expect, test } from 'vitest'

import { fitsBytes, utf8Length } from './storable-text.ts'

test.each([
  ['', 0],
  ['abc', 3],
  ['äöü', 6],
  ['€', 3],
  ['😀', 4],
  ['a😀€ä', 10],
])('%s has %i bytes: it fits so many and not one less', (text, bytes) => {
  expect(utf8Length(text)).toBe(bytes)
  expect([fitsBytes(text, bytes), fitsBytes(text, bytes - 1)]).toEqual([true, false])
})
