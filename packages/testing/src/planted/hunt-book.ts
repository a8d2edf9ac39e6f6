import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'

import { catalogue } from './catalogue.ts'
import type { Hunt } from './hunt.ts'
import type { Plant } from './plant.ts'

/** What is known of the planted bugs so far. Plain JSON, so that a search can be stopped and gone on with. */
export interface HuntBook {
  /** What the hunters found without any bug; null until they were asked. */
  withoutAnyBug: readonly string[] | null
  /** The newest search of each bug, in the order of the catalogue. */
  hunts: readonly Hunt[]
}

/** What a file holds; nothing yet where there is none. */
export function readBook(file: string | undefined): HuntBook {
  if (file === undefined || !existsSync(file)) return { withoutAnyBug: null, hunts: [] }
  // Only `keepBook` writes there.
  return JSON.parse(readFileSync(file, 'utf8')) as HuntBook
}

/** Written beside and moved over, so that a stop in the middle leaves the old one. */
export function keepBook(file: string | undefined, book: HuntBook): void {
  if (file === undefined) return
  writeFileSync(`${file}.new`, `${JSON.stringify(book, null, 1)}\n`)
  renameSync(`${file}.new`, file)
}

/** The book with one more search in it; an older one of the same bug goes. */
export function withHunt({ withoutAnyBug, hunts }: HuntBook, hunt: Hunt): HuntBook {
  const order = new Map(catalogue.map(({ id }, place) => [id, place]))
  const all = [...hunts.filter(({ id }) => id !== hunt.id), hunt]
  return {
    withoutAnyBug,
    hunts: all.sort((left, right) => (order.get(left.id) ?? 0) - (order.get(right.id) ?? 0)),
  }
}

/** What is still to be looked for: first what nobody looked for yet, then what was not found. */
export function leftOf(plants: readonly Plant[], { hunts }: HuntBook): readonly Plant[] {
  const results = new Map(hunts.map(({ id, result }) => [id, result]))
  const fresh = plants.filter(({ id }) => !results.has(id))
  return [...fresh, ...plants.filter(({ id }) => results.has(id) && results.get(id) !== 'found')]
}

/** How many were found, how fast, and which were not. */
export function summaryOf(hunts: readonly Hunt[]): string {
  const found = hunts.filter(({ result }) => result === 'found')
  const lines = [`found ${found.length} of ${hunts.length}; ${timesOf(found)}`]
  const others = found.filter(({ isExpected }) => !isExpected).map(({ id }) => id)
  const missing = hunts.filter(({ result }) => result !== 'found').map(({ id }) => id)
  if (others.length > 0) lines.push(`found by others than expected (?): ${others.join(', ')}`)
  if (missing.length > 0) lines.push(`not found: ${missing.join(', ')}`)
  return lines.join('\n')
}

function timesOf(found: readonly Hunt[]): string {
  const times = found.map(({ seconds }) => seconds).sort((left, right) => left - right)
  const median = times[Math.floor(times.length / 2)] ?? 0
  return `median ${median.toFixed(1)} s, worst ${(times.at(-1) ?? 0).toFixed(1)} s of one core`
}

/** What nobody looked for yet, in a sentence with a line before it; nothing when all were. */
function leftText(hunts: readonly Hunt[]): string {
  const known = new Set(hunts.map(({ id }) => id))
  const left = catalogue.filter(({ id }) => !known.has(id)).map(({ id }) => id)
  return left.length === 0
    ? ''
    : `\nnot looked for yet, ${left.length} of ${catalogue.length}: ${left.join(', ')}\n`
}

/** The page of the documentation that tells all of it. */
export function pageOf({ hunts }: HuntBook, machine: string): string {
  const rows = hunts.map(({ id, case: brings, story, result, invariant, seconds, seed, seenBy }) => {
    const by = result === 'found' ? (invariant ?? '') : '**not found**'
    const where = seenBy === 'sim' ? String(seed ?? '') : `a ${seenBy}`
    return `| ${id} | ${brings} | ${story} | ${by} | ${seconds.toFixed(1)} | ${where} |`
  })
  return `# Planted bugs

Written by \`npm run planted -- --page docs/planted-bugs.md\`, on ${machine}. Each bug is a small change of the shipped
sources that would do to a user what stands here; nobody but the search knows of it. A bug that is not found is a hole in
the simulator. Seconds are of one core, from the start of the process until a promise was seen broken; what the same seed
shows without the bug is no find.

${summaryOf(hunts)
  .split('\n')
  .filter((line) => !line.includes('(?)'))
  .join('\n\n')}
${leftText(hunts)}

| bug | case | what would happen | seen by the promise | seconds | seed |
|---|---|---|---|---|---|
${rows.join('\n')}
`
}
