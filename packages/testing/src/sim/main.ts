import { fork } from 'node:child_process'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'

import { endWith, numberOf, readCommandLine } from '../command-line.ts'
import { generatePlan, operationsOf } from '../gen/generate-plan.ts'
import { budgetProblems } from './budget.ts'
import { openFindings, partFindings } from './open-findings.ts'
import { type Plan, planText } from './plan.ts'
import { printFailure, printSummary } from './print-summary.ts'
import { runPlan } from './run-plan.ts'
import { addSummary, emptySummary, runSeeds, type Summary } from './run-seeds.ts'
import { type Job, type Ledger, SeedLedger } from './seed-ledger.ts'
import { shrink } from './shrink.ts'

const help = `npm run simulate -- [options]

  --seconds N       stop after N seconds (60 unless another budget is given)
  --operations N    stop after N user operations
  --seeds N         stop after N seeds
  --seed N          the first seed; 1 unless said
  --jobs N          processes; one for each core unless said
  --twice N         run every Nth seed twice and compare (50 unless said)
  --dense           more kinds of faults in each seed, for finds that need several of them
  --until-failure   stop at the first broken promise
  --resume FILE     go on where FILE says, and keep it up to date
  --replay SEED     run one seed and tell the whole story of a failure
  --plan FILE       run a plan from a file
  --shrink          with --replay or --plan: look for the smallest plan that fails the same way
  --out FILE        with --shrink: where to write it
  --trace           with --replay or --plan: print every observation
  --json            print the summary as one line of JSON
  --quiet           print nothing else
`

const args = readCommandLine({
  seconds: { type: 'string' },
  operations: { type: 'string' },
  seeds: { type: 'string' },
  seed: { type: 'string', default: '1' },
  jobs: { type: 'string' },
  twice: { type: 'string', default: '50' },
  dense: { type: 'boolean', default: false },
  'until-failure': { type: 'boolean', default: false },
  resume: { type: 'string' },
  replay: { type: 'string' },
  plan: { type: 'string' },
  shrink: { type: 'boolean', default: false },
  out: { type: 'string' },
  trace: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  quiet: { type: 'boolean', default: false },
  worker: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
})

interface Saved extends Ledger {
  readonly seconds: number
  readonly summary: Summary
}

/** A process of its own that runs the seeds it is told. */
function work(): void {
  let isStopped = false
  // An interrupt reaches the whole group of processes; the first of them says when to stop.
  process.on('SIGINT', () => undefined)
  process.on('disconnect', () => process.exit(0))
  process.on('message', (job: Job | 'stop') => {
    if (job === 'stop') {
      isStopped = true
      return
    }
    const { dense, 'until-failure': untilFailure } = args
    const options = { ...job, twice: numberOf('twice', args.twice, { least: 0 }), untilFailure, dense }
    void runSeeds({ ...options, goOn: () => !isStopped }).then((sum) => process.send?.(sum))
  })
}

async function conduct(): Promise<void> {
  const jobs = numberOf('jobs', args.jobs, { least: 1, most: 256 }) ?? availableParallelism()
  const saved = readSaved()
  const { summary } = saved
  const startedMs = performance.now() - saved.seconds * 1_000
  const budget = {
    seconds:
      numberOf('seconds', args.seconds, { least: 1, isFraction: true }) ??
      (args.operations || args.seeds ? Number.POSITIVE_INFINITY : 60),
    operations: numberOf('operations', args.operations, { least: 1 }) ?? Number.POSITIVE_INFINITY,
    seeds: numberOf('seeds', args.seeds, { least: 1 }) ?? Number.POSITIVE_INFINITY,
  }
  const secondsNow = (): number => (performance.now() - startedMs) / 1_000
  let promised = summary.seeds
  let isInterrupted = false
  const isEnough = (): boolean =>
    isInterrupted ||
    secondsNow() >= budget.seconds ||
    summary.operations >= budget.operations ||
    (args['until-failure'] && summary.failures.length > 0)
  const ledger = new SeedLedger(saved)
  const workers = Array.from({ length: jobs }, () => startWorker())
  // Seeds under way come to their end, and what was found by then is told; a second time ends it at once.
  process.once('SIGINT', () => {
    isInterrupted = true
    for (const worker of workers) worker.stop()
  })
  await Promise.all(
    workers.map(async (worker) => {
      for (;;) {
        if (isEnough() || promised >= budget.seeds) break
        const job = ledger.take(budget.seeds - promised)
        promised += job.count
        const sum = await worker.run(job)
        ledger.settle(job, sum.seeds)
        addSummary(summary, sum)
        keep({ ...ledger.left, seconds: secondsNow(), summary })
        report(summary, secondsNow())
        if (isEnough()) for (const other of workers) other.stop()
      }
      worker.end()
    }),
  )
  const seconds = secondsNow()
  const problems = budgetProblems(summary, {
    operations: args.operations === undefined ? 0 : budget.operations,
    seeds: args.seeds === undefined ? 0 : budget.seeds,
    isStoppedEarly: args['until-failure'] && summary.failures.length > 0,
  })
  const { open, fresh } = partFindings(summary, openFindings)
  if (!args.quiet) {
    const machine = cpus()[0]?.model ?? 'unknown'
    const replayOptions = args.dense ? ' --dense' : ''
    const around = { seconds, jobs, machine, problems, open, replayOptions }
    printSummary({ ...summary, failures: [...fresh] }, around)
  }
  if (args.json) printJson(summary, seconds)
  if (fresh.length > 0 || problems.length > 0) process.exitCode = 1
  else if (isInterrupted) process.exitCode = 130
}

