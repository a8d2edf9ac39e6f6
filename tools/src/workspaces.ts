import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

import { readRepositoryFile, repositoryRoot } from './source-files.ts'

/** What the checks need to know of one package.json. `exports` maps a subpath to a source path from the root. */
export type Workspace = {
  readonly folder: string
  readonly name: string
  readonly exports: ReadonlyMap<string, string>
  /** The subpaths that are there for whoever installs it; the others are for this repository's own tests. */
  readonly publishedSubpaths: ReadonlySet<string>
  readonly binPaths: readonly string[]
  readonly dependencies: ReadonlySet<string>
  readonly devDependencies: ReadonlySet<string>
  readonly scripts: readonly string[]
}

type Manifest = {
  name?: string
  exports?: Record<string, string>
  publishConfig?: { exports?: Record<string, unknown> }
  bin?: Record<string, string>
  dependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
  devDependencies?: Record<string, string>
  scripts?: Record<string, string>
}

/** Every workspace of the repository; the root itself is the one whose folder is empty. */
export function readWorkspaces(): Workspace[] {
  const grouped = ['packages', 'apps'].flatMap((group) =>
    readdirSync(join(repositoryRoot, group)).map((name) => `${group}/${name}`),
  )
  return ['', 'bench', ...grouped]
    .filter((folder) => existsSync(join(repositoryRoot, folder, 'package.json')))
    .map((folder) => readWorkspace(folder))
}

function readWorkspace(folder: string): Workspace {
  const prefix = folder === '' ? '' : `${folder}/`
  // Our own manifests: a wrong shape here is a mistake that the checks built on it show at once.
  const manifest = JSON.parse(readRepositoryFile(`${prefix}package.json`)) as Manifest
  const toPath = (target: string): string => prefix + target.replace(/^\.\//, '')
  return {
    folder,
    name: manifest.name ?? folder,
    exports: new Map(Object.entries(manifest.exports ?? {}).map(([key, target]) => [key, toPath(target)])),
    publishedSubpaths: new Set(Object.keys(manifest.publishConfig?.exports ?? {})),
    binPaths: Object.values(manifest.bin ?? {}).map(toPath),
    dependencies: new Set([
      ...Object.keys(manifest.dependencies ?? {}),
      ...Object.keys(manifest.peerDependencies ?? {}),
    ]),
    devDependencies: new Set(Object.keys(manifest.devDependencies ?? {})),
    scripts: Object.values(manifest.scripts ?? {}),
  }
}
