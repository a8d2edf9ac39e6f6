import { fork } from 'node:child_process'
import { availableParallelism, cpus } from 'node:os'

import { endWith, numberOf, readCommandLine } from '../command-line.ts'
import { type CaseResult, type Extent, runCase } from './lane.ts'
import { lanesUpTo } from './lanes.ts'
import { PassRecord, sourcesName } from './pass-record.ts'
import { summarise } from './pass-summary.ts'
import { type Job, planPass } from './plan-pass.ts'
import { usualLength } from './sequences.ts'

const help = `npm run lanes -- [options]

  --lane NAME       only this lane: untouched, nth-failure, interleavings, sequences
  --case TEXT       only cases whose name holds this
  --run TEXT        with --case: one run of that case once more, as its failure names it
  --trace           with --run: print every observation
  --part            a fixed sample of each case
  --length N        the longest sequences; ${usualLength} unless said, and 6 takes an hour of a core more
  --seconds N       stop after N seconds, and say what was not run by then
  --resume FILE     go on where FILE says, and keep it up to date; what it holds must be of the same sources
  --until-failure   stop at the first broken promise
  --jobs N          processes; one for each core unless said
  --seed N          begin elsewhere in the list
  --json -          print what came of it as one line of JSON
  --quiet           print nothing else
`

