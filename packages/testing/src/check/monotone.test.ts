import { describe, expect, test } from 'vitest'

import { givenHistory, type GivenHistory } from './given-history.ts'
import { monotone } from './monotone.ts'

function cursor(history: GivenHistory, epoch: string | null, position: number, disk = 'd1'): GivenHistory {
  return history.add({ kind: 'cursor', atMs: history.atMs, disk, epoch, position })
}

describe('what goes back', () => {
  test('[SIM-39] a cursor in its epoch', () => {
    expect(cursor(cursor(givenHistory(), 'e1', 9), 'e1', 8).found(monotone)).toEqual([
      'the cursor of d1 went back from 9 to 8 in the epoch e1',
    ])
  })

  test('[SIM-39] a cursor after a power cut that was to take nothing, and that of a copy', () => {
    expect(cursor(cursor(givenHistory(), 'e1', 9).powerCut('full'), 'e1', 8).found(monotone)).toHaveLength(1)
    expect(cursor(cursor(givenHistory(), 'e1', 9).copy(), 'e1', 8, 'd2').found(monotone)).toEqual([
      'the cursor of d2 went back from 9 to 8 in the epoch e1',
    ])
  })

  test('[SIM-39] B15: the stamps of a disk', () => {
    const at = '2026-11-20T10:00:00.000Z-0001-D1'
    expect(givenHistory().write(1).write(2, { at }).found(monotone)).toEqual([
      'm2 on d1 is stamped 2026-11-20T10:00:00.000Z-0001, although 2026-11-20T10:00:00.000Z-0001 was before it',
    ])
    expect(givenHistory().write(1).write(2).write(1).found(monotone)).toHaveLength(1)
    expect(
      givenHistory()
        .write(1)
        .write(2)
        .restore(0)
        .write(1, { at: '2026-11-20T09:00:00.000Z-0000-D1' })
        .found(monotone),
    ).toHaveLength(1)
    // Another disk has a clock of its own, and so has one that was put back.
    expect(givenHistory().write(2).write(1, { disk: 'd2' }).found(monotone)).toEqual([])
    expect(givenHistory().write(2).putBack([2], []).write(1).found(monotone)).toEqual([])
  })

  test('[SIM-39] a version', () => {
    const history = givenHistory()
      .line({ op: 'create', version: 5 })
      .line({ version: 5 })
      .line({ record: 'r2', version: 1 })
    expect(history.found(monotone)).toEqual(['items/r1 went from version 5 to 5 in line 2'])
  })

  test('[SIM-39] a verdict that changes, or is forgotten though it was never given', () => {
    const history = givenHistory().rule(1).rule(1, { status: 'rejected' })
    expect(history.found(monotone)).toEqual(['the verdict on m1 changed from applied to rejected'])
    const { list } = givenHistory().rule(7, { line: false })
    const forgotten = list.filter((o) => o.kind === 'outcome')
    const unknown = givenHistory().add({ kind: 'server-restored', atMs: 0, auditN: 0, forgotten })
    expect(unknown.found(monotone)).toEqual([
      'the server forgot a verdict on m7 that it was never seen giving',
    ])
  })
})

describe('what may', () => {
  test('[SIM-39] a cursor goes back once for a restore, and once more on a disk that lost the first time', () => {
    const back = (history: GivenHistory): GivenHistory => cursor(cursor(history, 'e1', 9), 'e1', 3)
    const restored = (): GivenHistory => back(cursor(givenHistory(), 'e1', 9).restore(0))
    const told = ['the cursor of d1 went back from 9 to 3 in the epoch e1']
    expect(back(restored().powerCut('fast')).found(monotone)).toEqual([])
    expect(back(restored()).found(monotone)).toEqual(told)
    expect(back(back(restored().powerCut('fast'))).found(monotone)).toEqual(told)
    expect(back(givenHistory().powerCut('fast')).found(monotone)).toEqual(told)
  })

  test('[SIM-39] a cursor that was given up, begins a new epoch, or lay on a disk that lost it', () => {
    expect(cursor(cursor(cursor(givenHistory(), 'e1', 9), null, 0), 'e1', 3).found(monotone)).toEqual([])
    expect(cursor(cursor(givenHistory(), 'e1', 9), 'e2', 3).found(monotone)).toEqual([])
    expect(cursor(cursor(givenHistory(), 'e1', 9).putBack([], []), 'e1', 3).found(monotone)).toEqual([])
    expect(cursor(cursor(givenHistory(), 'e1', 9).powerCut('fast'), 'e1', 3).found(monotone)).toEqual([])
  })

  test('[SIM-39] B14: everything, once the server was put back', () => {
    const history = cursor(givenHistory().line({ op: 'create' }).line().rule(1), 'e1', 9).restore(1)
    history.line({ version: 2 }).rule(1, { status: 'rejected' })
    expect(cursor(history, 'e1', 3).found(monotone)).toEqual([])
  })

  test('[SIM-39] B14: the stamp of what returns as it was to a server that was put back', () => {
    expect(givenHistory().write(1).write(2).restore(0).write(1).write(3).found(monotone)).toEqual([])
    const at = '2026-11-20T10:00:00.000Z-0001-D1'
    const repaired = (): GivenHistory => givenHistory().write(1, { at }).write(2).move(1, 3)
    expect(repaired().restore(0).write(3, { at }).found(monotone)).toEqual([])
    expect(repaired().write(3, { at }).found(monotone)).toHaveLength(1)
  })

  test('[SIM-39] versions of different records, and lines without an effect', () => {
    const history = givenHistory().line({ op: 'create', version: 5 }).line({ op: 'none', version: null })
    expect(history.line({ record: 'r2', op: 'create', version: 3 }).found(monotone)).toEqual([])
  })
})
