import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SyncError } from '../errors.ts'
import { limits } from '../limits.ts'
import {
  attachment,
  boolean,
  counter,
  decimal,
  type Field,
  integer,
  json,
  real,
  reference,
  set,
  text,
  timestamp,
} from '../schema/field.ts'
import { compareDecimals } from './decimal.ts'
import { parseFieldValue } from './parse-field-value.ts'
import { valuesEqual } from './values-equal.ts'

const uuid = '5e2f0000-0000-4000-8000-000000000000'
const hash = 'ab'.repeat(32)

/** The code and place of the error a call throws. */
function errorOf(call: () => unknown): { readonly code: string; readonly at: string | undefined } {
  try {
    call()
  } catch (error) {
    if (error instanceof SyncError) return { code: error.code, at: error.at }
    throw error
  }
  throw new Error('nothing was thrown')
}

function parse(field: Field, value: unknown): unknown {
  return parseFieldValue(field, value, 'items.f')
}

describe('[VAL-1, VAL-2, VAL-3, VAL-4, VAL-5, VAL-6, VAL-12, VAL-14] values in stored form', () => {
  test.each<[string, Field, unknown, unknown]>([
    ['VAL-1', reference('items'), uuid, uuid],
    ['VAL-2', text(), 'é\r\n 🙂 ', 'é\r\n 🙂 '],
    ['VAL-3', decimal(), '899.00', '899.00'],
    ['VAL-3', decimal(), '+007.50', '7.50'],
    ['VAL-3', decimal(), '-0.00', '0.00'],
    ['VAL-3', decimal(), '-000', '0'],
    ['VAL-3', decimal(), '9'.repeat(34), '9'.repeat(34)],
    ['VAL-4', timestamp(), '2026-11-20T10:00:00Z', '2026-11-20T10:00:00.000Z'],
    ['VAL-4', timestamp(), '2026-11-20T10:00:00.1239+01:30', '2026-11-20T08:30:00.123Z'],
    ['VAL-4', timestamp(), '2024-02-29T23:59-00:30', '2024-03-01T00:29:00.000Z'],
    ['VAL-4', timestamp(), '0050-01-01T00:00:00Z', '0050-01-01T00:00:00.000Z'],
    ['VAL-4', timestamp(), '0001-01-01T00:00:00.000Z', '0001-01-01T00:00:00.000Z'],
    ['VAL-5', set(text()), ['b', 'a', 'b', 'B'], ['B', 'a', 'b']],
    ['VAL-5', set(integer()), [10, 9, -1, 9], [-1, 9, 10]],
    ['VAL-6', json(), { b: [1, null, { c: 'x' }], a: -0 }, { b: [1, null, { c: 'x' }], a: 0 }],
    ['VAL-12', integer(), -9007199254740991, -9007199254740991],
    ['VAL-12', integer(), -0, 0],
    ['VAL-12', counter(), 12, 12],
    ['VAL-12', real(), 5e-324, 5e-324],
    ['VAL-12', real(), -0, 0],
    ['VAL-12', boolean(), false, false],
    ['VAL-10', text({ optional: true }), null, null],
    ['VAL-14', attachment(), { hash, size: 3, name: 'e\u0301.txt' }, { hash, size: 3, name: 'é.txt' }],
    ['VAL-14', attachment(), null, null],
  ])('[%s] %#: is kept, and reads back the same', (_rule, field, value, expected) => {
    expect(parse(field, value)).toStrictEqual(expected)
    expect(parse(field, expected)).toStrictEqual(expected)
  })

  test.each<[string, Field, unknown]>([
    ['VAL-1', reference('items'), uuid.toUpperCase()],
    ['VAL-1', reference('items'), 'LT-14'],
    ['VAL-2', text(), 'a\u0000b'],
    ['VAL-2', text(), 'half \ud800 pair'],
    ['VAL-2', text(), 7],
    ['VAL-2', text(), null],
    ['VAL-2', set(text()), ['\udfff']],
    ['VAL-2', json(), { 'a\u0000': 1 }],
    ['VAL-2', json(), ['\ud800']],
    ['VAL-3', decimal(), 899],
    ['VAL-3', decimal(), '1e3'],
    ['VAL-3', decimal(), '.5'],
    ['VAL-3', decimal(), '5.'],
    ['VAL-3', decimal(), '1,000'],
    ['VAL-3', decimal(), '9'.repeat(35)],
    ['VAL-3', decimal(), '0'.repeat(100_000)],
    ['VAL-4', timestamp(), '2026-11-20T10:00:00'],
    ['VAL-4', timestamp(), '2026-02-30T10:00:00Z'],
    ['VAL-4', timestamp(), '2026-11-20T24:00:00Z'],
    ['VAL-4', timestamp(), '2026-11-20'],
    ['VAL-4', timestamp(), '0000-01-01T00:00:00+01:00'],
    ['VAL-4', timestamp(), '0000-06-01T00:00:00.000Z'],
    ['VAL-4', timestamp(), '0001-01-01T00:00:00+00:01'],
    ['VAL-4', timestamp(), '9999-12-31T23:59:59-00:01'],
    ['VAL-4', timestamp(), 1_700_000_000_000],
    ['VAL-5', set(text()), 'a'],
    ['VAL-5', set(integer()), [1.5]],
    ['VAL-5', set(text()), [null]],
    ['VAL-6', json(), { a: undefined }],
    ['VAL-6', json(), [Number.NaN]],
    ['VAL-6', json(), new Date(0)],
    ['VAL-6', json(), () => 1],
    ['VAL-6', json(), [1n]],
    ['VAL-6', json(), JSON.parse('{"__proto__":{"isAdmin":true}}')],
    ['VAL-6', json(), Array.from({ length: 2 })],
    ['VAL-12', integer(), 2 ** 53],
    ['VAL-12', integer(), 1.5],
    ['VAL-12', integer(), '1'],
    ['VAL-12', counter(), Number.POSITIVE_INFINITY],
    ['VAL-12', real(), Number('1e400')],
    ['VAL-12', real(), Number.NaN],
    ['VAL-12', boolean(), 1],
    ['VAL-14', attachment(), { hash: 'x', size: 3 }],
    ['VAL-14', attachment(), { hash, size: -1 }],
    ['VAL-14', attachment(), { hash, size: 1, path: '/etc/passwd' }],
  ])('[%s] B55 %#: does not fit and is refused when it is written', (_rule, field, value) => {
    const error = errorOf(() => parse(field, value))
    expect(error.code).toBe('VALUE_INVALID')
    expect(error.at).toMatch(/^items\.f/)
  })

  test.each<[string, Field, unknown]>([
    ['VAL-2', text({ maxLength: 3 }), 'abcd'],
    ['VAL-2', text(), 'x'.repeat(limits.textLength + 1)],
    ['VAL-2', set(text({ maxLength: 3 })), ['abcd']],
    ['VAL-5', set(integer()), Array.from({ length: limits.setMembers + 1 }, (_, index) => index)],
    ['VAL-6', json(), 'é'.repeat(limits.jsonBytes / 2)],
    ['VAL-6', json(), JSON.parse('['.repeat(limits.jsonDepth + 1) + ']'.repeat(limits.jsonDepth + 1))],
  ])('[%s] %#: is over its limit and refused', (_rule, field, value) => {
    expect(errorOf(() => parse(field, value)).code).toBe('VALUE_TOO_LARGE')
  })

  test('[VAL-6] JSON as deep and as large as the limits say is kept', () => {
    const deep: unknown = JSON.parse('['.repeat(limits.jsonDepth) + ']'.repeat(limits.jsonDepth))
    expect(parse(json(), deep)).toEqual(deep)
    expect(parse(json(), 'x'.repeat(limits.jsonBytes - 2))).toHaveLength(limits.jsonBytes - 2)
  })

  test('[VAL-6] any JSON is kept as it is', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: true, maxDepth: 6 }), (value) => {
        const sent: unknown = JSON.parse(JSON.stringify(value))
        const hasProto = JSON.stringify(value).includes('__proto__')
        if (!hasProto && value !== null) expect(parse(json(), sent)).toEqual(sent)
      }),
      { numRuns: 300, seed: 1 },
    )
  })
})

