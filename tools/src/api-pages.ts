import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { type PublicName, readPublicNames } from './api-surface.ts'
import { readRepositoryFile, repositoryRoot } from './source-files.ts'
import { readWorkspaces } from './workspaces.ts'

/** The report of one entry point: what is imported as `specifier`, written to `path`. */
export type ApiPage = {
  readonly specifier: string
  readonly path: string
  readonly names: readonly PublicName[]
}

/** Writes the declarations of all packages; quick when nothing changed. A type error is not this step's business. */
export function emitDeclarations(): void {
  const packages = readWorkspaces().filter(({ folder }) => folder.startsWith('packages/'))
  const compiler = join(repositoryRoot, 'node_modules/typescript/bin/tsc')
  spawnSync(process.execPath, [compiler, '-b', ...packages.map(({ folder }) => folder)], {
    cwd: repositoryRoot,
  })
}

/** One page for each entry point of each package, read from the emitted declarations. */
export function readApiPages(): ApiPage[] {
  const packages = readWorkspaces().filter(({ folder }) => folder.startsWith('packages/'))
  return packages.flatMap(({ folder, name, exports, publishedSubpaths }) =>
    [...exports].flatMap(([subpath, source]) => {
      // An entry point that is declared but not written yet, or that is no code, has nothing to report.
      if (!existsSync(join(repositoryRoot, source)) || !/\.tsx?$/.test(source)) return []
      if (!publishedSubpaths.has(subpath)) return []
      const declarations = source.replace(`${folder}/src/`, `${folder}/.types/`).replace(/\.tsx?$/, '.d.ts')
      const specifier = name + subpath.slice(1)
      const path = `docs/api/${specifier.replace('@holdfast/', '').replaceAll('/', '-')}.md`
      return [{ specifier, path, names: readPublicNames(declarations, readDeclarations) }]
    }),
  )
}

/** The page as Markdown: each name with the first sentence of its doc comment and its declaration. */
export function renderApiPage({ specifier, names }: ApiPage): string {
  const intro =
    'Written by `npm run api` from the declarations; a change here is a change of the public surface.'
  const sections = names.map((entry) => {
    if (entry.origin !== undefined) return `## ${entry.name}\n\nPassed on from \`${entry.origin}\`.`
    const code = `\`\`\`ts\n${entry.declarations.join('\n')}\n\`\`\``
    return [`## ${entry.name}`, firstSentence(entry.doc), code].filter((part) => part !== '').join('\n\n')
  })
  return `${[`# ${specifier}`, intro, ...sections].join('\n\n')}\n`
}

/** The public names without a doc comment, as `specifier#name`. */
export function undocumentedNames(pages: readonly ApiPage[]): string[] {
  return pages.flatMap(({ specifier, names }) =>
    names
      .filter((entry) => entry.origin === undefined && entry.doc === undefined)
      .map((entry) => `${specifier}#${entry.name}`),
  )
}

/** What is wrong between the undocumented names and the list of those that may be; the list only shrinks. */
export function judgeDocs(undocumented: readonly string[], allowed: readonly string[]): string[] {
  return [
    ...undocumented.filter((name) => !allowed.includes(name)).map((name) => `${name} has no doc comment`),
    ...allowed
      .filter((name) => !undocumented.includes(name))
      .map((name) => `${name} no longer belongs in tools/undocumented-exports.json`),
  ]
}

/** A file with certain type errors gets no declarations; the compiler says which and why. */
function readDeclarations(path: string): string {
  if (existsSync(join(repositoryRoot, path))) return readRepositoryFile(path)
  throw new Error(`${path} was not written: run \`npm run typecheck\` and mend what it says`)
}

function firstSentence(doc = ''): string {
  const paragraph = (doc.split(/\n\s*\n|\n@/)[0] ?? '').replace(/\s+/g, ' ').trim()
  return /^.*?[.!?](?=\s|$)/.exec(paragraph)?.[0] ?? paragraph
}
