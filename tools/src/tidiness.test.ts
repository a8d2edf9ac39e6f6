import { expect, test } from 'vitest'

import { parsedRepository } from './parsed-repository.ts'
import { formatFindings, parseSource } from './syntax.ts'
import { findUntidyThings } from './tidiness.ts'

function givenFindings(text: string, path = 'packages/core/src/apply-changes.ts'): string[] {
  return findUntidyThings(parseSource({ path, text })).map((finding) => finding.says)
}

test('the sources are tidy', () => {
  expect(formatFindings(parsedRepository().flatMap(findUntidyThings))).toEqual([])
})

test.each([
  'packages/core/src/utils.ts',
  'packages/core/src/row-utils.ts',
  'packages/core/src/types.ts',
  'packages/core/src/helpers/apply-row.ts',
  'packages/core/src/sync-manager.ts',
  'packages/core/src/push-v2.ts',
  'packages/core/src/new.ts',
])('%s is a name that says nothing', (path) => {
  expect(givenFindings('', path)[0]).toMatch(/^has a name that says nothing or is history/)
})

test('a file name is kebab-case', () => {
  expect(givenFindings('', 'packages/core/src/applyChanges.ts')).toEqual([
    'has a name that is not kebab-case: applyChanges',
  ])
  expect(givenFindings('', 'packages/core/src/field-types.test.ts')).toEqual([])
})

test.each([
  ['// FIXME later', 'leaves a FIXME'],
  ['// TODO: later', 'leaves a TODO without its issue: TODO(#123)'],
  ['// const a = merge(b)', 'keeps code in a comment'],
  ['// await push(batch)', 'keeps code in a comment'],
  ['// if (done) {', 'keeps code in a comment'],
  ['/* return merge(a) */', 'keeps code in a comment'],
  ['console.log(1)', 'writes to the console: console.log'],
])('%s is refused', (text, says) => {
  expect(givenFindings(text)).toEqual([says])
})

test.each([
  '// TODO(#12) say more.',
  '// The cap (fifteen minutes) is reached after seven failures.',
  '// v8←A:m3 means that version 8 is the change A:m3 became.',
  '// Note: this is a sentence, and merge(a, b) = merge(b, a) is a law.',
  '/** `const db = await openClient()` opens it. */',
  `const text = 'FIXME console.log()'`,
])('%s is allowed', (text) => {
  expect(givenFindings(text)).toEqual([])
})

test.each([
  ['test.only(title, f)', ['leaves a test out: test.only']],
  ['describe.skip(title, f)', ['leaves a test out: describe.skip']],
  ['test.each(rows).only(title, f)', ['leaves a test out: test.only']],
  ['list.only(title)', []],
  ['console.log(1)', []],
])('in a test file, %s gives %j', (text, says) => {
  expect(givenFindings(text, 'packages/core/src/apply-changes.test.ts')).toEqual(says)
})
