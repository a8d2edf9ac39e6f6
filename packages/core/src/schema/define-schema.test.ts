import { describe, expect, expectTypeOf, test } from 'vitest'
import { SyncError } from '../errors.ts'
import { limits } from '../limits.ts'
import { conflictsCollection } from './conflicts.ts'
import { collection, defineSchema } from './define-schema.ts'
import { collectionNamed, describeSchema } from './describe-schema.ts'
import {
  attachment,
  type AttachmentValue,
  boolean,
  counter,
  custom,
  decimal,
  type Field,
  integer,
  json,
  real,
  reference,
  set,
  text,
  timestamp,
  transitions,
} from './field.ts'
import type { CollectionsOf, IncrementOf, InsertOf, MembersOf, RowOf, TablesOf, UpdateOf } from './infer.ts'
import { parseScopeTemplate, scopesOfRow } from './scope-template.ts'

const schema = defineSchema({
  version: 3,
  collections: {
    warehouses: collection({ fields: { name: text() } }),
    items: collection({
      fields: {
        sku: text(),
        warehouseId: reference('warehouses'),
        stock: counter(),
        price: decimal(),
        location: text({ merge: 'latest', optional: true }),
        state: text({ merge: transitions({ draft: ['sent'], sent: ['paid', 'void'] }), default: 'draft' }),
        tags: set(text()),
        sizes: set(integer()),
        notes: text({ merge: 'paragraphs', default: '' }),
        street: text({ default: '' }),
        city: text({ default: '' }),
        photo: attachment(),
      },
      scope: 'warehouse:{warehouseId}',
      unique: [['warehouseId', 'sku'], { fields: ['sku'], onConflict: 'rename', ignoreCase: true }],
      indexes: [['warehouseId', 'stock']],
      groups: { address: { fields: ['street', 'city'], merge: 'latest' } },
    }),
  },
})

test('[SCH-1] a schema comes out with everything spelled out', () => {
  const items = schema.collections.get('items')!
  expect(items).toMatchObject({
    name: 'items',
    deletes: 'soft',
    strict: false,
    onDelete: 'ask',
    outbox: 'coalesce',
    priority: 0,
    unique: [
      { fields: ['warehouseId', 'sku'], onConflict: 'reject', ignoreCase: false },
      { fields: ['sku'], onConflict: 'rename', ignoreCase: true },
    ],
    groups: [{ name: 'address', fields: ['street', 'city'], merge: { rule: 'latest' } }],
  })
  expect(items.fieldsByName.get('city')?.group?.name).toBe('address')
  expect(items.fieldsByName.get('stock')).toMatchObject({ default: 0, merge: { rule: 'add' } })
  expect(items.fields.map((field) => field.name)).toEqual([...items.fieldsByName.keys()])
})

