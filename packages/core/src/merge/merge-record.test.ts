import { describe, expect, test } from 'vitest'
import type { Hlc } from '../hlc.ts'
import type { Json, Values } from '../json.ts'
import { absentRecord, type RecordSnapshot } from '../mutation.ts'
import { collection, defineSchema } from '../schema/define-schema.ts'
import {
  boolean,
  counter,
  custom,
  decimal,
  integer,
  json,
  set,
  text,
  timestamp,
  transitions,
} from '../schema/field.ts'
import type { CollectionDeclaration, CollectionSchema } from '../schema/schema.ts'
import { explainDelete, explainRule } from './explain-rule.ts'
import { forceMine } from './force-mine.ts'
import type { ApplyOutcome, ConflictOutcome, MergeInput, MergeMutation } from './merge-outcome.ts'
import { mergeRecord } from './merge-record.ts'

const flow = transitions({
  draft: ['sent'],
  sent: ['paid', 'void'],
  paid: ['refunded'],
  open: ['shut'],
  shut: ['open', 'gone'],
  gone: ['open'],
})
const longer = custom(({ mine, theirs }) => {
  if (typeof mine !== 'string' || typeof theirs !== 'string') throw new Error('no text')
  return mine.length === theirs.length ? undefined : mine.length > theirs.length ? mine : theirs
}, 'The longer text stays.')

const declaration = collection({
  fields: {
    name: text({ default: '' }),
    price: decimal({ default: '0' }),
    place: text({ merge: 'latest', optional: true }),
    code: text({ merge: 'server', default: '' }),
    high: integer({ merge: 'max', optional: true }),
    low: decimal({ merge: 'min', optional: true }),
    seen: timestamp({ merge: 'max', optional: true }),
    notes: text({ merge: 'paragraphs', default: '', maxLength: 40 }),
    state: text({ merge: flow, default: 'draft' }),
    word: text({ merge: longer, maxLength: 9, optional: true }),
    more: json({ optional: true }),
    flag: boolean({ default: false }),
    stock: counter(),
    tags: set(text()),
    street: text({ default: '' }),
    city: text({ default: '' }),
    lat: text({ default: '' }),
    long: text({ default: '' }),
    checked: integer({ owner: 'server', default: 0 }),
  },
  groups: { address: ['street', 'city'], point: { fields: ['lat', 'long'], merge: 'latest' } },
})

function givenCollection(options: Omit<CollectionDeclaration, 'fields'> = {}): CollectionSchema {
  const schema = defineSchema({ version: 1, collections: { items: { ...declaration, ...options } } })
  return schema.collections.get('items')!
}

const items = givenCollection()
const stored: Values = {
  name: 'Laptop',
  price: '900',
  place: 'A1',
  code: 'x',
  high: 5,
  low: '5.0',
  seen: '2026-01-01T00:00:00.000Z',
  notes: 'one\n\ntwo',
  state: 'sent',
  word: 'abc',
  more: { a: 1 },
  flag: false,
  stock: 10,
  tags: ['a', 'b'],
  street: 'S 1',
  city: 'Bern',
  lat: '1',
  long: '2',
  checked: 1,
}
const live: RecordSnapshot = { kind: 'live', version: 5, values: stored }
const gone: RecordSnapshot = { kind: 'deleted', version: 6, values: stored }
const at = (minute: number, device = 'a'): Hlc =>
  `2026-11-20T10:${String(minute).padStart(2, '0')}:00.000Z-0000-${device}` as Hlc

function givenMutation(mutation: Partial<MergeMutation>): MergeMutation {
  return {
    op: 'update',
    baseVersion: 3,
    changes: {},
    base: null,
    increments: {},
    additions: {},
    removals: {},
    at: at(30),
    ats: {},
    resolves: null,
    ...mutation,
  }
}

