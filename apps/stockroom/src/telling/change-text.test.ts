import { expect, test } from 'vitest'

import { changeText } from './change-text.ts'

test.each([
  [10, 8, '10 → 8'],
  [null, 'Drama', '– → Drama'],
  [undefined, '19.00', '19.00'],
  [['1990s', 'action'], ['1990s', 'cult'], '+ cult, − action'],
  ['one\n\ntwo', 'one\n\ntwo, checked', '¶ two, checked'],
  ['a title that is long', 'another title of length', 'a title t… → another title…'],
])('%j that becomes %j reads %s', (before, after, text) => {
  expect(changeText(before, after, 27)).toBe(text)
})
