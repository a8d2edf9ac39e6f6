import { describe, expect, test } from 'vitest'

import { givenHistory, type GivenHistory } from './given-history.ts'
import { settledByPull } from './settled-by-pull.ts'

/** The device has read up to a position. */
function read(history: GivenHistory, position: number, disk = 'd1'): GivenHistory {
  return history.add({ kind: 'cursor', atMs: history.atMs, disk, epoch: 'e1', position })
}

/** Written, sent, and taken by the server as version 1. */
function taken(): GivenHistory {
  return givenHistory().write(1).send(1).rule(1)
}

describe('what is counted twice on a screen', () => {
  test('[SIM-89] B17: an own mutation whose answer was lost, and whose effect was pulled', () => {
    expect(read(taken(), 1).found(settledByPull)).toEqual([
      'd1 has read up to 1 and still replays m1, which is in version 1 (sending)',
    ])
  })

  test('[SIM-89] one that was answered, and is told of once', () => {
    const history = read(read(taken().status(1, 'answered'), 1), 2)
    expect(history.found(settledByPull)).toEqual([
      'd1 has read up to 1 and still replays m1, which is in version 1 (answered)',
    ])
  })
})

describe('what is not', () => {
  test('[SIM-89] a mutation that left with the pull, one whose version is still to come, and one without an effect', () => {
    expect(read(taken().gone(1), 1).found(settledByPull)).toEqual([])
    expect(read(taken(), 0).found(settledByPull)).toEqual([])
    const without = givenHistory().write(1).send(1).rule(1, { version: null, op: 'none' })
    expect(read(without, 5).found(settledByPull)).toEqual([])
  })

  test('[SIM-89] a cursor that was given up, for a reset', () => {
    const history = taken()
    history.add({ kind: 'cursor', atMs: history.atMs, disk: 'd1', epoch: null, position: 0 })
    expect(history.found(settledByPull)).toEqual([])
  })

  test('[SIM-89] copies of one disk, of which one acknowledged what the other has not heard', () => {
    const history = taken()
    history.copy(history.entry(1))
    expect(read(history, 1).found(settledByPull)).toEqual([])
  })

  test('[SIM-89] a disk that was put back to before it acknowledged', () => {
    const history = taken()
    const { atMs } = history
    history.add({
      kind: 'device-lost',
      atMs,
      disk: 'd1',
      cause: 'backup',
      durability: 'full',
      entries: [],
      back: [],
    })
    expect(read(history, 1).found(settledByPull)).toEqual([])
  })
})
