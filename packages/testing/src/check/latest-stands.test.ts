import { describe, expect, test } from 'vitest'

import { givenHistory, type GivenHistory } from './given-history.ts'
import { latestStands } from './latest-stands.ts'

const at = (minute: number, device = 'D1'): string => `2026-11-20T10:0${minute}:00.000Z-0000-${device}`

/** `items/r1`, made by ann at 10:00 with a name whose later value stands. */
function givenItem(): GivenHistory {
  return givenHistory()
    .write(1, { op: 'create', changes: { name: 'Rope', note: '' }, at: at(0) })
    .send(1)
    .rule(1)
}

const bo = { disk: 'd2', device: 'D2', user: 'bo' }

/** Bo's edit of the name, made at 10:05, is on the server. */
function givenEdit(): GivenHistory {
  return givenItem()
    .write(7, { ...bo, changes: { name: 'Wire' }, base: { name: 'Rope' }, at: at(5, 'D2') })
    .status(7, 'sending', bo)
    .rule(7, bo)
}

const decided = (winner: string): { [name: string]: string } => ({ field: 'name', rule: 'latest', winner })

describe('the older of two values stands', () => {
  test('[SIM-87] an edit of 10:03 against one of 10:05', () => {
    const history = givenEdit()
      .write(2, { changes: { name: 'Cord' }, base: { name: 'Rope' }, at: at(3) })
      .send(2)
      .rule(2, { status: 'merged', decisions: [decided('mine')] })
    expect(history.end().found(latestStands)).toEqual([
      `of name of items/r1, written at ${at(5, 'D2')} and by m2 at ${at(3)}, mine stands`,
    ])
  })

  test('[SIM-87] an edit of 10:03 that was folded with one of another field of 10:08', () => {
    const history = givenEdit()
      .write(2, { changes: { name: 'Cord' }, base: { name: 'Rope' }, at: at(3) })
      .write(3, { changes: { note: 'new' }, base: { note: '' }, at: at(8) })
      .send(2, 3)
      .rule(2, {
        covers: '2-3',
        status: 'merged',
        at: at(8).slice(0, 24),
        decisions: [decided('mine')],
      })
    expect(history.end().found(latestStands)).toHaveLength(1)
  })

  test('[SIM-87] an edit of 10:06 that gives way to one of 10:05', () => {
    const history = givenEdit()
      .write(2, { changes: { name: 'Cord' }, base: { name: 'Rope' }, at: at(6) })
      .send(2)
      .rule(2, { status: 'merged', op: 'none', decisions: [decided('theirs')] })
    expect(history.end().found(latestStands)).toHaveLength(1)
  })
})

describe('legal', () => {
  test('[SIM-87] the later value stands, whichever came first', () => {
    const later = givenEdit()
      .write(2, { changes: { name: 'Cord' }, base: { name: 'Rope' }, at: at(6) })
      .send(2)
      .rule(2, { status: 'merged', decisions: [decided('mine')] })
    expect(later.end().found(latestStands)).toEqual([])
    const older = givenEdit()
      .write(2, { changes: { name: 'Cord' }, base: { name: 'Rope' }, at: at(3) })
      .send(2)
      .rule(2, { status: 'merged', op: 'none', decisions: [decided('theirs')] })
    expect(older.end().found(latestStands)).toEqual([])
  })

  test('[SIM-87] a stamp that the server moved counts as it was moved', () => {
    const history = givenEdit()
      .write(2, { changes: { name: 'Cord' }, base: { name: 'Rope' }, at: at(9) })
      .send(2)
      .rule(2, {
        status: 'merged',
        op: 'none',
        at: at(4).slice(0, 24),
        decisions: [decided('theirs')],
      })
    expect(history.end().found(latestStands)).toEqual([])
  })

  test('[SIM-87] a refused edit that is tried again says once more what stands, and says it later', () => {
    const stands = (history: GivenHistory) =>
      history
        .write(4, { changes: { name: 'Cord' }, base: { name: 'Rope' }, at: at(6) })
        .send(4)
        .rule(4, { status: 'merged', op: 'none', decisions: [decided('theirs')] })
        .end()
        .found(latestStands)
    const refused = givenEdit()
      .write(2, { changes: { name: 'Wire' }, base: { name: 'Rope' }, at: at(8) })
      .send(2)
      .rule(2, { status: 'rejected', op: 'none', code: 'CONSTRAINT_FAILED' })
      .status(2, 'dead')
    expect(stands(refused.move(2, 3).send(3).rule(3, { status: 'merged', op: 'none' }))).toEqual([])
  })

  test('[SIM-87] what somebody wrote beside the server, and what a restored server knew, is not followed', () => {
    const beside = givenEdit()
      .line({ after: { name: 'Tape' } })
      .write(2, { changes: { name: 'Cord' }, base: { name: 'Rope' }, at: at(6) })
      .send(2)
      .rule(2, { status: 'merged', op: 'none', decisions: [decided('theirs')] })
    expect(beside.end().found(latestStands)).toEqual([])
    const restored = givenEdit()
      .restore(1)
      .write(2, { changes: { name: 'Cord' }, base: { name: 'Rope' }, at: at(3) })
      .send(2)
      .rule(2, { status: 'merged', decisions: [decided('mine')] })
    expect(restored.end().found(latestStands)).toEqual([])
  })

  test('[SIM-87] values that another rule decides about', () => {
    const history = givenEdit()
      .write(2, { changes: { name: 'Cord' }, base: { name: 'Rope' }, at: at(3) })
      .send(2)
      .rule(2, { status: 'merged', decisions: [{ ...decided('mine'), rule: 'max' }] })
    expect(history.end().found(latestStands)).toEqual([])
  })
})
