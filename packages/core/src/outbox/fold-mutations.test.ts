import { describe, expect, test } from 'vitest'
import type { Hlc } from '../hlc.ts'
import { limits } from '../limits.ts'
import { emptyPayload, type Mutation } from '../mutation.ts'
import { collection, defineSchema } from '../schema/define-schema.ts'
import { counter, json, reference, set, text, transitions } from '../schema/field.ts'
import { foldMutations, type FoldResult } from './fold-mutations.ts'
import { foldOutbox } from './fold-outbox.ts'

const fields = {
  name: text({ optional: true }),
  note: text({ merge: 'latest', optional: true }),
  street: text({ optional: true }),
  city: text({ optional: true }),
  state: text({ merge: transitions({ draft: ['sent'], sent: ['paid'] }), default: 'draft' }),
  stock: counter(),
  tags: set(text()),
  more: json({ optional: true }),
  box: reference('items', { optional: true }),
}
const options = {
  groups: { address: { fields: ['street', 'city'], merge: 'latest' } },
  unique: [['state']],
} as const
const schema = defineSchema({
  version: 1,
  collections: {
    items: collection({ fields, ...options }),
    audited: collection({ fields, outbox: 'preserve' }),
  },
})
const items = schema.collections.get('items')!

const at = (seq: number): Hlc => `2026-11-20T10:00:${String(seq).padStart(2, '0')}.000Z-0000-a` as Hlc

function given(seq: number, mutation: Partial<Mutation> = {}): Mutation {
  return {
    ...emptyPayload,
    id: `m${seq}`,
    seq,
    covers: String(seq),
    group: null,
    collection: 'items',
    record: 'r1',
    op: 'update',
    baseVersion: 4,
    after: seq === 1 ? null : `m${seq - 1}`,
    at: at(seq),
    ats: {},
    resolves: null,
    schema: 1,
    ...mutation,
  }
}

function someTags(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `t${from + index}`)
}

const create = given(1, {
  op: 'create',
  baseVersion: 0,
  changes: {
    name: 'a',
    note: 'a',
    street: null,
    city: null,
    state: 'draft',
    stock: 1,
    tags: ['x'],
    more: null,
    box: null,
  },
})

function folded(first: Mutation, second: Mutation): Mutation {
  const result: FoldResult = foldMutations(items, first, second)
  if (result.kind !== 'folded') throw new Error(result.kind)
  return result.mutation
}

