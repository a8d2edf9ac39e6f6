/** The process of one contender: does the one job it is given, and prints the measurement as one line of JSON. */
import type { Contender, Job, Side } from './contender.ts'

const contenders: Readonly<Record<Side, () => Promise<Contender>>> = {
  limit: async () => (await import('./limit/contender.ts')).limit,
  ours: async () => (await import('./ours/contender.ts')).ours,
}

// The argument is written by spawn-job.ts of the same checkout.
const job = JSON.parse(process.argv[2] ?? '') as Job
const contender = await contenders[job.side]()
process.stdout.write(`${JSON.stringify(await contender[job.task](job))}\n`)
