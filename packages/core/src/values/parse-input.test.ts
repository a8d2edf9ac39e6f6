import { describe, expect, test } from 'vitest'
import { collection, defineSchema } from '../schema/define-schema.ts'
import { counter, decimal, integer, json, reference, set, text } from '../schema/field.ts'
import type { CollectionSchema } from '../schema/schema.ts'
import { parseInsert, parseUpdate } from './parse-input.ts'
import { payloadOfUpdate } from './payload-of-update.ts'
import { normaliseKeyText, uniqueKeyText } from './unique-key.ts'

const id = '5e2f0000-0000-4000-8000-000000000000'
const schema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: {
        name: text(),
        price: decimal({ default: '0.00' }),
        note: text({ optional: true }),
        stock: counter(),
        tags: set(text()),
        street: text({ default: '' }),
        city: text({ default: '', optional: true }),
        approved: integer({ owner: 'server', default: 0 }),
        more: json({ optional: true }),
        box: reference('items', { optional: true }),
      },
      groups: { address: ['street', 'city'] },
      unique: [['name'], { fields: ['name', 'price'], ignoreCase: true }],
    }),
  },
})
const items: CollectionSchema = schema.collections.get('items')!
const empty = { changes: {}, base: {}, increments: {}, additions: {}, removals: {} }

describe('what an app writes', () => {
  test('[VAL-10] an insert gives every field a value in stored form', () => {
    expect(parseInsert(items, { id, name: 'Laptop', tags: ['b', 'a'], price: '007' })).toEqual({
      id,
      values: {
        name: 'Laptop',
        price: '7',
        note: null,
        stock: 0,
        tags: ['a', 'b'],
        street: '',
        city: '',
        approved: 0,
        more: null,
        box: null,
      },
    })
  })

  test('[VAL-10] a null that is given stays null, also where there is a default', () => {
    const fields = { name: text({ optional: true, default: 'x' }) }
    const things = defineSchema({ version: 1, collections: { things: { fields } } }).collections.get(
      'things',
    )!
    expect([parseInsert(things, {}).values, parseInsert(things, { name: null }).values]).toEqual([
      { name: 'x' },
      { name: null },
    ])
  })

  test.each([
    ['VAL-9', { name: 'x', nme: 'y' }, 'FIELD_UNKNOWN', 'items.nme'],
    ['VAL-9', { name: 'x', constructor: 'y' }, 'FIELD_UNKNOWN', 'items.constructor'],
    ['VAL-9', { name: 'x', approved: 1 }, 'FIELD_SERVER_OWNED', 'items.approved'],
    ['VAL-10', { price: '1' }, 'VALUE_INVALID', 'items.name'],
    ['VAL-1', { name: 'x', id: id.toUpperCase() }, 'VALUE_INVALID', 'items.id'],
    ['VAL-10', null, 'VALUE_INVALID', 'items'],
  ])('[%s] an insert of %j is refused with %s at %s', (_rule, input, code, at) => {
    expect(() => parseInsert(items, input)).toThrow(expect.objectContaining({ code, at }))
  })

  test('[VAL-9] an update gives the changed fields in stored form and passes over undefined', () => {
    expect(parseUpdate(items, { price: '+5', note: null, name: undefined })).toEqual({
      price: '5',
      note: null,
    })
    expect(() => parseUpdate(items, { approved: 1 })).toThrow(
      expect.objectContaining({ code: 'FIELD_SERVER_OWNED' }),
    )
    expect(() => parseUpdate(items, { id })).toThrow(expect.objectContaining({ code: 'FIELD_UNKNOWN' }))
    expect(() => parseUpdate(items, { name: null })).toThrow(
      expect.objectContaining({ code: 'VALUE_INVALID' }),
    )
  })
})

describe('[VAL-11] the payload of an update', () => {
  const { values: before } = parseInsert(items, { name: 'Laptop', price: '5.0', stock: 10, tags: ['a', 'b'] })

  test.each([
    [
      'fields that differ, with what was seen',
      { name: 'PC', price: '5.00' },
      { changes: { name: 'PC' }, base: { name: 'Laptop' } },
    ],
    ['a counter as the difference', { stock: 7 }, { increments: { stock: -3 } }],
    [
      'a set as what came and went',
      { tags: ['b', 'c'] },
      { additions: { tags: ['c'] }, removals: { tags: ['a'] } },
    ],
    [
      'a group whole',
      { city: 'Bern' },
      { changes: { street: '', city: 'Bern' }, base: { street: '', city: '' } },
    ],
    [
      'two fields of a group once',
      { city: 'Bern', street: 'A 1' },
      { changes: { street: 'A 1', city: 'Bern' }, base: { street: '', city: '' } },
    ],
    [
      'nulls of a group as they are wanted',
      { street: 'A 1', city: null },
      { changes: { street: 'A 1', city: null }, base: { street: '', city: '' } },
    ],
    ['nothing that is equal', { name: 'Laptop', stock: 10, tags: ['b', 'a'] }, {}],
  ])('holds %s', (_what, wanted, expected) => {
    expect(payloadOfUpdate(items, before, wanted)).toEqual({ ...empty, ...expected })
  })
})

describe('unique keys', () => {
  const [byName, byBoth] = items.unique

  test('[VAL-8] B57: a name typed in two Unicode forms is one key', () => {
    expect(normaliseKeyText('e\u0301', false)).toBe('é')
    expect(uniqueKeyText(items, byName!, { name: 'Cafe\u0301' })).toBe(
      uniqueKeyText(items, byName!, { name: 'Café' }),
    )
    expect(parseUpdate(items, { name: 'Cafe\u0301' })).toEqual({ name: 'Cafe\u0301' })
  })

  test.each([
    ['LT-14', 'lt-14'],
    ['STRASSE', 'straße'],
    ['ΣΑΣ', 'σας'],
    ['É', 'e\u0301'],
  ])('[VAL-8] %s and %s are one key without regard to case, and two otherwise', (left, right) => {
    expect(normaliseKeyText(left, true)).toBe(normaliseKeyText(right, true))
    expect(normaliseKeyText(left, false)).not.toBe(normaliseKeyText(right, false))
  })

  test('[VAL-8] amounts collide, not spellings; null collides with nothing', () => {
    expect(uniqueKeyText(items, byBoth!, { name: 'A', price: '5.00' })).toBe(
      uniqueKeyText(items, byBoth!, { name: 'a', price: '5' }),
    )
    expect(uniqueKeyText(items, byBoth!, { name: 'a', price: '50' })).not.toBe(
      uniqueKeyText(items, byBoth!, { name: 'a', price: '5' }),
    )
    expect(uniqueKeyText(items, byBoth!, { name: 'a', price: null })).toBeUndefined()
  })

  test('[VAL-8] parts of a key cannot run into each other', () => {
    const key = { fields: ['street', 'city'], onConflict: 'reject', ignoreCase: false } as const
    expect(uniqueKeyText(items, key, { street: 'a","b', city: 'c' })).not.toBe(
      uniqueKeyText(items, key, { street: 'a', city: 'b","c' }),
    )
  })
})
