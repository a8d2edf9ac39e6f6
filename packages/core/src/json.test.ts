import fc from 'fast-check'
import { expect, test } from 'vitest'
import { newUuid, isUuid } from './ids.ts'
import { canonicalJson, type Json, jsonDepth, jsonEqual } from './json.ts'

const anyJson = fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.parse(JSON.stringify(value)) as Json)

test('[VAL-7] canonical JSON is one text per value, and reads back as the value', () => {
  fc.assert(
    fc.property(anyJson, (value) => {
      expect(JSON.parse(canonicalJson(value))).toEqual(value)
      expect(canonicalJson(JSON.parse(canonicalJson(value)) as Json)).toBe(canonicalJson(value))
    }),
    { numRuns: 300, seed: 16 },
  )
  expect(canonicalJson({ b: [1, { d: null, c: '"' }], a: -0 })).toBe('{"a":0,"b":[1,{"c":"\\"","d":null}]}')
})

test.each<[Json | undefined, Json | undefined, boolean]>([
  [{ a: 1, b: 2 }, { b: 2, a: 1 }, true],
  [[1, 2], [2, 1], false],
  [{ a: null }, {}, false],
  ['1', 1, false],
  [null, undefined, false],
  [undefined, undefined, true],
])('[VAL-7] %j and %j are equal: %j', (left, right, expected) => {
  expect(jsonEqual(left, right)).toBe(expected)
})

test('depth is counted up to the limit and no further', () => {
  expect(jsonDepth('x', 5)).toBe(0)
  expect(jsonDepth([{ a: [] }], 5)).toBe(3)
  const deep: unknown = JSON.parse('['.repeat(5_000) + ']'.repeat(5_000))
  expect(jsonDepth(deep, 10)).toBe(11)
})

test('[VAL-1] ids made later sort later, and are UUIDs of version 7 in lower case', () => {
  const at = (ms: number): string => newUuid({ now: () => ms, randomBytes: (bytes) => bytes.fill(0xff) })
  expect(at(1_763_632_800_000)).toBe('019aa0b4-e100-7fff-bfff-ffffffffffff')
  expect(at(1) < at(2)).toBe(true)
  expect(isUuid(at(1))).toBe(true)
  expect(isUuid(at(1).toUpperCase())).toBe(false)
  expect(isUuid(null)).toBe(false)
})
