/** `npm run bench:size`: what the client adds to a page, to its worker and to a service worker, compressed, beside what it stands on. */
import { gzipSync } from 'node:zlib'

import { build } from 'vite'

const parts = ['kysely', '@sqlite.org/sqlite-wasm']

/** Bytes of an entry without the named parts, as a browser gets them and compressed. */
async function sizeOf(entry: string, external: readonly string[]): Promise<{ plain: number; gzip: number }> {
  const built = await build({
    configFile: false,
    logLevel: 'silent',
    root: import.meta.dirname,
    build: {
      write: false,
      target: 'es2023',
      minify: true,
      lib: { entry, formats: ['es'] },
      rollupOptions: { external: (name) => external.some((part) => name.startsWith(part)) },
    },
  })
  // One format and no watching give one or several outputs.
  const outputs = (Array.isArray(built) ? built : [built]) as { output: { type: string; code?: string }[] }[]
  const code = outputs.flatMap(({ output }) => output.flatMap((file) => file.code ?? [])).join('')
  return { plain: code.length, gzip: gzipSync(code).length }
}

for (const [name, entry] of [
  ['page', './size/tab.ts'],
  ['worker', './size/worker.ts'],
  ['service worker', './size/service-worker.ts'],
] as const) {
  const own = await sizeOf(entry, parts)
  const whole = await sizeOf(entry, ['@sqlite.org/sqlite-wasm'])
  process.stdout.write(`${name}: ${own.gzip} bytes gzip (${own.plain} plain), with Kysely ${whole.gzip}\n`)
}
