import { expect, test } from 'vitest'

import { checkersFor } from './checkers.ts'
import { eachCovered } from './covered-numbers.ts'
import { foldedWrite } from './folded-write.ts'
import { givenHistory, givenRow } from './given-history.ts'
import { RunBook } from './run-book.ts'
import { sameValue, show } from './same-value.ts'

test('[SIM-31] the numbers an outcome covers are read as they are written', () => {
  const numbers: number[] = []
  eachCovered('18-20,23,25-26', (number) => numbers.push(number))
  expect(numbers).toEqual([18, 19, 20, 23, 25, 26])
})

test('[SIM-34] values are the same when they mean the same', () => {
  expect(sameValue({ a: [1, { b: null }] }, { a: [1, { b: null }] })).toBe(true)
  expect(sameValue('10', '10.00')).toBe(true)
  expect(sameValue('0.0', '-0')).toBe(true)
  expect(sameValue('100', '1')).toBe(false)
  expect(sameValue(1, '1')).toBe(false)
  expect(sameValue(null, undefined)).toBe(false)
  expect(sameValue([1], { 0: 1 })).toBe(false)
  expect(sameValue({ a: 1 }, { b: 1 })).toBe(false)
  expect(show('x'.repeat(200))).toHaveLength(120)
})

test('[SIM-34] of several mutations the last word on a field counts, and what was seen first', () => {
  const book = new RunBook()
  const history = givenHistory()
    .write(1, {
      changes: { name: 'a' },
      base: { name: null },
      increments: { stock: 1 },
      additions: { tags: ['x', 'y'] },
    })
    .write(2, {
      changes: { name: 'b' },
      base: { name: 'a' },
      increments: { stock: 2 },
      removals: { tags: ['x'] },
    })
  const items = history.list.flatMap((o) => book.observe(o) ?? [])
  expect(foldedWrite(items)).toEqual({
    op: 'update',
    changes: { name: 'b' },
    base: { name: null },
    increments: { stock: 3 },
    members: {
      tags: new Map([
        ['x', false],
        ['y', true],
      ]),
    },
  })
})

test('[SIM-31] what copies of a disk offer under one key is told apart, or not at all', () => {
  const book = new RunBook()
  const history = givenHistory().write(1)
  history.copy(history.entry(1)).write(2, { id: 'one' }).write(2, { id: 'other', disk: 'd2' })
  history.send(1).status(2, 'sending', { id: 'one', offer: 1 }).rule(1, { covers: '1-2', line: false })
  for (const o of history.list) book.observe(o)
  const outcome = book.outcomeOf('D1', 'm1')
  expect(outcome && book.membersOf(outcome)?.map(({ id }) => id)).toEqual(['m1', 'one'])
  const later = givenHistory()
    .status(1, 'sending', { disk: 'd2' })
    .status(2, 'sending', { disk: 'd2', id: 'other', offer: 1 })
  for (const o of later.list) book.observe(o)
  expect(outcome && book.membersOf(outcome)).toBeUndefined()
})

test('[SIM-31] nor is it told what was offered, where it says something else by now on one of the copies', () => {
  const book = new RunBook()
  const history = givenHistory().write(1, { changes: { name: 'Rope' } })
  history
    .copy(history.entry(1, { changes: { name: 'Rope' } }))
    .send(1)
    .status(1, 'sending', { disk: 'd2' })
    .rule(1)
  for (const o of history.list) book.observe(o)
  const outcome = book.outcomeOf('D1', 'm1')
  expect(outcome && book.membersOf(outcome)?.map(({ id }) => id)).toEqual(['m1'])
  const payload = { changes: { name: 'Cord' }, base: null, increments: {}, additions: {}, removals: {} }
  book.observe({ kind: 'entry-payload', atMs: 0, disk: 'd2', device: 'D1', seq: 1, id: 'm1', payload })
  expect(outcome && book.membersOf(outcome)).toBeUndefined()
})

test('[SIM-31] a fold that copies of a disk offered under one key and other numbers is told by the number of its lead', () => {
  const book = new RunBook()
  const history = givenHistory().write(1).write(2)
  history.copy(history.entry(1), history.entry(2)).move(2, 4, 'm2').move(1, 3, 'm1')
  const moved = (from: number, to: number) =>
    ({
      kind: 'entry-moved',
      atMs: 0,
      disk: 'd2',
      device: 'D1',
      from: { seq: from, id: `m${from}` },
      to: { seq: to, id: `m${from}` },
    }) as const
  history.add(moved(2, 5)).add(moved(1, 4))
  history.status(3, 'sending', { id: 'm1', offer: 3 }).status(4, 'sending', { id: 'm2', offer: 3 })
  history.status(4, 'sending', { disk: 'd2', id: 'm1', offer: 4 })
  history.status(5, 'sending', { disk: 'd2', id: 'm2', offer: 4 })
  history.rule(3, { id: 'm1', covers: '3-4', line: false })
  for (const o of history.list) book.observe(o)
  const outcome = book.outcomeOf('D1', 'm1')
  expect(outcome && book.membersOf(outcome)?.map(({ id, disk }) => [id, disk])).toEqual([
    ['m1', 'd1'],
    ['m2', 'd1'],
  ])
})

test('[SIM-30] a long and eventful history breaks no promise', () => {
  const history = givenHistory()
    .add({ kind: 'identity', atMs: 0, disk: 'd1', device: 'D1', user: 'ann' })
    .add({ kind: 'grants', atMs: 0, user: 'ann', scopes: ['site:t0a'] })
    .write(1, { op: 'create', changes: { name: 'Rope', stock: 10 } })
    .write(2, { increments: { stock: -1 } })
    .write(3, { changes: { name: 'Cord' }, base: { name: 'Rope' } })
    .send(1, 2, 3)
    .rule(1, { covers: '1-3', after: { name: 'Cord', stock: 9 } })
    .restore(0)
    .send(1, 2, 3)
    .rule(1, { covers: '1-3', after: { name: 'Cord', stock: 9 }, version: 7 })
    .gone(1, 2, 3)
    .line({ before: { stock: 9 }, after: { stock: 50 }, version: 8 })
    .write(4, { increments: { stock: 5 }, baseVersion: 8 })
    .send(4)
    .rule(4, { before: { stock: 50 }, after: { stock: 55 } })
    .gone(4)
    .add({ kind: 'healed', atMs: 0 })
  const items = [givenRow('r1', 9, { name: 'Cord', stock: 55 })]
  const server = { collections: { items }, scopes: { 'items/r1': ['site:t0a'] } }
  history.end({ server, devices: [{ collections: { items }, scopesSeen: ['t0'] }] })
  for (const checker of checkersFor({}))
    expect([checker.name, history.found(checker)]).toEqual([checker.name, []])
  expect(new Set(checkersFor({}).map(({ name }) => name)).size).toBe(30)
})
