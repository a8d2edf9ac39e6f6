/**
 * `npm test`: types, format, lint, tests, those that need PostgreSQL and Redis, and a minute of simulation in this order, one
 * line each when all is well; a failed step counts as one. Those in a browser, which wait more than they work, run beside
 * them, and what they print comes last.
 */
import { spawn } from 'node:child_process'
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
  /** Runs beside the others from the beginning on; what it prints is kept until they are through. */
  readonly isBeside?: boolean
}

const resultFolder = 'node_modules/.cache/holdfast'

const steps: readonly Step[] = [
  { name: 'types', command: 'tsc -b', isLoud: false },
  { name: 'format', command: 'biome format .', isLoud: false },
  { name: 'lint', command: 'oxlint --type-aware --deny-warnings', isLoud: false },
  testStep('tests', 'unit'),
  testStep('components', 'react', 'react 18'),
  { ...testStep('postgres and redis', 'services', 'engine on postgres'), budget: 120 },
  {
    name: 'simulated',
    command: 'node packages/testing/src/sim/main.ts --seconds 60 --twice 10',
    isLoud: true,
  },
  { ...testStep('browser', 'browser', 'chromium'), budget: 180, isBeside: true },
]

async function main(): Promise<number> {
  mkdirSync(join(repositoryRoot, resultFolder), { recursive: true })
  const beside = steps.map((step) => (step.isBeside === true ? runAndCount(step) : undefined))
  const results: Result[] = []
  for (const [index, step] of steps.entries()) {
    const { told, ...result } = await (beside[index] ?? runAndCount(step))
    process.stdout.write(told)
    results.push(result)
  }
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

type Result = TestReport & { readonly step: Step; readonly isOk: boolean }

/** Runs a step; `told` is what is to be printed of it yet. */
async function runAndCount(step: Step): Promise<Result & { readonly told: string }> {
  if (step.resultPath === undefined) return { step, ...(await runStep(step)), passed: 0, failures: [] }
  const resultPath = join(repositoryRoot, step.resultPath)
  rmSync(resultPath, { force: true })
  const done = await runStep(step)
  return { step, ...done, ...readTestReport(resultPath) }
}

/** Runs a step to its end. Later steps run after a failure as well, so that one run shows everything. */
async function runStep(step: Step): Promise<{ readonly isOk: boolean; readonly told: string }> {
  const { name, command, isLoud, budget = Infinity, isBeside = false } = step
  const startedMs = performance.now()
  const child = spawn(command, {
    cwd: repositoryRoot,
    shell: true,
    stdio: isLoud && !isBeside ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PATH: `${join(repositoryRoot, 'node_modules/.bin')}${delimiter}${process.env['PATH']}`,
    },
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (said += text))
  const isOk = await new Promise<boolean>((resolve) => {
    child.on('error', () => resolve(false))
    child.on('close', (code) => resolve(code === 0))
  })
  const seconds = (performance.now() - startedMs) / 1000
  const excess = seconds > budget ? `, over its budget of ${budget} s` : ''
  const line = `${name.padEnd(20)}${isOk ? 'ok' : 'FAILED'}  ${seconds.toFixed(1)} s${excess}\n`
  return { isOk, told: `${isOk && !isLoud ? '' : said}${line}` }
}

process.exitCode = await main()
