import { describe, expect, test } from 'vitest'

import { counters } from './counters.ts'
import { givenHistory, type GivenHistory, givenRow } from './given-history.ts'

/** `items/r1` with a stock of 10, by device `D1`. */
function givenStock(): GivenHistory {
  return givenHistory()
    .write(1, { op: 'create', changes: { stock: 10 } })
    .send(1)
    .rule(1)
}

const end = (stock: number) => ({ server: { collections: { items: [givenRow('r1', 3, { stock })] } } })

describe('counters that are wrong', () => {
  test('[SIM-32] an increment that counts twice', () => {
    const history = givenStock()
      .write(2, { increments: { stock: -2 } })
      .send(2)
      .rule(2, { after: { stock: 6 } })
    expect(history.end(end(6)).found(counters)).toEqual([
      'stock of items/r1 is 6 after line 2, but should be 8',
    ])
  })

  test('[SIM-32] B18: a total that is set over whatever others counted', () => {
    const history = givenStock()
      .write(2, { increments: { stock: -2 } })
      .write(3, { changes: { stock: 12 } })
      .write(4, { changes: { stock: 12 }, base: { stock: 8 } })
    expect(history.found(counters)).toEqual([
      'm3 on d1 sets stock of items to 12, whatever others counted meanwhile',
    ])
  })

  test('[SIM-32] an increment that is applied and counts for nothing', () => {
    const history = givenStock()
      .write(2, { increments: { stock: -2 } })
      .send(2)
    expect(history.rule(2, { op: 'none', version: null }).end(end(10)).found(counters)).toEqual([
      'm2 was applied, but what it counts changed nothing (line 2)',
    ])
    const silent = givenStock()
      .write(2, { increments: { stock: -2 } })
      .send(2)
      .rule(2, { line: false })
    expect(silent.end(end(10)).found(counters)).toEqual([
      'm2 was applied, but what it counts is in no line of the audit log',
    ])
  })

  test('[SIM-32] B28: a fold that keeps only its last member', () => {
    const history = givenStock()
      .write(2, { increments: { stock: 1 } })
      .write(3, { increments: { stock: 5 } })
    history.send(2, 3).rule(2, { covers: '2-3', after: { stock: 15 } })
    expect(history.end(end(15)).found(counters)).toEqual([
      'stock of items/r1 is 15 after line 2, but should be 16',
    ])
  })

  test('[SIM-32] a total that differs from what was counted', () => {
    const history = givenStock()
      .write(2, { increments: { stock: 1 } })
      .send(2)
      .rule(2, { after: { stock: 11 } })
    expect(history.end(end(12)).found(counters)).toEqual([
      'stock of items/r1 is 12 on the server, but what was counted makes 11',
    ])
  })
})

describe('counters that are right', () => {
  test('[SIM-32] a create that was folded with what was counted on it', () => {
    const history = givenHistory()
      .write(1, { op: 'create', changes: { stock: 10 } })
      .write(2, { increments: { stock: 3 } })
    history.send(1, 2).rule(1, { covers: '1-2', after: { stock: 13 } })
    expect(history.end(end(13)).found(counters)).toEqual([])
  })

  test('[SIM-32] what somebody else assigned, and what is counted on it', () => {
    const history = givenStock().line({ before: { stock: 10 }, after: { stock: 100 } })
    history
      .write(2, { increments: { stock: 1 } })
      .send(2)
      .rule(2, { after: { stock: 101 } })
    expect(history.end(end(101)).found(counters)).toEqual([])
  })

  test('[SIM-32] a count for a record that was deleted, and one that brings it back with what it had', () => {
    const decisions = [
      { field: 'stock', rule: 'onDelete.delete', winner: 'theirs', mine: 11, theirs: null, result: null },
    ]
    const lost = givenStock()
      .write(2, { op: 'delete' })
      .send(2)
      .rule(2)
      .write(3, { increments: { stock: 1 } })
      .send(3)
    expect(lost.rule(3, { status: 'merged', op: 'none', decisions }).end().found(counters)).toEqual([])
    const back = givenStock()
      .write(2, { op: 'delete' })
      .send(2)
      .rule(2)
      .write(3, { increments: { stock: 1 } })
      .send(3)
    back.rule(3, { status: 'merged', op: 'restore', after: { stock: 11 } })
    expect(back.end(end(11)).found(counters)).toEqual([])
  })

  test('[SIM-32] what a restored server forgot is counted when it is told again', () => {
    const history = givenStock()
      .write(2, { increments: { stock: 4 } })
      .send(2)
      .rule(2, { after: { stock: 14 } })
    history
      .restore(1)
      .send(2)
      .rule(2, { after: { stock: 14 } })
    expect(history.end(end(14)).found(counters)).toEqual([])
  })

  test('[SIM-32] a total that says what it replaces counts as the difference', () => {
    const history = givenStock()
      .write(2, { increments: { stock: 1 } })
      .send(2)
      .rule(2, { after: { stock: 11 } })
    history
      .write(3, { changes: { stock: 20 }, base: { stock: 10 } })
      .send(3)
      .rule(3, { after: { stock: 21 } })
    expect(history.end(end(21)).found(counters)).toEqual([])
  })
})
