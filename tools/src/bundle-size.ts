import { build } from 'esbuild'
import { gzipSync } from 'node:zlib'

import { repositoryRoot } from './source-files.ts'

/** Bytes of a bundle, minified, and packed with gzip. */
export type BundleSize = { readonly bytes: number; readonly gzipBytes: number }

/** What `code` adds to an app that has React and the client already. */
export async function bundleSize(code: string): Promise<BundleSize> {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: repositoryRoot, loader: 'ts' },
    bundle: true,
    minify: true,
    format: 'esm',
    write: false,
    outdir: 'out',
    logLevel: 'error',
    external: ['react', 'react/jsx-runtime', '@holdfast/client', '@holdfast/core'],
  })
  const bundled = outputFiles.map(({ contents }) => contents).filter(({ length }) => length > 0)
  const bytes = bundled.reduce((sum, { length }) => sum + length, 0)
  return { bytes, gzipBytes: bundled.reduce((sum, contents) => sum + gzipSync(contents).length, 0) }
}