interface Worker {
  run(job: Job): Promise<Summary>
  stop(): void
  end(): void
}

function startWorker(): Worker {
  const flags = (['until-failure', 'dense'] as const).filter((name) => args[name]).map((name) => `--${name}`)
  const options = ['--worker', '--twice', args.twice, ...flags]
  const child = fork(import.meta.filename, options, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  let isStopped = false
  return {
    run: (job) =>
      new Promise((resolve, reject) => {
        const ended = (code: number | null, signal: NodeJS.Signals | null): void => {
          // An interrupt may reach it before it is there to hear of it, and may be heard of here only then.
          if (isStopped || signal === 'SIGINT') setImmediate(() => resolve(emptySummary()))
          else reject(new Error(`a worker ended with ${code}`))
        }
        child.once('exit', ended)
        child.once('message', (sum) => {
          child.off('exit', ended)
          resolve(sum as Summary)
        })
        child.send(job)
      }),
    stop: () => {
      isStopped = true
      if (child.connected) child.send('stop')
    },
    end: () => {
      if (child.connected) child.disconnect()
    },
  }
}

function readSaved(): Saved {
  const first = {
    nextSeed: numberOf('seed', args.seed, { least: 0 }),
    owed: [],
    seconds: 0,
    summary: emptySummary(),
  }
  if (args.resume === undefined || !existsSync(args.resume)) return first
  const saved = savedIn(readFileSync(args.resume, 'utf8'))
  return saved ?? endWith(`${args.resume} does not hold what a run could go on from`)
}

function savedIn(text: string): Saved | undefined {
  try {
    // Only `keep` writes there, but the file may be another one.
    const saved = JSON.parse(text) as Partial<Saved> | null
    return saved?.summary && saved.owed && saved.nextSeed !== undefined ? (saved as Saved) : undefined
  } catch {
    return undefined
  }
}

/** Written beside and moved over, so that a stop in the middle leaves the old one. */
function keep(saved: Saved): void {
  if (args.resume === undefined) return
  writeFileSync(`${args.resume}.new`, JSON.stringify(saved))
  renameSync(`${args.resume}.new`, args.resume)
}

let reportedMs = 0

function report({ seeds, operations, failures }: Summary, seconds: number): void {
  if (args.quiet || seconds * 1_000 - reportedMs < 5_000) return
  reportedMs = seconds * 1_000
  const rate = Math.round(operations / seconds)
  process.stderr.write(
    `${seconds.toFixed(0)} s: ${seeds} seeds, ${operations} operations (${rate}/s), ${failures.length} failed\n`,
  )
}

function printJson(summary: Summary, seconds: number): void {
  const [failed] = summary.failures
  const { states, ...rest } = summary
  const found = failed && {
    seed: failed.seed,
    invariant: failed.violation.invariant,
    message: failed.violation.message,
  }
  const ms = Math.round(seconds * 1_000)
  process.stdout.write(
    `${JSON.stringify({ found: failed !== undefined, ...found, ms, ...rest, states: states.length })}\n`,
  )
}

async function replay(plan: Plan): Promise<void> {
  const observe = args.trace
    ? (observation: object): void => void process.stdout.write(`${JSON.stringify(observation)}\n`)
    : undefined
  const result = await runPlan(plan, { observe })
  const [first] = result.violations
  process.stdout.write(
    `${result.operations} of ${operationsOf(plan)} operations, ${plan.steps.length} steps, ${result.events} events, trace ${result.traceHash}\n`,
  )
  if (!first) {
    process.stdout.write('every promise was kept\n')
    return
  }
  process.exitCode = 1
  for (const violation of result.violations.slice(0, 10)) printFailure(violation)
  if (!args.shrink) return
  const small = await shrink(plan, first.invariant, { say: (text) => void process.stderr.write(`${text}\n`) })
  if (args.out !== undefined) writeFileSync(args.out, planText(small))
  else process.stdout.write(planText(small))
}

if (args.help) process.stdout.write(help)
else if (args.worker) work()
else if (args.replay !== undefined)
  await replay(generatePlan(numberOf('replay', args.replay, { least: 0 }), { dense: args.dense }))
else if (args.plan !== undefined) await replay(JSON.parse(readFileSync(args.plan, 'utf8')) as Plan)
else await conduct()
