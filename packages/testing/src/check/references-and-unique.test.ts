import { collection, defineSchema, reference, text } from '@holdfast/core'
import { describe, expect, test } from 'vitest'

import { factsOf } from './facts-of.ts'
import { givenHistory, givenRow } from './given-history.ts'
import { referencesAndUnique } from './references-and-unique.ts'

const facts = factsOf(
  defineSchema({
    version: 1,
    collections: {
      boxes: collection({ fields: { name: text() } }),
      items: collection({
        fields: {
          box: reference('boxes', { optional: true }),
          code: text({ optional: true }),
          label: text({ optional: true }),
        },
      }),
      badges: collection({
        fields: { code: text(), label: text() },
        unique: [['code'], { fields: ['label'], ignoreCase: true }],
      }),
    },
  }),
)
const checker = referencesAndUnique(facts)
const box = { collection: 'boxes', record: 'b1' }
const badge = (...rows: readonly [string, string][]) => ({
  server: {
    collections: { badges: rows.map(([code, label], at) => givenRow(`r${at}`, at + 1, { code, label })) },
  },
})

test('[SIM-83] the facts of a schema are its references and unique keys, its scopes, groups, counters and sets, and strictness', () => {
  expect(facts['items']).toEqual({
    references: { box: 'boxes' },
    unique: [],
    scopes: [],
    groups: [],
    adding: [],
    defaults: {},
    isStrict: false,
  })
  expect(facts['badges']).toEqual({
    references: {},
    unique: [
      { fields: ['code'], ignoresCase: false },
      { fields: ['label'], ignoresCase: true },
    ],
    scopes: [],
    groups: [],
    adding: [],
    defaults: {},
    isStrict: false,
  })
})

describe('broken rules', () => {
  test('[SIM-83] a reference to what is not there, was deleted, or was never', () => {
    const message = 'line 1 makes box of items/r1 refer to boxes/b1, which is not there'
    const write = { op: 'create', changes: { box: 'b1' } } as const
    expect(givenHistory().write(1, write).send(1).rule(1).end().found(checker)).toEqual([message])
    const gone = givenHistory()
      .line({ ...box, op: 'create' })
      .line({ ...box, op: 'delete' })
      .write(1, write)
      .send(1)
      .rule(1)
    expect(gone.end().found(checker)).toEqual([message.replace('line 1', 'line 3')])
  })

  test('[SIM-83] a reference to what only a later transaction makes, in the same batch as well', () => {
    const history = givenHistory()
      .write(1, { op: 'create', changes: { box: 'b1' }, group: 'g1' })
      .write(2, { op: 'create', record: 'r2', group: 'g1' })
      .write(3, { ...box, op: 'create' })
    for (const seq of [1, 2, 3]) history.send(seq)
    for (const seq of [1, 2, 3]) history.rule(seq)
    const message = 'line 1 makes box of items/r1 refer to boxes/b1, which is not there'
    expect(history.end().found(checker)).toEqual([message])
  })

  test('[SIM-83] two records with one key, also in another case or form of Unicode', () => {
    expect(
      givenHistory()
        .end(badge(['a', 'x'], ['a', 'y']))
        .found(checker),
    ).toEqual(['badges/r0 and badges/r1 have the same code: ["a"]'])
    expect(
      givenHistory()
        .end(badge(['a', 'Straße'], ['b', 'STRASSE']))
        .found(checker),
    ).toHaveLength(1)
    expect(
      givenHistory()
        .end(badge(['caf\u00e9', 'x'], ['cafe\u0301', 'y']))
        .found(checker),
    ).toHaveLength(1)
  })
})

describe('rules that hold', () => {
  test('[SIM-83] a parent that is made in the same transaction, and one that is deleted later, in the same batch as well', () => {
    const history = givenHistory()
      .write(1, { op: 'create', changes: { box: 'b1' }, group: 'g1' })
      .write(2, { ...box, op: 'create', group: 'g1' })
      .write(3, { ...box, op: 'delete' })
    for (const seq of [1, 2, 3]) history.send(seq)
    for (const seq of [1, 2, 3]) history.rule(seq)
    expect(history.end().found(checker)).toEqual([])
  })

  test('[SIM-83] an edit that goes with the deletion after it', () => {
    const history = givenHistory()
      .line({ op: 'create' })
      .line({ op: 'delete', mutation: 'm1', user: 'u1', after: { box: 'b9' } })
    expect(history.end().found(checker)).toEqual([])
  })

  test('[SIM-83] what others write beside the server', () => {
    const history = givenHistory().line({ op: 'create', after: { box: 'b9' } })
    history.line({ collection: 'badges', record: 'r1', op: 'create', after: { code: 'a', label: 'y' } })
    expect(history.end(badge(['a', 'x'], ['a', 'y'])).found(checker)).toEqual([])
  })

  test('[SIM-83] keys that differ in case where case counts, and fields that are empty', () => {
    expect(
      givenHistory()
        .end(badge(['a', 'x'], ['A', 'y']))
        .found(checker),
    ).toEqual([])
    const rows = [
      givenRow('r1', 1, { code: null, label: 'x' }),
      givenRow('r2', 2, { code: null, label: 'y' }),
    ]
    expect(
      givenHistory()
        .end({ server: { collections: { badges: rows } } })
        .found(checker),
    ).toEqual([])
  })
})
