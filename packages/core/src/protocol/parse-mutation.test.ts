import { describe, expect, test } from 'vitest'
import { limits } from '../limits.ts'
import { collection, defineSchema } from '../schema/define-schema.ts'
import { counter, decimal, integer, json, set, text } from '../schema/field.ts'
import { parseMutation } from './parse-mutation.ts'

const schema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: {
        name: text({ maxLength: 20 }),
        price: decimal({ default: '0' }),
        place: text({ merge: 'latest', optional: true }),
        stock: counter(),
        votes: counter({ owner: 'server' }),
        tags: set(text()),
        more: json({ optional: true }),
        extra: json({ optional: true }),
        third: json({ optional: true }),
        checked: integer({ owner: 'server', default: 0 }),
      },
    }),
  },
})
const id = '00000000-0000-7000-8000-000000000001'
const record = '00000000-0000-7000-8000-000000000002'
const at = '2026-11-20T10:00:00.000Z-0000-00000000-0000-7000-8000-000000000009'
const update = {
  id,
  seq: 18,
  collection: 'items',
  record,
  op: 'update',
  baseVersion: 41,
  changes: { name: 'PC' },
  base: { name: 'Laptop' },
  at,
  schema: 1,
}

describe('a mutation that fits', () => {
  test('[WI-2] empty members may be left out and are spelled out', () => {
    expect(parseMutation(schema, update)).toEqual({
      ...update,
      covers: '18',
      group: null,
      after: null,
      increments: {},
      additions: {},
      removals: {},
      ats: {},
      resolves: null,
    })
  })

  test('[WI-2] its values are in stored form, what was seen is not held to the bounds of today', () => {
    const seen = 'x'.repeat(30)
    const mutation = parseMutation(schema, {
      ...update,
      changes: { price: '+07.0' },
      base: { price: null, name: seen },
      additions: { tags: ['b', 'a', 'b'] },
      removals: { tags: ['z'] },
      increments: { stock: -2 },
      ats: { place: at },
    })
    expect(mutation).toMatchObject({
      changes: { price: '7.0' },
      base: { price: null, name: seen },
      additions: { tags: ['a', 'b'] },
      removals: { tags: ['z'] },
      increments: { stock: -2 },
      ats: { place: at },
    })
    expect(parseMutation(schema, JSON.parse(JSON.stringify(mutation)))).toEqual(mutation)
  })

  test('[WI-3] a create is complete once parsed', () => {
    const create = {
      ...update,
      op: 'create',
      baseVersion: 0,
      base: null,
      changes: { name: 'PC', checked: 0 },
      ats: { created_at: at },
    }
    const values = {
      name: 'PC',
      price: '0',
      place: null,
      stock: 0,
      votes: 0,
      tags: [],
      more: null,
      extra: null,
      third: null,
      checked: 0,
    }
    expect(parseMutation(schema, create).changes).toEqual(values)
  })

  test('[WI-4] covers of a fold are kept', () => {
    expect(parseMutation(schema, { ...update, covers: '18-19,21' }).covers).toBe('18-19,21')
  })

  test('a delete carries nothing, or plain fields', () => {
    expect(parseMutation(schema, { ...update, op: 'delete', changes: {}, base: null })).toMatchObject({
      op: 'delete',
      changes: {},
      base: null,
    })
    expect(parseMutation(schema, { ...update, op: 'delete' })).toMatchObject({
      changes: { name: 'PC' },
      base: { name: 'Laptop' },
    })
  })
})

