/** `npm run api`: writes docs/api, one page for each entry point, and removes pages whose entry point is gone. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { emitDeclarations, readApiPages, renderApiPage } from './api-pages.ts'
import { listFiles, repositoryRoot } from './source-files.ts'

emitDeclarations()
mkdirSync(join(repositoryRoot, 'docs/api'), { recursive: true })
const pages = readApiPages()
for (const page of pages) writeFileSync(join(repositoryRoot, page.path), renderApiPage(page))
const written = new Set(pages.map((page) => page.path))
for (const path of listFiles('docs/api', (candidate) => candidate.endsWith('.md'))) {
  if (!written.has(path) && existsSync(join(repositoryRoot, path))) rmSync(join(repositoryRoot, path))
}
process.stdout.write(`${pages.map((page) => `${page.path}: ${page.names.length} names`).join('\n')}\n`)
