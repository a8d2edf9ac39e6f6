import { afterEach, describe, expect, test } from 'vitest'

import { formatOf } from './use-format.ts'

const zone = process.env['TZ']
afterEach(() => {
  if (zone === undefined) delete process.env['TZ']
  else process.env['TZ'] = zone
})

describe('values that a person decides between', () => {
  test.each([
    [0.12345, 0.123451, '0,12345'],
    [0.1, 0.1 + Number.EPSILON, '0,1'],
    [1e-30, 2e-30, '1e-30'],
    [1_234.5, 1_234.6, '1.234,5'],
  ])('[RE-9] %d and %d do not look alike', (one, other, text) => {
    const format = formatOf('de')
    const [left, right] = [format.exactNumber(one), format.exactNumber(other)]
    expect([left, left === right]).toEqual([text, false])
  })

  test.each([
    ['2026-11-20T10:00:00.000Z', '2026-11-20T10:01:00.000Z', '20 Nov 2026, 11:00'],
    ['2026-11-20T10:00:05.000Z', '2026-11-20T10:00:06.000Z', '20 Nov 2026, 11:00:05'],
    ['2026-11-20T10:00:05.120Z', '2026-11-20T10:00:05.121Z', '20 Nov 2026, 11:00:05.120'],
    ['2026-10-25T00:30:00.000Z', '2026-10-25T01:30:00.000Z', '25 Oct 2026, 02:30 CEST'],
    ['later', 'never', 'later'],
  ])('[RE-9] %s and %s do not look alike', (one, other, text) => {
    process.env['TZ'] = 'Europe/Berlin'
    const format = formatOf('en-GB')
    const [left, right] = [format.exactDateTime(one), format.exactDateTime(other)]
    expect([left, left === right]).toEqual([text, false])
  })
})
