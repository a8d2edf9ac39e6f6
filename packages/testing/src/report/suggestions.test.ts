import { describe, expect, test } from 'vitest'

import { givenSchema } from './given-report.ts'
import type { FieldFigures } from './report.ts'
import { suggest } from './suggestions.ts'

const nothing = { fields: [], deletes: [], unique: [] }

function field(name: string, met: number, more: Partial<FieldFigures> = {}): FieldFigures {
  return { collection: 'items', field: name, rule: 'ask', edits: 200, met, merged: 0, asked: met, ...more }
}

function suggestionsFor(...fields: readonly FieldFigures[]): readonly string[] {
  return suggest(givenSchema, { ...nothing, fields })
}

describe('what the figures suggest', () => {
  test.each([
    [
      field('status', 24),
      "`items.status` is `ask`, and 12 % of its edits meet another edit: if the newest may stand, declare `merge: 'latest'`; if it is prose, `merge: 'paragraphs'`.",
    ],
    [
      field('price', 40),
      '`items.price` is an integer that was set 40 times while somebody else set it too: if people add to it and take away, `counter()` keeps every change.',
    ],
    [
      field('details', 30),
      '`items.details` is JSON and merges as one, and 15 % of its edits meet another edit: fields of their own would meet less often.',
    ],
    [
      field('city', 30),
      "`items.city` merges as one with the rest of `address`, and 15 % of its edits meet another edit: if the newest may stand, give the group `merge: 'latest'`.",
    ],
    [
      field('shelf', 30, { rule: 'latest', merged: 30, asked: 0 }),
      '`items.shelf` is `latest`, and 15 % of its edits meet another edit, so that one of two is set aside: if none may be missed, leave it at `ask`.',
    ],
    [
      field('house', 30),
      "`items.house` merges as one with the rest of `address`, and 15 % of its edits meet another edit: if the newest may stand, give the group `merge: 'latest'`.",
    ],
    [
      field('floor', 30, { collection: 'wards' }),
      "`wards.floor` is `ask`, and 15 % of its edits meet another edit: if the newest may stand, declare `merge: 'latest'`.",
    ],
    [
      field('sku', 30),
      "`items.sku` is `ask`, and 15 % of its edits meet another edit: if the newest may stand, declare `merge: 'latest'`.",
    ],
    [
      field('item', 30, { collection: 'lines' }),
      "`lines.item` is `ask`, and 15 % of its edits meet another edit: if the newest may stand, declare `merge: 'latest'`.",
    ],
  ])('[SIM-78] on %j', (figures, sentence) => {
    expect(suggestionsFor(figures)).toEqual([sentence])
  })

  test('[SIM-78] a strict collection is spoken of once', () => {
    const [one, other] = ['level', 'site'].map((name) =>
      field(name, 30, { collection: 'permits', rule: 'strict' }),
    ) as [FieldFigures, FieldFigures]
    expect(suggestionsFor(one, other)).toEqual([
      '`permits` is `strict`, and 15 % of the edits of `level` wait for a person: without it only edits of the same field would.',
    ])
  })

  test.each([
    ['19 cases prove nothing', field('status', 19)],
    ['1 in a hundred is no trouble', field('status', 30, { edits: 3_000 })],
    ['a counter never is', field('stock', 100, { rule: 'add' })],
    [
      'latest that decides 9 in a hundred does its work',
      field('shelf', 90, { rule: 'latest', edits: 1_000 }),
    ],
  ])('[SIM-78] %s', (_, figures) => {
    expect(suggestionsFor(figures)).toEqual([])
  })

  test('[SIM-78] a share below ten in a hundred is told with one place', () => {
    expect(suggestionsFor(field('status', 25, { edits: 1_000 }))[0]).toContain('2.5 % of its edits')
  })

  test('[SIM-78] a unique key that refuses often might rename or ask', () => {
    const key = { collection: 'items', fields: ['site', 'sku'], policy: 'reject', count: 31 } as const
    expect(suggest(givenSchema, { ...nothing, unique: [key] })).toEqual([
      "unique [site, sku] of `items` refused 31 writes that wanted the key of another record: `onConflict: 'rename'` would keep both under two names, and `onConflict: 'ask'` would show both to a person.",
    ])
    expect(suggest(givenSchema, { ...nothing, unique: [{ ...key, fields: [] }] })).toEqual([
      "a unique key of `items` refused 31 writes that wanted the key of another record: `onConflict: 'ask'` would show both to a person.",
    ])
    expect(suggest(givenSchema, { ...nothing, unique: [{ ...key, policy: 'rename' }] })).toEqual([])
    expect(suggest(givenSchema, { ...nothing, unique: [{ ...key, count: 19 }] })).toEqual([])
  })

  test('[SIM-78] a key without a text that could be renamed is not told to rename', () => {
    const key = { collection: 'wards', fields: ['site', 'floor'], policy: 'reject', count: 31 } as const
    expect(suggest(givenSchema, { ...nothing, unique: [key] })).toEqual([
      "unique [site, floor] of `wards` refused 31 writes that wanted the key of another record: `onConflict: 'ask'` would show both to a person.",
    ])
  })

  test('[SIM-78] deletes that often meet edits might go one way', () => {
    const deletes = { collection: 'items', rule: 'ask', deletes: 50, merged: 0, asked: 20 } as const
    expect(suggest(givenSchema, { ...nothing, deletes: [deletes] })).toEqual([
      "a delete and an edit of `items` met 20 times, and a person was asked: `onDelete: 'edit'` would keep the record, `onDelete: 'delete'` would not.",
    ])
    expect(suggest(givenSchema, { ...nothing, deletes: [{ ...deletes, rule: 'edit' }] })).toEqual([])
    expect(suggest(givenSchema, { ...nothing, deletes: [{ ...deletes, asked: 19 }] })).toEqual([])
  })
})
