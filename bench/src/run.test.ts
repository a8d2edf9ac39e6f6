import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'

import { caseNames } from './contender.ts'
import type { ResultLine } from './summarize.ts'

const entry = fileURLToPath(new URL('./run.ts', import.meta.url))

test('a quick run does the whole job of every case on both sides and writes a figure for each', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const json = join(folder, 'results.json')
  const { stdout } = await promisify(execFile)(process.execPath, [entry, '--quick', '--json', json])
  const lines = JSON.parse(readFileSync(json, 'utf8')) as ResultLine[]
  expect(lines.map((line) => line.case)).toEqual([...caseNames])
  for (const line of lines) {
    expect(Object.keys(line)).toEqual(['case', 'unit', 'ours', 'limit', 'ratio', 'min', 'max'])
    expect(line.ours).toBeGreaterThan(0)
    expect(line.limit).toBeGreaterThan(0)
    expect(line.ratio).toBeCloseTo(line.ours / line.limit, 10)
  }
  expect(stdout).toMatch(/^Node \d+\.\d+\.\d+, \d+ × .*, SQLite \d+\.\d+\.\d+, /)
}, 120_000)

test('an unknown case is refused with the names of those there are', async () => {
  const run = promisify(execFile)(process.execPath, [entry, '--case', 'write-tripel'])
  await expect(run).rejects.toThrow('There is no case write-tripel; there are write-single, ')
})
