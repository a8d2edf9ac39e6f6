import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { limits } from '../limits.ts'
import { collection, defineSchema } from '../schema/define-schema.ts'
import { attachment, boolean, counter, integer, json, real, set, text } from '../schema/field.ts'
import { parseRowData } from '../values/parse-row-data.ts'
import { changeSchema } from './message-schemas.ts'
import type { PullResponse, PushResponse } from './messages.ts'
import {
  parseErrorResponse,
  parsePullRequest,
  parsePullResponse,
  parsePushRequest,
  parsePushResponse,
} from './parse-messages.ts'

const time = '2026-11-20T10:00:00.000Z'
const pushed: PushResponse = {
  serverTime: time,
  results: [
    {
      id: 'a',
      status: 'applied',
      version: 7,
      serverUpdatedAt: time,
      record: { id: 'r', name: 'x' },
      duplicate: true,
    },
    {
      id: 'b',
      status: 'conflict',
      version: null,
      serverUpdatedAt: null,
      conflict: { id: 'c', fields: ['name'], base: null, mine: { name: 'x' }, theirs: null },
    },
    {
      id: 'd',
      status: 'rejected',
      version: null,
      serverUpdatedAt: null,
      error: { code: 'UNIQUE_VIOLATION', message: 'taken', retry: 'never', field: 'sku' },
    },
    { id: 'e', status: 'held', version: null, serverUpdatedAt: null, heldBy: 'c' },
  ],
}
const change = {
  collection: 'items',
  record: 'r1',
  op: 'put',
  scope: 'global',
  version: 7,
  serverUpdatedAt: time,
  data: { name: 'x' },
} as const
const pulled: PullResponse = {
  changes: [
    change,
    { ...change, op: 'delete', data: undefined },
    { ...change, op: 'leave', data: undefined },
  ],
  outcomes: [{ id: 'a', seq: 18, covers: '18-19', status: 'applied', version: 7, serverUpdatedAt: time }],
  scopes: { version: '1', entered: ['w:1'], revoked: [] },
  cursor: 'abc',
  more: false,
}

/** The message after its way through JSON. */
function sent(message: unknown): unknown {
  return JSON.parse(JSON.stringify(message))
}

