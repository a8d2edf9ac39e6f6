/** `npm run planted`: looks for every planted bug in turn and says which were found, by whom, and how fast. */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

import { catalogue } from './catalogue.ts'
import { findWithout, type Hunt, hunt, type HuntOptions } from './hunt.ts'
import type { Plant } from './plant.ts'

const usage = `npm run planted -- [--only id,id] [--seconds 300] [--seed 1] [--jobs 2] [--json file]`

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      seconds: { type: 'string', default: '300' },
      seed: { type: 'string', default: '1' },
      jobs: { type: 'string', default: '2' },
      json: { type: 'string' },
    },
  })
  const options = { seconds: wholeNumber(values.seconds), seed: wholeNumber(values.seed) }
  const plants = chosen(values.only)
  const hunts: Hunt[] = []
  const next = plants.values()
  const work = async (): Promise<void> => {
    for (const plant of next) {
      const done = await hunt(plant, options)
      hunts.push(done)
      process.stdout.write(`${rowOf(done)}\n`)
    }
  }
  const troubles = await troublesWithout(plants, {
    ...options,
    seconds: Math.min(options.seconds, controlSeconds),
  })
  for (const trouble of troubles) process.stdout.write(`without any bug, ${trouble}\n`)
  process.stdout.write(`${header}\n`)
  await Promise.all(Array.from({ length: Math.max(1, wholeNumber(values.jobs)) }, work))
  process.stdout.write(`\n${summaryOf(hunts)}\n`)
  if (values.json !== undefined)
    writeFileSync(values.json, resultsText(hunts, { seconds: options.seconds, troubles }))
  return troubles.length === 0 && hunts.every(({ result }) => result === 'found') ? 0 : 1
}

/** Seconds each hunter runs without any bug first. */
const controlSeconds = 60

/** What the hunters of these bugs find without any of them. */
async function troublesWithout(plants: readonly Plant[], options: HuntOptions): Promise<readonly string[]> {
  const troubles: string[] = []
  for (const hunter of new Set(plants.map(({ seenBy = 'sim' }) => seenBy))) {
    const trouble = await findWithout(hunter, options)
    if (trouble !== null) troubles.push(`${hunter} finds ${trouble}`)
  }
  return troubles
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`"${text}" is not a number\n${usage}`)
  return Number(text)
}

function chosen(only: string | undefined): readonly Plant[] {
  if (only === undefined) return catalogue
  return only.split(',').map((id) => {
    const plant = catalogue.find((candidate) => candidate.id === id)
    if (plant === undefined) throw new Error(`there is no planted bug "${id}"`)
    return plant
  })
}

const idWidth = Math.max(...catalogue.map(({ id }) => id.length))
const header = `${'bug'.padEnd(idWidth)}  case   found by${' '.repeat(18)}seconds`

function rowOf({ id, case: brings, result, invariant, isExpected, seconds, words }: Hunt): string {
  const by =
    result === 'found'
      ? `${invariant ?? '?'}${isExpected ? '' : ' (?)'}`
      : result === 'broken'
        ? 'BROKEN'
        : 'SURVIVED'
  const row = `${id.padEnd(idWidth)}  ${brings.padEnd(5)}  ${by.padEnd(24)}  ${seconds.toFixed(1).padStart(7)}`
  return words ? `${row}\n    ${words.split('\n').slice(-3).join('\n    ')}` : row
}

function summaryOf(hunts: readonly Hunt[]): string {
  const found = hunts.filter(({ result }) => result === 'found')
  const times = found.map(({ seconds }) => seconds).sort((left, right) => left - right)
  const median = times[Math.floor(times.length / 2)] ?? 0
  const missing = hunts.filter(({ result }) => result !== 'found').map(({ id }) => id)
  const lines = [
    `found ${found.length} of ${hunts.length}; median ${median.toFixed(1)} s, worst ${(times.at(-1) ?? 0).toFixed(1)} s`,
  ]
  const others = found.filter(({ isExpected }) => !isExpected).map(({ id }) => id)
  if (others.length > 0) lines.push(`found by others than expected (?): ${others.join(', ')}`)
  if (missing.length > 0) lines.push(`not found: ${missing.join(', ')}`)
  return lines.join('\n')
}

/** In the order of the catalogue, so that two results can be compared. */
function resultsText(
  hunts: readonly Hunt[],
  run: { readonly seconds: number; readonly troubles: readonly string[] },
): string {
  const order = new Map(catalogue.map(({ id }, place) => [id, place]))
  const sorted = hunts.toSorted((left, right) => (order.get(left.id) ?? 0) - (order.get(right.id) ?? 0))
  return `${JSON.stringify({ node: process.version, secondsMost: run.seconds, withoutAnyBug: run.troubles, hunts: sorted }, null, 2)}\n`
}

// What was started ends with this process.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
process.exitCode = await main()
