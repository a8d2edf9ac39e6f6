import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { beforeAll, expect, test } from 'vitest'

import {
  type ApiPage,
  emitDeclarations,
  judgeDocs,
  readApiPages,
  renderApiPage,
  undocumentedNames,
} from './api-pages.ts'
import { readPublicNames } from './api-surface.ts'
import { listFiles, readRepositoryFile, repositoryRoot } from './source-files.ts'

function givenPage(texts: Record<string, string>): ApiPage {
  const names = readPublicNames('index.d.ts', (path) => texts[path] ?? '')
  return { specifier: '@holdfast/sample', path: 'docs/api/sample.md', names }
}

function committed(path: string): string {
  return existsSync(join(repositoryRoot, path)) ? readRepositoryFile(path) : ''
}

beforeAll(() => emitDeclarations(), 60_000)

test('the committed API report is the one of these sources; `npm run api` refreshes it', () => {
  const pages = readApiPages()
  const stale = pages.filter((page) => committed(page.path) !== renderApiPage(page)).map((page) => page.path)
  const expected = new Set(pages.map((page) => page.path))
  const left = existsSync(join(repositoryRoot, 'docs/api')) ? listFiles('docs/api', () => true) : []
  const gone = left.filter((path) => !expected.has(path))
  expect({ stale, gone }, 'run `npm run api` and commit docs/api').toEqual({ stale: [], gone: [] })
})

test('every public name has a doc comment', () => {
  const allowed = JSON.parse(readRepositoryFile('tools/undocumented-exports.json')) as string[]
  expect(judgeDocs(undocumentedNames(readApiPages()), allowed)).toEqual([])
})

test('a page follows re-exports to the declaration and leaves out comments and private members', () => {
  const page = givenPage({
    'index.d.ts': `export { open as openClient } from './open.ts';\nexport * from './row.ts';\nexport { type Kysely } from 'kysely';`,
    'open.d.ts': `import { Box } from './row.ts';\n/** Opens it. Repeating is safe. */\nexport declare function open(): Box;`,
    'row.d.ts': `/** A row. */\nexport declare class Box {\n    #private;\n    /** Units. */\n    size: number;\n}\nexport {};`,
  })
  expect(renderApiPage(page).split('\n\n').slice(2)).toEqual([
    '## Box',
    'A row.',
    '```ts\nexport declare class Box {\n    size: number;\n}\n```',
    '## Kysely',
    'Passed on from `kysely`.',
    '## openClient',
    'Opens it.',
    '```ts\nexport declare function open(): Box;\n```\n',
  ])
})

test('a name without a doc comment is found, and an allowance that is not needed as well', () => {
  const page = givenPage({
    'index.d.ts': '// Not a doc.\nexport declare const a: number;\n/** Doc. */\nexport type B = 1;',
  })
  const undocumented = undocumentedNames([page])
  expect(undocumented).toEqual(['@holdfast/sample#a'])
  expect(judgeDocs(undocumented, [])).toEqual(['@holdfast/sample#a has no doc comment'])
  expect(judgeDocs(undocumented, ['@holdfast/sample#a'])).toEqual([])
  expect(judgeDocs([], ['@holdfast/sample#a'])).toEqual([
    '@holdfast/sample#a no longer belongs in tools/undocumented-exports.json',
  ])
})
