import { expect, test } from 'vitest'

import { judgeSizes, measureFile, type SizeExceptions } from './code-size.ts'
import { parsedRepository } from './parsed-repository.ts'
import { readRepositoryFile } from './source-files.ts'
import { parseSource } from './syntax.ts'

const reason = 'a table that reads best in one piece'

function givenComplaints(path: string, text: string, exceptions: SizeExceptions = {}): string[] {
  return judgeSizes(measureFile(parseSource({ path, text })), exceptions)
}

test('files and functions fit, or have an exception of exactly their size', () => {
  const exceptions = JSON.parse(readRepositoryFile('tools/size-exceptions.json')) as SizeExceptions
  expect(judgeSizes(parsedRepository().flatMap(measureFile), exceptions)).toEqual([])
})

test('a file of 401 lines is too large, a test file of 800 is not', () => {
  expect(givenComplaints('core/src/a.ts', 'f()\n'.repeat(401))).toEqual([
    'core/src/a.ts has 401 lines, the limit is 400',
  ])
  expect(givenComplaints('core/src/a.test.ts', 'f()\n'.repeat(800))).toEqual([])
})

test.each([
  ['function grow() {', '}', 'a.ts#grow'],
  ['const grow = () => {', '}', 'a.ts#grow'],
  ['class Plant { async #grow() {', '} }', 'a.ts#Plant.#grow'],
  ['export const plant = { grow: async () => {', '} }', 'a.ts#plant.grow'],
  ['start(() => {', '})', 'a.ts#anonymous'],
])('%s with 61 lines is too large', (opening, closing, subject) => {
  const text = `${opening}\n${'f()\n'.repeat(59)}${closing}`
  expect(givenComplaints('a.ts', text)).toEqual([`${subject} has 61 lines, the limit is 60`])
})

test('an exception names the exact size, and goes when it is not needed', () => {
  const text = 'f()\n'.repeat(410)
  expect(givenComplaints('a.ts', text, { 'a.ts': { lines: 410, reason } })).toEqual([])
  expect(givenComplaints('a.ts', text, { 'a.ts': { lines: 405, reason } })).toEqual([
    'a.ts has 410 lines, its exception allows 405',
  ])
  expect(givenComplaints('a.ts', text, { 'a.ts': { lines: 420, reason } })).toEqual([
    'a.ts shrank: lower its exception to 410',
  ])
  expect(givenComplaints('a.ts', 'f()', { 'a.ts': { lines: 410, reason: 'big' } })).toEqual([
    'a.ts needs no exception any more: remove it',
    'a.ts has an exception without a real reason',
  ])
})
