/**
 * `npm test`: types, format, lint, tests and a minute of simulation in this order, one line each when all is well; a
 * failed step counts as one.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'

import { repositoryRoot } from './source-files.ts'

type Step = { readonly name: string; readonly command: string; readonly isLoud: boolean }

const resultFolder = 'node_modules/.cache/holdfast'
const resultPath = `${resultFolder}/vitest.json`

const steps: readonly Step[] = [
  { name: 'types', command: 'tsc -b', isLoud: false },
  { name: 'format', command: 'biome format .', isLoud: false },
  { name: 'lint', command: 'oxlint --type-aware --deny-warnings', isLoud: false },
  {
    name: 'tests',
    command: `vitest run --reporter=default --reporter=json --outputFile.json=${resultPath}`,
    isLoud: true,
  },
  {
    name: 'simulated',
    command: 'node packages/testing/src/sim/main.ts --seconds 60 --twice 10',
    isLoud: true,
  },
]

function main(): number {
  mkdirSync(join(repositoryRoot, resultFolder), { recursive: true })
  rmSync(join(repositoryRoot, resultPath), { force: true })
  const failed = steps.filter((step) => !runStep(step)).map((step) => step.name)
  if (failed.length > 0) process.stdout.write(`failed: ${failed.join(', ')}\n`)
  const tests = readTestCount()
  const failedCount = tests.failed + failed.filter((name) => name !== 'tests' || tests.failed === 0).length
  process.stdout.write(`${tests.passed} passed, ${failedCount} failed\n`)
  return failedCount === 0 && tests.passed > 0 ? 0 : 1
}

/** Runs a step to its end. Later steps run after a failure as well, so that one run shows everything. */
function runStep({ name, command, isLoud }: Step): boolean {
  const startedMs = performance.now()
  const done = spawnSync(command, {
    cwd: repositoryRoot,
    shell: true,
    stdio: isLoud ? 'inherit' : 'pipe',
    encoding: 'utf8',
    env: {
      ...process.env,
      PATH: `${join(repositoryRoot, 'node_modules/.bin')}${delimiter}${process.env['PATH']}`,
    },
  })
  const isOk = done.status === 0
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  if (!isOk && !isLoud) process.stdout.write(`${done.stdout}${done.stderr}`)
  process.stdout.write(`${name.padEnd(11)}${isOk ? 'ok' : 'FAILED'}  ${seconds} s\n`)
  return isOk
}

/** What vitest wrote down; nothing at all when it died before it wrote. */
function readTestCount(): { passed: number; failed: number } {
  try {
    const report: unknown = JSON.parse(readFileSync(join(repositoryRoot, resultPath), 'utf8'))
    const { numPassedTests: passed, numFailedTests: failed } = report as Record<string, unknown>
    if (typeof passed === 'number' && typeof failed === 'number') return { passed, failed }
  } catch {
    // Falls through to the count of a run that left no result.
  }
  return { passed: 0, failed: 0 }
}

process.exitCode = main()
