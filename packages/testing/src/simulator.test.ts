import { collection, counter, defineSchema, text } from '@holdfast/core'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

import { check, checkers, type Observation, simulate } from './simulator.ts'

const items = collection({
  fields: { name: text(), warehouseId: text(), stock: counter() },
  scope: 'warehouse:{warehouseId}',
})
const schema = defineSchema({ version: 1, collections: { items } })

// The page shows what follows, word for word.
test('a team of four loses nothing in a bad week', async () => {
  const report = await simulate({
    schema,
    devices: 4,
    days: 2,
    edits: 10,
    faults: 'harsh',
    seed: 1,
    seeds: 2,
  })

  expect(report.failures).toEqual([])
  expect(report.fields.filter(({ asked, edits }) => asked > edits / 2)).toEqual([])
})

test('a cursor that goes back is a broken promise', () => {
  const history: readonly Observation[] = [
    { kind: 'identity', atMs: 0, disk: 'd1', device: '0197a1b2-0000-7000-8000-000000000001', user: 'ann' },
    { kind: 'cursor', atMs: 10, disk: 'd1', epoch: 'e1', position: 7 },
    { kind: 'cursor', atMs: 20, disk: 'd1', epoch: 'e1', position: 5 },
  ]

  expect(check(history, checkers)).toMatchObject([{ invariant: 'monotone', atMs: 20 }])
})

test('[SIM-72] the page on simulating shows examples that run', () => {
  const source = readFileSync(new URL(import.meta.url), 'utf8')
  const page = readFileSync(new URL('../../../docs/simulating.md', import.meta.url), 'utf8')
  const examples = source.slice(source.indexOf("test('a team"), source.indexOf("\n\ntest('[SIM-72]"))
  expect(page).toContain(examples)
})
