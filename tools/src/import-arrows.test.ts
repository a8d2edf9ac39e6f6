import { expect, test } from 'vitest'

import { findArrowBreaks } from './import-arrows.ts'
import { parsedRepository } from './parsed-repository.ts'
import { formatFindings, parseSource } from './syntax.ts'
import { readWorkspaces } from './workspaces.ts'

function givenBreaks(path: string, text: string): string[] {
  return findArrowBreaks([parseSource({ path, text })], readWorkspaces()).map((finding) => finding.says)
}

test('every import follows the arrows between the packages', () => {
  expect(formatFindings(findArrowBreaks(parsedRepository(), readWorkspaces()))).toEqual([])
})

test.each([
  ['packages/core/src/a.ts', `import '@holdfast/client'`, 'core must not import client'],
  ['packages/core/src/a.ts', `import 'node:fs'`, 'core is pure and imports no Node module: node:fs'],
  ['packages/client/src/a.ts', `export * from '@holdfast/server'`, 'client must not import server'],
  ['packages/client/src/a.test.ts', `import '@holdfast/server'`, 'client must not import server'],
  ['packages/server/src/a.ts', `type A = import('@holdfast/client').A`, 'server must not import client'],
  ['packages/server/src/a.ts', `await import('@holdfast/testing')`, 'server must not import testing'],
  ['packages/testing/src/a.ts', `import '@holdfast/cli'`, 'testing must not import cli'],
  [
    'packages/client/src/a.ts',
    `import 'node:fs'`,
    'the client runs anywhere; only its drivers may import node:fs',
  ],
  [
    'packages/client/src/a.ts',
    `import '../../core/src/b.ts'`,
    'steps over the wall of packages/client: ../../core/src/b.ts',
  ],
  ['packages/client/src/a.ts', `import './b'`, 'names no file extension: ./b'],
  [
    'packages/client/src/a.ts',
    `import '@holdfast/core/src/b.ts'`,
    'imports @holdfast/core/src/b.ts, which @holdfast/core does not export',
  ],
  [
    'packages/core/src/a.ts',
    `import 'left-pad'`,
    'imports left-pad, which its package.json does not declare',
  ],
  ['packages/core/src/a.ts', `import '@holdfast/core'`, 'imports its own package by name: @holdfast/core'],
])('%s with %s is refused', (path, text, says) => {
  expect(givenBreaks(path, text)).toEqual([says])
})

test.each([
  ['packages/client/src/a.ts', `import '@holdfast/core'; import './b.ts'; import 'kysely'`],
  ['packages/client/src/a.test.ts', `import '@holdfast/testing'; import 'vitest'; import 'node:fs'`],
  ['packages/client/src/drivers/node.ts', `import 'node:sqlite'`],
  ['packages/cli/src/a.ts', `import '@holdfast/testing'`],
  ['apps/stockroom/src/main.ts', `import '@holdfast/client'; import '@holdfast/server'; import 'node:http'`],
])('%s with %s is allowed', (path, text) => {
  const says = givenBreaks(path, text)
  expect(says.filter((line) => !line.endsWith('package.json does not declare'))).toEqual([])
})
