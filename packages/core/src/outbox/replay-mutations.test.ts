import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Hlc } from '../hlc.ts'
import type { Json, Values } from '../json.ts'
import { absentRecord, emptyPayload, type Mutation, type RecordSnapshot } from '../mutation.ts'
import { collection, defineSchema } from '../schema/define-schema.ts'
import { counter, custom, integer, json, set, text, transitions } from '../schema/field.ts'
import type { CollectionSchema } from '../schema/schema.ts'
import { replayMutations } from './replay-mutations.ts'

const fields = {
  name: text({ default: '' }),
  place: text({ merge: 'latest', default: '' }),
  notes: text({ merge: 'paragraphs', default: '' }),
  state: text({ merge: transitions({ draft: ['sent'], sent: ['paid'] }), default: 'draft' }),
  high: integer({ merge: 'max', optional: true }),
  odd: json({
    merge: custom(() => {
      throw new Error('broken')
    }, 'Always broken.'),
    optional: true,
  }),
  must: text(),
  stock: counter(),
  tags: set(text()),
}
const schema = defineSchema({
  version: 1,
  collections: {
    items: collection({ fields }),
    strict: collection({ fields, strict: true }),
    stays: collection({ fields, onDelete: 'delete' }),
  },
})
const items = schema.collections.get('items')!
const strict = schema.collections.get('strict')!
const stays = schema.collections.get('stays')!
const stored: Values = {
  name: 'a',
  place: 'A',
  notes: 'x',
  state: 'draft',
  high: 1,
  odd: null,
  must: 'm',
  stock: 5,
  tags: ['t'],
}
const shadow: RecordSnapshot = { kind: 'live', version: 4, values: stored }

function given(seq: number, mutation: Partial<Mutation> = {}): Mutation {
  const at = `2026-11-20T10:00:${String(seq).padStart(2, '0')}.000Z-0000-a` as Hlc
  const after = seq === 1 ? null : `m${seq - 1}`
  const plain = {
    group: null,
    collection: 'items',
    record: 'r',
    op: 'update',
    baseVersion: 4,
    ats: {},
    resolves: null,
    schema: 1,
  } as const
  return { ...emptyPayload, ...plain, id: `m${seq}`, seq, covers: String(seq), after, at, ...mutation }
}

function viewOf(
  collectionOf: CollectionSchema,
  from: RecordSnapshot,
  mutations: readonly Mutation[],
): Values | string {
  const { view, foretold } = replayMutations(collectionOf, from, mutations)
  expect(foretold).toEqual([])
  return view.kind === 'live' ? view.values : view.kind
}