const args = readCommandLine(
  {
    lane: { type: 'string' },
    case: { type: 'string' },
    run: { type: 'string' },
    trace: { type: 'boolean', default: false },
    part: { type: 'boolean', default: false },
    length: { type: 'string', default: String(usualLength) },
    seconds: { type: 'string' },
    resume: { type: 'string' },
    'until-failure': { type: 'boolean', default: false },
    jobs: { type: 'string' },
    json: { type: 'boolean', default: false },
    seed: { type: 'string', default: '0' },
    // Asked of every hunter of bugs; a lane has no seeds to count.
    seeds: { type: 'string' },
    quiet: { type: 'boolean', default: false },
    worker: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
  // `--json -`, as of every hunter of bugs.
  { words: ['-'] },
)

const extent: Extent = args.part ? 'part' : 'all'
const lanes = lanesUpTo(numberOf('length', args.length, { least: 1, most: 9 }))

const { chosen, jobs } = planPass(
  lanes.filter(({ name }) => args.lane === undefined || name === args.lane),
  { extent, isHunt: args['until-failure'], text: args.case, seed: numberOf('seed', args.seed, { least: 0 }) },
)

if (args.help) process.stdout.write(help)
else if (chosen.length === 0) endWith('there is no such lane or case')
else if (args.worker) work()
else if (args.run !== undefined) await replay(args.run)
else await conduct()

/** A process of its own that runs the cases it is told, by index. */
function work(): void {
  let isStopped = false
  // An interrupt reaches the whole group of processes; the first of them says when to stop.
  process.on('SIGINT', () => undefined)
  process.on('disconnect', () => process.exit(0))
  process.on('message', (order: Job | 'stop') => {
    if (order === 'stop') isStopped = true
    else void runChosen(order, () => !isStopped).then((result) => process.send?.({ result }))
  })
}

function runChosen({ place, extent: wanted }: Job, goOn: () => boolean): Promise<CaseResult | null> {
  const each = chosen[place]
  if (!each) throw new Error(`there is no case ${place}`)
  return runCase(each, { extent: wanted, goOn, failureMax: args['until-failure'] ? 1 : 20 })
}

async function replay(run: string): Promise<void> {
  const each = chosen.find(({ name }) => name === args.case) ?? chosen[0]
  if (!each) return endWith('there is no such case')
  const line = (text: string): void => void process.stdout.write(`${text}\n`)
  const violations = await each.replay(run, (o) => {
    if (args.trace) line(JSON.stringify(o))
  })
  line(`${each.name}, run ${run}`)
  for (const { invariant, atMs, message } of violations)
    line(`${invariant}, ${(atMs / 1_000).toFixed(3)} virtual s\n  ${message}`)
  if (violations.length === 0) line('every promise was kept')
  process.exitCode = violations.length === 0 ? 0 : 1
}

async function conduct(): Promise<void> {
  const startedMs = performance.now()
  const seconds =
    numberOf('seconds', args.seconds, { least: 1, isFraction: true }) ?? Number.POSITIVE_INFINITY
  const record = openRecord()
  const results: CaseResult[] = [...(record?.results ?? [])]
  const done = new Set(results.map(({ name }) => name))
  const left = jobs.filter(({ place }) => !done.has(chosen[place]?.name ?? ''))
  let next = 0
  let isInterrupted = false
  const isOver = (): boolean =>
    isInterrupted ||
    performance.now() - startedMs >= seconds * 1_000 ||
    (args['until-failure'] && results.some(({ failures }) => failures.length > 0))
  const workers = Array.from(
    { length: numberOf('jobs', args.jobs, { least: 1, most: 256 }) ?? availableParallelism() },
    () => startWorker(),
  )
  // Cases under way are given up, and what was found by then is told; a second time ends it at once.
  process.once('SIGINT', () => {
    isInterrupted = true
    for (const worker of workers) worker.stop()
  })
  const timer = setTimeout(
    () => workers.forEach((worker) => worker.stop()),
    Math.min(seconds * 1_000, 2 ** 31 - 1),
  )
  await Promise.all(
    workers.map(async (worker) => {
      for (let job = left[next]; job && !isOver(); job = left[next]) {
        next += 1
        const result = await worker.run(job)
        if (result) {
          results.push(result)
          record?.add(result)
          report(result)
        }
        if (isOver()) for (const other of workers) other.stop()
      }
      worker.end()
    }),
  )
  clearTimeout(timer)
  conclude(results, { ms: performance.now() - startedMs, jobCount: workers.length, isInterrupted })
}

function openRecord(): PassRecord | undefined {
  if (args.resume === undefined) return undefined
  try {
    return PassRecord.open(args.resume, aboutPass())
  } catch (error) {
    return endWith(error instanceof Error ? error.message : String(error))
  }
}

/** What a record must have been kept of to be gone on with. */
function aboutPass(): string {
  return `${extent}, sequences up to ${args.length}, sources ${sourcesName()}`
}

function conclude(
  results: readonly CaseResult[],
  {
    ms,
    jobCount,
    isInterrupted,
  }: { readonly ms: number; readonly jobCount: number; readonly isInterrupted: boolean },
): void {
  const machine = `${cpus().length} cores of ${cpus()[0]?.model.trim() ?? 'an unknown machine'}`
  const processes = `${jobCount} process${jobCount === 1 ? '' : 'es'}`
  const resumed = args.resume === undefined ? '' : ' in the last sitting'
  const { lines, isGood } = summarise({
    lanes,
    chosen,
    extent,
    results,
    mayStopEarly: args['until-failure'] || args.seconds !== undefined || isInterrupted,
    around: `${machine}, ${processes}, ${(ms / 1_000).toFixed(0)} s${resumed}`,
  })
  if (!args.quiet) process.stdout.write(`${lines.join('\n')}\n`)
  if (args.json) printJson(results, ms)
  process.exitCode = isGood ? (isInterrupted ? 130 : 0) : 1
}

function printJson(results: readonly CaseResult[], ms: number): void {
  const failed = results.find(({ failures }) => failures.length > 0)
  const [first] = failed?.failures ?? []
  const found = first && {
    invariant: first.violation.invariant,
    message: first.violation.message,
    case: failed?.name,
    run: first.run,
  }
  const runs = results.reduce((sum, { count }) => sum + count, 0)
  process.stdout.write(
    `${JSON.stringify({ found: first !== undefined, invariant: null, ...found, ms: Math.round(ms), runs })}\n`,
  )
}

function report({ name, count, failures, ms }: CaseResult): void {
  if (args.quiet) return
  const verdict = failures.length === 0 ? '' : `  ${failures.length} FAILED, first at ${failures[0]?.run}`
  process.stderr.write(
    `${String(count).padStart(6)} ${(ms / 1_000).toFixed(1).padStart(6)} s  ${name}${verdict}\n`,
  )
}

interface Worker {
  run(job: Job): Promise<CaseResult | null>
  stop(): void
  end(): void
}

function startWorker(): Worker {
  const passed = process.argv.slice(2)
  const child = fork(import.meta.filename, [...passed, '--worker'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  let isStopped = false
  return {
    run: (job) =>
      new Promise((resolve, reject) => {
        const ended = (code: number | null, signal: NodeJS.Signals | null): void => {
          // An interrupt may reach it before it is there to hear of it, and may be heard of here only then.
          if (isStopped || signal === 'SIGINT') setImmediate(() => resolve(null))
          else reject(new Error(`a worker ended with ${code}`))
        }
        child.once('exit', ended)
        child.once('message', ({ result }: { readonly result: CaseResult | null }) => {
          child.off('exit', ended)
          resolve(result)
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