describe('messages', () => {
  test('[WI-1] what one side writes, the other reads as it was', () => {
    expect(parsePushResponse(sent(pushed))).toEqual(pushed)
    expect(parsePullResponse(sent(pulled))).toEqual(pulled)
    const push = {
      ack: '1-17,19',
      pending: { count: 3, oldestAt: null, highestSeq: 20 },
      mutations: [{ any: 'thing' }, 7],
    }
    expect(parsePushRequest(sent(push))).toEqual(push)
    const pull = { since: 'abc', limit: 10, scopes: ['w:1'], ack: '3' }
    expect(parsePullRequest(sent(pull))).toEqual(pull)
    expect(parsePullRequest({})).toEqual({})
    expect(parsePushRequest({ mutations: [] })).toEqual({ ack: '', mutations: [] })
  })

  test('[WI-1] members of a newer version are ignored', () => {
    expect(parsePushRequest({ ack: '', mutations: [], hint: 1 })).toEqual({ ack: '', mutations: [] })
    expect(parsePullResponse(sent({ ...pulled, hint: 1 }))).toEqual(pulled)
  })

  test.each<[(value: unknown) => unknown, unknown, string, string | undefined]>([
    [parsePushRequest, null, 'REQUEST_INVALID', undefined],
    [parsePushRequest, [], 'REQUEST_INVALID', 'mutations'],
    [parsePushRequest, {}, 'REQUEST_INVALID', 'mutations'],
    [parsePushRequest, { mutations: {} }, 'REQUEST_INVALID', 'mutations'],
    [parsePushRequest, { mutations: [], ack: '17-1' }, 'REQUEST_INVALID', undefined],
    [parsePushRequest, { mutations: [], ack: 'all' }, 'REQUEST_INVALID', 'ack'],
    [
      parsePushRequest,
      { mutations: [], pending: { count: -1, oldestAt: null, highestSeq: 0 } },
      'REQUEST_INVALID',
      'pending.count',
    ],
    [
      parsePushRequest,
      { mutations: Array.from({ length: limits.pushBatchMax + 1 }) },
      'REQUEST_TOO_LARGE',
      'mutations',
    ],
    [parsePullRequest, { limit: 0 }, 'REQUEST_INVALID', 'limit'],
    [parsePullRequest, { limit: limits.pullRowsMax + 1 }, 'REQUEST_INVALID', 'limit'],
    [parsePullRequest, { scopes: 'w:1' }, 'REQUEST_INVALID', 'scopes'],
    [parsePullRequest, { since: 7 }, 'REQUEST_INVALID', 'since'],
    [parsePullRequest, { settled: '1-2', settledKeys: '0123abcd' }, 'REQUEST_INVALID', 'settledKeys'],
    [parsePullRequest, { settled: '1', settledKeys: '0123abcg' }, 'REQUEST_INVALID', 'settledKeys'],
    [parsePullRequest, { decided: ['k1'] }, 'REQUEST_INVALID', 'decided.0'],
    [parsePullRequest, { settledKeys: '0123abcd' }, 'REQUEST_INVALID', 'settledKeys'],
    [parsePushResponse, '<html>Sign in</html>', 'RESPONSE_INVALID', undefined],
    [
      parsePushResponse,
      { ...pushed, results: [{ id: 'a', status: 'done' }] },
      'RESPONSE_INVALID',
      'results.0.status',
    ],
    [parsePullResponse, { ...pulled, cursor: undefined }, 'RESPONSE_INVALID', 'cursor'],
    [
      parsePullResponse,
      { ...pulled, changes: [change, { ...change, op: 'move' }] },
      'RESPONSE_INVALID',
      'changes.1',
    ],
    [
      parsePullResponse,
      { ...pulled, changes: [{ ...change, data: undefined }] },
      'RESPONSE_INVALID',
      'changes.0',
    ],
    [parseErrorResponse, { error: 'no' }, 'RESPONSE_INVALID', 'error'],
  ])('[WI-1] %#: the first mismatch is named', (parse, value, code, at) => {
    expect(() => parse(value)).toThrow(expect.objectContaining({ code, at }))
  })

  test('[WI-5] a page is checked without copying a change', () => {
    const page = { ...pulled, changes: [change] }
    expect(parsePullResponse(page).changes[0]).toBe(change)
  })

  test('[WI-5] the check by hand and the schema of a change agree', () => {
    const odd = fc.constantFrom<unknown[]>(
      null,
      'put',
      'have',
      'delete',
      'leave',
      'x',
      0,
      1.5,
      -1,
      {},
      [],
      true,
    )
    const member = (good: unknown): fc.Arbitrary<unknown> =>
      fc.oneof({ weight: 6, arbitrary: fc.constant(good) }, { weight: 1, arbitrary: odd })
    const anyChange = fc.record(
      {
        collection: member('items'),
        record: member('r'),
        op: member('have'),
        scope: member('s'),
        version: member(1),
        serverUpdatedAt: member(time),
        data: member({ a: 1 }),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(anyChange, (value) => {
        // Beyond the schema, which cannot say it: a put comes with its data. And an array is no object of fields.
        const isPutWithoutData = value.op === 'put' && value.data === undefined
        const expected = v.is(changeSchema, value) && !isPutWithoutData && !Array.isArray(value.data)
        const parse = (): unknown => parsePullResponse({ ...pulled, changes: [value] })
        if (expected) expect(parse).not.toThrow()
        else expect(parse).toThrow()
      }),
      { numRuns: 2_000, seed: 10 },
    )
  })

  test('[WI-6] a code of a newer server reads as SERVER_FAILED and keeps what to do next', () => {
    const error = {
      code: 'PLANET_UNALIGNED',
      message: 'x',
      retry: 'after_auth',
      retryAfterMs: 5,
      requestId: 'q',
    }
    expect(parseErrorResponse({ error })).toEqual({ error: { ...error, code: 'SERVER_FAILED' } })
    expect(parseErrorResponse({ error: { ...error, code: 'RATE_LIMITED' } }).error.code).toBe('RATE_LIMITED')
    expect(() => parseErrorResponse({ error: { ...error, retry: 'soon' } })).toThrow(
      expect.objectContaining({ at: 'error.retry' }),
    )
  })
})

describe('rows', () => {
  const fields = {
    name: text(),
    n: integer(),
    r: real(),
    b: boolean({ optional: true }),
    j: json(),
    c: counter(),
    s: set(text()),
    a: attachment(),
  }
  const items = defineSchema({ version: 1, collections: { items: collection({ fields }) } }).collections.get(
    'items',
  )!
  const row = {
    name: 'x',
    n: 1,
    r: 1.5,
    b: null,
    j: [1],
    c: 2,
    s: ['a'],
    a: { hash: 'x', size: 1 },
    created_at: time,
    updated_at: time,
    newer: 1,
  }

  test('[WI-5] a row whose kinds fit is given back as it is, newer members and missing ones included', () => {
    expect(parseRowData(items, row)).toBe(row)
    expect(parseRowData(items, {})).toEqual({})
  })

  test.each(['name', 'n', 'r', 'b', 'c', 's', 'a'])(
    '[WI-5] a row with another kind of value in %s is refused',
    (name) => {
      const value = name === 'name' ? 7 : 'text'
      expect(() => parseRowData(items, { ...row, [name]: value })).toThrow(
        expect.objectContaining({ code: 'RESPONSE_INVALID', at: `items.${name}` }),
      )
    },
  )

  test.each([null, [], 'x'])('[WI-5] %j is no row', (value) => {
    expect(() => parseRowData(items, value)).toThrow(expect.objectContaining({ code: 'RESPONSE_INVALID' }))
  })
})
