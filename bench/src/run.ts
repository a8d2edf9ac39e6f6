/** `npm run bench -- [--case NAME]… [--json FILE] [--quick]`: every case against its limit, in this run, on this machine. */
import { rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type BenchCase, benchCases, type CaseSize } from './cases.ts'
import { caseNames, type Job, type Side } from './contender.ts'
import { formatTable } from './format-table.ts'
import type { Measurement } from './measurement.ts'
import { spawnJob } from './spawn-job.ts'
import { type JudgedLine, type Round, summarize } from './summarize.ts'

const sides: readonly Side[] = ['limit', 'ours']

interface Run {
  readonly cases: readonly BenchCase[]
  readonly isQuick: boolean
  readonly roundCount: number
  readonly port: number
  readonly folder: string
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      case: { type: 'string', multiple: true },
      json: { type: 'string' },
      quick: { type: 'boolean', default: false },
    },
  })
  const unknown = values.case?.find((name) => !caseNames.some((known) => known === name))
  if (unknown !== undefined)
    throw new Error(`There is no case ${unknown}; there are ${caseNames.join(', ')}.`)
  const run: Run = {
    cases: benchCases.filter(({ name }) => values.case?.includes(name) ?? true),
    isQuick: values.quick,
    roundCount: values.quick ? 1 : 3,
    port: await freePort(),
    // Not the temporary folder: that may be in memory, and then nothing durable would be measured.
    folder: fileURLToPath(
      new URL(`../../node_modules/.cache/holdfast/bench-${process.pid}`, import.meta.url),
    ),
  }
  process.stdout.write(`${describeMachine()}\n`)
  try {
    const judged = await runCases(run)
    process.stdout.write(`\n${formatTable(judged)}\n`)
    if (run.isQuick)
      process.stdout.write('A quick run proves that the harness works; its figures mean nothing.\n')
    const lines = judged.map(({ line }) => line)
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(lines, null, 2)}\n`)
  } finally {
    rmSync(run.folder, { recursive: true, force: true })
  }
}

/** Round by round, and in each round case by case with both sides in turn, so that a busy minute hits both. */
async function runCases(run: Run): Promise<JudgedLine[]> {
  await makeFixtures(run)
  const rounds = new Map<BenchCase, Round[]>(run.cases.map((bench) => [bench, []]))
  for (let index = 0; index < run.roundCount; index++) {
    for (const [bench, done] of rounds) {
      const round = await runRound(run, bench, index)
      done.push(round)
      const { ours, limit } = round
      process.stdout.write(`round ${index + 1} ${bench.name} ${(ours.value / limit.value).toFixed(2)}\n`)
    }
  }
  return [...rounds].map(([bench, done]) => summarize(bench, done))
}

async function runRound(run: Run, bench: BenchCase, index: number): Promise<Round> {
  const measured = new Map<Side, Measurement>()
  for (const side of index % 2 === 0 ? sides : sides.toReversed()) {
    const job = jobOf(run, side, bench)
    measured.set(side, await spawnJob(job, bench.startsFromFixture ? fixtureFolder(run, side) : undefined))
  }
  const [limit, ours] = sides.map((side) => measured.get(side))
  if (limit === undefined || ours === undefined) throw new Error(`${bench.name} has no measurement`)
  return { limit, ours }
}

async function makeFixtures(run: Run): Promise<void> {
  const bench = run.cases.find(({ startsFromFixture }) => startsFromFixture)
  if (bench === undefined) return
  for (const side of sides) {
    await spawnJob(
      { ...jobOf(run, side, bench), task: 'fixture', folder: fixtureFolder(run, side) },
      undefined,
    )
  }
}

function jobOf(run: Run, side: Side, bench: BenchCase): Job {
  const size: CaseSize = run.isQuick ? bench.quickSize : bench.size
  return { side, task: bench.name, ...size, folder: join(run.folder, 'job'), port: run.port }
}

function fixtureFolder(run: Run, side: Side): string {
  return join(run.folder, `fixture-${side}`)
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('There is no free port.')
  return address.port
}

function describeMachine(): string {
  const database = new DatabaseSync(':memory:')
  const version = String(database.prepare('SELECT sqlite_version() AS version').get()?.['version'])
  database.close()
  const model = cpus()[0]?.model.trim() ?? 'unknown processor'
  return `Node ${process.versions.node}, ${cpus().length} × ${model}, SQLite ${version}, ${process.platform}`
}

await main()
