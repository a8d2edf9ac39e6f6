import { expect, test } from 'vitest'

import { findImportCycles, importGraph } from './import-cycles.ts'
import { parsedRepository } from './parsed-repository.ts'
import { parseSource } from './syntax.ts'
import { readWorkspaces } from './workspaces.ts'

test('no file imports itself through others', () => {
  expect(findImportCycles(importGraph(parsedRepository(), readWorkspaces()))).toEqual([])
})

test('a cycle through a re-export, a type and a package name is found and spelled once', () => {
  const files = [
    { path: 'packages/core/src/index.ts', text: `export * from './b.ts'` },
    { path: 'packages/core/src/b.ts', text: `import type { C } from './c.ts'` },
    { path: 'packages/core/src/c.ts', text: `import { B } from '@holdfast/core'` },
    { path: 'packages/core/src/d.ts', text: `import './b.ts'` },
  ].map(parseSource)
  expect(findImportCycles(importGraph(files, readWorkspaces()))).toEqual([
    'packages/core/src/b.ts -> packages/core/src/c.ts -> packages/core/src/index.ts -> packages/core/src/b.ts',
  ])
})