function merge(
  mutation: Partial<MergeMutation>,
  input: Partial<MergeInput> = {},
): ReturnType<typeof mergeRecord> {
  return mergeRecord({
    collection: items,
    current: live,
    concurrent: 'unknown',
    clocks: {},
    fallbackStamp: at(0),
    mutation: givenMutation(mutation),
    ...input,
  })
}

function applied(outcome: ReturnType<typeof mergeRecord>): ApplyOutcome {
  if (outcome.kind !== 'apply') throw new Error(JSON.stringify(outcome))
  return outcome
}

function conflict(outcome: ReturnType<typeof mergeRecord>): ConflictOutcome {
  if (outcome.kind !== 'conflict') throw new Error(JSON.stringify(outcome))
  return outcome
}

function valueAfter(outcome: ReturnType<typeof mergeRecord>, field: string): Json | undefined {
  const { next } = applied(outcome)
  return next.kind === 'absent' ? undefined : next.values?.[field]
}

describe('three-way, field by field', () => {
  test('[ME-1] a field that is as its author saw it takes the new value, whatever happened to the others', () => {
    expect(merge({ changes: { name: 'PC', price: '1' }, base: { name: 'Laptop', price: '900.00' } })).toEqual(
      {
        kind: 'apply',
        status: 'applied',
        next: { kind: 'live', version: 5, values: { ...stored, name: 'PC', price: '1' } },
        changed: ['name', 'price'],
        clocks: {},
        decisions: [],
      },
    )
  })

  test.each<[string, Partial<MergeMutation>]>([
    ['the value that is there', { changes: { name: 'Laptop' }, base: { name: 'other' } }],
    ['the same amount', { changes: { price: '900.0' }, base: { price: '1' } }],
    ['the same JSON', { changes: { more: { a: 1 } }, base: { more: null } }],
    ['what its author saw', { changes: { name: 'old' }, base: { name: 'old' } }],
    ['nothing', {}],
  ])('[ME-2] a mutation that writes %s changes nothing', (_what, mutation) => {
    expect(merge(mutation)).toEqual({
      kind: 'apply',
      status: 'applied',
      next: live,
      changed: [],
      clocks: {},
      decisions: [],
    })
  })

  test('[ME-3] without a base the version decides', () => {
    expect(valueAfter(merge({ changes: { name: 'PC' }, baseVersion: 5 }), 'name')).toBe('PC')
    expect(conflict(merge({ changes: { name: 'PC', code: 'y' }, baseVersion: 4 })).fields).toEqual(['name'])
    expect(applied(merge({ changes: { name: 'Laptop' }, baseVersion: 4 })).changed).toEqual([])
  })

  test('[ME-4] two concurrent values are a conflict, and nothing else of the mutation takes effect', () => {
    expect(
      merge({
        changes: { name: 'PC', flag: true },
        base: { name: 'old', flag: false },
        increments: { stock: 2 },
        additions: { tags: ['c'] },
      }),
    ).toEqual({
      kind: 'conflict',
      reason: 'fields',
      fields: ['name'],
      base: { name: 'old', flag: false },
      mine: { name: 'PC', flag: true, stock: 12, tags: ['a', 'b', 'c'] },
      theirs: { name: 'Laptop', flag: false, stock: 10, tags: ['a', 'b'] },
    })
  })

  test('fields the schema does not have are passed over', () => {
    const outcome = merge({
      changes: { gone: 1 },
      base: { gone: 0 },
      increments: { also: 2 },
      additions: { too: ['x'] },
    })
    expect(outcome).toMatchObject({ kind: 'apply', changed: [], next: live })
  })
})