describe('[SCH-1, SCH-2, SCH-3, SCH-4, SCH-5, SCH-6, SCH-7, SCH-8] mistakes', () => {
  const fields = {
    name: text(),
    note: text({ optional: true }),
    n: integer(),
    stock: counter(),
    tags: set(text()),
    data: json(),
  }
  /** What JavaScript callers can write although the types forbid it. */
  const untyped = (value: unknown): Field => value as Field
  const withField = (name: string, field: Field): unknown => ({ things: { fields: { [name]: field } } })
  const withOptions = (options: object): unknown => ({ things: { fields, ...options } })

  test.each<[string, unknown, string, RegExp]>([
    ['SCH-2', { 'my things': { fields } }, 'my things', /a letter and then/],
    ['SCH-2', { '9things': { fields } }, '9things', /a letter and then/],
    ['SCH-2', { ['x'.repeat(64)]: { fields } }, 'x'.repeat(64), /at most 62/],
    ['SCH-2', { watch: { fields } }, 'watch', /reserved/],
    ['SCH-2', { Push: { fields } }, 'Push', /reserved/],
    ['SCH-2', { catch: { fields } }, 'catch', /reserved/],
    ['SCH-2', { toString: { fields } }, 'toString', /reserved/],
    ['SCH-2', { _conflicts: { fields } }, '_conflicts', /begin with _/],
    ['SCH-2', { holdfastThings: { fields } }, 'holdfastThings', /begin with _, holdfast/],
    ['SCH-2', { things: { fields }, Things: { fields } }, 'Things', /only in case/],
    ['SCH-2', withField('my-name', text()), 'things.my-name', /a letter and then/],
    ['SCH-2', withField('ID', text()), 'things.ID', /reserved/],
    ['SCH-2', withField('baseVersion', text()), 'things.baseVersion', /reserved/],
    ['SCH-2', withField('constructor', text()), 'things.constructor', /reserved/],
    ['SCH-2', withField('_x', text()), 'things._x', /begin with _/],
    ['SCH-2', { things: { fields: { name: text(), Name: text() } } }, 'things.Name', /only in case/],
    [
      'SCH-2',
      {
        things: {
          fields: Object.fromEntries(
            Array.from({ length: limits.collectionFields + 1 }, (_, n) => [`f${n}`, text()]),
          ),
        },
      },
      'things',
      /more than 200 fields/,
    ],
    [
      'SCH-3',
      withField('f', text({ merge: untyped('max') as never })),
      'things.f',
      /a text cannot merge by "max"; it can by ask/,
    ],
    [
      'SCH-3',
      withField('f', integer({ merge: untyped('paragraphs') as never })),
      'things.f',
      /integer cannot merge by "paragraphs"/,
    ],
    [
      'SCH-3',
      withField('f', boolean({ merge: untyped('min') as never })),
      'things.f',
      /boolean cannot merge by "min"/,
    ],
    [
      'SCH-3',
      withField('f', json({ merge: untyped('union') as never })),
      'things.f',
      /json cannot merge by "union"/,
    ],
    [
      'SCH-3',
      withField('f', untyped({ ...counter(), merge: { rule: 'latest' } })),
      'things.f',
      /counter cannot merge by "latest"; it can by add/,
    ],
    ['SCH-3', withField('f', untyped({ kind: 'varchar' })), 'things.f', /is no field/],
    [
      'SCH-3',
      withField('f', set(decimal() as Field<string>)),
      'things.f',
      /a set holds text\(\) or integer\(\)/,
    ],
    ['SCH-4', withField('f', text({ merge: transitions({}) })), 'things.f', /names no state/],
    [
      'SCH-4',
      withField('f', text({ merge: transitions({ a: ['b', 'b'] }) })),
      'things.f',
      /from "a" name a state twice/,
    ],
    ['SCH-4', withField('f', text({ merge: transitions({ a: ['a'] }) })), 'things.f', /its own next state/],
    ['SCH-4', withField('f', text({ merge: transitions({ a: [''] }) })), 'things.f', /needs a name/],
    [
      'SCH-4',
      withField('f', text({ merge: transitions({ a: ['b'] }), default: 'c' })),
      'things.f',
      /"c" is none of the states a, b/,
    ],
    [
      'SCH-4',
      withField('f', text({ merge: transitions({ a: ['b'] }), optional: true })),
      'things.f',
      /always has a state/,
    ],
    ['SCH-4', withField('f', text({ merge: custom(() => 'x', ' ') })), 'things.f', /one sentence/],
    [
      'SCH-4',
      withField('f', text({ merge: custom(untyped('x') as never, 'Why.') })),
      'things.f',
      /takes a function/,
    ],
    [
      'SCH-5',
      withField('f', reference('boxes')),
      'things.f',
      /refers to "boxes", which is no collection; there are things/,
    ],
    ['SCH-5', withField('f', integer({ default: 1.5 })), 'things.f', /the default must be a whole number/],
    [
      'SCH-5',
      withField('f', text({ maxLength: 2, default: 'abc' })),
      'things.f',
      /the default is longer than 2/,
    ],
    ['SCH-5', withField('f', text({ maxLength: 0 })), 'things.f', /maxLength must be/],
    ['SCH-5', withField('f', text({ maxLength: limits.textLength + 1 })), 'things.f', /maxLength is at most/],
    ['SCH-5', withField('f', text({ owner: 'server' })), 'things.f', /needs a default, or optional/],
    ['SCH-5', withField('f', text({ owner: untyped('me') as never })), 'things.f', /owner is/],
    ['SCH-5', withField('f', text({ validate: untyped({}) as never })), 'things.f', /Standard Schema/],
    ['SCH-6', withOptions({ groups: { pair: ['name'] } }), 'things.groups.pair', /at least two fields/],
    ['SCH-6', withOptions({ groups: { pair: ['name', 'nme'] } }), 'things.groups.pair', /nme is no field/],
    [
      'SCH-6',
      withOptions({ groups: { pair: ['name', 'name'] } }),
      'things.groups.pair',
      /name is in the group "pair" already/,
    ],
    [
      'SCH-6',
      withOptions({ groups: { one: ['name', 'n'], two: ['n', 'note'] } }),
      'things.groups.two',
      /n is in the group "one" already/,
    ],
    [
      'SCH-6',
      withOptions({ groups: { pair: ['name', 'stock'] } }),
      'things.groups.pair',
      /stock is a counter/,
    ],
    ['SCH-6', withOptions({ groups: { pair: ['name', 'tags'] } }), 'things.groups.pair', /tags is a set/],
    [
      'SCH-6',
      withOptions({ groups: { pair: { fields: ['name', 'n'], merge: 'max' } } }),
      'things.groups.pair',
      /merges by ask, latest, server/,
    ],
    ['SCH-6', withOptions({ groups: { 'a b': ['name', 'n'] } }), 'things.groups.a b', /a letter and then/],
    [
      'SCH-6',
      { things: { fields: { a: text({ merge: 'latest' }), b: text() }, groups: { pair: ['a', 'b'] } } },
      'things.groups.pair',
      /rule of its own/,
    ],
    [
      'SCH-6',
      {
        things: {
          fields: { a: text({ owner: 'server', default: '' }), b: text() },
          groups: { pair: ['a', 'b'] },
        },
      },
      'things.groups.pair',
      /set by the server alone/,
    ],
    ['SCH-7', withOptions({ scope: 'w:{nme}' }), 'things.scope', /names nme, which is no field/],
    [
      'SCH-7',
      withOptions({ scope: 'w:{data}' }),
      'things.scope',
      /names data, a json; a scope is made of text, integer, reference/,
    ],
    ['SCH-7', withOptions({ scope: 'w:{name' }), 'things.scope', /braces/],
    ['SCH-7', withOptions({ scope: '{name}' }), 'things.scope', /must begin with a word/],
    ['SCH-7', withOptions({ scope: '~user:{name}' }), 'things.scope', /must begin with a word/],
    ['SCH-7', withOptions({ scope: '*' }), 'things.scope', /must begin with a word/],
    ['SCH-7', withOptions({ scope: 'global' }), 'things.scope', /must begin with a word/],
    ['SCH-7', withOptions({ scope: 'w:{name}{n}' }), 'things.scope', /side by side/],
    ['SCH-7', withOptions({ scope: ['w:{name}', 'w:{name}'] }), 'things.scope', /twice/],
    ['SCH-8', withOptions({ unique: [['note']] }), 'things.unique', /\[note\] names note, which is optional/],
    ['SCH-8', withOptions({ unique: [['nme']] }), 'things.unique', /names nme, which is no field/],
    ['SCH-8', withOptions({ unique: [['data']] }), 'things.unique', /names data, a json/],
    ['SCH-8', withOptions({ unique: [['stock']] }), 'things.unique', /names stock, a counter/],
    ['SCH-8', withOptions({ unique: [[]] }), 'things.unique', /names no field/],
    ['SCH-8', withOptions({ unique: [['name', 'name']] }), 'things.unique', /names a field twice/],
    ['SCH-8', withOptions({ unique: [['name'], { fields: ['name'] }] }), 'things.unique', /declared twice/],
    [
      'SCH-8',
      withOptions({ unique: [{ fields: ['n'], onConflict: 'rename' }] }),
      'things.unique',
      /no text field that could be renamed/,
    ],
    [
      'SCH-8',
      withOptions({ scope: 'w:{name}', unique: [{ fields: ['n', 'name'], onConflict: 'rename' }] }),
      'things.unique',
      /no text field that could be renamed/,
    ],
    [
      'SCH-8',
      withOptions({ unique: [{ fields: ['n'], onConflict: 'merge' }] }),
      'things.unique',
      /onConflict is one of reject, rename, ask/,
    ],
    ['SCH-8', withOptions({ indexes: [['tags']] }), 'things.indexes', /names tags, a set/],
    ['SCH-8', withOptions({ indexes: [['name'], ['name']] }), 'things.indexes', /declared twice/],
    [
      'SCH-1',
      withOptions({ uniques: [] }),
      'things',
      /unknown option "uniques"; there are fields, scope, unique/,
    ],
    ['SCH-1', withOptions({ deletes: 'never' }), 'things', /deletes is one of soft, hard/],
    ['SCH-1', withOptions({ onDelete: 'server' }), 'things', /onDelete is one of ask, delete, edit/],
    ['SCH-1', withOptions({ outbox: 'fold' }), 'things', /outbox is one of coalesce, preserve/],
    ['SCH-1', withOptions({ strict: 'yes' }), 'things', /strict is one of true, false/],
    ['SCH-1', withOptions({ priority: 1.5 }), 'things', /priority must be a whole number/],
  ])('[%s] %# names the place and the remedy: %j', (_rule, collections, at, message) => {
    const error = mistake({ version: 1, collections })
    expect(error.code).toBe('SCHEMA_INVALID')
    expect(error.at).toBe(at)
    expect(error.message).toMatch(message)
  })

  test.each([0, 1.5, '1', undefined])('[SCH-1] version %j is refused', (version) => {
    expect(mistake({ version, collections: { things: { fields } } }).at).toBe('version')
  })

  test('[SCH-1] a schema without collections, or with too many, is refused', () => {
    const many = Object.fromEntries(
      Array.from({ length: limits.schemaCollections + 1 }, (_, n) => [`c${n}`, { fields }]),
    )
    expect(mistake({ version: 1, collections: {} }).code).toBe('SCHEMA_INVALID')
    expect(mistake({ version: 1, collections: many }).code).toBe('SCHEMA_INVALID')
  })

  test('[SCH-2] a collection without fields is refused', () => {
    const error = mistake({ version: 1, collections: { things: { fields: {} } } })
    expect([error.at, error.message]).toEqual(['things', 'things: has no field; declare at least one'])
  })

  function mistake(declaration: unknown): SyncError {
    try {
      defineSchema(declaration as Parameters<typeof defineSchema>[0])
    } catch (error) {
      if (error instanceof SyncError) return error
      throw error
    }
    throw new Error('the schema was accepted')
  }
})

