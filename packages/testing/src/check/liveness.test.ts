import { expect, test } from 'vitest'

import { givenHistory } from './given-history.ts'
import { liveness } from './liveness.ts'
import type { Observation } from './observation.ts'

const healed: Observation = { kind: 'healed', atMs: 1_000 }

test('[SIM-37] rest that comes late, or never, is a failure that says what went on', () => {
  expect(
    givenHistory()
      .add(healed)
      .end({ quietAtMs: 61_001, unrest: ['d1: pushing'] })
      .found(liveness),
  ).toEqual(['rest came 60001 ms after healing, more than 60000 ms: d1: pushing'])
  expect(
    givenHistory()
      .add(healed)
      .end({ quietAtMs: null, unrest: ['d1: 3 waiting', 'd2: offline'] })
      .found(liveness),
  ).toEqual(['there was no rest after healing: d1: 3 waiting; d2: offline'])
  expect(givenHistory().add(healed).end({ quietAtMs: null }).found(liveness)).toEqual([
    'there was no rest after healing: nothing is named',
  ])
})

test('[SIM-37] rest in time is none, nor is the end of a run that was never healed', () => {
  expect(givenHistory().add(healed).end({ quietAtMs: 61_000 }).found(liveness)).toEqual([])
  expect(
    givenHistory()
      .add(healed)
      .end({ quietAtMs: 1_000, unrest: ['a poke'] })
      .found(liveness),
  ).toEqual([])
  expect(givenHistory().end({ quietAtMs: null }).found(liveness)).toEqual([])
})
