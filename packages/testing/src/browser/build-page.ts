import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'

import { build } from 'vite'

/** A page as it is deployed: the bytes by path. */
export type BuiltPage = ReadonlyMap<string, { readonly bytes: Uint8Array; readonly type: string }>

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.wasm': 'application/wasm',
}

/** Builds the page in `root` into `outDir` as an app's own build does, and gives what it made. */
export async function buildPage(root: string, outDir: string): Promise<BuiltPage> {
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    build: { outDir, emptyOutDir: true, target: 'es2023' },
    worker: { format: 'es' },
  })
  const files = readdirSync(outDir, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
  return new Map(
    files.map((file) => {
      const path = join(file.parentPath, file.name)
      const type = types[extname(path)] ?? 'application/octet-stream'
      return [path.slice(outDir.length).replace(/^\/index\.html$/, '/'), { bytes: readFileSync(path), type }]
    }),
  )
}
