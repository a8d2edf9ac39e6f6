import { describe, expect, test } from 'vitest'

import { givenHistory, type GivenHistory } from './given-history.ts'
import { groupAtomicity } from './group-atomicity.ts'

/** A transaction of two mutations, sent. */
function givenPair(): GivenHistory {
  return givenHistory().write(1, { group: 'g' }).write(2, { group: 'g', record: 'r2' }).send(1).send(2)
}

function look(
  marks: Readonly<Record<string, string | null>>,
  where: 'device' | 'server' = 'device',
): GivenHistory {
  return givenHistory().add({ kind: 'group-read', atMs: 0, disk: 'd1', where, marks })
}

describe('half a transaction', () => {
  test('[SIM-80] as a reader sees it, on a device and on the server', () => {
    expect(look({ r1: 'a', r2: 'b' }).found(groupAtomicity)).toEqual([
      'a reader on d1 saw r1 with the mark a and r2 with b',
    ])
    expect(look({ r1: 'a', r2: 'a', r3: null }, 'server').found(groupAtomicity)).toEqual([
      'a reader of the server saw r1 with the mark a and r3 with null',
    ])
  })

  test('[SIM-80] as the server rules on it: one taken, one refused', () => {
    const history = givenPair().rule(1).rule(2, { status: 'rejected' })
    expect(history.end().found(groupAtomicity)).toEqual([
      'of the transaction g some are applied and some are rejected',
    ])
  })

  test('[SIM-80] as it arrives: one now, one later', () => {
    const history = givenPair().rule(1).status(1, 'answered').rule(2)
    expect(history.end().found(groupAtomicity)).toEqual([
      'the server ruled on 1 of the 2 mutations of the transaction g',
    ])
  })
})

describe('a whole one', () => {
  test('[SIM-80] that is half, as a note says of the other half, which a restored server lost', () => {
    const history = givenPair().add({ kind: 'loss-noted', atMs: 0, disk: 'd1', id: 'm2', record: 'r2' })
    history.add({ kind: 'group-read', atMs: 0, disk: 'd2', where: 'device', marks: { r1: 'a', r2: null } })
    expect(history.found(groupAtomicity)).toEqual([])
  })

  test('[SIM-80] read before it and after it', () => {
    expect(look({ r1: null, r2: null }).found(groupAtomicity)).toEqual([])
    expect(look({ r1: 'a', r2: 'a' }).found(groupAtomicity)).toEqual([])
  })

  test('[SIM-80] applied in part and merged in part, or refused for the sake of one', () => {
    expect(givenPair().rule(1).rule(2, { status: 'merged' }).end().found(groupAtomicity)).toEqual([])
    const refused = givenPair()
      .rule(1, { status: 'rejected' })
      .rule(2, { status: 'rejected', code: 'DEPENDENCY_FAILED' })
    expect(refused.end().found(groupAtomicity)).toEqual([])
  })

  test('[SIM-80] refused, and taken when it is tried again', () => {
    const history = givenPair().rule(1, { status: 'rejected' }).rule(2, { status: 'rejected' })
    history.status(1, 'dead').status(2, 'dead').move(1, 3, 'a').move(2, 4, 'b')
    history
      .status(3, 'sending', { id: 'a' })
      .status(4, 'sending', { id: 'b' })
      .rule(3, { id: 'a' })
      .rule(4, { id: 'b' })
    expect(history.end().found(groupAtomicity)).toEqual([])
  })

  test('[SIM-80] whose records part because a person keeps theirs of one of them', () => {
    const history = givenHistory().write(1, { group: 'g', resolves: 'c1' })
    history.write(2, { group: 'g', resolves: 'c1', record: 'r2', changes: { mark: 'mine' } })
    const marks = { r1: 'theirs', r2: 'mine' }
    history.add({ kind: 'group-read', atMs: 0, disk: 'd1', where: 'device', marks })
    expect(history.found(groupAtomicity)).toEqual([])
  })

  test('[SIM-80] on both copies of a disk, and without the member that a discarded create took with it', () => {
    const copied = givenHistory().write(1, { group: 'g' }).write(2, { group: 'g', record: 'r2' })
    copied.copy(copied.entry(1, { group: 'g' }), copied.entry(2, { group: 'g', record: 'r2' }))
    expect(copied.send(1).send(2).rule(1).rule(2).end().found(groupAtomicity)).toEqual([])
    const torn = givenHistory()
      .write(1, { group: 'g' })
      .write(2, { group: 'g', record: 'r2' })
      .gone(2)
      .send(1)
      .rule(1)
    expect(torn.end().found(groupAtomicity)).toEqual([])
  })

  test('[SIM-80] of which a copy of the disk had given one up before, and offered the other alone', () => {
    const copied = givenHistory().write(1, { group: 'g' }).write(2, { group: 'g', record: 'r2' })
    copied.copy(copied.entry(1, { group: 'g' }), copied.entry(2, { group: 'g', record: 'r2' }))
    copied.leave(1, { disk: 'd2' }).status(2, 'sending', { disk: 'd2' }).rule(2)
    copied.move(1, 3, 'm1').move(2, 4, 'm2')
    for (const [seq, id] of [
      [3, 'm1'],
      [4, 'm2'],
    ] as const)
      copied.status(seq, 'sending', { id })
    expect(copied.rule(3, { id: 'm1' }).end().found(groupAtomicity)).toEqual([])
  })
})
