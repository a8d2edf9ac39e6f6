import { openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { collection, counter, defineSchema, text } from '@holdfast/core'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

import * as proxy from './proxy.ts'
import * as simulator from './simulator.ts'
import * as testing from './index.ts'

const { createFakeServer, createVirtualEnvironment } = testing

const items = collection({
  fields: { name: text(), warehouseId: text(), stock: counter() },
  scope: 'warehouse:{warehouseId}',
})
const schema = defineSchema({ version: 1, collections: { items } })

// The page shows what follows, word for word.
test('a sale made while the answer was lost counts once', async () => {
  const env = createVirtualEnvironment({ seed: 1 })
  const server = createFakeServer({ schema, env, scopes: { ann: ['warehouse:berlin'] } })
  env.connect(server.fetch)
  const db = await openClient({
    schema,
    storage: sqliteStorage(':memory:'),
    server: 'https://any.example',
    auth: 'ann',
    env,
  })

  const id = await db.items.insert({ name: 'Rope', warehouseId: 'berlin', stock: 10 })
  await env.advance(1_000)
  server.script({ on: 'push', times: 1, fault: { kind: 'cut', when: 'after' } })
  await db.items.increment(id, { stock: -1 })
  await env.advance(60_000)

  expect(server.record('items', id)).toMatchObject({ stock: 9 })
  await db.close()
})

test('[ENV-3] the page on testing shows an example that runs', () => {
  const source = readFileSync(new URL(import.meta.url), 'utf8')
  const page = readFileSync(new URL('../../../docs/testing.md', import.meta.url), 'utf8')
  const example = source.slice(source.indexOf("test('a sale"), source.indexOf("\n\ntest('[ENV-3]"))
  expect(page).toContain(example)
})

test('[ENV-5] what the pages on testing import can be imported', () => {
  const entries: Readonly<Record<string, object>> = { '': testing, '/proxy': proxy, '/simulator': simulator }
  const imports = ['testing', 'simulating'].flatMap((name) => {
    const page = readFileSync(new URL(`../../../docs/${name}.md`, import.meta.url), 'utf8')
    return [...page.matchAll(/^import \{(.+)\} from '@holdfast\/testing(.*)'$/gm)]
  })
  const missing = imports.flatMap(([, names = '', entry = '']) =>
    names
      .split(',')
      .map((name) => name.trim())
      .filter((name) => !name.startsWith('type ') && !Object.hasOwn(entries[entry] ?? {}, name)),
  )
  expect(missing).toEqual([])
  expect(imports).toHaveLength(5)
})
