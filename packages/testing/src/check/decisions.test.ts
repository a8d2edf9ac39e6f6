import { expect, test } from 'vitest'

import { decisions as decisionsOf } from './decisions.ts'
import { givenConflict, type GivenHistory, givenHistory, type GivenWrite } from './given-history.ts'
import type { DumpedConflict } from './observation.ts'
import type { SchemaFacts } from './schema-facts.ts'

const facts: SchemaFacts = {
  items: { references: {}, unique: [], scopes: [{ literals: ['place:', ''], fields: ['place'] }] },
}
const decisions = decisionsOf(facts)

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

/** Ann changed the name and counted three in one request; over the name she keeps theirs. */
function givenCounted(
  decision: GivenWrite,
  counted: GivenWrite = { increments: { stock: 3 } },
): GivenHistory {
  return givenHistory()
    .write(1, { changes: { name: 'mine' }, base: { name: 'x' } })
    .write(2, counted)
    .send(1, 2)
    .rule(1, { status: 'conflict', covers: '1-2' })
    .add({ kind: 'call', atMs: 0, disk: 'd1', call: 1, what: 'settle theirs' })
    .write(3, { resolves: 'c1', ...decision })
    .add({ kind: 'call-ended', atMs: 0, disk: 'd1', call: 1, result: 'done', code: null, mutations: ['m3'] })
}

const resolved = {
  server: { conflicts: [givenConflict('c1', { status: 'resolved', mutation: 'm1', ...overName })] },
}

test('[SIM-91] theirs is kept, and what was counted with mine is dropped', () => {
  expect(givenCounted({}).end(resolved).found(decisions)).toEqual([
    'm3 on d1 keeps theirs of items/r1 in conflict c1, and drops what was counted of stock',
  ])
})

test('[SIM-91] what was counted has somewhere to go when no field moved that its scope is made of', () => {
  const line = { before: { site: 't0a' }, after: { site: 't0b' } }
  expect(givenCounted({}).line(line).end(resolved).found(decisions)).toHaveLength(1)
})

test('[SIM-91] legal: what was counted is written, came to nothing, was in dispute itself, or has nowhere to go', () => {
  const legal = [
    givenCounted({ increments: { stock: 3 } }),
    givenCounted({}, { increments: { stock: 0 } }),
    givenCounted({}).line({ op: 'delete' }),
    givenCounted({}).line({ before: { place: 'attic' }, after: { place: 'cellar' } }),
    givenCounted({}).add({ kind: 'grants', atMs: 9, user: 'ann', scopes: [] }),
  ]
  for (const history of legal) expect(history.end(resolved).found(decisions)).toEqual([])
  const disputed = givenConflict('c1', { mutation: 'm1', ...overName, fields: ['name', 'stock'] })
  expect(
    givenCounted({})
      .end({ server: { conflicts: [disputed] } })
      .found(decisions),
  ).toEqual([])
})

test('[SIM-91] not looked at: a record that is gone, and a field that waits in one record and is in dispute in another', () => {
  expect(found('settle theirs', { ...rename, op: 'create' })).toEqual([])
  expect(found('settle theirs', rename, { ...overName, reason: 'delete' })).toEqual([])
  expect(found('settle theirs', rename, { ...overName, records: ['items/r1', 'items/r2'] })).toEqual([])
})
