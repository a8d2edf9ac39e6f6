import { expect, test } from 'vitest'

import { parsedRepository } from './parsed-repository.ts'
import { parseSource } from './syntax.ts'
import { findUnusedDependencies, findUnusedFiles } from './unused-files.ts'
import { readWorkspaces } from './workspaces.ts'

test('every file is reached from an export, a command, a script or a test', () => {
  expect(findUnusedFiles(parsedRepository(), readWorkspaces())).toEqual([])
})

test('a file that nobody names is found; one started by path is not', () => {
  const files = [
    {
      path: 'packages/core/src/index.ts',
      text: `export * from './a.ts'; new URL('./worker.ts', import.meta.url)`,
    },
    { path: 'packages/core/src/a.ts', text: '' },
    { path: 'packages/core/src/worker.ts', text: '' },
    { path: 'packages/core/src/lonely.ts', text: `import './a.ts'` },
    { path: 'packages/core/src/b.test.ts', text: `import './b.ts'` },
    { path: 'packages/core/src/b.ts', text: '' },
  ].map(parseSource)
  expect(findUnusedFiles(files, readWorkspaces())).toEqual(['packages/core/src/lonely.ts'])
})

test('every declared dependency is used', () => {
  expect(findUnusedDependencies(parsedRepository(), readWorkspaces())).toEqual([])
})

test('a dependency that is only mentioned in a comment is unused', () => {
  const [core] = readWorkspaces().filter(({ folder }) => folder === 'packages/core')
  const text = `// import 'left-pad'\nimport 'kysely/a'; resolve('vega-datasets/data/cars.json')`
  const files = [parseSource({ path: 'packages/core/src/a.ts', text })]
  const dependencies = new Set(['left-pad', 'kysely', 'vega-datasets'])
  const workspaces = core === undefined ? [] : [{ ...core, dependencies }]
  expect(findUnusedDependencies(files, workspaces)).toEqual(['packages/core: left-pad'])
})
