import { errorTable, type ErrorCode, limits, SyncError } from '@holdfast/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { errorOfAnswer, failureOf, offlineDelayMs, parseRetryAfter, retryDelayMs } from './retry-policy.ts'

function answered(status: number, options: { mediaType?: string; body?: unknown; retryAfter?: string } = {}) {
  const { mediaType = 'text/plain', body, retryAfter = null } = options
  return errorOfAnswer({ status, mediaType, body, retryAfter, nowMs: 0 })
}

describe('an answer', () => {
  test.each([
    [0, 'CAPTIVE_PORTAL', 'offline'],
    [204, 'RESPONSE_INVALID', 'backoff'],
    [302, 'CAPTIVE_PORTAL', 'offline'],
    [400, 'REQUEST_INVALID', 'refused'],
    [401, 'AUTH_REQUIRED', 'pause'],
    [403, 'AUTH_REQUIRED', 'pause'],
    [404, 'RESPONSE_INVALID', 'backoff'],
    [407, 'CAPTIVE_PORTAL', 'offline'],
    [408, 'TIMEOUT', 'backoff'],
    [409, 'RESPONSE_INVALID', 'backoff'],
    [410, 'EPOCH_CHANGED', 'reset'],
    [413, 'REQUEST_TOO_LARGE', 'refused'],
    [418, 'RESPONSE_INVALID', 'backoff'],
    [422, 'REQUEST_INVALID', 'refused'],
    [425, 'RATE_LIMITED', 'backoff'],
    [426, 'SCHEMA_TOO_OLD', 'pause'],
    [429, 'RATE_LIMITED', 'backoff'],
    [500, 'SERVER_FAILED', 'backoff'],
    [502, 'SERVER_FAILED', 'backoff'],
    [503, 'SERVER_FAILED', 'backoff'],
    [504, 'TIMEOUT', 'backoff'],
    [511, 'CAPTIVE_PORTAL', 'offline'],
    [599, 'SERVER_FAILED', 'backoff'],
  ] as const)('[SY-3] with status %i and nothing of ours in it means %s', (status, code, kind) => {
    const error = answered(status)
    expect(error.code).toBe(code)
    expect(failureOf(error).kind).toBe(kind)
  })

  test('[SY-3] that is a web page in place of JSON is a captive portal', () => {
    expect(answered(200, { mediaType: 'text/html' }).code).toBe('CAPTIVE_PORTAL')
    expect(answered(502, { mediaType: 'text/html' }).code).toBe('SERVER_FAILED')
  })

  test('[SY-3] of our own protocol speaks for itself, whatever its status', () => {
    const body = { error: { code: 'ACCOUNT_MISMATCH', message: 'other', retry: 'after_auth' } }
    expect(failureOf(answered(403, { body }))).toEqual({
      kind: 'pause',
      code: 'ACCOUNT_MISMATCH',
      cause: 'account',
    })
    const busy = { error: { code: 'STORE_BUSY', message: 'busy', retry: 'backoff', retryAfterMs: 1_500 } }
    expect(failureOf(answered(503, { body: busy }))).toEqual({
      kind: 'backoff',
      code: 'STORE_BUSY',
      retryAfterMs: 1_500,
    })
  })

  test('[SY-3] every code there is has a failure, and so has anything else that is thrown', () => {
    for (const code of Object.keys(errorTable) as ErrorCode[]) {
      expect(failureOf(new SyncError(code, 'x')).code).toBe(code)
    }
    expect(failureOf(new Error('a defect'))).toEqual({ kind: 'backoff', code: 'CLIENT_DEFECT' })
  })
})

describe('waits', () => {
  test('[SY-4] double, stop at the cap, and are drawn from the whole range only then', () => {
    const wait = (failures: number, roll: number) =>
      retryDelayMs({ failures, roll, retryAfterMs: undefined }, limits)
    expect([1, 2, 3, 10, 11, 40].map((failures) => wait(failures, 1))).toEqual([
      1_000, 2_000, 4_000, 512_000, 900_000, 900_000,
    ])
    expect(wait(40, 0.5)).toBe(450_000)
    expect(wait(40, 0)).toBe(0)
  })

  test('[SY-4] are never shorter than Retry-After, and never longer than the cap', () => {
    expect(retryDelayMs({ failures: 1, roll: 0, retryAfterMs: 30_000 }, limits)).toBe(30_000)
    expect(retryDelayMs({ failures: 1, roll: 0.5, retryAfterMs: 30_000 }, limits)).toBe(30_250)
    expect(retryDelayMs({ failures: 1, roll: 0, retryAfterMs: 9e9 }, limits)).toBe(900_000)
  })

  test('[SY-4] are within their bounds for every number of failures and every roll', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (failures, roll) => {
          const retry = retryDelayMs({ failures, roll, retryAfterMs: undefined }, limits)
          const probe = offlineDelayMs(failures, roll, limits)
          expect(retry).toBeGreaterThanOrEqual(0)
          expect(retry).toBeLessThanOrEqual(limits.retryCapMs)
          expect(probe).toBeGreaterThanOrEqual(500)
          expect(probe).toBeLessThanOrEqual(limits.probeIntervalMs)
        },
      ),
      { seed: 7, numRuns: 500 },
    )
  })

  test('[SY-4] Retry-After is read as seconds and as a date; anything else is ignored', () => {
    const nowMs = Date.parse('2026-11-20T10:00:00.000Z')
    expect(parseRetryAfter('120', nowMs)).toBe(120_000)
    expect(parseRetryAfter('Fri, 20 Nov 2026 10:00:05 GMT', nowMs)).toBe(5_000)
    expect(parseRetryAfter('Fri, 20 Nov 2026 09:00:00 GMT', nowMs)).toBe(0)
    expect(parseRetryAfter('soon', nowMs)).toBeUndefined()
    expect(parseRetryAfter(null, nowMs)).toBeUndefined()
  })
})
