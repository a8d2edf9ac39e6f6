import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Hlc } from '../hlc.ts'
import { canonicalJson, type Json, type Values } from '../json.ts'
import { emptyPayload, type Payload, type RecordSnapshot } from '../mutation.ts'
import { collection, defineSchema } from '../schema/define-schema.ts'
import { counter, decimal, integer, set, text } from '../schema/field.ts'
import { payloadOfUpdate } from '../values/payload-of-update.ts'
import type { MergeMutation } from './merge-outcome.ts'
import { mergeRecord } from './merge-record.ts'

const schema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: {
        ask: text(),
        latest: text({ merge: 'latest' }),
        server: text({ merge: 'server' }),
        max: integer({ merge: 'max' }),
        min: decimal({ merge: 'min' }),
        notes: text({ merge: 'paragraphs' }),
        stock: counter(),
        tags: set(text()),
      },
    }),
  },
})
const items = schema.collections.get('items')!
const before: Values = {
  ask: 'a',
  latest: 'a',
  server: 'a',
  max: 5,
  min: '5',
  notes: 'a\n\nb',
  stock: 5,
  tags: ['a', 'b'],
}

interface Server {
  readonly values: Values
  readonly version: number
  readonly clocks: Readonly<Record<string, Hlc>>
}
const start: Server = { values: before, version: 1, clocks: {} }

const word = fc.constantFrom('a', 'b', 'c', 'd')
const wanted = fc.record<Values>(
  {
    ask: word,
    latest: word,
    server: word,
    max: fc.integer({ min: 0, max: 9 }),
    min: fc.constantFrom('1', '3.0', '3', '7.5', '9'),
    notes: fc.array(word, { minLength: 1, maxLength: 3 }).map((paragraphs) => paragraphs.join('\n\n')),
    stock: fc.integer({ min: 0, max: 20 }),
    tags: fc.uniqueArray(word).map((members) => members.sort()),
  },
  { requiredKeys: [] },
)

function givenEdit(want: Values, minute: number): MergeMutation {
  const at = `2026-11-20T10:${String(minute).padStart(2, '0')}:00.000Z-0000-d${minute}` as Hlc
  const payload: Payload = { ...emptyPayload, ...payloadOfUpdate(items, before, want) }
  return { op: 'update', baseVersion: 1, at, ats: {}, resolves: null, ...payload }
}

function receive(server: Server, mutation: MergeMutation): Server {
  const current: RecordSnapshot = { kind: 'live', version: server.version, values: server.values }
  const outcome = mergeRecord({
    collection: items,
    mutation,
    current,
    concurrent: 'unknown',
    clocks: server.clocks,
    fallbackStamp: '2026-11-20T09:00:00.000Z-0000--' as Hlc,
  })
  if (outcome.kind !== 'apply' || outcome.next.kind !== 'live') return server
  const version = server.version + (outcome.changed.length > 0 ? 1 : 0)
  return { values: outcome.next.values, version, clocks: { ...server.clocks, ...outcome.clocks } }
}

function permutations<Item>(list: readonly Item[]): readonly (readonly Item[])[] {
  if (list.length <= 1) return [list]
  return list.flatMap((item, index) => permutations(list.toSpliced(index, 1)).map((rest) => [item, ...rest]))
}

describe('any mutations of one base', () => {
  test('[ME-22] commutative rules leave the same in every order of arrival', () => {
    const commutative = ['latest', 'max', 'min', 'stock', 'tags']
    fc.assert(
      fc.property(fc.array(wanted, { minLength: 2, maxLength: 4 }), (wants) => {
        const edits = wants.map((want, index) =>
          givenEdit(
            Object.fromEntries(Object.entries(want).filter(([name]) => commutative.includes(name))),
            index + 1,
          ),
        )
        const results = permutations(edits).map((order) => order.reduce(receive, start))
        const texts = new Set(
          results.map(({ values, clocks }) => canonicalJson([normal(values), { ...clocks }])),
        )
        expect([...texts]).toHaveLength(1)
      }),
      { numRuns: 400, seed: 5 },
    )
  })

  test('[ME-22] of two values of a latest field, the newer stamp’s is there whatever arrived first', () => {
    const [older, newer] = [givenEdit({ latest: 'x' }, 1), givenEdit({ latest: 'y' }, 2)]
    expect([older, newer].reduce(receive, start).values.latest).toBe('y')
    expect([newer, older].reduce(receive, start).values.latest).toBe('y')
  })

  test('[ME-22] plain values that a mutation brought about are left alone when it comes again', () => {
    fc.assert(
      fc.property(wanted, wanted, (first, second) => {
        const plain = (want: Values): Values => ({
          ...want,
          stock: before.stock ?? 0,
          tags: before.tags ?? [],
        })
        const mine = givenEdit(plain(first), 2)
        const once = [givenEdit(plain(second), 1), mine].reduce(receive, start)
        const applied = mergeRecord({
          collection: items,
          mutation: mine,
          current: { kind: 'live', version: once.version, values: { ...once.values, ...mine.changes } },
          concurrent: 'unknown',
          clocks: once.clocks,
          fallbackStamp: mine.at,
        })
        expect(applied).toMatchObject({ kind: 'apply', changed: [], decisions: [] })
      }),
      { numRuns: 300, seed: 6 },
    )
  })

  test('[ME-2] both sides that made the same edit are of one mind', () => {
    fc.assert(
      fc.property(wanted, (want) => {
        const once = receive(start, givenEdit(want, 1))
        const { stock, tags, ...plain } = want
        void [stock, tags]
        const twice = receive(once, givenEdit(plain, 1))
        expect(twice).toEqual(once)
      }),
      { numRuns: 300, seed: 7 },
    )
  })

  test('[ME-21] a value that is no longer there is in a decision, a conflict, or was replaced knowingly', () => {
    fc.assert(
      fc.property(wanted, wanted, (first, second) => {
        const once = receive(start, givenEdit(first, 1))
        const mine = givenEdit(second, 2)
        const current: RecordSnapshot = { kind: 'live', version: once.version, values: once.values }
        const outcome = mergeRecord({
          collection: items,
          mutation: mine,
          current,
          concurrent: 'unknown',
          clocks: once.clocks,
          fallbackStamp: mine.at,
        })
        if (outcome.kind === 'conflict') {
          expect(outcome.mine).toMatchObject(mine.changes)
          return
        }
        if (outcome.kind !== 'apply' || outcome.next.kind !== 'live') throw new Error(outcome.kind)
        for (const [name, value] of Object.entries(mine.changes)) {
          const result = outcome.next.values[name]
          const theirs = once.values[name]
          const isKept = outcome.decisions.some((decision) => decision.field === name)
          const isPlain = same(result, value) && (same(theirs, before[name]) || same(theirs, value))
          expect(isKept || isPlain).toBe(true)
        }
      }),
      { numRuns: 400, seed: 8 },
    )
  })
})

/** '3' and '3.0' are one amount: which spelling stays is who came first. */
function normal(values: Values): Values {
  return { ...values, min: String(Number(values.min)) }
}

function same(left: Json | undefined, right: Json | undefined): boolean {
  return (
    canonicalJson(left ?? null) === canonicalJson(right ?? null) ||
    (left !== '' && Number(left) === Number(right))
  )
}
