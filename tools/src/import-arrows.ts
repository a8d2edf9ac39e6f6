import { type ModuleImport, moduleImports, packageNameOf, resolveRelative } from './module-imports.ts'
import { isShippedSource, isTestFile, workspaceOf } from './source-files.ts'
import type { Finding, ParsedFile } from './syntax.ts'
import type { Workspace } from './workspaces.ts'

/** Which of our packages each package may import; an app may import any of them but another app. */
const allowedArrows: Readonly<Record<string, readonly string[]>> = {
  core: [],
  client: ['core'],
  server: ['core'],
  react: ['core', 'client'],
  'tanstack-db': ['core', 'client'],
  testing: ['core', 'client', 'server'],
  cli: ['core', 'client', 'server', 'testing'],
  bench: ['core', 'client', 'server', 'testing'],
  apps: ['core', 'client', 'react', 'tanstack-db', 'server', 'testing'],
}

/** Folders of the client that may use Node, because they are the seam to it. */
const clientNodeFolders = ['packages/client/src/drivers/']

/**
 * Imports that go against the arrows between packages, step over a package wall, name a dependency that the
 * package does not declare, or bring Node into code that must run anywhere.
 */
export function findArrowBreaks(files: readonly ParsedFile[], workspaces: readonly Workspace[]): Finding[] {
  const byFolder = new Map(workspaces.map((workspace) => [workspace.folder, workspace]))
  const byName = new Map(workspaces.map((workspace) => [workspace.name, workspace]))
  return files.flatMap((file) =>
    moduleImports(file).flatMap((imported) => {
      const says = judgeImport({ file, imported, byFolder, byName })
      return says === undefined ? [] : [{ path: file.path, line: imported.line, says }]
    }),
  )
}

type Question = {
  file: ParsedFile
  imported: ModuleImport
  byFolder: ReadonlyMap<string, Workspace>
  byName: ReadonlyMap<string, Workspace>
}

function judgeImport({ file, imported, byFolder, byName }: Question): string | undefined {
  const { specifier } = imported
  const home = workspaceOf(file.path)
  if (specifier.startsWith('.')) return judgeRelative(file.path, specifier)
  if (specifier.startsWith('node:')) return judgeNode(file.path, specifier)
  const name = packageNameOf(specifier)
  const target = byName.get(name)
  if (target !== undefined) {
    const arrow = judgeArrow(file.path, target)
    if (arrow !== undefined) return arrow
    const subpath = `.${specifier.slice(name.length)}`
    if (!target.exports.has(subpath)) return `imports ${specifier}, which ${name} does not export`
  }
  if (name === byFolder.get(home)?.name) return `imports its own package by name: ${specifier}`
  const isDevelopment = isTestFile(file.path) || home === 'tools'
  const isDeclared =
    byFolder.get(home)?.dependencies.has(name) === true ||
    (isDevelopment && (byFolder.get('')?.devDependencies.has(name) === true || target !== undefined))
  return isDeclared ? undefined : `imports ${name}, which its package.json does not declare`
}

function judgeRelative(path: string, specifier: string): string | undefined {
  const home = workspaceOf(path)
  const target = resolveRelative(path, specifier)
  const isInside = home === 'tools' ? target.startsWith('tools/') : target.startsWith(`${home}/`)
  if (!isInside) return `steps over the wall of ${home}: ${specifier}`
  return /\.(ts|tsx|json|css)$/.test(specifier) ? undefined : `names no file extension: ${specifier}`
}

function judgeNode(path: string, specifier: string): string | undefined {
  if (!isShippedSource(path)) return undefined
  if (path.startsWith('packages/core/')) return `core is pure and imports no Node module: ${specifier}`
  const isClient = path.startsWith('packages/client/')
  if (isClient && !clientNodeFolders.some((folder) => path.startsWith(folder))) {
    return `the client runs anywhere; only its drivers may import ${specifier}`
  }
  return undefined
}

function judgeArrow(path: string, target: Workspace): string | undefined {
  const home = workspaceOf(path)
  if (home === 'tools' || home === target.folder) return undefined
  const from = home.startsWith('apps/') ? 'apps' : home.replace('packages/', '')
  const to = target.folder.replace('packages/', '')
  const isAllowed = allowedArrows[from]?.includes(to) === true
  const isTestUse = to === 'testing' && isTestFile(path)
  return isAllowed || isTestUse ? undefined : `${from} must not import ${to}`
}