describe('[ME-4, ME-5, ME-8, ME-9, ME-10, ME-11, ME-12] rules', () => {
  test.each<[string, string, Json, Json | undefined, Json, 'mine' | 'theirs' | 'both']>([
    ['ME-5', 'place', 'B2', 'Z', 'B2', 'mine'],
    ['ME-8', 'code', 'y', 'z', 'x', 'theirs'],
    ['ME-9', 'high', 9, 1, 9, 'mine'],
    ['ME-9', 'high', 4, 1, 5, 'theirs'],
    ['ME-9', 'high', null, 1, 5, 'theirs'],
    ['ME-9', 'low', '10', '11', '5.0', 'theirs'],
    ['ME-9', 'low', '4.99', '11', '4.99', 'mine'],
    ['ME-9', 'seen', '2027-01-01T00:00:00.000Z', null, '2027-01-01T00:00:00.000Z', 'mine'],
    ['ME-10', 'notes', 'one!\n\nTWO', 'one\n\nTWO', 'one!\n\ntwo', 'both'],
    ['ME-11', 'state', 'paid', 'draft', 'paid', 'mine'],
    ['ME-11', 'state', 'draft', 'open', 'sent', 'theirs'],
    ['ME-12', 'word', 'abcdef', 'x', 'abcdef', 'both'],
    ['ME-12', 'word', 'a', 'x', 'abc', 'both'],
  ])(
    '[%s, ME-21] %s: %j, written over %j, gives %j, and the decision is kept',
    (_rule, field, mine, base, result, winner) => {
      const outcome = applied(merge({ changes: { [field]: mine }, base: { [field]: base ?? null } }))
      const theirs = stored[field]
      expect(valueAfter(outcome, field)).toEqual(result)
      expect(outcome.status).toBe('merged')
      expect(outcome.decisions).toEqual([
        {
          field,
          rule: items.fieldsByName.get(field)?.merge.rule,
          winner,
          base: base ?? null,
          mine,
          theirs,
          result,
        },
      ])
      expect(outcome.changed).toEqual(result === theirs ? [] : [field])
    },
  )

  test.each<[string, string, Json, Json | undefined]>([
    ['ME-4', 'name', 'PC', 'old'],
    ['ME-4', 'more', { a: 2 }, { a: 0 }],
    ['ME-10', 'notes', 'one\n\nthree', 'one\n\nzwei'],
    ['ME-10', 'notes', 'x', undefined],
    ['ME-10', 'notes', `${'y'.repeat(38)}\n\nTWO`, 'one\n\nTWO'],
    ['ME-11', 'state', 'open', 'draft'],
    ['ME-12', 'word', 'xyz', 'x'],
    ['ME-12', 'word', null, 'x'],
    ['ME-12', 'word', 'longer than nine', 'x'],
  ])('[%s] %s: %j, written over %j, is for a person', (_rule, field, mine, base) => {
    const outcome = merge({ changes: { [field]: mine }, base: base === undefined ? null : { [field]: base } })
    expect(conflict(outcome).fields).toEqual([field])
  })

  test('[ME-9] any value beats null', () => {
    const current: RecordSnapshot = { ...live, values: { ...stored, high: null, low: null } }
    const outcome = merge({ changes: { high: -3, low: '7' }, base: { high: 1, low: '1' } }, { current })
    expect([valueAfter(outcome, 'high'), valueAfter(outcome, 'low')]).toEqual([-3, '7'])
  })
})

