import { build } from 'esbuild'
import { gzipSync } from 'node:zlib'

import { repositoryRoot } from './source-files.ts'

/** Bytes of a bundle, minified, and packed with gzip. */
export type BundleSize = { readonly bytes: number; readonly gzipBytes: number }

/** What an app with components has already. */
const present = ['react', 'react/jsx-runtime', '@holdfast/client', '@holdfast/core']

/** What `code` adds to an app that has the other modules already: React and the client unless said. */
export async function bundleSize(code: string, others: readonly string[] = present): Promise<BundleSize> {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: repositoryRoot, loader: 'ts' },
    bundle: true,
    minify: true,
    format: 'esm',
    write: false,
    outdir: 'out',
    logLevel: 'error',
    external: [...others],
  })
  const bundled = outputFiles.map(({ contents }) => contents).filter(({ length }) => length > 0)
  const bytes = bundled.reduce((sum, { length }) => sum + length, 0)
  return { bytes, gzipBytes: bundled.reduce((sum, contents) => sum + gzipSync(contents).length, 0) }
}