describe('scopes of a row', () => {
  const templates = ['warehouse:{warehouseId}', 'region:{region}:{floor}'].map(
    (text) => parseScopeTemplate(text)!,
  )

  test.each([
    [{ warehouseId: 'w1', region: 'eu', floor: 2 }, ['region:eu:2', 'warehouse:w1']],
    [{ warehouseId: 'w1', region: null, floor: 2 }, ['warehouse:w1']],
    [{ warehouseId: null }, []],
    [{ warehouseId: 'x'.repeat(limits.scopeLength) }, []],
    [
      { warehouseId: '🏭'.repeat(limits.scopeLength - 10) },
      [`warehouse:${'🏭'.repeat(limits.scopeLength - 10)}`],
    ],
    [{ warehouseId: '🏭'.repeat(limits.scopeLength - 9) }, []],
  ])('[SCH-7] %j lies in %j', (values, scopes) => {
    expect(scopesOfRow(templates, values)).toEqual(scopes)
  })

  test('[SCH-7] rows of a collection without a scope are everybody’s', () => {
    expect(scopesOfRow([], { name: 'x' })).toEqual(['global'])
  })
})

test('[SCH-9] the same schema in another order has the same text; another rule has another', () => {
  const one = defineSchema({
    version: 1,
    collections: { a: { fields: { x: text(), y: integer() } }, b: { fields: { z: text() } } },
  })
  const two = defineSchema({
    version: 1,
    collections: { b: { fields: { z: text() } }, a: { fields: { y: integer(), x: text() } } },
  })
  const three = defineSchema({
    version: 1,
    collections: {
      b: { fields: { z: text() } },
      a: { fields: { y: integer(), x: text({ merge: 'latest' }) } },
    },
  })
  expect(describeSchema(one)).toBe(describeSchema(two))
  expect(describeSchema(one)).not.toBe(describeSchema(three))
})

