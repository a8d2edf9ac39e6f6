import {
  collection,
  type CollectionSchema,
  defineSchema,
  integer,
  newUuid,
  parseInsert,
  parseUpdate,
  reference,
  type Schema,
  scopesOfRow,
  text,
  transitions,
  uniqueKeyText,
} from '@holdfast/core'
import { describe, expect, test } from 'vitest'

import { shopSchema } from '../end-to-end/shop-schema.ts'
import { SeededRandom } from '../seeded-random.ts'
import { markOf, marksIn, mixSchema, scopesOfTenant } from './mix-schema.ts'
import { placesOf } from './places.ts'
import { randomInsert, randomUpdate, type ValueSource } from './values.ts'

function givenSource(seed: number, scopes: readonly string[]): ValueSource {
  const random = new SeededRandom(seed)
  let count = 0
  return {
    random,
    mark: markOf(3),
    nonce: () => `${(count += 1)}`,
    nowMs: () => 1_800_000_000_000,
    scopes,
    pick: () => newUuid({ now: () => 0, randomBytes: (bytes) => random.fill(bytes) }),
  }
}

function collectionOf(schema: Schema, name: string): CollectionSchema {
  const found = schema.collections.get(name)
  if (!found) throw new Error(`no collection ${name}`)
  return found
}

/** Texts in a value, at whatever depth; keys of objects are the app's own. */
function textsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : []
}

describe('the mix schema', () => {
  test('[SIM-20] the mix schema has every kind of field, every merge rule and every option', () => {
    const collections = [...mixSchema.collections.values()]
    const fields = collections.flatMap((each) => each.fields)
    expect([...new Set(fields.map(({ kind }) => kind))].toSorted()).toEqual([
      'attachment',
      'boolean',
      'counter',
      'decimal',
      'integer',
      'json',
      'real',
      'reference',
      'set',
      'text',
      'timestamp',
    ])
    expect([...new Set(fields.map(({ merge }) => merge.rule))].toSorted()).toEqual([
      'add',
      'ask',
      'custom',
      'latest',
      'max',
      'min',
      'paragraphs',
      'server',
      'transitions',
      'union',
    ])
    expect(new Set(collections.flatMap(({ unique }) => unique.map(({ onConflict }) => onConflict)))).toEqual(
      new Set(['reject', 'rename', 'ask']),
    )
    expect(new Set(collections.map(({ onDelete }) => onDelete))).toEqual(new Set(['ask', 'delete', 'edit']))
    expect(new Set(collections.map(({ deletes }) => deletes))).toEqual(new Set(['soft', 'hard']))
    expect(new Set(collections.map(({ outbox }) => outbox))).toEqual(new Set(['coalesce', 'preserve']))
    expect(collections.filter(({ strict }) => strict).map(({ name }) => name)).toEqual(['permits'])
    expect(collections.filter(({ scopes }) => scopes.length > 1).map(({ name }) => name)).toEqual([
      'handovers',
    ])
    expect(collections.flatMap(({ groups }) => groups.map(({ name }) => name))).toEqual(['address', 'place'])
    expect(new Set(fields.map(({ owner }) => owner))).toEqual(new Set(['anyone', 'server']))
  })
})

describe('marks', () => {
  test.each([
    ['{"a":"§t0§1 bolt","b":"§t12§x","c":"§t0§2"}', ['t0', 't12']],
    ['§t0§§t1§', ['t0', 't1']],
    ['§ 5 and §§ and §t1 and §x1§ and §t§', []],
    ['§t1§t2§', ['t1', 't2']],
    ['', []],
  ])('[SIM-21] in %j are the marks %j, in text and in bytes', (content, marks) => {
    expect(marksIn(content)).toEqual(marks)
    expect(marksIn(new TextEncoder().encode(`\u00ff${content}`).subarray(2))).toEqual(marks)
  })
})

