import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { build } from 'vite'

/** The app as it is served: the bytes by path. */
export type BuiltApp = ReadonlyMap<string, { readonly bytes: Uint8Array<ArrayBuffer>; readonly type: string }>

const workspace = fileURLToPath(new URL('../../', import.meta.url))

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
}

/** Builds the app with Vite and reads what it made. */
export async function buildApp(outDir = join(workspace, 'dist')): Promise<BuiltApp> {
  await build({
    root: join(workspace, 'src/web'),
    configFile: join(workspace, 'vite.config.ts'),
    logLevel: 'error',
    build: { outDir },
  })
  return readApp(outDir)
}

/** An app that was built. */
export async function readApp(folder: string): Promise<BuiltApp> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => {
      const path = join(entry.parentPath, entry.name)
      const bytes = new Uint8Array(await readFile(path))
      const address = path
        .slice(folder.length)
        .replaceAll('\\', '/')
        .replace(/\/index\.html$/, '/')
      return [address, { bytes, type: types[extname(path)] ?? 'application/octet-stream' }] as const
    })
  return new Map(await Promise.all(files))
}

/** A file of the app. Files below `/assets` are named after their content and never change. */
export function pageOf(app: BuiltApp, request: Request): Response {
  const { pathname } = new URL(request.url)
  if (pathname === '/app') return new Response(null, { status: 302, headers: { location: '/app/' } })
  const file = app.get(pathname)
  if (file === undefined) return new Response('There is no such page.', { status: 404 })
  if (request.method !== 'GET' && request.method !== 'HEAD') return new Response(null, { status: 405 })
  const caching = pathname.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache'
  return new Response(file.bytes, {
    headers: { 'content-type': file.type, 'cache-control': caching, 'x-content-type-options': 'nosniff' },
  })
}
