import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, describe, expect, test } from 'vitest'

import { catalogue } from './catalogue.ts'
import type { Hunt } from './hunt.ts'
import { type HuntBook, keepBook, leftOf, pageOf, readBook, summaryOf, withHunt } from './hunt-book.ts'

const [first, second, third] = catalogue
if (!first || !second || !third) throw new Error('there are three')

function done(plant: { id: string; case: string; story: string }, more: Partial<Hunt> = {}): Hunt {
  return {
    id: plant.id,
    case: plant.case,
    story: plant.story,
    seenBy: 'sim',
    result: 'found',
    invariant: 'counters',
    isExpected: true,
    seed: 7,
    seconds: 2.5,
    operations: 100,
    words: null,
    ...more,
  }
}

const survived = { result: 'survived', invariant: null, seed: null } as const
const empty: HuntBook = { withoutAnyBug: null, hunts: [] }

describe('the book of a search', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-book-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('[SIM-54] what was found is left out, and what nobody looked for yet comes before what survived', () => {
    let book = withHunt(empty, done(second, survived))
    book = withHunt(book, done(first))
    expect(leftOf([first, second, third], book)).toEqual([third, second])
    book = withHunt(book, done(second, { seconds: 9 }))
    expect(leftOf([first, second, third], book)).toEqual([third])
    // In the order of the catalogue, each once.
    expect(book.hunts.map(({ id, result }) => [id, result])).toEqual([
      [first.id, 'found'],
      [second.id, 'found'],
    ])
  })

  test('[SIM-54] it is found again in its file', () => {
    const file = join(folder, 'book.json')
    expect(readBook(file)).toEqual(empty)
    const book = withHunt({ withoutAnyBug: ['sim finds seed 3'], hunts: [] }, done(first))
    keepBook(file, book)
    expect(readBook(file)).toEqual(book)
    expect(readBook(undefined)).toEqual(empty)
  })

  test('[SIM-53] the sum tells median, worst and what was not found', () => {
    const hunts = [done(first), done(second, { seconds: 30, isExpected: false }), done(third, survived)]
    expect(summaryOf(hunts).split('\n')).toEqual([
      'found 2 of 3; median 30.0 s, worst 30.0 s of one core',
      `found by others than expected (?): ${second.id}`,
      `not found: ${third.id}`,
    ])
  })

  test('[SIM-53] the page has a row for each, with who saw it, when and on which seed', () => {
    const hunts = [done(first), done(second, { ...survived, seenBy: 'lane' })]
    const page = pageOf({ withoutAnyBug: [], hunts }, '2 cores of something')
    expect(page).toContain('on 2 cores of something')
    expect(page).toContain(`| ${first.id} | ${first.case} | ${first.story} | counters | 2.5 | 7 |`)
    expect(page).toContain(
      `| ${second.id} | ${second.case} | ${second.story} | **not found** | 2.5 | a lane |`,
    )
    expect(page).toContain(`not found: ${second.id}`)
    expect(page).toContain(`not looked for yet, ${catalogue.length - 2} of ${catalogue.length}: ${third.id}`)
    const all = catalogue.map((plant) => done(plant))
    expect(pageOf({ withoutAnyBug: [], hunts: all }, 'x')).not.toContain('not looked for yet')
  })
})
