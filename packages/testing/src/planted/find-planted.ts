/** `npm run planted`: looks for every planted bug in turn and says which were found, by whom, and how fast. */
import { writeFileSync } from 'node:fs'

import { endWith, numberOf, readCommandLine } from '../command-line.ts'
import { catalogue } from './catalogue.ts'
import { findWithout, type Hunt, hunt, type HuntOptions } from './hunt.ts'
import { keepBook, leftOf, pageOf, readBook, summaryOf, withHunt } from './hunt-book.ts'
import type { Plant } from './plant.ts'

const help = `npm run planted -- [options]

  --only ID,ID      these bugs; all of them unless said
  --seconds N       look for each bug at most this long; 300 unless said
  --seed N          the first seed; 1 unless said
  --jobs N          searches side by side; 1 unless said
  --results FILE    keep what came of each search there, and leave out what was found before
  --page FILE       write what came of it all as a page of the documentation
  --machine TEXT    what the page says it ran on
  --no-control      do not look first for what is found without any bug
`

async function main(): Promise<number> {
  const values = readCommandLine(
    {
      only: { type: 'string' },
      seconds: { type: 'string', default: '300' },
      seed: { type: 'string', default: '1' },
      jobs: { type: 'string', default: '1' },
      results: { type: 'string' },
      page: { type: 'string' },
      machine: { type: 'string', default: 'a machine' },
      control: { type: 'boolean', default: true },
      help: { type: 'boolean', default: false },
    },
    { allowNegative: true },
  )
  if (values.help) {
    process.stdout.write(help)
    return 0
  }
  const options = {
    seconds: numberOf('seconds', values.seconds, { least: 1 }),
    seed: numberOf('seed', values.seed, { least: 0 }),
  }
  const jobs = numberOf('jobs', values.jobs, { least: 1, most: 256 })
  const plants = chosen(values.only)
  let book = readBook(values.results)
  if (values.control && book.withoutAnyBug === null) {
    const seconds = Math.min(options.seconds, controlSeconds)
    book = { ...book, withoutAnyBug: await troublesWithout(plants, { ...options, seconds }) }
  }
  for (const trouble of book.withoutAnyBug ?? []) process.stdout.write(`without any bug, ${trouble}\n`)
  const next = leftOf(plants, book).values()
  process.stdout.write(`${header}\n`)
  const work = async (): Promise<void> => {
    for (const plant of next) {
      const done = await hunt(plant, options)
      book = withHunt(book, done)
      keepBook(values.results, book)
      process.stdout.write(`${rowOf(done)}\n`)
    }
  }
  await Promise.all(Array.from({ length: jobs }, work))
  const ids = new Set(plants.map(({ id }) => id))
  const hunts = book.hunts.filter(({ id }) => ids.has(id))
  process.stdout.write(`\n${summaryOf(hunts)}\n`)
  if (values.page !== undefined) writeFileSync(values.page, pageOf(book, values.machine))
  const isSound = book.withoutAnyBug === null || book.withoutAnyBug.length === 0
  return isSound && hunts.every(({ result }) => result === 'found') ? 0 : 1
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

function chosen(only: string | undefined): readonly Plant[] {
  if (only === undefined) return catalogue
  return only.split(',').map((id) => {
    const plant = catalogue.find((candidate) => candidate.id === id)
    return plant ?? endWith(`there is no planted bug "${id}"`)
  })
}

const idWidth = Math.max(...catalogue.map(({ id }) => id.length))
const header = `${'bug'.padEnd(idWidth)}  case   found by${' '.repeat(18)}seconds   seed`

function rowOf({ id, case: brings, result, invariant, isExpected, seconds, seed, words }: Hunt): string {
  const by =
    result === 'found'
      ? `${invariant ?? '?'}${isExpected ? '' : ' (?)'}`
      : result === 'broken'
        ? 'BROKEN'
        : 'SURVIVED'
  const row = `${id.padEnd(idWidth)}  ${brings.padEnd(5)}  ${by.padEnd(24)}  ${seconds.toFixed(1).padStart(7)}  ${String(seed ?? '').padStart(5)}`
  return words ? `${row}\n    ${words.split('\n').slice(-3).join('\n    ')}` : row
}

// What was started ends with this process.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
process.exitCode = await main()
