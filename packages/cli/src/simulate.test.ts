import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { Checker, SimulationReport } from '@holdfast/testing/simulator'
import pico from 'picocolors'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { runSimulate } from './simulate.ts'

const bin = fileURLToPath(new URL('../bin/holdfast.js', import.meta.url))

const schemaText = `
import { collection, counter, defineSchema, text } from '@holdfast/core'
export default defineSchema({
  version: 1,
  collections: {
    items: collection({ fields: { shop: text(), name: text(), stock: counter() }, scope: 'shop:{shop}' }),
  },
})
`

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-simulate-'))
  writeFileSync(join(folder, 'schema.ts'), schemaText)
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

function run(...args: readonly string[]): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, 'simulate', ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, CI: 'true', NO_COLOR: undefined, FORCE_COLOR: undefined },
  })
  return { code: status, stdout, stderr }
}

const small = ['--schema', 'schema.ts', '--devices', '3', '--days', '1', '--edits', '5', '--offline', '1h']

test('[OP-29] a schema of one’s own is simulated, told as text and written as JSON', {
  timeout: 60_000,
}, () => {
  const { code, stdout } = run(
    ...small,
    '--seeds',
    '2',
    '--seed',
    '5',
    '--faults',
    'none',
    '--json',
    'report.json',
  )
  expect(stdout).toMatch(/^seeds 5 to 6: 3 devices, 1 day of work each; /)
  expect(stdout).toContain('assumed: `shop:{shop}`: each team has 2 of them, and everybody in it sees both.')
  expect(stdout).toContain('✓ every promise was kept')
  expect(stdout).not.toContain('\u001b')
  expect(code).toBe(0)
  const report = JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8')) as SimulationReport
  expect(report).toMatchObject({ seeds: { first: 5, count: 2 }, devices: 3, failures: [] })
})

test('[OP-29] when the minutes are over no further run begins', { timeout: 60_000 }, () => {
  const { code, stdout } = run(...small, '--minutes', '0.01')
  // On a quick machine a run is over before the minutes are.
  expect(stdout).toMatch(/^seeds? 1(?: to [2-4])?: /)
  expect(code).toBe(0)
})

test('[OP-32] a promise that breaks is exit code 1', { timeout: 60_000 }, async () => {
  const lines: string[] = []
  const output = { line: (text: string) => void lines.push(text), colors: pico.createColors(false) }
  const given = { schema: join(folder, 'schema.ts'), devices: '2', days: '1', edits: '2', seeds: '1' }
  const noEdit: Checker = {
    name: 'no-edit',
    promise: 'Nobody ever writes.',
    start: (fail) => (o) => {
      if (o.kind === 'entry-written') fail('somebody wrote')
    },
  }
  expect(await runSimulate(given, output, { checkers: [noEdit] })).toBe(1)
  expect(lines).toContain('✗ 1 of 1 run broke a promise')
  expect(await runSimulate(given, output, { checkers: [] })).toBe(0)
})

test.each([
  [[], 'simulate needs --schema FILE. Try: holdfast help simulate'],
  [['--schema', 'none.ts'], 'none.ts does not exist.'],
  [['--schema', 'schema.ts', '--faults', 'some'], '--faults is none, usual or harsh, not "some".'],
  [['--schema', 'schema.ts', '--port', '1'], 'simulate takes no --port. Try: holdfast help simulate'],
  [['--schema', 'schema.ts', '--json'], "Option '--json <value>' argument missing"],
])('[OP-20] simulate with %j is one line and exit code 1', (args, says) => {
  const { code, stdout, stderr } = run(...args)
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  expect(stderr).toContain(says)
})

test('[OP-30] a file that cannot be written is refused before the first run', async () => {
  const given = { schema: join(folder, 'schema.ts'), json: join(folder, 'nowhere', 'report.json') }
  const output = { line: () => undefined, colors: pico.createColors(false) }
  const never: Checker = {
    name: 'never',
    promise: 'No run begins.',
    start: () => {
      throw new Error('a run began')
    },
  }
  await expect(runSimulate(given, output, { checkers: [never] })).rejects.toThrow('cannot be written')
})

test('[OP-32] a schema that nobody could write to is not called well', { timeout: 60_000 }, () => {
  const each = (other: string): string =>
    `collection({ fields: { shop: text(), other: reference('${other}') }, scope: 'shop:{shop}' })`
  writeFileSync(
    join(folder, 'circle.ts'),
    `import { collection, defineSchema, reference, text } from '@holdfast/core'
export const schema = defineSchema({ version: 1, collections: { hens: ${each('eggs')}, eggs: ${each('hens')} } })`,
  )
  const { code, stdout } = run(...small, '--schema', 'circle.ts', '--seeds', '1')
  expect(stdout).toContain('nobody could write anything: nothing was checked')
  expect(stdout).toContain('Nobody could make a record of `hens`, `eggs`')
  expect(stdout).not.toContain('every promise was kept')
  expect(code).toBe(1)
})

test('[OP-32] [OP-28] a Ctrl-C that comes from the terminal, and again from an old Node that passes it on, is one', {
  timeout: 60_000,
}, async () => {
  const oldNode = `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'18.19.0'}})`
  const args = ['--import', oldNode, bin, 'simulate', ...small, '--seeds', '8']
  const child = spawn(process.execPath, args, { cwd: folder, detached: true })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk) => (stdout += String(chunk)))
  child.stderr.on('data', (chunk) => {
    // As a terminal does: to the whole group.
    if (stderr === '' && child.pid !== undefined) process.kill(-child.pid, 'SIGINT')
    stderr += String(chunk)
  })
  const code = await new Promise((end) => child.once('close', end))
  expect(stdout).toContain('every promise was kept')
  expect(code).toBe(130)
})

test('[OP-32] Ctrl-C ends it after the run that is under way, with its report', {
  timeout: 60_000,
}, async () => {
  const child = spawn(process.execPath, [bin, 'simulate', ...small, '--seeds', '40'], { cwd: folder })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk) => (stdout += String(chunk)))
  child.stderr.on('data', (chunk) => {
    // At a quarter of the runs it says how far it is.
    if (stderr === '') child.kill('SIGINT')
    stderr += String(chunk)
  })
  const code = await new Promise((end) => child.once('close', end))
  expect(stdout).toMatch(/^seeds 1 to [123]\d: [^]*every promise was kept/)
  expect(stderr).toContain('ends after this run')
  expect(code).toBe(130)
})
