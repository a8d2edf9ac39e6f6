import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

/** One TypeScript file of the repository. `path` is relative to the root and uses forward slashes. */
export type SourceFile = { readonly path: string; readonly text: string }

/** The root folder of the repository, without a trailing slash. */
export const repositoryRoot: string = fileURLToPath(new URL('../..', import.meta.url)).replace(/[/\\]$/, '')

const skippedFolders = new Set(['node_modules', 'dist', '.types', 'coverage', '.git'])
const sourceRoots = ['packages', 'apps', 'bench', 'tools']

/** Every file below `folder` (relative to the root) that `accept` takes, in a stable order. */
export function listFiles(folder: string, accept: (path: string) => boolean): string[] {
  const found: string[] = []
  for (const entry of readdirSync(join(repositoryRoot, folder), { withFileTypes: true })) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory() && !skippedFolders.has(entry.name)) found.push(...listFiles(path, accept))
    if (entry.isFile() && accept(path)) found.push(path)
  }
  return found.sort()
}

/** The text of a file named relative to the root. */
export function readRepositoryFile(path: string): string {
  return readFileSync(join(repositoryRoot, path), 'utf8')
}

/** Every TypeScript source of packages, apps, bench and tools, tests included. */
export function readSourceFiles(): SourceFile[] {
  return sourceRoots
    .flatMap((root) => listFiles(root, (path) => /\/src\/.*\.tsx?$/.test(path)))
    .map((path) => ({ path, text: readRepositoryFile(path) }))
}

/** The TypeScript that the pages of apps begin with. */
export function pageScripts(): string[] {
  const pages = sourceRoots.flatMap((root) => listFiles(root, (path) => /\/src\/.*\.html$/.test(path)))
  return pages.flatMap((page) =>
    [...readRepositoryFile(page).matchAll(/<script[^>]* src="([^"]+\.tsx?)"/g)].map(([, script = '']) =>
      posix.join(posix.dirname(page), script),
    ),
  )
}

/** The workspace folder a source file belongs to, for example `packages/core` or `bench`. */
export function workspaceOf(path: string): string {
  return path.split('/src/')[0] ?? path
}

/** Whether a file is for tests only: `*.test.ts`, contract suites, `given-*.ts`, and the worlds of scenarios, stories and end-to-end tests. */
export function isTestFile(path: string): boolean {
  return /(\.test|[.-]contract)\.tsx?$|\/given-[a-z-]+\.tsx?$|\/(end-to-end|scenarios|stories-in-chromium|testing\/src\/browser)\//.test(
    path,
  )
}

/** Whether a file is part of what the packages that run in an app or beside it ship. */
export function isShippedSource(path: string): boolean {
  return /^packages\/(core|client|react|server|tanstack-db)\/src\//.test(path) && !isTestFile(path)
}
