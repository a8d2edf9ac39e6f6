/** `npm run planted`: looks for every planted bug in turn and says which were found, by whom, and how fast. */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

import { catalogue } from './catalogue.ts'
import { type Hunt, hunt } from './hunt.ts'
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
  process.stdout.write(`${header}\n`)
  await Promise.all(Array.from({ length: Math.max(1, wholeNumber(values.jobs)) }, work))
  process.stdout.write(`\n${summaryOf(hunts)}\n`)
  if (values.json !== undefined) writeFileSync(values.json, resultsText(hunts, options.seconds))
  return hunts.every(({ result }) => result === 'found') ? 0 : 1
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

function rowOf({ id, case: brings, result, invariant, seconds, words }: Hunt): string {
  const by = result === 'found' ? (invariant ?? '?') : result === 'broken' ? 'BROKEN' : 'SURVIVED'
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
  if (missing.length > 0) lines.push(`not found: ${missing.join(', ')}`)
  return lines.join('\n')
}

/** In the order of the catalogue, so that two results can be compared. */
function resultsText(hunts: readonly Hunt[], seconds: number): string {
  const order = new Map(catalogue.map(({ id }, place) => [id, place]))
  const sorted = hunts.toSorted((left, right) => (order.get(left.id) ?? 0) - (order.get(right.id) ?? 0))
  return `${JSON.stringify({ node: process.version, secondsMost: seconds, hunts: sorted }, null, 2)}\n`
}

// What was started ends with this process.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
process.exitCode = await main()