describe('the closed table', () => {
  test('[FO-1, FO-6] create and update are a create that carries both', () => {
    const update = given(2, {
      baseVersion: 0,
      changes: { name: 'b' },
      base: { name: 'a' },
      increments: { stock: 4 },
      additions: { tags: ['y'] },
      removals: { tags: ['x'] },
    })
    expect(folded(create, update)).toEqual({
      ...create,
      covers: '1-2',
      folded: ['m2'],
      changes: { ...create.changes, name: 'b', stock: 5, tags: ['y'] },
      at: at(2),
      ats: { note: at(1), street: at(1), city: at(1), created_at: at(1) },
    })
  })

  test('[FO-2, FO-6] two updates say what was first seen and last wanted', () => {
    const first = given(1, {
      changes: { name: 'b', note: 'b' },
      base: { name: 'a', note: 'a' },
      increments: { stock: 4 },
      additions: { tags: ['x', 'y'] },
    })
    const second = given(2, {
      changes: { name: 'c', more: 1 },
      base: { name: 'b', more: 0 },
      increments: { stock: -1 },
      additions: { tags: ['z'] },
      removals: { tags: ['x', 'w'] },
    })
    expect(folded(first, second)).toEqual({
      ...first,
      covers: '1-2',
      folded: ['m2'],
      changes: { name: 'c', note: 'b', more: 1 },
      base: { name: 'a', note: 'a', more: 0 },
      increments: { stock: 3 },
      additions: { tags: ['y', 'z'] },
      removals: { tags: ['x', 'w'] },
      at: at(2),
      ats: { note: at(1) },
    })
  })

  test('[FO-6] each latest field keeps its own time through several folds, a group’s fields too', () => {
    const address = { street: 'S', city: 'C' }
    const first = given(1, { changes: { note: 'b' }, base: { note: 'a' } })
    const second = given(2, { changes: address, base: { street: null, city: null } })
    const third = given(3, { changes: { name: 'c' }, base: { name: 'a' } })
    expect(folded(folded(first, second), third)).toMatchObject({
      covers: '1-3',
      at: at(3),
      ats: { note: at(1), street: at(2), city: at(2) },
    })
  })

  test('[FO-3] an update of plain fields and a delete are a delete that carries them', () => {
    const update = given(1, { changes: { note: 'b' }, base: { note: 'a' } })
    expect(folded(update, given(2, { op: 'delete' }))).toEqual({
      ...update,
      op: 'delete',
      covers: '1-2',
      folded: ['m2'],
      at: at(2),
      ats: { note: at(1) },
    })
  })

  test('[FO-4] a create that nobody heard of and its delete are a delete that carries nothing but both keys', () => {
    expect(folded(create, given(2, { op: 'delete', baseVersion: 0 }))).toEqual({
      ...create,
      ...emptyPayload,
      op: 'delete',
      covers: '1-2',
      folded: ['m2'],
      at: at(2),
      ats: {},
    })
  })

  const plain = { changes: { name: 'b' }, base: { name: 'a' } }
  const later = { changes: { name: 'c' }, base: { name: 'b' } }
  const overSize = { changes: { more: 'x'.repeat(limits.mutationBytes / 2) }, base: { more: null } }

  test.each<[string, string, Mutation, Mutation]>([
    ['FO-5', 'a group', given(1, { ...plain, group: 'g' }), given(2, { ...later, group: 'g' })],
    ['FO-5', 'the start of a group', given(1, plain), given(2, { ...later, group: 'g' })],
    ['FO-5', 'a settlement first', given(1, { ...plain, resolves: 'c' }), given(2, later)],
    ['FO-5', 'a settlement second', given(1, plain), given(2, { ...later, resolves: 'c' })],
    ['FO-5', 'another schema version', given(1, plain), given(2, { ...later, schema: 2 })],
    ['FO-5', 'another base version', given(1, plain), given(2, { ...later, baseVersion: 5 })],
    ['FO-5', 'another record', given(1, plain), given(2, { ...later, record: 'r2' })],
    [
      'FO-5',
      'two steps of a state machine',
      given(1, { changes: { state: 'sent' }, base: { state: 'draft' } }),
      given(2, { changes: { state: 'paid' }, base: { state: 'sent' } }),
    ],
    [
      'FO-5',
      'the first state and a step',
      create,
      given(2, { baseVersion: 0, changes: { state: 'sent' }, base: { state: 'draft' } }),
    ],
    [
      'FO-5',
      'a value taken back',
      given(1, plain),
      given(2, { changes: { name: 'a' }, base: { name: 'b' } }),
    ],
    ['FO-5', 'an author who did not say what he saw', given(1, plain), given(2, { ...later, base: null })],
    [
      'FO-5',
      'a total that was assigned',
      given(1, { changes: { stock: 4 }, base: {} }),
      given(2, { increments: { stock: 1 } }),
    ],
    [
      'FO-5',
      'a delete and a create',
      given(1, { op: 'delete' }),
      given(2, { ...create, seq: 2, id: 'm2', baseVersion: 4 }),
    ],
    ['FO-5', 'a delete and an update', given(1, { op: 'delete' }), given(2, plain)],
    [
      'FO-5',
      'a record made again, and its update',
      { ...create, baseVersion: 4, after: 'm0' },
      given(2, later),
    ],
    [
      'FO-5',
      'a record made again, and its delete',
      { ...create, after: 'm0' },
      given(2, { op: 'delete', baseVersion: 0 }),
    ],
    [
      'FO-3',
      'a counter change and a delete',
      given(1, { increments: { stock: 1 } }),
      given(2, { op: 'delete' }),
    ],
    [
      'FO-3',
      'a set change and a delete',
      given(1, { removals: { tags: ['x'] } }),
      given(2, { op: 'delete' }),
    ],
    [
      'FO-3',
      'a total and a delete',
      given(1, { changes: { stock: 9 }, base: { stock: 1 } }),
      given(2, { op: 'delete' }),
    ],
    [
      'FO-7',
      'more bytes than a mutation may have',
      given(1, overSize),
      given(2, { changes: { name: 'x'.repeat(limits.mutationBytes / 2) }, base: { name: 'a' } }),
    ],
    [
      'FO-7',
      'more than a counter can hold',
      given(1, { increments: { stock: Number.MAX_SAFE_INTEGER } }),
      given(2, { increments: { stock: 1 } }),
    ],
    [
      'FO-7',
      'more members of a set than a mutation may remove',
      given(1, { removals: { tags: someTags(0, 600) }, additions: { tags: someTags(600, 600) } }),
      given(2, { removals: { tags: someTags(600, 600) }, additions: { tags: someTags(1_200, 600) } }),
    ],
    [
      'FO-7',
      'more than the counter of a new record can hold',
      given(1, { ...create, changes: { ...create.changes, stock: Number.MAX_SAFE_INTEGER } }),
      given(2, { baseVersion: 0, increments: { stock: 1 } }),
    ],
  ])('[%s] apart: %s', (_rule, _what, first, second) => {
    expect(foldMutations(items, first, second)).toEqual({ kind: 'apart' })
  })

  test('[FO-5] an edit of a value that the one before did not leave stays apart: what it stood on was given up', () => {
    const update = { baseVersion: 0, changes: { name: 'c' }, base: { name: 'b' } }
    expect(foldMutations(items, create, given(2, update))).toEqual({ kind: 'apart' })
    const first = given(1, { changes: { name: 'a' }, base: { name: '0' } })
    expect(foldMutations(items, first, given(2, { ...update, baseVersion: 4 }))).toEqual({ kind: 'apart' })
    expect(folded(first, given(2, { ...update, baseVersion: 4, base: { name: 'a' } })).changes).toEqual({
      name: 'c',
    })
  })

  test('[FO-5] a collection that preserves sends every mutation', () => {
    const audited = schema.collections.get('audited')!
    expect(foldMutations(audited, given(1, plain), given(2, later))).toEqual({ kind: 'apart' })
  })
})

