import { expect, test } from 'vitest'

import { decisions } from './decisions.ts'
import { givenConflict, givenHistory, type GivenWrite } from './given-history.ts'
import type { DumpedConflict } from './observation.ts'

const overName = { reason: 'fields', fields: ['name'], records: ['items/r1'] } as const

/** Ann decides on a conflict by a mutation that says this. */
function found(what: string, write: GivenWrite, more: Partial<DumpedConflict> = overName): readonly string[] {
  return givenHistory()
    .add({ kind: 'call', atMs: 0, disk: 'd1', call: 1, what })
    .write(2, { resolves: 'c1', ...write })
    .add({ kind: 'call-ended', atMs: 0, disk: 'd1', call: 1, result: 'done', code: null, mutations: ['m2'] })
    .end({ server: { conflicts: [givenConflict('c1', { status: 'resolved', ...more })] } })
    .found(decisions)
}

const rename: GivenWrite = { changes: { name: 'mine' }, base: { name: 'theirs' } }

test('[SIM-91] theirs is kept, and mine is written', () => {
  expect(found('settle theirs', rename)).toEqual([
    'm2 on d1 keeps theirs of items/r1 in conflict c1, and writes name',
  ])
  const members = { ...overName, fields: ['tags'] }
  expect(found('settle theirs', { additions: { tags: ['x'] } }, members)).toHaveLength(1)
})

test('[SIM-91] legal: mine is kept, what only waited is written, and what merges with it goes along as it stands', () => {
  expect(found('settle mine', rename)).toEqual([])
  expect(found('settle theirs', { increments: { stock: 2 } })).toEqual([])
  expect(found('settle theirs', { changes: { name: 'theirs' }, base: { name: 'theirs' } })).toEqual([])
})

test('[SIM-91] not looked at: a record that is gone, and a field that waits in one record and is in dispute in another', () => {
  expect(found('settle theirs', { ...rename, op: 'create' })).toEqual([])
  expect(found('settle theirs', rename, { ...overName, reason: 'delete' })).toEqual([])
  expect(found('settle theirs', rename, { ...overName, records: ['items/r1', 'items/r2'] })).toEqual([])
})