describe('on a shadow', () => {
  const chain = [
    given(1, { changes: { name: 'b' }, base: { name: 'a' }, increments: { stock: 2 } }),
    given(2, { changes: { name: 'c' }, base: { name: 'b' }, additions: { tags: ['u'] } }),
  ]

  test('[RB-1, PR-1] the mutations are there in the order written', () => {
    expect(viewOf(items, shadow, chain)).toEqual({ ...stored, name: 'c', stock: 7, tags: ['t', 'u'] })
    expect(viewOf(items, shadow, [])).toEqual(stored)
  })

  test('[RB-1] what others changed meanwhile is there as well', () => {
    const moved: RecordSnapshot = {
      kind: 'live',
      version: 9,
      values: { ...stored, stock: 100, place: 'B', tags: ['t', 'w'] },
    }
    expect(viewOf(items, moved, chain)).toEqual({
      ...stored,
      name: 'c',
      place: 'B',
      stock: 102,
      tags: ['t', 'u', 'w'],
    })
  })

  test('[RB-1] a record made, deleted and made again is there', () => {
    const create = given(1, { op: 'create', baseVersion: 0, changes: stored })
    const gone = given(2, { op: 'delete', baseVersion: 0 })
    const again = given(3, { op: 'create', baseVersion: 0, changes: { ...stored, name: 'z' } })
    expect(viewOf(items, absentRecord, [create, gone, again])).toEqual({ ...stored, name: 'z' })
    expect(viewOf(items, shadow, [given(1, { op: 'delete' }), { ...again, baseVersion: 4 }])).toEqual({
      ...stored,
      name: 'z',
    })
    expect(viewOf(items, shadow, [given(1, { op: 'delete' })])).toBe('deleted')
  })

  test('[RB-6] a record is as old as what made it: a create over one that is there makes nothing', () => {
    const create = given(2, { op: 'create', baseVersion: 4, changes: stored })
    const madeAt = (snapshot: RecordSnapshot, ...mutations: readonly Mutation[]): unknown =>
      replayMutations(items, snapshot, mutations).madeAt
    expect(madeAt(absentRecord, create)).toBe(create.at)
    expect(madeAt(shadow, create)).toBe(null)
    expect(madeAt(shadow, given(1, { op: 'delete' }), create)).toBe(create.at)
    const tombstone: RecordSnapshot = { kind: 'deleted', version: 4, values: stored }
    expect(madeAt(tombstone, create)).toBe(create.at)
    expect(madeAt(tombstone, given(1, { changes: { name: 'b' } }))).toBe(null)
  })

  test('[RB-4] a chain of own mutations foretells nothing, in a strict collection and before a delete too', () => {
    expect(viewOf(strict, shadow, [...chain, given(3, { op: 'delete' })])).toBe('deleted')
    const settledFirst: RecordSnapshot = {
      kind: 'live',
      version: 5,
      values: { ...stored, name: 'b', stock: 7 },
    }
    expect(viewOf(strict, settledFirst, chain.slice(1))).toMatchObject({ name: 'c', tags: ['t', 'u'] })
    expect(viewOf(items, settledFirst, [given(2, { op: 'delete' })])).toBe('deleted')
  })

  test('[RB-4] a record made anew behind an own deletion is there, whether that was settled or not', () => {
    const settled: RecordSnapshot = { kind: 'deleted', version: 5, values: stored }
    const again = given(2, { op: 'create', changes: { must: 'n' } })
    for (const collection of [items, strict, stays]) {
      expect(viewOf(collection, shadow, [given(1, { op: 'delete' }), again])).toMatchObject({ must: 'n' })
      expect(viewOf(collection, settled, [again])).toMatchObject({ must: 'n' })
    }
    // Who never saw that it was gone made it beside the deletion.
    expect(viewOf(stays, settled, [{ ...again, after: null }])).toBe('deleted')
  })

  test('[RB-5] an own latest edit shows, whatever the shadow says', () => {
    const moved: RecordSnapshot = { kind: 'live', version: 9, values: { ...stored, place: 'B' } }
    expect(viewOf(items, moved, [given(1, { changes: { place: 'C' }, base: { place: 'A' } })])).toMatchObject(
      { place: 'C' },
    )
  })
})