describe('latest', () => {
  const write = { changes: { place: 'B2' }, base: { place: 'Z' } }

  test.each([
    ['the newer stamp', at(30), at(29), 'B2'],
    ['not the older one', at(30), at(31), 'A1'],
    ['the later counter of the same time', at(30), at(30, '0'), 'B2'],
    ['not one that is the same', at(30), at(30), 'A1'],
  ])('[ME-5] %s stays', (_what, mine, clock, expected) => {
    const outcome = applied(merge({ ...write, at: mine }, { clocks: { place: clock } }))
    expect(valueAfter(outcome, 'place')).toBe(expected)
    expect(outcome.clocks).toEqual(expected === 'B2' ? { place: mine } : {})
    expect(outcome.decisions).toHaveLength(1)
  })

  test('[ME-5] a folded field is judged by its own time, not by the mutation’s', () => {
    const outcome = merge({ ...write, at: at(40), ats: { place: at(10) } }, { clocks: { place: at(20) } })
    expect(valueAfter(outcome, 'place')).toBe('A1')
  })

  test('[ME-5] a field without a clock counts as stamped when its row was updated', () => {
    expect(valueAfter(merge({ ...write, at: at(30) }, { fallbackStamp: at(31) }), 'place')).toBe('A1')
    expect(
      applied(
        merge({ changes: { place: 'B2' }, base: { place: 'A1' }, at: at(30) }, { fallbackStamp: at(31) }),
      ).clocks,
    ).toEqual({ place: at(30) })
  })

  test('[ME-5] an equal value written later moves the clock although no row changes', () => {
    const outcome = applied(
      merge({ changes: { place: 'A1' }, base: { place: 'Z' }, at: at(30) }, { clocks: { place: at(20) } }),
    )
    expect(outcome).toMatchObject({ changed: [], clocks: { place: at(30) }, status: 'applied' })
  })

  test('[ME-5] a clock never goes back, not even for a value that was seen', () => {
    const outcome = applied(
      merge({ changes: { place: 'B2' }, base: { place: 'A1' }, at: at(10) }, { clocks: { place: at(20) } }),
    )
    expect(valueAfter(outcome, 'place')).toBe('B2')
    expect(outcome.clocks).toEqual({})
  })
})

describe('counters and sets', () => {
  test.each<[string, Partial<MergeMutation>, number, number]>([
    ['increments add to what is there', { increments: { stock: -3 } }, 7, 0],
    [
      'a total over a known base counts as the difference',
      { changes: { stock: 6 }, base: { stock: 4 } },
      12,
      1,
    ],
    ['a total over the current base is no decision', { changes: { stock: 6 }, base: { stock: 10 } }, 6, 0],
    ['a total without a base assigns, and what it replaced is kept', { changes: { stock: 6 } }, 6, 1],
    ['a total without a base over the seen version assigns', { changes: { stock: 6 }, baseVersion: 5 }, 6, 0],
  ])('[ME-6] %s', (_what, mutation, expected, decisions) => {
    const outcome = applied(merge(mutation))
    expect(valueAfter(outcome, 'stock')).toBe(expected)
    expect(outcome.decisions).toHaveLength(decisions)
    expect(outcome.changed).toEqual(['stock'])
  })

  test.each<[string, Partial<MergeMutation>, readonly string[]]>([
    [
      'additions and removals count',
      { additions: { tags: ['c'] }, removals: { tags: ['a', 'z'] } },
      ['b', 'c'],
    ],
    [
      'a whole set over a known base is what came and went',
      { changes: { tags: ['x', 'y'] }, base: { tags: ['x', 'a'] } },
      ['b', 'y'],
    ],
    ['a whole set without a base joins', { changes: { tags: ['x'] } }, ['a', 'b', 'x']],
    ['a whole set over the seen version assigns', { changes: { tags: ['x'] }, baseVersion: 5 }, ['x']],
  ])('[ME-7] %s', (_what, mutation, expected) => {
    expect(valueAfter(merge(mutation), 'tags')).toEqual(expected)
  })

  test('[ME-23] a counter or set that would leave its bounds refuses the mutation', () => {
    const many = Array.from({ length: 999 }, (_, index) => `m${index}`)
    const overflow = merge({ increments: { stock: Number.MAX_SAFE_INTEGER } })
    expect(overflow).toMatchObject({ kind: 'reject', code: 'VALUE_TOO_LARGE', field: 'stock' })
    expect(merge({ additions: { tags: many } })).toMatchObject({
      kind: 'reject',
      code: 'VALUE_TOO_LARGE',
      field: 'tags',
    })
    expect(merge({ baseVersion: 6, additions: { tags: many } }, { current: gone })).toMatchObject({
      kind: 'reject',
      code: 'VALUE_TOO_LARGE',
      field: 'tags',
    })
    const back = { baseVersion: 6, increments: { stock: Number.MAX_SAFE_INTEGER } }
    expect(merge(back, { current: gone })).toMatchObject({ kind: 'reject', field: 'stock' })
  })

  test('[ME-6] the difference of a total counts exactly, however large the totals are', () => {
    const most = Number.MAX_SAFE_INTEGER
    const near: RecordSnapshot = { kind: 'live', version: 5, values: { ...stored, stock: most } }
    const total = { changes: { stock: most - 1 }, base: { stock: most } }
    expect(valueAfter(merge(total, { current: near }), 'stock')).toBe(most - 1)
  })
})

