import { expect, test } from 'vitest'

import { givenConflict, givenHistory, type GivenHistory, type GivenWrite } from './given-history.ts'
import type { DumpedConflict } from './observation.ts'
import { oneDispute } from './one-dispute.ts'

const overName = { reason: 'fields', fields: ['name'], records: ['items/r1'] } as const

/** Ann's first edit of the name met conflict c1. */
function givenDispute(): GivenHistory {
  return givenHistory()
    .write(1, { changes: { name: 'one' } })
    .send(1)
    .rule(1, { status: 'conflict' })
}

function found(
  history: GivenHistory,
  second: Partial<DumpedConflict> = overName,
  first: Partial<DumpedConflict> = {},
): readonly string[] {
  const conflicts = [
    givenConflict('c1', { ...overName, mutation: 'm1', ...first }),
    givenConflict('c2', { mutation: 'm2', ...second }),
  ]
  return history.end({ server: { conflicts } }).found(oneDispute)
}

function again(history: GivenHistory, write: GivenWrite = { changes: { name: 'two' } }): GivenHistory {
  return history.write(2, write).send(2).rule(2, { status: 'conflict' })
}

test('[SIM-93] the next edit of what is in dispute meets a conflict of its own', () => {
  expect(found(again(givenDispute()))).toEqual(secondTold)
})

const secondTold = ['m2 met conflict c2 over items/r1, while c1 over the same was open']
const [nine, ten, eleven] = [9, 10, 11].map((hour) => `2026-11-20T${hour}:00:00.000Z`.replace('T9', 'T09'))

test('[SIM-93] legal: once an operator has settled the first, whose decision nobody was seen to send', () => {
  const settled = { createdAt: nine, resolvedAt: ten, status: 'resolved' } as const
  expect(found(again(givenDispute()), { ...overName, createdAt: eleven }, settled)).toEqual([])
})

test('[SIM-93] a second dispute is one too where the first is settled after it began, in the same moment or never', () => {
  const second = { ...overName, createdAt: ten, resolvedAt: eleven, status: 'resolved' } as const
  const settledAt = (resolvedAt: string | null | undefined): readonly string[] =>
    found(again(givenDispute()), second, { createdAt: nine, resolvedAt, status: 'resolved' })
  expect(settledAt(eleven)).toEqual(secondTold)
  expect(settledAt(ten)).toEqual(secondTold)
  expect(settledAt(null)).toEqual(secondTold)
})

test('[SIM-93] of one moment the order counts: a batch that decides and then edits, or the other way round', () => {
  const second = { ...overName, createdAt: ten }
  const first = { createdAt: nine, resolvedAt: ten, status: 'resolved' } as const
  const decided = givenDispute().write(3, { resolves: 'c1' }).send(3).rule(3)
  expect(found(again(decided), second, first)).toEqual([])
  const edited = again(givenDispute()).write(3, { resolves: 'c1' }).send(3).rule(3)
  expect(found(edited, second, first)).toEqual(secondTold)
})

test('[SIM-93] legal: once the first is settled, another field, a decision, and another device', () => {
  const settled = givenDispute().write(3, { resolves: 'c1' }).send(3).rule(3)
  expect(found(again(settled))).toEqual([])
  expect(found(again(givenDispute(), { changes: { note: 'two' } }))).toEqual([])
  expect(found(again(givenDispute(), { changes: { name: 'two' }, resolves: 'c9' }))).toEqual([])
  const bo = { disk: 'd2', device: 'D2', user: 'bo' }
  const other = givenDispute()
    .write(2, { ...bo, changes: { name: 'two' } })
    .status(2, 'sending', bo)
    .rule(2, { ...bo, status: 'conflict' })
  expect(found(other)).toEqual([])
})

test('[SIM-93] a dispute of the operator who accepted an edit from escrow is none of its author, and the other way round it is', () => {
  const told = (first: string, second: string): readonly string[] =>
    found(again(givenDispute()), { ...overName, author: second }, { author: first })
  expect(told('op', 'ann')).toEqual([])
  expect(told('op', 'op')).toEqual(secondTold)
  expect(told('ann', 'op')).toEqual(secondTold)
  expect(told('ann', 'ann')).toEqual(secondTold)
})

test('[SIM-93] a restored server is to hold what waits for a dispute from before the backup, also one settled in between', () => {
  expect(found(again(givenDispute().restore(1)))).toEqual(secondTold)
  const decided = givenDispute().write(3, { resolves: 'c1' }).send(3).rule(3)
  expect(found(again(decided.restore(1)))).toEqual(secondTold)
})

test('[SIM-93] of one moment the log says whether an operator settled the first before the second began', () => {
  const first = { createdAt: nine, resolvedAt: ten, status: 'resolved' } as const
  const second = { ...overName, createdAt: ten }
  const decided = (history: GivenHistory, record = 'r1'): GivenHistory =>
    history.line({ user: 'op', mutation: 'o1', record, op: 'none', version: null })
  expect(found(again(decided(givenDispute())), second, first)).toEqual([])
  expect(found(decided(again(givenDispute())), second, first)).toEqual(secondTold)
  expect(found(again(decided(givenDispute(), 'r2')), second, first)).toEqual(secondTold)
  expect(found(again(decided(givenDispute()).wait(1)), second, first)).toEqual(secondTold)
})

test('[SIM-93] legal: a dispute that was settled before the backup, or that an operator of a lost history began', () => {
  const decided = givenDispute().write(3, { resolves: 'c1' }).send(3).rule(3)
  expect(found(again(decided.restore(2)))).toEqual([])
  const unruled = givenDispute().add({
    kind: 'server-restored',
    atMs: 0,
    auditN: 1,
    forgotten: [],
    unruled: [{ device: 'D1', id: 'm1' }],
  })
  expect(found(again(unruled))).toEqual([])
})

test('[SIM-93] not looked at: conflicts over other things, and what a restored server has forgotten', () => {
  expect(found(again(givenDispute()), { ...overName, reason: 'delete' })).toEqual([])
  expect(found(again(givenDispute()), { ...overName, records: ['items/r1', 'items/r2'] })).toEqual([])
  expect(found(again(givenDispute().restore(0)))).toEqual([])
})
