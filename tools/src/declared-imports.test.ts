import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { expect, test } from 'vitest'

import { emitDeclarations } from './api-pages.ts'
import { readRepositoryFile, repositoryRoot } from './source-files.ts'
import { readWorkspaces } from './workspaces.ts'

interface Manifest {
  readonly name: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
}

/** What the declarations behind an entry point import from elsewhere, all files that they lead to included. */
function importsOf(entry: string): ReadonlySet<string> {
  const specifiers = new Set<string>()
  const [files, seen] = [[entry], new Set<string>()]
  for (let file = files.pop(); file !== undefined; file = files.pop()) {
    if (seen.has(file) || !existsSync(join(repositoryRoot, file))) continue
    seen.add(file)
    for (const [, from = ''] of readRepositoryFile(file).matchAll(/(?:from|import\() ?'([^']+)'/g)) {
      if (!from.startsWith('.')) specifiers.add(from)
      else files.push(join(dirname(file), from.replace(/\.tsx?$/, '.d.ts')))
    }
  }
  return specifiers
}

function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}

test('[OP-39] declarations of a package can be read without what is only needed by some who use it', () => {
  emitDeclarations()
  const missing = readWorkspaces()
    .filter(({ folder }) => folder.startsWith('packages/'))
    .flatMap(({ folder, exports, publishedSubpaths }) => {
      // Our own file.
      const manifest = JSON.parse(readRepositoryFile(`${folder}/package.json`)) as Manifest
      const { name: own, dependencies, peerDependencies = {}, peerDependenciesMeta = {} } = manifest
      const peers = Object.keys(peerDependencies).filter(
        (name) => peerDependenciesMeta[name]?.optional !== true,
      )
      const known = new Set([own, ...Object.keys(dependencies ?? {}), ...peers])
      return [...exports].flatMap(([subpath, source]) => {
        if (!publishedSubpaths.has(subpath)) return []
        const entry = source.replace(`${folder}/src/`, `${folder}/.types/`).replace(/\.tsx?$/, '.d.ts')
        const others = [...importsOf(entry)].filter(
          (from) => !from.startsWith('node:') && !known.has(packageOf(from)),
        )
        return others.map((from) => `${own}${subpath.slice(1)} needs ${from}`)
      })
    })
  expect(missing).toEqual([])
})