describe('an outbox', () => {
  const edit = (seq: number, mutation: Partial<Mutation> = {}): Mutation =>
    given(seq, { changes: { name: `n${seq}` }, base: { name: `n${seq - 1}` }, ...mutation })
  const shape = (entries: readonly Mutation[]): unknown =>
    foldOutbox(schema, entries).map(({ mutation, members }) => [
      mutation.id,
      mutation.covers,
      members.map((member) => member.seq),
    ])

  test('[FO-2] five offline updates are one, at the place of the first', () => {
    const other = given(3, { record: 'r2', after: null })
    const entries = [
      edit(1),
      edit(2),
      other,
      edit(4, { base: { name: 'n2' }, after: 'm2' }),
      edit(5),
      edit(6),
    ]
    expect(shape(entries)).toEqual([
      ['m1', '1-2,4-6', [1, 2, 4, 5, 6]],
      ['m3', '3', [3]],
    ])
  })

  test('[FO-4, FO-9] what is made again stands on the delete that stands for the first create', () => {
    const again = { ...create, id: 'm3', seq: 3, covers: '3', after: 'm2' }
    const fold = foldOutbox(schema, [create, given(2, { op: 'delete', baseVersion: 0 }), again])
    expect(fold.map(({ mutation }) => [mutation.op, mutation.id, mutation.covers, mutation.after])).toEqual([
      ['delete', 'm1', '1-2', null],
      ['create', 'm3', '3', 'm1'],
    ])
  })

  test('[FO-9] a fold stands on the newest that any of its entries stands on and that went before', () => {
    const tried = given(5, { changes: { name: 'tried again' }, base: { name: 'a' }, after: null })
    const later = given(6, { op: 'delete', after: 'm4' })
    expect(foldOutbox(schema, [tried, later])).toMatchObject([
      { mutation: { op: 'delete', covers: '5-6', after: 'm4' } },
    ])
  })

  test('[FO-9] after names the first of a fold, and keeps naming what was offered before', () => {
    const entries = [edit(1, { after: 'm0' }), edit(2), edit(3, { resolves: 'c' })]
    expect(foldOutbox(schema, entries).map(({ mutation }) => [mutation.id, mutation.after])).toEqual([
      ['m1', 'm0'],
      ['m3', 'm1'],
    ])
  })

  test('[FO-8] nothing passes a group', () => {
    const group = given(2, { record: 'r2', group: 'g', after: null })
    expect(shape([edit(1), group, edit(3, { after: 'm1' })])).toEqual([
      ['m1', '1', [1]],
      ['m2', '2', [2]],
      ['m3', '3', [3]],
    ])
  })

  test.each<[string, Mutation, Mutation, boolean]>([
    [
      'the record it points to being made',
      given(2, { ...create, id: 'm2', seq: 2, record: 'r2' }),
      edit(3, { changes: { box: 'r2' }, base: { box: null } }),
      true,
    ],
    [
      'another record it does not point to',
      given(2, { ...create, id: 'm2', seq: 2, record: 'r2' }),
      edit(3, { changes: { box: 'r3' }, base: { box: null } }),
      false,
    ],
    [
      'a child that lets go before its parent is deleted',
      given(2, { record: 'r2', changes: { box: null }, base: { box: 'r1' } }),
      given(3, { op: 'delete' }),
      true,
    ],
    [
      'a child that is deleted before its parent',
      given(2, { record: 'r2', op: 'delete' }),
      given(3, { op: 'delete' }),
      true,
    ],
    [
      'an edit that is nobody’s child',
      given(2, { record: 'r2', changes: { name: 'x' }, base: { name: 'y' } }),
      given(3, { op: 'delete' }),
      false,
    ],
    [
      'a unique key becoming free',
      given(2, { record: 'r2', changes: { state: 'paid' }, base: { state: 'sent' } }),
      edit(3, { changes: { state: 'sent' }, base: { state: 'draft' } }),
      true,
    ],
  ])('[FO-8] an entry and %s', (_what, between, entry, isApart) => {
    const fold = foldOutbox(schema, [edit(1), between, { ...entry, after: 'm1' }])
    expect(fold.map(({ members }) => members.length)).toEqual(isApart ? [1, 1, 1] : [2, 1])
  })

  test('[FO-7] a fold has at most as many members as the limit says', () => {
    const entries = Array.from({ length: limits.foldEntries + 5 }, (_, index) => edit(index + 1))
    expect(foldOutbox(schema, entries).map(({ members }) => members.length)).toEqual([limits.foldEntries, 5])
  })

  test('entries of a collection the schema lacks travel as they are', () => {
    const entries = [edit(1, { collection: 'gone' }), edit(2, { collection: 'gone' })]
    expect(foldOutbox(schema, entries).map(({ mutation }) => mutation)).toEqual(entries)
  })
})
