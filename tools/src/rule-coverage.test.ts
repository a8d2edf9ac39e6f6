import { expect, test } from 'vitest'

import { parsedRepository } from './parsed-repository.ts'
import { judgeCoverage, quotedRules, specRules } from './rule-coverage.ts'
import { readRepositoryFile } from './source-files.ts'
import { parseSource } from './syntax.ts'

function givenQuotes(text: string): string[] {
  return quotedRules(parseSource({ path: 'a.test.ts', text })).map((quote) => quote.id)
}

test('every rule of the specification has a test, and every quoted rule exists', () => {
  const rules = specRules(readRepositoryFile('docs/SPEC.md'))
  const untested = JSON.parse(readRepositoryFile('tools/spec-untested.json')) as Record<string, string>
  const quoted = parsedRepository().flatMap(quotedRules)
  expect(rules.length).toBeGreaterThan(0)
  expect(judgeCoverage({ rules, quoted, untested })).toEqual([])
})

test('a rule is a list item that begins with its id in bold', () => {
  const text =
    '# Outbox\n\n- **OB-5** A batch never splits.\n- **OB-6** Order holds.\n  - **not** a rule\n**OB-7** neither'
  expect(specRules(text)).toEqual(['OB-5', 'OB-6'])
})

test.each([
  [`test('[OB-5] a batch never splits', () => {})`, ['OB-5']],
  [`test.each(rows)('[OB-5, OB-6] %s', () => {})`, ['OB-5', 'OB-6']],
  ['describe(`[MG-1] [MG-2] ${name}`, () => {})', ['MG-1', 'MG-2']],
  [`const title = '[OB-5] is no test'`, []],
])('%s quotes %j', (text, ids) => {
  expect(givenQuotes(text)).toEqual(ids)
})

test('missing tests, unknown rules, repeated rules and stale allowances are told apart', () => {
  const complaints = judgeCoverage({
    rules: ['OB-1', 'OB-2', 'OB-3', 'OB-3'],
    quoted: [
      { id: 'OB-2', path: 'a.test.ts', line: 4 },
      { id: 'OB-9', path: 'a.test.ts', line: 9 },
    ],
    untested: { 'OB-2': 'was hard', 'OB-3': 'needs a real power cut' },
  })
  expect(complaints).toEqual([
    'OB-3 is defined twice in docs/SPEC.md',
    'OB-1 is quoted by no test title',
    'a.test.ts:9 quotes OB-9, which docs/SPEC.md does not define',
    'OB-2 no longer belongs in tools/spec-untested.json',
  ])
})