describe('states', () => {
  test('[ME-11] a step that is not allowed is refused, unless it settles a conflict', () => {
    const step = { changes: { state: 'refunded' }, base: { state: 'sent' } }
    expect(merge(step)).toMatchObject({ kind: 'reject', code: 'TRANSITION_REFUSED', field: 'state' })
    expect(valueAfter(merge({ ...step, resolves: 'c1' }), 'state')).toBe('refunded')
  })

  test.each([
    ['shut', 'gone', 'mine'],
    ['gone', 'shut', 'ask'],
  ])(
    '[ME-11] in a circle, %s and then %s is decided as %s: what can come again is never passed over',
    (current, wanted, expected) => {
      const outcome = merge(
        { changes: { state: wanted }, base: { state: 'open' } },
        { current: { ...live, values: { ...stored, state: current } } },
      )
      expect(outcome.kind).toBe(expected === 'ask' ? 'conflict' : 'apply')
    },
  )
})

describe('groups', () => {
  test('[ME-13] a group is taken whole when nobody touched any of it', () => {
    const outcome = merge({ changes: { street: 'T 2', city: 'Bern' }, base: { street: 'S 1', city: 'Bern' } })
    expect(applied(outcome).changed).toEqual(['street'])
  })

  test('[ME-13] a group is in conflict when somebody touched another of its fields', () => {
    const outcome = merge({ changes: { street: 'T 2', city: 'Thun' }, base: { street: 'S 1', city: 'Thun' } })
    expect(conflict(outcome).fields).toEqual(['street', 'city'])
  })

  test('[ME-13] one side of a latest group stays whole', () => {
    const write = { changes: { lat: '8', long: '9' }, base: { lat: '1', long: '0' } }
    const newer = applied(merge(write, { clocks: { lat: at(1), long: at(29) } }))
    expect([valueAfter(newer, 'lat'), valueAfter(newer, 'long')]).toEqual(['8', '9'])
    expect(newer.clocks).toEqual({ lat: at(30), long: at(30) })
    const older = applied(merge(write, { clocks: { lat: at(1), long: at(31) } }))
    expect([valueAfter(older, 'lat'), valueAfter(older, 'long')]).toEqual(['1', '2'])
    expect(older.decisions.map((decision) => decision.field)).toEqual(['lat', 'long'])
  })

  test('[ME-13] a field of a group that is sent alone counts the others as unseen where nobody knows who changed them', () => {
    expect(conflict(merge({ changes: { city: 'Thun' }, base: { city: 'Bern' } })).fields).toEqual(['city'])
    expect(
      valueAfter(merge({ changes: { city: 'Thun' }, base: { city: 'Bern' }, baseVersion: 5 }), 'city'),
    ).toBe('Thun')
  })
})

