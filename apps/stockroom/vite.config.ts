import { fileURLToPath } from 'node:url'

import { build, defineConfig, type Plugin } from 'vite'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** Builds the service worker by itself, one script that knows every file of the app by name. */
async function builtWorker(shell: readonly string[]): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: 'error',
    define: { 'self.shellOfThisBuild': JSON.stringify(shell) },
    build: {
      write: false,
      target: 'es2023',
      lib: { entry: at('src/web/service-worker.js'), formats: ['iife'], name: 'serviceWorker' },
    },
  })
  // One format and no watching give one output or a list of one.
  const [output] = [built].flat() as { output: { code?: string }[] }[]
  return output?.output.map(({ code = '' }) => code).join('') ?? ''
}

/** Writes the service worker, which is to know every file of the build by name. */
function serviceWorker(): Plugin {
  return {
    name: 'service-worker',
    enforce: 'post',
    async generateBundle(_options, bundle) {
      const files = Object.keys(bundle).map((name) => `/${name.replace(/index\.html$/, '')}`)
      const shell = [...files, '/app.webmanifest', '/icon.svg', '/icon-192.png', '/icon-512.png'].sort()
      this.emitFile({ type: 'asset', fileName: 'sw.js', source: await builtWorker(shell) })
    },
  }
}

export default defineConfig({
  root: at('src/web'),
  publicDir: at('src/web/public'),
  // SQLite finds its WASM file beside itself.
  optimizeDeps: { exclude: ['@sqlite.org/sqlite-wasm'] },
  worker: { format: 'es' },
  build: {
    outDir: at('dist'),
    emptyOutDir: true,
    target: 'es2023',
    // Browsers that know light-dark(); what it would otherwise be turned into follows no color scheme set by a script.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    chunkSizeWarningLimit: 2_000,
    rolldownOptions: { input: [at('src/web/index.html'), at('src/web/app/index.html')] },
  },
  plugins: [serviceWorker()],
})
