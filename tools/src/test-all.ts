/**
 * `npm test`: types, format, lint, tests, those that need PostgreSQL and Redis, those in a browser, and a minute of
 * simulation in this order, one line each when all is well; a failed step counts as one.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'

import { repositoryRoot } from './source-files.ts'
import { readTestReport, type TestReport } from './test-report.ts'

type Step = {
  readonly name: string
  readonly command: string
  readonly isLoud: boolean
  /** Where vitest writes what it counted. */
  readonly resultPath?: string
  /** What it should take at most on a quiet machine, s; more is said, and fails nothing. */
  readonly budget?: number
}

const resultFolder = 'node_modules/.cache/holdfast'

const steps: readonly Step[] = [
  { name: 'types', command: 'tsc -b', isLoud: false },
  { name: 'format', command: 'biome format .', isLoud: false },
  { name: 'lint', command: 'oxlint --type-aware --deny-warnings', isLoud: false },
  testStep('tests', 'unit'),
  testStep('components', 'react', 'react 18'),
  { ...testStep('postgres and redis', 'services', 'engine on postgres'), budget: 120 },
  { ...testStep('browser', 'browser', 'chromium'), budget: 180 },
  {
    name: 'simulated',
    command: 'node packages/testing/src/sim/main.ts --seconds 60 --twice 10',
    isLoud: true,
  },
]

function main(): number {
  mkdirSync(join(repositoryRoot, resultFolder), { recursive: true })
  const results = steps.map((step) => ({ step, ...runAndCount(step) }))
  const failed = results.filter(({ isOk }) => !isOk).map(({ step }) => step.name)
  if (failed.length > 0) process.stdout.write(`failed: ${failed.join(', ')}\n`)
  const passedCount = results.reduce((sum, { passed }) => sum + passed, 0)
  const failures = results.flatMap((result) => result.failures)
  const failedCount = results.reduce(
    (sum, { isOk, failures: own }) => sum + (isOk ? 0 : Math.max(own.length, 1)),
    0,
  )
  // Told once more at the end, because what a run prints may be cut before it.
  process.stdout.write(failures.map((failure) => `\n${failure}\n`).join(''))
  process.stdout.write(`${passedCount} passed, ${failedCount} failed\n`)
  return failedCount === 0 && passedCount > 0 ? 0 : 1
}

/** The step that runs the tests of some vitest projects. */
function testStep(name: string, ...projects: readonly string[]): Step {
  const resultPath = `${resultFolder}/${projects[0] ?? ''}.json`
  const chosen = projects.map((project) => `--project "${project}"`).join(' ')
  const reporters = `--reporter=default --reporter=json --outputFile.json=${resultPath}`
  return { name, command: `vitest run ${chosen} ${reporters}`, isLoud: true, resultPath }
}

function runAndCount(step: Step): { isOk: boolean } & TestReport {
  if (step.resultPath === undefined) return { isOk: runStep(step), passed: 0, failures: [] }
  const resultPath = join(repositoryRoot, step.resultPath)
  rmSync(resultPath, { force: true })
  const isOk = runStep(step)
  return { isOk, ...readTestReport(resultPath) }
}

/** Runs a step to its end. Later steps run after a failure as well, so that one run shows everything. */
function runStep({ name, command, isLoud, budget = Infinity }: Step): boolean {
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
  const seconds = (performance.now() - startedMs) / 1000
  const excess = seconds > budget ? `, over its budget of ${budget} s` : ''
  if (!isOk && !isLoud) process.stdout.write(`${done.stdout}${done.stderr}`)
  process.stdout.write(`${name.padEnd(20)}${isOk ? 'ok' : 'FAILED'}  ${seconds.toFixed(1)} s${excess}\n`)
  return isOk
}

process.exitCode = main()