describe('records', () => {
  const created = { ...stored, name: 'PC', checked: 0 }

  test('[ME-14] a create makes the record with every field', () => {
    const outcome = applied(
      merge({ op: 'create', baseVersion: 0, changes: created }, { current: absentRecord }),
    )
    expect(outcome.next).toEqual({ kind: 'live', version: 0, values: created })
    expect(outcome.changed).toHaveLength(items.fields.length)
    expect(outcome.clocks).toEqual({ place: at(30), lat: at(30), long: at(30) })
  })

  test('[ME-14] a create of a record that is there is an update without a base', () => {
    expect(conflict(merge({ op: 'create', baseVersion: 0, changes: created })).fields).toEqual(['name'])
    const same = applied(
      merge({ op: 'create', baseVersion: 0, changes: { ...stored, checked: 0, tags: ['c'] } }),
    )
    expect(valueAfter(same, 'tags')).toEqual(['a', 'b', 'c'])
    expect(valueAfter(same, 'checked')).toBe(1)
  })

  test('[ME-14] an update of a record that never was is refused', () => {
    expect(merge({ changes: { name: 'x' } }, { current: absentRecord })).toMatchObject({
      kind: 'reject',
      code: 'RECORD_NOT_FOUND',
    })
  })

  test.each([
    ['the tombstone’s version was seen', { baseVersion: 6 }, {}],
    ['the author deleted it himself', { baseVersion: 3 }, { ownTombstone: true }],
  ])('[ME-15] a record comes back when %s', (_why, mutation, input) => {
    const again = applied(merge({ op: 'create', changes: created, ...mutation }, { current: gone, ...input }))
    expect(again).toMatchObject({ status: 'applied', next: { kind: 'live', version: 6, values: created } })
    const edited = applied(
      merge({ changes: { name: 'PC' }, increments: { stock: 1 }, ...mutation }, { current: gone, ...input }),
    )
    expect(edited.next).toEqual({ kind: 'live', version: 6, values: { ...stored, name: 'PC', stock: 11 } })
    expect(edited.changed).toHaveLength(items.fields.length)
    expect(edited.clocks).toEqual({})
  })

  test.each(['update', 'create'] as const)(
    '[ME-15, ME-21] an %s that does not know of the deletion follows onDelete',
    (op) => {
      const changes = op === 'create' ? created : { name: 'PC' }
      const write = {
        op,
        changes,
        base: op === 'create' ? null : { name: 'Laptop' },
        baseVersion: op === 'create' ? 0 : 3,
      }
      expect(merge(write, { current: gone })).toMatchObject({
        kind: 'conflict',
        reason: 'delete',
        theirs: null,
        mine: changes,
      })
      const stays = applied(
        merge(write, { current: gone, collection: givenCollection({ onDelete: 'delete' }) }),
      )
      expect(stays).toMatchObject({ status: 'merged', next: gone, changed: [] })
      expect(stays.decisions).toContainEqual({
        field: 'name',
        rule: 'onDelete.delete',
        winner: 'theirs',
        base: write.base?.name,
        mine: 'PC',
        theirs: null,
        result: null,
      })
      const back = applied(merge(write, { current: gone, collection: givenCollection({ onDelete: 'edit' }) }))
      expect(back).toMatchObject({ status: 'merged', next: { kind: 'live', values: { name: 'PC' } } })
      expect(back.decisions).toContainEqual(
        expect.objectContaining({ field: 'name', rule: 'onDelete.edit', winner: 'mine', result: 'PC' }),
      )
    },
  )

  test('[ME-15] a record whose values are gone cannot come back by half', () => {
    const schema = defineSchema({
      version: 1,
      collections: { t: { fields: { a: text(), b: text() }, onDelete: 'edit' } },
    })
    const forgotten = {
      current: { kind: 'deleted', version: 6, values: null } as const,
      collection: schema.collections.get('t')!,
    }
    expect(merge({ changes: { a: 'x' } }, forgotten)).toMatchObject({
      kind: 'conflict',
      reason: 'delete',
      mine: { a: 'x' },
    })
    expect(merge({ changes: { a: 'x' }, baseVersion: 6 }, forgotten)).toMatchObject({
      kind: 'reject',
      code: 'VALUE_INVALID',
      field: 'b',
    })
    expect(merge({ changes: { a: 'x', b: 'y' }, baseVersion: 6 }, forgotten)).toMatchObject({
      kind: 'apply',
      next: { values: { a: 'x', b: 'y' } },
    })
  })

  test('[ME-15] a settlement that leaves a deleted record deleted has no effect', () => {
    expect(merge({ resolves: 'c1', baseVersion: 6 }, { current: gone })).toMatchObject({
      kind: 'apply',
      changed: [],
      next: gone,
    })
  })
})

