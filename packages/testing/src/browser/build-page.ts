import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'

import { build } from 'vite'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the page of the tests lies, as it is deployed. */
    page: string
  }
}

/** A page as it is deployed: the bytes by path. */
export type BuiltPage = ReadonlyMap<string, { readonly bytes: Uint8Array; readonly type: string }>

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.wasm': 'application/wasm',
}

/** Builds the page of the tests once for all of them. */
export default async function setUp(project: TestProject): Promise<() => void> {
  const outDir = mkdtempSync(join(tmpdir(), 'holdfast-page-'))
  await buildPage(join(import.meta.dirname, 'page'), outDir)
  project.provide('page', outDir)
  return () => rmSync(outDir, { recursive: true, force: true })
}

/** Builds the page in `root` into `outDir` as an app's own build does. */
export async function buildPage(root: string, outDir: string): Promise<void> {
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    build: {
      outDir,
      emptyOutDir: true,
      target: 'es2023',
      rolldownOptions: {
        input: ['index.html', 'service-worker.ts'].map((entry) => join(root, entry)),
        // A service worker is asked for by a name that stays.
        output: {
          entryFileNames: ({ name }) => (name === 'service-worker' ? '[name].js' : 'assets/[name]-[hash].js'),
        },
      },
    },
    worker: { format: 'es' },
  })
}

/** A page that was built. */
export function readPage(folder: string): BuiltPage {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
  return new Map(
    files.map((file) => {
      const path = join(file.parentPath, file.name)
      const type = types[extname(path)] ?? 'application/octet-stream'
      return [path.slice(folder.length).replace(/^\/index\.html$/, '/'), { bytes: readFileSync(path), type }]
    }),
  )
}
