import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'

import { type CaseResult, type Extent, type Lane, type LaneCase, runCase, shortfalls } from './lane.ts'
import { lanes } from './lanes.ts'

const help = `npm run lanes -- [options]

  --lane NAME       only this lane: ${lanes.map(({ name }) => name).join(', ')}
  --case TEXT       only cases whose name holds this
  --run TEXT        with --case: one run of that case once more, as its failure names it
  --trace           with --run: print every observation
  --part            a fixed sample of each case
  --seconds N       stop after N seconds; what was not run by then counts as failed, unless --until-failure is given
  --until-failure   stop at the first broken promise
  --jobs N          processes; one for each core unless said
  --seed N          begin elsewhere in the list
  --json -          print what came of it as one line of JSON
  --quiet           print nothing else
`

const { values: args } = parseArgs({
  allowPositionals: true,
  options: {
    lane: { type: 'string' },
    case: { type: 'string' },
    run: { type: 'string' },
    trace: { type: 'boolean', default: false },
    part: { type: 'boolean', default: false },
    seconds: { type: 'string' },
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
})

const extent: Extent = args.part ? 'part' : 'all'

/** One case, in full or in part. */
interface Job {
  readonly place: number
  readonly extent: Extent
}

/** The cases a run is about, in an order that meets every lane and every story early. */
const chosen: readonly LaneCase[] = mixed(
  lanes.filter(({ name }) => args.lane === undefined || name === args.lane),
).filter(({ name }) => args.case === undefined || name.includes(args.case))

/** Who wants the first failure only meets a sample of every case before any of them in full. */
const jobs: readonly Job[] = (
  args['until-failure'] && !args.part ? (['part', 'all'] as const) : [extent]
).flatMap((each) => rotated(chosen.map((_, place) => ({ place, extent: each }))))

if (args.help) process.stdout.write(help)
else if (args.worker) work()
else if (args.run !== undefined) await replay(args.run)
else await conduct()

/** A process of its own that runs the cases it is told, by index. */
function work(): void {
  let isStopped = false
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
  if (!each) throw new Error('there is no such case')
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
  const seconds = Number(args.seconds ?? Number.POSITIVE_INFINITY)
  const results: CaseResult[] = []
  let next = 0
  const isOver = (): boolean =>
    performance.now() - startedMs >= seconds * 1_000 ||
    (args['until-failure'] && results.some(({ failures }) => failures.length > 0))
  const workers = Array.from({ length: Number(args.jobs ?? availableParallelism()) }, () => startWorker())
  const timer = setTimeout(
    () => workers.forEach((worker) => worker.stop()),
    Math.min(seconds * 1_000, 2 ** 31 - 1),
  )
  await Promise.all(
    workers.map(async (worker) => {
      for (let job = jobs[next]; job && !isOver(); job = jobs[next]) {
        next += 1
        const result = await worker.run(job)
        if (result) results.push(result)
        if (result) report(result)
        if (isOver()) for (const other of workers) other.stop()
      }
      worker.end()
    }),
  )
  clearTimeout(timer)
  conclude(results, performance.now() - startedMs)
}

function conclude(results: readonly CaseResult[], ms: number): void {
  const failed = results.filter(({ failures }) => failures.length > 0)
  // Who stops at the first failure, or looks for one as long as there is time, did not mean to run it all.
  const missing = args['until-failure'] ? [] : shortfalls(chosen, results, extent)
  if (!args.quiet) print(results, missing, ms)
  if (args.json) printJson(failed[0], ms, results)
  process.exitCode = failed.length > 0 || missing.length > 0 || chosen.length === 0 ? 1 : 0
}

function print(results: readonly CaseResult[], missing: readonly string[], ms: number): void {
  const line = (text: string): void => void process.stdout.write(`${text}\n`)
  const groups = Map.groupBy(results, ({ name }) => chosen.find((each) => each.name === name)?.group ?? name)
  for (const [group, members] of groups) {
    const runs = members.reduce((sum, result) => sum + result.runs, 0)
    line(`${String(runs).padStart(7)} runs  ${group}`)
  }
  const runs = results.reduce((sum, result) => sum + result.runs, 0)
  line(`${runs} runs of ${results.length} cases, ${(ms / 1_000).toFixed(0)} s`)
  for (const text of missing.slice(0, 20)) line(`NOT RUN: ${text}`)
  if (missing.length > 20) line(`NOT RUN: ${missing.length - 20} more`)
  for (const { name, failures } of results) {
    for (const { run, violation } of failures.slice(0, 3))
      line(`FAILED: ${name}, run ${run}\n  ${violation.invariant}: ${violation.message}`)
    if (failures.length > 3) line(`  and ${failures.length - 3} more runs of ${name}`)
  }
}

function printJson(failed: CaseResult | undefined, ms: number, results: readonly CaseResult[]): void {
  const [first] = failed?.failures ?? []
  const found = first && {
    invariant: first.violation.invariant,
    message: first.violation.message,
    case: failed?.name,
    run: first.run,
  }
  const runs = results.reduce((sum, result) => sum + result.runs, 0)
  process.stdout.write(
    `${JSON.stringify({ found: first !== undefined, invariant: null, ...found, ms: Math.round(ms), runs })}\n`,
  )
}

function report({ name, runs, failures, ms }: CaseResult): void {
  if (args.quiet) return
  const verdict = failures.length === 0 ? '' : `  ${failures.length} FAILED, first at ${failures[0]?.run}`
  process.stderr.write(
    `${String(runs).padStart(6)} runs ${(ms / 1_000).toFixed(1).padStart(6)} s  ${name}${verdict}\n`,
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
  return {
    run: (job) =>
      new Promise((resolve, reject) => {
        const ended = (code: number | null): void => reject(new Error(`a worker ended with ${code}`))
        child.once('exit', ended)
        child.once('message', ({ result }: { readonly result: CaseResult | null }) => {
          child.off('exit', ended)
          resolve(result)
        })
        child.send(job)
      }),
    stop: () => void (child.connected && child.send('stop')),
    end: () => child.disconnect(),
  }
}

/** The same list from another beginning. */
function rotated(list: readonly Job[]): readonly Job[] {
  const first = list.length === 0 ? 0 : (Number(args.seed) * 97) % list.length
  return [...list.slice(first), ...list.slice(0, first)]
}

/** Cases of several lanes, taken from each in turn, with a stride so that neighbours are not alike. */
function mixed(some: readonly Lane[]): readonly LaneCase[] {
  const queues = some.map(({ cases }) => strided(cases))
  const longest = Math.max(0, ...queues.map((queue) => queue.length))
  return Array.from({ length: longest }, (_, index) => index).flatMap((index) =>
    queues.flatMap((queue) => queue[index] ?? []),
  )
}

function strided(cases: readonly LaneCase[]): readonly LaneCase[] {
  const stride = 17
  return Array.from({ length: stride }, (_, first) =>
    cases.filter((__, index) => index % stride === first),
  ).flat()
}
