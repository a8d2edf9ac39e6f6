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

test('[SIM-99] of a transaction all that it wrote to a record, on what stood before it', () => {
  const stood = { shelf: 'dock', name: 'beam' }
  const both = (shelf: string, name: string, theirs: Values | null = stood): readonly string[] =>
    found(
      givenHistory()
        .line({ op: 'create', after: { name: 'beam', shelf: 'dock' } })
        .write(1, { changes: { shelf: 'A' }, group: 'g1' })
        .write(2, { changes: { shelf: 'B', name: 'girder' }, group: 'g1' })
        .write(3, { changes: { name: 'nail' }, record: 'r2', group: 'g1' })
        .send(1)
        .send(2)
        .send(3)
        .rule(1, { status: 'conflict' })
        .rule(2, { status: 'conflict' })
        .rule(3, { status: 'conflict' }),
      givenConflict('c1', {
        reason: 'fields',
        mutation: 'm2',
        parts: [
          { record: 'items/r1', mine: { shelf, name }, theirs },
          { record: 'items/r2', mine: { name: 'nail' }, theirs: null },
        ],
      }),
    )
  expect(both('B', 'girder')).toEqual([])
  expect(both('A', 'girder')).toEqual([
    'conflict c1 over items/r1 has "A" for shelf, and its author wrote "B"',
  ])
  expect(both('B', 'beam')).toHaveLength(1)
  expect(both('B', 'girder', { ...stood, name: 'x' })).toHaveLength(1)
  // Its author may not see it any more.
  expect(both('B', 'girder', null)).toEqual([])
})

test('[SIM-99] what is not in dispute is shown as well', () => {
  const both = (): GivenHistory => givenDispute({ changes: { shelf: 'A', name: 'girder' } })
  const shown = { name: 'beam', shelf: 'dock' }
  expect(found(both(), conflictOf({ shelf: 'A', name: 'girder' }, shown))).toEqual([])
  expect(found(both(), conflictOf({ shelf: 'A' }, shown))).toHaveLength(1)
  expect(found(both(), conflictOf({ shelf: 'A', name: 'girder' }, { ...shown, name: 'x' }))).toHaveLength(1)
})

test('[SIM-99] counters and sets as what they come to on what stood', () => {
  const counted = (): GivenHistory =>
    givenHistory()
      .line({ op: 'create', after: { shelf: 'dock', stock: 4, tags: ['a', 'b'] } })
      .write(1, {
        changes: { shelf: 'A' },
        increments: { stock: -1 },
        additions: { tags: ['c'] },
        removals: { tags: ['a'] },
      })
      .send(1)
      .rule(1, { status: 'conflict' })
  const theirs = { shelf: 'dock', stock: 4, tags: ['a', 'b'] }
  expect(found(counted(), conflictOf({ shelf: 'A', stock: 3, tags: ['c', 'b'] }, theirs))).toEqual([])
  expect(found(counted(), conflictOf({ shelf: 'A', stock: -1, tags: ['b', 'c'] }, theirs))).toEqual([
    'conflict c1 over items/r1 has -1 for stock, which comes to 3',
  ])
  expect(found(counted(), conflictOf({ shelf: 'A', stock: 3, tags: ['a', 'b', 'c'] }, theirs))).toHaveLength(
    1,
  )
  const joined = givenDispute({ op: 'create', changes: { shelf: 'A', tags: ['x'] } })
  const sides = conflictOf({ shelf: 'A', tags: ['a', 'x'] }, { shelf: 'dock', tags: null })
  expect(found(joined, sides)).toEqual([])
  const seen = (tags: readonly string[] | null) => ({
    base: { shelf: 'dock', tags },
    changes: { shelf: 'A', tags: ['x'] },
  })
  expect(found(givenDispute(seen(null)), sides)).toEqual([])
  expect(found(givenDispute(seen(['a'])), sides)).toHaveLength(1)
  const total = givenDispute({ changes: { shelf: 'A' }, additions: { shelf: ['x'] } })
  expect(found(total, conflictOf({ shelf: 'Z' }, { shelf: 'dock' }))).toEqual([])
})

test('[SIM-99] a deletion against an edit, and an edit against a deletion', () => {
  const over = { reason: 'delete', fields: [] } as const
  const deletes = (): GivenHistory => givenDispute({ op: 'delete', changes: {} })
  const stood = { name: 'beam', shelf: 'dock' }
  expect(found(deletes(), { ...conflictOf(null, stood), ...over })).toEqual([])
  expect(found(deletes(), { ...conflictOf({ shelf: 'A' }, stood), ...over })).toHaveLength(1)
  expect(found(deletes(), { ...conflictOf(null, { ...stood, name: 'x' }), ...over })).toHaveLength(1)
  expect(found(deletes(), { ...conflictOf(null, { shelf: 'dock' }), ...over })).toHaveLength(1)
  expect(found(deletes(), { ...conflictOf(null, null), ...over })).toEqual([
    'conflict c1 over items/r1 shows that it is gone, where it stood',
  ])
  const edits = (): GivenHistory =>
    givenHistory()
      .line({ op: 'create', after: stood })
      .line({ op: 'delete', before: stood })
      .write(1, { changes: { shelf: 'A' } })
      .send(1)
      .rule(1, { status: 'conflict' })
  expect(found(edits(), { ...conflictOf({ shelf: 'A' }, null), ...over })).toEqual([])
  expect(found(edits(), { ...conflictOf({ shelf: 'A' }, { shelf: 'dock' }), ...over })).toHaveLength(1)
  expect(found(edits(), { ...conflictOf(null, null), ...over })).toHaveLength(1)
})

test('[SIM-99] left out: over a unique key, the other record and what adds up', () => {
  const unique = (mine: Values): DumpedConflict => ({
    ...conflictOf(mine, { shelf: 'other' }),
    reason: 'unique',
  })
  const taken = (): GivenHistory => givenDispute({ changes: { shelf: 'A' }, increments: { stock: 1 } })
  expect(found(taken(), unique({ shelf: 'A', stock: 9 }))).toEqual([])
  expect(found(taken(), unique({ shelf: 'Z', stock: 9 }))).toHaveLength(1)
})
