import { existsSync, statfsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { playwright } from '@vitest/browser-playwright'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

import { chromiumArguments, chromiumPath, ensureChromium } from './packages/testing/src/services/chromium.ts'

const sources = '{packages,apps}/*/src/**'
const globalSetup = 'packages/testing/src/services/shared-servers.ts'
const servicesTests = `${sources}/*.pg.test.ts`
const browserTests = `${sources}/*.browser.test.ts`
const chromiumTests = `${sources}/*.chromium.test.ts`

/** Files that take longest, what they build before their tests included: begun last, one of them would run on alone. */
const longest = [
  'stockroom.chromium',
  'every-write-once.chromium',
  'browser/background.chromium',
  'tabs.chromium',
  'packed.pg',
  'queued.pg',
  'chaos.pg',
  'large.pg',
  'restored.pg',
  'postgres-commands.pg',
  'bench/src/run',
  'run-command',
  'lanes',
  'chaos',
  'convergence',
].map((name) => new RegExp(`/${name}\\.test\\.ts$`))

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isLong = ({ moduleId }: TestSpecification): boolean => longest.some((name) => name.test(moduleId))
    const projects = [...new Set(sorted.map(({ project }) => project))]
    return projects.flatMap((project) => {
      const own = sorted.filter((file) => file.project === project)
      return [...own.filter(isLong), ...own.filter((file) => !isLong(file))]
    })
  }
}

// Chromium is looked for, and installed, only by a run that asks for its tests.
const wantsBrowser = process.argv.some((word) => /browser|chromium/.test(word))
const hasBrowser = wantsBrowser && ensureChromium()

// Tests kill processes, which takes nothing out of files in memory, and half of their time is waiting for a disk.
const memoryFolder = '/dev/shm'
if (!wantsBrowser && roomIn(memoryFolder) > 4e9) process.env['TMPDIR'] ??= memoryFolder

// Many tests start programs of ours from their sources: most of such a start is making JavaScript of them. Kept, it takes
// less than half as long.
process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(
  new URL('node_modules/.cache/holdfast/compiled', import.meta.url),
)

const react18 = fileURLToPath(new URL('tools/react-18/node_modules', import.meta.url))
const testingLibrary = fileURLToPath(
  new URL('node_modules/@testing-library/react/dist/@testing-library/react.esm.js', import.meta.url),
)

/** Components and hooks, in a document. They run on the newest React and on the oldest that is supported. */
const componentTests = {
  include: ['{packages,apps}/*/src/**/*.test.tsx'],
  environment: 'jsdom',
}

/** Free bytes; 0 where there is no such folder. */
function roomIn(folder: string): number {
  if (!existsSync(folder)) return 0
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}

export default defineConfig({
  test: {
    // Forks, because native SQLite drivers and tests that crash a process on purpose must not share one with others.
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    testTimeout: 180_000,
    hookTimeout: 60_000,
    // Whoever waits for a state waits for it on a slow machine too; a second is not enough there.
    expect: { poll: { timeout: 30_000 } },
    retry: 0,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          // Modules are loaded once and not for every file: that was a fifth of the time. No test leaves anything in them.
          isolate: false,
          include: [`${sources}/*.test.ts`, 'bench/src/**/*.test.ts', 'tools/src/**/*.test.ts'],
          exclude: [servicesTests, browserTests, chromiumTests],
        },
      },
      { extends: true, test: { ...componentTests, name: 'react' } },
      {
        extends: true,
        resolve: {
          alias: [
            { find: /^react(-dom)?(\/.*)?$/, replacement: `${react18}/react$1$2` },
            { find: '@testing-library/react', replacement: testingLibrary },
          ],
        },
        test: {
          ...componentTests,
          // Apps have the React that their own dependencies were made for.
          include: ['packages/*/src/**/*.test.tsx'],
          name: 'react 18',
          server: { deps: { inline: [/@testing-library/] } },
          env: { HOLDFAST_REACT: '18' },
        },
      },
      {
        // What needs a PostgreSQL or a Redis; all files share one of each.
        extends: true,
        test: {
          name: 'services',
          isolate: false,
          include: [servicesTests],
          env: { HOLDFAST_ENGINE_ON: 'postgres' },
          globalSetup,
        },
      },
      {
        // Tests that run in a page of Chromium; one page after the other, on a disk and not in memory.
        extends: true,
        optimizeDeps: { exclude: ['@sqlite.org/sqlite-wasm'] },
        test: {
          name: 'browser',
          include: hasBrowser ? [browserTests] : [],
          fileParallelism: false,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: { executablePath: chromiumPath(), args: [...chromiumArguments] },
              persistentContext: 'node_modules/.cache/holdfast/chromium',
            }),
            instances: [{ browser: 'chromium' }],
          },
        },
      },
      {
        // Tests that open several pages, and do to them what no page can do to itself.
        extends: true,
        test: {
          name: 'chromium',
          globalSetup: hasBrowser
            ? [
                'packages/testing/src/browser/build-page.ts',
                'apps/stockroom/src/stories-in-chromium/build-stockroom.ts',
              ]
            : [],
          include: hasBrowser ? [chromiumTests] : [],
          expect: { poll: { timeout: 60_000, interval: 50 } },
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      {
        // Tests that know no store, on PostgreSQL. Others of the engine name versions as SQLite numbers them, or open its file.
        extends: true,
        test: {
          name: 'engine on postgres',
          isolate: false,
          include: [
            'packages/server/src/{push,pull,audit,feed,events,escrow,attachments}/*.test.ts',
            'packages/testing/src/end-to-end/*.test.ts',
          ],
          exclude: [servicesTests],
          env: { HOLDFAST_ENGINE_ON: 'postgres' },
          globalSetup,
        },
      },
    ],
  },
})
