import { expect, test } from 'vitest'

import { givenHistory, type GivenHistory } from './given-history.ts'
import { returnedWork } from './returned-work.ts'

/** Taken by the server, and settled. */
function settled(history: GivenHistory = givenHistory()): GivenHistory {
  return history.write(1).status(1, 'sending').rule(1).status(1, 'answered').gone(1)
}

const keeping = { devices: [{ retained: ['m1'] }] }

test('[SIM-94] B14: what a device keeps and does not return to a server that lost it', () => {
  expect(settled().restore(0).end(keeping).found(returnedWork)).toEqual([
    'd1 keeps m1, which the server had taken and lost, and did not return it',
  ])
})

test('[SIM-94] B14: what was returned, what was not lost, and what is kept no longer', () => {
  expect(settled(settled().restore(0)).end(keeping).found(returnedWork)).toEqual([])
  expect(settled().end(keeping).found(returnedWork)).toEqual([])
  expect(
    settled()
      .restore(0)
      .end({ devices: [{}] })
      .found(returnedWork),
  ).toEqual([])
  // Ruled on again by what another copy of the disk returned.
  expect(settled().restore(0).rule(1).end(keeping).found(returnedWork)).toEqual([])
  expect(
    settled()
      .restore(0)
      .end({ ...keeping, quietAtMs: null })
      .found(returnedWork),
  ).toEqual([])
})

test('[SIM-94] a note of a loss, where the server has it, and where it has not', () => {
  const noted = { kind: 'loss-noted', atMs: 0, disk: 'd1', id: 'm1', record: 'r1' } as const
  expect(settled().add(noted).end().found(returnedWork)).toEqual([
    'a note on d1 says that m1 is lost, and the server has it',
  ])
  expect(settled().restore(0).add(noted).end().found(returnedWork)).toEqual([])
})