describe('what the server would not simply take', () => {
  const moved: RecordSnapshot = {
    kind: 'live',
    version: 9,
    values: { ...stored, name: 'theirs', state: 'sent' },
  }

  test.each<[string, RecordSnapshot, Mutation, unknown, unknown]>([
    [
      'a conflict',
      moved,
      given(1, { changes: { name: 'b' }, base: { name: 'a' } }),
      { kind: 'conflict', fields: ['name'] },
      { kind: 'live', values: { name: 'b' } },
    ],
    [
      'a step that is not allowed',
      moved,
      given(1, { changes: { state: 'draft' }, base: { state: 'sent' } }),
      { kind: 'reject', code: 'TRANSITION_REFUSED' },
      { kind: 'live', values: { state: 'draft' } },
    ],
    [
      'an edit of what is deleted',
      { ...shadow, kind: 'deleted', version: 9 },
      given(1, { changes: { name: 'b' }, base: { name: 'a' } }),
      { kind: 'conflict', reason: 'delete' },
      { kind: 'live', values: { ...stored, name: 'b' } },
    ],
    [
      'a delete of what somebody changed',
      moved,
      given(1, { op: 'delete' }),
      { kind: 'conflict', reason: 'delete' },
      { kind: 'deleted' },
    ],
    [
      'a rule that breaks',
      moved,
      given(1, { changes: { odd: 1 }, base: { odd: 2 } }),
      { kind: 'conflict', fields: ['odd'] },
      { kind: 'live', values: { odd: 1 } },
    ],
  ])('[RB-2] %s is foretold, and the view shows the author’s own', (_what, from, mutation, outcome, view) => {
    const replayed = replayMutations(items, from, [mutation])
    expect(replayed.foretold).toMatchObject([{ mutation: 'm1', outcome }])
    expect(replayed.view).toMatchObject(view as object)
  })

  test.each([
    ['live', 1],
    ['live', -1],
    ['deleted', 1],
  ] as const)(
    '[RB-2] a counter of a %s record that would leave its range is shown at its edge',
    (kind, sign) => {
      const edge = sign * Number.MAX_SAFE_INTEGER
      const near: RecordSnapshot = { kind, version: 4, values: { ...stored, stock: edge } }
      const replayed = replayMutations(items, near, [given(1, { increments: { stock: sign * 10 } })])
      expect(replayed.foretold).toMatchObject([
        { mutation: 'm1', outcome: { kind: 'reject', code: 'VALUE_TOO_LARGE' } },
      ])
      expect(replayed.view).toMatchObject({ kind: 'live', values: { stock: edge } })
    },
  )

  test('[RB-2] later mutations stand on the author’s own values', () => {
    const conflicting = given(1, { changes: { name: 'b' }, base: { name: 'a' } })
    const onTop = given(2, { changes: { name: 'c' }, base: { name: 'b' } })
    const replayed = replayMutations(items, moved, [conflicting, onTop])
    expect(replayed.view).toMatchObject({ values: { name: 'c' } })
    expect(replayed.foretold.map(({ mutation }) => mutation)).toEqual(['m1'])
  })
})

test('[RB-3] a replay never throws, whatever it is given', () => {
  const anyValue: fc.Arbitrary<Json> = fc.constantFrom<Json[]>(
    null,
    'a',
    'b\n\nc',
    0,
    3,
    true,
    ['t'],
    ['u', 7],
    { x: 1 },
    Number.MAX_SAFE_INTEGER,
  )
  const anyValues = fc.dictionary(fc.constantFrom(...Object.keys(fields), 'unknown'), anyValue, {
    noNullPrototype: true,
  })
  const members = fc.dictionary(
    fc.constantFrom('tags', 'name', 'unknown'),
    fc.array(fc.constantFrom('t', 'u'), { maxLength: 2 }),
    { noNullPrototype: true },
  )
  const anyShadow: fc.Arbitrary<RecordSnapshot> = fc.oneof(
    fc.constant(absentRecord),
    fc.record({ kind: fc.constant('live' as const), version: fc.nat(9), values: anyValues }),
    fc.record({ kind: fc.constant('deleted' as const), version: fc.nat(9), values: fc.option(anyValues) }),
  )
  const anyMutation = fc.record<Partial<Mutation>>({
    op: fc.constantFrom('create', 'update', 'delete'),
    baseVersion: fc.nat(9),
    after: fc.constantFrom(null, 'm0'),
    changes: anyValues,
    base: fc.option(anyValues),
    increments: fc.dictionary(fc.constantFrom('stock', 'name'), fc.integer(), { noNullPrototype: true }),
    additions: members,
    removals: members,
  })
  fc.assert(
    fc.property(
      fc.constantFrom(items, strict),
      anyShadow,
      fc.array(anyMutation, { maxLength: 4 }),
      (collectionOf, from, parts) => {
        const { view } = replayMutations(
          collectionOf,
          from,
          parts.map((part, index) => given(index + 1, part)),
        )
        expect(['absent', 'live', 'deleted']).toContain(view.kind)
      },
    ),
    { numRuns: 2_000, seed: 9 },
  )
})