describe('deletes', () => {
  const edited = new Set(['name'])

  test.each([
    ['never was', absentRecord],
    ['is deleted', gone],
  ])('[ME-16] deleting what %s has no effect', (_what, current) => {
    expect(merge({ op: 'delete' }, { current })).toMatchObject({
      kind: 'apply',
      status: 'applied',
      next: current,
      changed: [],
    })
  })

  test.each<[string, Partial<MergeMutation>, MergeInput['concurrent']]>([
    ['the version is the one that was seen', { baseVersion: 5 }, 'unknown'],
    ['only the author’s own edits came between', {}, new Set()],
    ['others only counted and tagged', {}, new Set(['stock', 'tags'])],
  ])('[ME-16] a delete applies when %s', (_why, mutation, concurrent) => {
    expect(merge({ op: 'delete', ...mutation }, { concurrent })).toMatchObject({
      kind: 'apply',
      status: 'applied',
      next: { kind: 'deleted', version: 5, values: stored },
    })
  })

  test('[ME-16] the tombstone of a folded delete has the values that it carried', () => {
    const outcome = merge(
      { op: 'delete', changes: { name: 'PC' }, base: { name: 'Laptop' } },
      { concurrent: new Set() },
    )
    expect(applied(outcome).next).toEqual({ kind: 'deleted', version: 5, values: { ...stored, name: 'PC' } })
  })

  test.each([['unknown'], [edited]] as const)(
    '[ME-17] a delete against an edit (%j) is a conflict unless a rule says otherwise',
    (concurrent) => {
      expect(merge({ op: 'delete' }, { concurrent })).toEqual({
        kind: 'conflict',
        reason: 'delete',
        fields: [],
        base: null,
        mine: null,
        theirs: stored,
      })
    },
  )

  test('[ME-17, ME-21] onDelete: delete deletes and keeps the edit', () => {
    const outcome = applied(
      merge({ op: 'delete' }, { concurrent: edited, collection: givenCollection({ onDelete: 'delete' }) }),
    )
    expect(outcome).toMatchObject({ status: 'merged', next: { kind: 'deleted' } })
    expect(outcome.decisions).toEqual([
      {
        field: 'name',
        rule: 'onDelete.delete',
        winner: 'mine',
        base: undefined,
        mine: null,
        theirs: 'Laptop',
        result: null,
      },
    ])
  })

  test('[ME-17] onDelete: edit keeps the record, with what the delete carried', () => {
    const carried = { op: 'delete', changes: { flag: true }, base: { flag: false } } as const
    const outcome = applied(
      merge(carried, { concurrent: edited, collection: givenCollection({ onDelete: 'edit' }) }),
    )
    expect(outcome).toMatchObject({
      status: 'merged',
      changed: ['flag'],
      next: { kind: 'live', values: { ...stored, flag: true } },
    })
    expect(outcome.decisions).toEqual([
      {
        field: 'name',
        rule: 'onDelete.edit',
        winner: 'theirs',
        base: undefined,
        mine: null,
        theirs: 'Laptop',
        result: 'Laptop',
      },
    ])
  })

  test('[ME-17] onDelete: edit says what stands, also in a field that the delete carried', () => {
    const carried = { op: 'delete', changes: { name: 'PC' }, base: { name: 'Laptop' } } as const
    const outcome = applied(
      merge(carried, { concurrent: 'unknown', collection: givenCollection({ onDelete: 'edit' }) }),
    )
    expect(outcome.next).toMatchObject({ kind: 'live', values: { name: 'PC' } })
    expect(outcome.decisions).toContainEqual(
      expect.objectContaining({ field: 'name', rule: 'onDelete.edit', winner: 'theirs', result: 'PC' }),
    )
  })

  test('[ME-17] onDelete: edit asks when what the delete carried is itself in dispute', () => {
    const carried = { op: 'delete', changes: { name: 'PC' }, base: { name: 'old' } } as const
    const outcome = merge(carried, { concurrent: edited, collection: givenCollection({ onDelete: 'edit' }) })
    expect(conflict(outcome)).toMatchObject({ reason: 'fields', fields: ['name'], mine: { name: 'PC' } })
  })
})