test('[SCH-10] the system collection is found by name and is none of the app’s', () => {
  expect(collectionNamed(schema, '_conflicts')).toBe(conflictsCollection)
  expect(collectionNamed(schema, 'items')?.name).toBe('items')
  expect(collectionNamed(schema, 'nothing')).toBeUndefined()
  expect(schema.collections.has('_conflicts')).toBe(false)
  expect(conflictsCollection.fields.map((field) => field.name)).toEqual(
    'collection record kind status fields parts mutation author device createdAt resolution resolvedBy resolvedAt'.split(
      ' ',
    ),
  )
})

test('[SCH-11] types follow from the schema', () => {
  type Items = CollectionsOf<typeof schema>['items']
  expectTypeOf<RowOf<Items>['sku']>().toEqualTypeOf<string>()
  expectTypeOf<RowOf<Items>['location']>().toEqualTypeOf<string | null>()
  expectTypeOf<RowOf<Items>['tags']>().toEqualTypeOf<readonly string[]>()
  expectTypeOf<RowOf<Items>['sizes']>().toEqualTypeOf<readonly number[]>()
  expectTypeOf<RowOf<Items>['photo']>().toEqualTypeOf<AttachmentValue | null>()
  expectTypeOf<RowOf<Items>['_version']>().toEqualTypeOf<number>()
  expectTypeOf<{ sku: string; warehouseId: string; price: string }>().toExtend<InsertOf<Items>>()
  expectTypeOf<{ sku: string; warehouseId: string }>().not.toExtend<InsertOf<Items>>()
  expectTypeOf<{ price: number }>().not.toExtend<UpdateOf<Items>>()
  expectTypeOf<keyof IncrementOf<Items>>().toExtend<keyof Items>()
  expectTypeOf<IncrementOf<Items>['stock']>().toEqualTypeOf<number | undefined>()
  expectTypeOf<MembersOf<Items>['tags']>().toEqualTypeOf<readonly string[] | undefined>()
  expectTypeOf<keyof TablesOf<typeof schema>>().toEqualTypeOf<'items' | 'warehouses'>()
  const more = { a: boolean(), b: real(), c: timestamp({ optional: true }), d: json() }
  expectTypeOf<RowOf<typeof more>['a']>().toEqualTypeOf<boolean>()
  expectTypeOf<RowOf<typeof more>['b']>().toEqualTypeOf<number>()
  expectTypeOf<RowOf<typeof more>['c']>().toEqualTypeOf<string | null>()
})
