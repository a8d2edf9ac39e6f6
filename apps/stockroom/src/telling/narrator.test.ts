import { expect, test } from 'vitest'

import { conflictLines } from './conflict-lines.ts'
import { type HistoryEntry, historyLines, timeOfDay } from './history-lines.ts'
import { widthOf } from './layout.ts'
import { createNarrator, wantsColors } from './narrator.ts'

function givenNarrator(columns = 80, hasColors = false) {
  const told: string[] = []
  const tell = createNarrator({ columns, hasColors, write: (text) => told.push(text) })
  return { tell, lines: () => told.join('').split('\n') }
}

const sale: HistoryEntry = {
  op: 'update',
  user: 'ana',
  at: '2026-11-20T10:00:00.000Z',
  before: { stock: 10 },
  after: { stock: 8 },
  status: 'applied',
  device: null,
  mutation: null,
  version: 2,
  decisions: [],
}

test('what two people do stands side by side, and values stand under their places', () => {
  const { tell, lines } = givenNarrator(60)
  tell.beside(
    { name: 'Ana', tone: 'ana', state: 'offline', lines: ['sells 2'] },
    { name: 'Ben', tone: 'ben', lines: ['finds 5'] },
  )
  tell.places([{ name: 'Ana', tone: 'ana' }], [{ label: 'stock', values: ['13'] }])
  expect(lines()).toEqual([
    '  Ana · offline              │ Ben',
    '  sells 2                    │ finds 5',
    '               Ana',
    '  stock        13',
    '',
  ])
})

test.each([60, 80, 120, 300])('on %d columns no line is wider than the terminal', (columns) => {
  const { tell, lines } = givenNarrator(columns, true)
  const long = 'words that go on and on '.repeat(20).trim()
  tell.banner('Title', long)
  tell.say(long)
  tell.item('label', [tell.dim(long)])
  tell.verdict(false, long)
  tell.chapter({ label: '1 of 1', title: 'A heading' })
  expect(Math.max(...lines().map(widthOf))).toBeLessThanOrEqual(Math.min(columns, 100))
})

test('a timeline tells when, who and what, and the rule that decided', () => {
  const { tell } = givenNarrator()
  const decided: HistoryEntry = {
    ...sale,
    user: 'ben',
    status: 'merged',
    before: { shelf: 'A' },
    after: { shelf: 'B' },
    decisions: [{ field: 'shelf', explanation: 'The later write stays.' }],
  }
  const time = timeOfDay(sale.at)
  expect(historyLines(tell, [decided, sale, { ...sale, op: 'create', user: null, before: null }])).toEqual([
    `${time}  import  created       applied`,
    `${time}  Ana     stock 10 → 8  applied`,
    `${time}  Ben     shelf A → B   merged`,
    '          └ The later write stays.',
  ])
})

test('a conflict shows what was, what its author says and what the server has', () => {
  const { tell } = givenNarrator()
  const part = {
    collection: 'films',
    record: 'x',
    op: 'update',
    fields: ['price'],
    isInDispute: true,
    base: { price: '1.00' },
    mine: { price: '2.00' },
    theirs: { price: '3.00' },
    last: null,
    schema: 1,
    explanations: { price: 'A person decides.' },
    explanation: null,
  } as const
  expect(conflictLines(tell, { author: 'ben', parts: [part] })).toEqual([
    'price was 1.00; Ben says 2.00, the server has 3.00',
    'A person decides.',
  ])
})

test.each([
  [{ isTTY: true }, {}, true],
  [{ isTTY: true }, { NO_COLOR: '1' }, false],
  [{ isTTY: true }, { TERM: 'dumb' }, false],
  [{}, {}, false],
])('colours for %j with %j: %j', (stream, environment, expected) => {
  expect(wantsColors(stream, environment)).toBe(expected)
})
