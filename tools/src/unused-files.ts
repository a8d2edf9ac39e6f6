import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { moduleImports, packageNameOf, resolveRelative } from './module-imports.ts'
import { isTestFile, pageScripts, repositoryRoot } from './source-files.ts'
import { type ParsedFile, walk } from './syntax.ts'
import type { Workspace } from './workspaces.ts'

/**
 * Files that nothing reaches: neither a package export, a command, an npm script, a page nor a test. A string such as
 * `'./worker.ts'` counts as a use, because workers and child processes are started by path.
 */
export function findUnusedFiles(files: readonly ParsedFile[], workspaces: readonly Workspace[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const reached = new Set<string>()
  const open = entryPaths(files, workspaces)
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const file = byPath.get(path)
    if (file === undefined || reached.has(path)) continue
    reached.add(path)
    open.push(...usedPaths(file))
  }
  return files.map((file) => file.path).filter((path) => !reached.has(path))
}

/**
 * Dependencies that a package declares and nothing in it names, as `folder: dependency`. A string that begins with
 * the name counts as a use, because data files are found through the module resolver.
 */
export function findUnusedDependencies(
  files: readonly ParsedFile[],
  workspaces: readonly Workspace[],
): string[] {
  return workspaces.flatMap(({ folder, dependencies }) => {
    const sources = files.filter((file) => folder !== '' && file.path.startsWith(`${folder}/src/`))
    const named = new Set(sources.flatMap(namedModules).map(packageNameOf))
    const needed = new Set([...named].flatMap(peersOf))
    return [...dependencies]
      .filter((name) => !named.has(name) && !needed.has(name))
      .map((name) => `${folder}: ${name}`)
  })
}

/** What a package wants its user to install beside it. */
function peersOf(name: string): string[] {
  const path = join(repositoryRoot, 'node_modules', name, 'package.json')
  if (!existsSync(path)) return []
  // A manifest of npm; another shape has no peers.
  const { peerDependencies = {} } = JSON.parse(readFileSync(path, 'utf8')) as {
    readonly peerDependencies?: Readonly<Record<string, string>>
  }
  return Object.keys(peerDependencies)
}

function entryPaths(files: readonly ParsedFile[], workspaces: readonly Workspace[]): string[] {
  const tests = files.map((file) => file.path).filter((path) => isTestFile(path))
  const scripts = workspaces.flatMap(({ folder, scripts: commands }) =>
    commands.flatMap((command) =>
      [...command.matchAll(/[\w./-]+\.ts\b/g)].map(([path]) => (folder === '' ? path : `${folder}/${path}`)),
    ),
  )
  const exported = workspaces.flatMap((workspace) => [...workspace.exports.values(), ...workspace.binPaths])
  return [...tests, ...scripts, ...exported, ...pageScripts()]
}

function usedPaths(file: ParsedFile): string[] {
  return namedModules(file)
    .filter((text) => /^\.{1,2}\/.*\.tsx?$/.test(text))
    .map((text) => resolveRelative(file.path, text))
}

/** What a file imports, and every string in it, since a string may be a path or a module name as well. */
function namedModules(file: ParsedFile): string[] {
  const specifiers = moduleImports(file).map((imported) => imported.specifier)
  walk(file.program, (node) => {
    if (node.type === 'Literal' && typeof node.value === 'string') specifiers.push(node.value)
  })
  return specifiers
}