describe('validators', () => {
  const upTo = (limit: number): NonNullable<Field['validate']> => ({
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value) =>
        Number(value) <= limit ? { value: 0 } : { issues: [{ message: `is over ${limit}` }] },
    },
  })

  test('[VAL-13] a validator refuses a value and changes none', () => {
    const field = integer({ validate: upTo(10) })
    expect(parse(field, 10)).toBe(10)
    expect(errorOf(() => parse(field, 11))).toEqual({ code: 'VALUE_INVALID', at: 'items.f' })
  })

  test('[VAL-13] null in an optional field is not for the validator', () => {
    const never: NonNullable<Field['validate']> = {
      '~standard': { version: 1, vendor: 'test', validate: () => ({ issues: [{ message: 'no' }] }) },
    }
    expect(parse(text({ optional: true, validate: never }), null)).toBeNull()
  })

  test('[VAL-13] a validator that answers later is a mistake in the schema', () => {
    const later: NonNullable<Field['validate']> = {
      '~standard': { version: 1, vendor: 'test', validate: (value) => Promise.resolve({ value }) },
    }
    expect(errorOf(() => parse(text({ validate: later }), 'x')).code).toBe('SCHEMA_INVALID')
  })
})

describe('equality', () => {
  test.each<[Field, unknown, unknown, boolean]>([
    [decimal(), '899.0', '899.00', true],
    [decimal(), '0', '0.000', true],
    [decimal(), '899.0', '899.01', false],
    [decimal(), '-1', '1', false],
    [timestamp(), '2026-11-20T10:00:00.000Z', '2026-11-20T11:00:00+01:00', true],
    [timestamp(), '2026-11-20T10:00:00.000Z', '2026-11-20T10:00:00.001Z', false],
    [set(text()), ['a', 'b'], ['b', 'a'], true],
    [set(text()), ['a'], ['a', 'b'], false],
    [json(), { a: 1, b: [2] }, { b: [2], a: 1 }, true],
    [json(), [1, 2], [2, 1], false],
    [text(), 'é', 'e\u0301', false],
    [text(), '', null, false],
    [text(), null, undefined, true],
    [integer(), 0, null, false],
  ])('[VAL-7] %#: %j', (field, left, right, expected) => {
    // The table holds JSON and undefined, which is what the function takes.
    expect(valuesEqual(field, left as string, right as string)).toBe(expected)
    expect(valuesEqual(field, right as string, left as string)).toBe(expected)
  })

  test('[VAL-7] decimals compare as the numbers they are', () => {
    const digits = fc.tuple(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), fc.nat({ max: 12 }))
    const spell = ([number, scale]: [bigint, number]): string => {
      const padded = (number < 0n ? -number : number).toString().padStart(scale + 1, '0')
      const whole = padded.slice(0, padded.length - scale)
      return `${number < 0n ? '-' : ''}${whole}${scale > 0 ? `.${padded.slice(-scale)}` : ''}`
    }
    fc.assert(
      fc.property(digits, digits, (left, right) => {
        const exact = left[0] * 10n ** BigInt(right[1]) - right[0] * 10n ** BigInt(left[1])
        expect(Math.sign(compareDecimals(spell(left), spell(right)))).toBe(
          exact < 0n ? -1 : exact > 0n ? 1 : 0,
        )
      }),
      { numRuns: 300, seed: 2 },
    )
  })
})
