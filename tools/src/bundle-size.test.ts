import { describe, expect, test } from 'vitest'

import { bundleSize } from './bundle-size.ts'
import { readRepositoryFile } from './source-files.ts'

/** What an app imports, and the most it may cost, bytes of gzip. docs/react.md shows the same. */
const budgets = [
  { name: 'the hooks', code: "export { createHooks } from '@holdfast/react'", gzip: 6_500 },
  {
    name: 'the hooks and the status bar',
    code: "export { createHooks, StatusBar } from '@holdfast/react'",
    gzip: 9_200,
  },
  { name: 'everything', code: "export * from '@holdfast/react'", gzip: 17_000 },
  { name: 'the inspector', code: "export * from '@holdfast/react/inspector'", gzip: 5_500 },
  { name: '`styles.css`', code: "import '@holdfast/react/styles.css'", gzip: 3_500 },
]

/** What stands beside the client: measured by those who make it. */
const beside = ['react', 'react/jsx-runtime', 'kysely', '@sqlite.org/sqlite-wasm']

describe('the client in a browser, without React, Kysely and SQLite', () => {
  test.each([
    {
      name: 'the page, with the hooks',
      code: "export { openBrowserClient } from '@holdfast/client/browser'; export { createHooks } from '@holdfast/react'",
      gzip: 25_500,
    },
    {
      name: 'the worker',
      code: "export { serveClient } from '@holdfast/client/browser-worker'",
      gzip: 102_000,
    },
  ])('$name fits its budget, and the page on browsers says which', async ({ name, code, gzip }) => {
    const { gzipBytes } = await bundleSize(code, beside)
    expect(gzipBytes).toBeLessThanOrEqual(gzip)
    expect(readRepositoryFile('docs/browser.md')).toContain(`| ${name} | ${gzip / 1_000} kB |`)
  })

  test('what is not used costs nothing', async () => {
    expect((await bundleSize("import '@holdfast/client'", beside)).bytes).toBe(0)
  })
})

describe('@holdfast/client/service-worker in a bundle', () => {
  test('what the page on browsers shows is a whole service worker, of the size it says', async () => {
    const page = readRepositoryFile('docs/browser.md')
    const example = /```js\n\/\/ service-worker\.js\n(.*?)```/s.exec(page)?.[1] ?? ''
    expect(example).toContain('sendSealedBatches')
    const { gzipBytes } = await bundleSize(example, [])
    expect(gzipBytes).toBeLessThanOrEqual(3_000)
    expect(page).toContain('3 kB in a service worker')
  })
})

describe('@holdfast/react in a bundle, without React and the client', () => {
  test.each(budgets)('$name fits its budget, and the page says which', async ({ name, code, gzip }) => {
    const { gzipBytes } = await bundleSize(code)
    expect(gzipBytes).toBeLessThanOrEqual(gzip)
    expect(readRepositoryFile('docs/react.md')).toContain(`| ${name} | ${(gzip / 1_000).toFixed(1)} kB |`)
  })

  test('what is not used costs nothing', async () => {
    expect((await bundleSize("import '@holdfast/react'")).bytes).toBe(0)
  })
})