describe('a mutation that does not fit is refused whole', () => {
  const big = 'x'.repeat(limits.jsonBytes - 2)

  test.each<[string, object, string, string | undefined]>([
    ['WI-2', { colection: 'items' }, 'MUTATION_INVALID', 'colection'],
    ['WI-2', { collection: 'boxes' }, 'MUTATION_INVALID', 'collection'],
    ['WI-2', { collection: '_conflicts' }, 'MUTATION_INVALID', 'collection'],
    ['WI-2', { id: 'm1' }, 'MUTATION_INVALID', 'id'],
    ['WI-2', { record: record.replace('8', 'A') }, 'MUTATION_INVALID', 'record'],
    ['WI-2', { seq: 0 }, 'MUTATION_INVALID', 'seq'],
    ['WI-2', { op: 'upsert' }, 'MUTATION_INVALID', 'op'],
    ['WI-2', { baseVersion: -1 }, 'MUTATION_INVALID', 'baseVersion'],
    ['WI-2', { at: '2026-11-20T10:00:00.000Z' }, 'MUTATION_INVALID', 'at'],
    ['WI-2', { at: at.replace('-20T', '-31T') }, 'MUTATION_INVALID', 'at'],
    ['WI-2', { ats: { name: at } }, 'MUTATION_INVALID', 'ats.name'],
    ['WI-2', { ats: { created_at: at } }, 'FIELD_UNKNOWN', 'items.created_at'],
    ['WI-2', { group: 7 }, 'MUTATION_INVALID', 'group'],
    ['WI-2', { changes: { nme: 'PC' } }, 'FIELD_UNKNOWN', 'items.nme'],
    ['WI-2', { changes: { constructor: 'PC' } }, 'FIELD_UNKNOWN', 'items.constructor'],
    ['WI-2', { changes: JSON.parse('{"__proto__":{"name":"PC"}}') }, 'FIELD_UNKNOWN', 'items.__proto__'],
    ['WI-2', { base: { nme: 'PC' } }, 'FIELD_UNKNOWN', 'items.nme'],
    ['WI-2', { changes: { name: 7 } }, 'VALUE_INVALID', 'items.name'],
    ['WI-2', { changes: { name: null } }, 'VALUE_INVALID', 'items.name'],
    ['WI-2', { changes: { name: 'x'.repeat(21) } }, 'VALUE_TOO_LARGE', 'items.name'],
    ['WI-2', { base: { name: 7 } }, 'VALUE_INVALID', 'items.name'],
    ['WI-2', { increments: { name: 1 } }, 'MUTATION_INVALID', 'items.name'],
    ['WI-2', { increments: { stock: 1.5 } }, 'VALUE_INVALID', 'items.stock'],
    ['WI-2', { additions: { stock: [1] } }, 'MUTATION_INVALID', 'items.stock'],
    ['WI-2', { additions: { tags: [7] } }, 'VALUE_INVALID', 'items.tags[0]'],
    ['WI-2', { additions: { tags: ['a'] }, removals: { tags: ['a'] } }, 'MUTATION_INVALID', 'tags'],
    ['WI-2', { changes: { stock: 1 }, increments: { stock: 1 } }, 'MUTATION_INVALID', 'stock'],
    ['WI-2', { op: 'delete', increments: { stock: 1 } }, 'MUTATION_INVALID', 'increments'],
    ['WI-2', { op: 'create' }, 'MUTATION_INVALID', 'base'],
    ['WI-3', { op: 'create', base: null, changes: { price: '1' } }, 'VALUE_INVALID', 'items.name'],
    [
      'WI-3',
      { op: 'create', base: null, changes: { name: 'x', checked: 1 } },
      'FIELD_SERVER_OWNED',
      'items.checked',
    ],
    ['WI-3', { changes: { checked: 0 } }, 'FIELD_SERVER_OWNED', 'items.checked'],
    ['WI-3', { increments: { votes: 1 } }, 'FIELD_SERVER_OWNED', 'items.votes'],
    ['WI-4', { covers: '17-18' }, 'MUTATION_INVALID', 'covers'],
    ['WI-4', { covers: '18,17' }, 'MUTATION_INVALID', 'covers'],
    ['FO-11', { folded: ['0197a1b2-0000-7000-8000-0000000000a2'] }, 'MUTATION_INVALID', 'folded'],
    ['WI-4', { covers: '18,19' }, 'MUTATION_INVALID', 'covers'],
    ['WI-4', { covers: '18-17' }, 'MUTATION_INVALID', 'covers'],
    ['WI-4', { covers: '' }, 'MUTATION_INVALID', 'covers'],
    ['WI-4', { covers: `18-${18 + limits.foldEntries}` }, 'MUTATION_INVALID', 'covers'],
    ['WI-4', { changes: { more: big, extra: big, third: 'x' } }, 'VALUE_TOO_LARGE', 'items'],
  ])('[%s] %#: %j', (_rule, part, code, place) => {
    expect(() => parseMutation(schema, { ...update, ...part })).toThrow(
      expect.objectContaining({ code, at: place }),
    )
  })

  test.each([null, 7, [], 'x', {}])('[WI-2] %j is no mutation', (value) => {
    expect(() => parseMutation(schema, value)).toThrow(expect.objectContaining({ code: 'MUTATION_INVALID' }))
  })
})