describe('strict', () => {
  const collectionOf = givenCollection({ strict: true, onDelete: 'delete' })
  const write = { changes: { name: 'PC' }, base: { name: 'Laptop' } }

  test.each<[string, Partial<MergeMutation>, MergeInput['concurrent'], string]>([
    ['somebody counted meanwhile', write, new Set(['stock']), 'conflict'],
    ['nobody can tell', write, 'unknown', 'conflict'],
    ['only the own chain came between', write, new Set(), 'apply'],
    ['the version is the one that was seen', { ...write, baseVersion: 5 }, 'unknown', 'apply'],
    ['it changes nothing', { changes: { name: 'Laptop' }, base: { name: 'x' } }, 'unknown', 'apply'],
    [
      'it creates what is there already',
      { op: 'create', baseVersion: 0, changes: { ...stored, flag: true } },
      new Set(),
      'conflict',
    ],
    ['an increment meets an edit', { increments: { stock: 1 } }, new Set(['name']), 'conflict'],
  ])('[ME-18] when %s', (_why, mutation, concurrent, kind) => {
    expect(merge(mutation, { concurrent, collection: collectionOf }).kind).toBe(kind)
  })

  test('[ME-18] the conflict is over every field of the mutation; a delete is one too', () => {
    const outcome = merge({ ...write, increments: { stock: 1 } }, { collection: collectionOf })
    expect(conflict(outcome)).toMatchObject({ reason: 'fields', fields: ['name', 'stock'] })
    expect(
      merge({ op: 'delete' }, { collection: collectionOf, concurrent: new Set(['stock']) }),
    ).toMatchObject({ kind: 'conflict', reason: 'delete' })
    expect(merge(write, { collection: collectionOf, current: gone })).toMatchObject({
      kind: 'conflict',
      reason: 'delete',
    })
  })
})

describe('the author’s own view', () => {
  const edit = givenMutation({
    changes: { name: 'PC' },
    increments: { stock: -1 },
    additions: { tags: ['c'] },
  })

  test.each<[string, MergeMutation, RecordSnapshot, unknown]>([
    [
      'an edit of a record that is there',
      edit,
      live,
      { kind: 'live', version: 5, values: { ...stored, name: 'PC', stock: 9, tags: ['a', 'b', 'c'] } },
    ],
    [
      'an edit of a deleted record',
      edit,
      gone,
      { kind: 'live', version: 6, values: { ...stored, name: 'PC', stock: 9, tags: ['a', 'b', 'c'] } },
    ],
    ['an edit of a record nobody knows', edit, absentRecord, absentRecord],
    ['a delete', givenMutation({ op: 'delete' }), live, { kind: 'deleted', version: 5, values: stored }],
    ['a delete of what is not there', givenMutation({ op: 'delete' }), absentRecord, absentRecord],
    [
      'a create over another',
      givenMutation({ op: 'create', changes: { ...stored, name: 'PC' } }),
      live,
      { kind: 'live', version: 5, values: { ...stored, name: 'PC' } },
    ],
  ])('[ME-19] shows %s', (_what, mutation, current, expected) => {
    expect(forceMine(items, mutation, current)).toEqual(expected)
  })
})

describe('explanations', () => {
  test('[ME-20] every rule explains itself in one sentence', () => {
    for (const field of items.fields) {
      expect(explainRule(field)).toMatch(/^[A-Z].*\.$/)
      expect(explainRule(field)).not.toMatch(/\. [A-Z]/)
    }
    expect(explainRule(items.fieldsByName.get('word')!)).toBe('The longer text stays.')
    expect(explainRule(items.fieldsByName.get('city')!)).toBe(
      'Merged as one with street, city: If both sides changed it, a person decides.',
    )
    expect(explainDelete(items)).toBe(
      'If one side deletes the record and the other edits it, a person decides.',
    )
  })
})