describe('values', () => {
  test.each([
    ['mix', mixSchema, scopesOfTenant(3)],
    ['shop', shopSchema as Schema, ['site:north', 'site:south']],
  ])('[SIM-22] values for the %s schema are taken as they are', (_name, schema, scopes) => {
    for (const each of schema.collections.values()) {
      const source = givenSource(7, scopes)
      for (let round = 0; round < 400; round++) {
        const row = randomInsert(each, source)
        expect(row).toBeDefined()
        const { values } = parseInsert(each, row)
        expect(values).toMatchObject(row ?? {})
        expect(scopesOfRow(each.scopes, values).some((scope) => scopes.includes(scope))).toBe(true)
        const changes = randomUpdate(each, values, { count: 1 + (round % 4), source })
        expect(parseUpdate(each, changes)).toEqual(changes)
      }
    }
  })

  test('[SIM-21] every text a person makes up says whose it is', () => {
    let count = 0
    for (const each of mixSchema.collections.values()) {
      const source = givenSource(11, scopesOfTenant(3))
      for (let round = 0; round < 200; round++) {
        const row = randomInsert(each, source) ?? {}
        for (const field of each.fields) {
          const isFree = field.merge.rule !== 'transitions' && !['site', 'with'].includes(field.name)
          const isText = field.kind === 'text' || field.kind === 'json' || field.kind === 'set'
          if (!isText || !isFree) continue
          const texts = textsIn(row[field.name])
          for (const each of texts) expect(marksIn(each)).toEqual(['t3'])
          count += texts.length
        }
      }
    }
    expect(count).toBeGreaterThan(2_000)
  })

  test('[SIM-22] steps of a state machine are those that are allowed', () => {
    const jobs = collectionOf(mixSchema, 'jobs')
    const source = givenSource(5, scopesOfTenant(0))
    const steps = new Set<string>()
    for (const state of ['draft', 'open', 'done', 'void']) {
      for (let round = 0; round < 60; round++) {
        const row = { ...randomInsert(jobs, source), state }
        const next = randomUpdate(jobs, row, { count: 99, source })['state']
        if (typeof next === 'string') steps.add(`${state} ${next}`)
      }
    }
    expect([...steps].toSorted()).toEqual(['done open', 'draft open', 'open done', 'open void'])
  })

  test('[SIM-22] values of unique keys collide', () => {
    const keys = collectionOf(mixSchema, 'keys')
    const [key] = keys.unique
    const source = givenSource(9, scopesOfTenant(0))
    const taken = new Set<string | undefined>()
    for (let round = 0; round < 500; round++) {
      taken.add(key && uniqueKeyText(keys, key, { ...randomInsert(keys, source) }))
    }
    expect(taken.size).toBe(36)
  })

  test('[SIM-22] what can have no value makes no row: no record to refer to, a validator that never agrees', () => {
    const lines = collectionOf(mixSchema, 'lines')
    const source = { ...givenSource(1, scopesOfTenant(0)), pick: () => undefined }
    expect(randomInsert(lines, source)).toBeUndefined()
    const never = {
      '~standard': { version: 1, vendor: 'test', validate: () => ({ issues: [{ message: 'no' }] }) },
    } as const
    const things = defineSchema({
      version: 1,
      collections: { things: collection({ fields: { a: text({ validate: never }) } }) },
    })
    expect(randomInsert(collectionOf(things, 'things'), source)).toBeUndefined()
  })

  test('[SIM-22] text is cut to its field and never inside a letter', () => {
    const things = defineSchema({
      version: 1,
      collections: {
        things: collection({ fields: { a: text({ maxLength: 15 }), b: text({ maxLength: 3 }) } }),
      },
    })
    const each = collectionOf(things, 'things')
    const source = givenSource(2, [])
    for (let round = 0; round < 500; round++) parseInsert(each, randomInsert(each, source))
  })
})

describe('places', () => {
  const schema = defineSchema({
    version: 1,
    collections: {
      things: collection({
        fields: {
          a: text(),
          n: integer(),
          by: reference('things', { optional: true }),
          s: text({ merge: transitions({ x: [] }) }),
        },
        scope: ['team:{a}', 'room:{a}/{n}.', 'thing:{by}'],
      }),
    },
  })
  const things = collectionOf(schema, 'things')

  test('[SIM-22] templates are turned round: a scope gives the values that lie in it', () => {
    const id = '11111111-1111-7111-8111-111111111111'
    const scopes = [
      'team:red',
      'room:red/7.',
      'room:red/x.',
      'room:red/7',
      `thing:${id}`,
      'thing:none',
      'team:',
      'global',
      '*',
    ]
    expect(placesOf(things, scopes)).toEqual([[{ a: 'red' }], [{ a: 'red', n: 7 }], [{ by: id }]])
    expect(placesOf(things, scopes)).toBe(placesOf(things, scopes))
  })
})
