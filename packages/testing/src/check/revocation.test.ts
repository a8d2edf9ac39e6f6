import { expect, test } from 'vitest'

import { givenHistory } from './given-history.ts'
import type { Observation } from './observation.ts'
import { revocation } from './revocation.ts'

function left(kept: readonly string[], ghosts: readonly string[] = []): Observation {
  return { kind: 'scopes-left', atMs: 0, disk: 'd1', scopes: ['site:t0a'], kept, ghosts }
}

test('[SIM-88] [PR-6] a device that keeps a row of a scope it gave up breaks a promise', () => {
  const found = givenHistory()
    .add(left(['row jobs/r1']))
    .found(revocation)
  expect(found).toEqual(['d1 gave up site:t0a and still holds 1 of their rows: row jobs/r1'])
})

test('[SIM-88] shadows and the values of deleted rows count as kept, and a few are named', () => {
  const kept = ['_shadow jobs/r1', '_deleted jobs/r2', 'row jobs/r3', 'row jobs/r4']
  const [message] = givenHistory().add(left(kept)).found(revocation)
  expect(message).toContain('4 of their rows: _shadow jobs/r1, _deleted jobs/r2, row jobs/r3')
})

test('[SIM-88] a device that gave a scope up with all its rows keeps the promise', () => {
  expect(givenHistory().add(left([])).found(revocation)).toEqual([])
})

test('[SIM-88] B37: what can be read out of the bytes counts as kept, whoever wrote it', () => {
  const history = givenHistory()
    .write(1)
    .add(left([], ['m1', 'r2']))
  expect(history.found(revocation)).toEqual([
    'd1 gave up site:t0a and still holds 2 of their rows: bytes of m1, bytes of r2',
  ])
})
