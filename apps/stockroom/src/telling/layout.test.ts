import { expect, test } from 'vitest'

import { formatBytes, padTo, shorten, sideBySide, table, widthOf, wrap } from './layout.ts'

const red = (text: string): string => `\u001B[31m${text}\u001B[39m`

test('colours take no columns', () => {
  expect(widthOf(red('stock'))).toBe(5)
  expect(padTo(red('stock'), 7)).toBe(`${red('stock')}  `)
})

test('a text is broken at blanks, a long word stays whole', () => {
  expect(wrap('one two three', 7)).toEqual(['one two', 'three'])
  expect(wrap('a incomprehensible b', 6)).toEqual(['a', 'incomprehensible', 'b'])
})

test('a text that fits keeps its blanks, and a colour that is cut goes on', () => {
  expect(wrap('a   b', 5)).toEqual(['a   b'])
  expect(wrap(red('one two three'), 7)).toEqual(['\u001B[31mone two\u001B[0m', '\u001B[31mthree\u001B[39m'])
})

test('two blocks stand next to each other within the width', () => {
  const lines = sideBySide({ left: ['Ana', 'sells two discs'], right: ['Ben'], width: 25, bar: '|' })
  expect(lines).toEqual(['Ana         | Ben', 'sells two   |', '  discs     |'])
})

test('cells of a table are aligned', () => {
  expect(
    table([
      ['', 'Ana'],
      ['stock', '13'],
    ]),
  ).toEqual(['       Ana', 'stock  13'])
})

test.each([
  [999, '999 B'],
  [1_000, '1.0 kB'],
  [3_456_789, '3.5 MB'],
])('%d bytes read %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text)
})

test('a long title is shortened', () => {
  expect(shorten('A Nightmare on Elm Street', 12)).toBe('A Nightmare…')
})
