import { expect, test } from 'vitest'

import { bothSides } from './both-sides.ts'
import { givenConflict, givenHistory, type GivenHistory } from './given-history.ts'
import type { DumpedConflict, DumpedPart, Values } from './observation.ts'

/** A beam stands at the dock when ann's edit of its shelf, made by what she had seen, meets that. */
function givenDispute(
  write: Parameters<GivenHistory['write']>[1] = { changes: { shelf: 'A' } },
): GivenHistory {
  return givenHistory()
    .line({ op: 'create', after: { name: 'beam', shelf: 'dock' } })
    .write(1, write)
    .send(1)
    .rule(1, { status: 'conflict' })
}

function conflictOf(mine: Values | null, theirs: Values | null): DumpedConflict {
  const parts: readonly DumpedPart[] = [{ record: 'items/r1', mine, theirs }]
  return givenConflict('c1', { reason: 'fields', fields: ['shelf'], records: ['items/r1'], parts })
}

function found(history: GivenHistory, conflict: DumpedConflict, listed = conflict): readonly string[] {
  const devices = [{ conflicts: [listed] }]
  return history.end({ server: { conflicts: [conflict] }, devices }).found(bothSides)
}

const sides = conflictOf({ shelf: 'A' }, { shelf: 'dock' })

test('[SIM-99] legal: what was written, against what stood', () => {
  expect(found(givenDispute(), sides)).toEqual([])
})

test('[SIM-99] what its author wrote is not what is shown', () => {
  expect(found(givenDispute(), conflictOf({ shelf: 'Z' }, { shelf: 'dock' }))).toEqual([
    'conflict c1 over items/r1 has "Z" for shelf, and its author wrote "A"',
  ])
  expect(found(givenDispute(), conflictOf({}, { shelf: 'dock' }))).toHaveLength(1)
  expect(found(givenDispute(), conflictOf(null, { shelf: 'dock' }))).toHaveLength(1)
})

test('[SIM-99] what stood is not what is shown', () => {
  expect(found(givenDispute(), conflictOf({ shelf: 'A' }, { shelf: 'B' }))).toEqual([
    'conflict c1 over items/r1 shows "B" against it for shelf, where "dock" stood',
  ])
})

test('[SIM-99] a device shows other sides than the server has', () => {
  expect(found(givenDispute(), sides, conflictOf({ shelf: 'A' }, { shelf: 'C' }))).toEqual([
    'd1 shows other sides of the conflict c1 than the server has',
  ])
})

test('[SIM-99] legal: what stands later is not what stood when the two met', () => {
  const later = givenDispute().line({ before: { shelf: 'dock' }, after: { shelf: 'hall' } })
  expect(found(later, sides)).toEqual([])
  expect(found(later, conflictOf({ shelf: 'A' }, { shelf: 'hall' }))).toHaveLength(1)
})

test('[SIM-99] legal: of two edits that travelled as one the last is what its author wanted', () => {
  const history = givenHistory()
    .line({ op: 'create', after: { name: 'beam', shelf: 'dock' } })
    .write(1, { changes: { shelf: 'Q' } })
    .write(2, { changes: { shelf: 'A' } })
    .send(1, 2)
    .rule(1, { status: 'conflict', covers: '1-2' })
  expect(found(history, sides)).toEqual([])
})

test('[SIM-99] legal: to a server that was put back it is offered again, and meets what stands there', () => {
  const history = givenDispute()
    .restore(0)
    .line({ op: 'create', after: { name: 'beam', shelf: 'yard' } })
    .send(1)
    .rule(1, { status: 'conflict' })
  expect(found(history, conflictOf({ shelf: 'A' }, { shelf: 'yard' }))).toEqual([])
  expect(found(history, sides)).toHaveLength(1)
})

test('[SIM-99] left out: a transaction, and what is added to', () => {
  const other = conflictOf({ shelf: 'Z' }, { shelf: 'dock' })
  expect(found(givenDispute({ changes: { shelf: 'A' }, group: 'g1' }), other)).toEqual([])
  expect(found(givenDispute({ changes: { shelf: 'A' }, additions: { shelf: ['x'] } }), other)).toEqual([])
})
