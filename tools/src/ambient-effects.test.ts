import { expect, test } from 'vitest'

import { findAmbientEffects } from './ambient-effects.ts'
import { parsedRepository } from './parsed-repository.ts'
import { isShippedSource } from './source-files.ts'
import { formatFindings, parseSource } from './syntax.ts'

function givenEffects(text: string, path = 'packages/core/src/a.ts'): string[] {
  return findAmbientEffects(parseSource({ path, text })).map((finding) => finding.says)
}

test('shipped code takes time, chance, timers, ids and the network from its environment', () => {
  const shipped = parsedRepository().filter((file) => isShippedSource(file.path))
  expect(formatFindings(shipped.flatMap(findAmbientEffects))).toEqual([])
})

test.each([
  ['const t = Date.now()', 'Date.now'],
  ['const t = new Date()', 'the time through Date'],
  ['const t = Date()', 'the time through Date'],
  ['const t = performance.now()', 'performance'],
  ['const t = globalThis.performance.now()', 'globalThis.performance'],
  ['const n = Math.random()', 'Math.random'],
  [`const n = Math['random']()`, 'Math.random'],
  ['const { random } = Math', 'Math'],
  ['setTimeout(f, 1)', 'setTimeout'],
  ['const later = setTimeout', 'setTimeout'],
  ['export const env = { setTimeout }', 'setTimeout'],
  ['globalThis.setInterval(f, 1)', 'globalThis.setInterval'],
  ['queueMicrotask(f)', 'queueMicrotask'],
  ['const id = crypto.randomUUID()', 'crypto.randomUUID'],
  ['const id = globalThis.crypto.randomUUID()', 'crypto.randomUUID'],
  ['crypto.getRandomValues(bytes)', 'crypto.getRandomValues'],
  [`import { randomUUID } from 'node:crypto'`, 'randomUUID'],
  [`import { setTimeout as wait } from 'node:timers/promises'`, 'node:timers/promises'],
  ['await fetch(url)', 'fetch'],
  ['function f(fetch) {} await fetch(url)', 'fetch'],
  ['const signal = AbortSignal.timeout(5)', 'AbortSignal.timeout'],
])('%s is refused', (text, effect) => {
  expect(givenEffects(text)).toEqual([`takes ${effect} from outside the environment`])
})

test.each([
  '// Date.now() is not for us',
  `const text = 'Date.now() and setTimeout(f, 1)'`,
  '/** Never calls `fetch(url)`. */ export const a = 1',
  'const time = new Date(ms).toISOString()',
  'const time = env.now() + env.performance.now()',
  'await env.fetch(url)',
  'async function send({ fetch }: { fetch: Fetch }) { await fetch(url) }',
  'const { setTimeout } = env; setTimeout(f, 1)',
  'export type Environment = { fetch: typeof fetch; setTimeout(f: () => void): Date }',
  'const half = Math.floor(n / 2)',
])('%s is allowed', (text) => {
  expect(givenEffects(text)).toEqual([])
})

test('the environment file itself may touch the real world', () => {
  expect(givenEffects('Date.now()', 'packages/client/src/system-environment.ts')).toEqual([])
  expect(givenEffects('Date.now()', 'packages/client/src/sync/system-environment.ts')).toHaveLength(1)
})
