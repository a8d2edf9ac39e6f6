import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { clampHlc, formatHlc, type HlcState, hlcOfTime, parseHlc, tickHlc } from './hlc.ts'

const noon = Date.parse('2026-11-20T12:00:00.000Z')
const skewMs = 300_000
const anyMs = fc.oneof(
  fc.integer({ min: 0, max: noon * 2 }),
  fc.constantFrom(0, -5, 1.5, noon, noon + 1, 8.64e15, Number.MAX_SAFE_INTEGER),
)
const anyState = fc.record<HlcState>({
  ms: fc.integer({ min: 0, max: noon * 2 }),
  counter: fc.constantFrom(0, 1, 0xfffe, 0xffff),
})
const devices = fc.constantFrom('a', 'b', '5e2f0000-0000-4000-8000-000000000000')

describe('stamps', () => {
  test('[HLC-1] a device’s stamps only grow, whatever the wall clock does', () => {
    fc.assert(
      fc.property(anyState, fc.array(anyMs, { maxLength: 20 }), (start, clock) => {
        let [last, text] = [start, formatHlc(start, 'a')]
        for (const now of clock) {
          last = tickHlc(last, now)
          const next = formatHlc(last, 'a')
          expect(next > text).toBe(true)
          text = next
        }
      }),
      { numRuns: 500, seed: 11 },
    )
  })

  test('[HLC-1] the wall clock is taken when it is ahead', () => {
    expect(tickHlc({ ms: noon, counter: 7 }, noon + 1)).toEqual({ ms: noon + 1, counter: 0 })
    expect(tickHlc({ ms: noon, counter: 7 }, noon - 1)).toEqual({ ms: noon, counter: 8 })
    expect(tickHlc({ ms: noon, counter: 0xffff }, noon)).toEqual({ ms: noon + 1, counter: 0 })
  })

  test('[HLC-2] comparing the texts compares time, then counter, then device', () => {
    fc.assert(
      fc.property(anyState, devices, anyState, devices, (one, oneDevice, other, otherDevice) => {
        const byParts =
          one.ms - other.ms ||
          one.counter - other.counter ||
          (oneDevice < otherDevice ? -1 : oneDevice > otherDevice ? 1 : 0)
        const [left, right] = [formatHlc(one, oneDevice), formatHlc(other, otherDevice)]
        expect(left < right ? -1 : left > right ? 1 : 0).toBe(Math.sign(byParts))
      }),
      { numRuns: 500, seed: 12 },
    )
  })

  test('[HLC-2] a stamp reads back as it was written', () => {
    fc.assert(
      fc.property(anyState, devices, (state, device) => {
        const written = formatHlc(state, device)
        expect(parseHlc(written)).toEqual({ ...state, device, text: written })
      }),
      { numRuns: 300, seed: 13 },
    )
  })

  test.each([
    null,
    7,
    '',
    '2026-11-20T12:00:00.000Z',
    '2026-02-30T12:00:00.000Z-0000-a',
    '2026-11-20T12:00:00.000Z-000G-a',
    '2026-11-20T12:00:00.000Z-0000-',
    '2026-11-20T12:00:00.000Z-0000-A B',
  ])('[HLC-2] %j is no stamp', (value) => {
    expect(parseHlc(value)).toBeUndefined()
  })

  test('[HLC-2] the stamp of a bare time sorts before every device’s stamp of that ms', () => {
    const bare = hlcOfTime('2026-11-20T12:00:00.000Z')
    expect(bare < formatHlc({ ms: noon, counter: 0 }, '0')).toBe(true)
    expect(bare > formatHlc({ ms: noon - 1, counter: 0xffff }, 'z')).toBe(true)
  })
})

describe('[HLC-3] at first receipt', () => {
  const hour = 3_600_000

  test.each<[string, number, number | undefined, number]>([
    ['a stamp of now stays', noon, noon, noon],
    ['a stamp of yesterday stays, although it is late', noon - 24 * hour, noon, noon - 24 * hour],
    ['skew within the bounds is believed', noon + 200_000, noon + 200_000, noon + 200_000],
    ['a device two days slow competes with its true time', noon - 48 * hour, noon - 48 * hour, noon],
    ['a device two days fast competes with its true time', noon + 47 * hour, noon + 48 * hour, noon - hour],
    ['what lies ahead all the same is moved to the edge', noon + hour, noon, noon + skewMs],
    ['without the device’s clock only the edge holds', noon + hour, undefined, noon + skewMs],
    ['nothing falls before 1970', 5, noon + 48 * hour, 0],
  ])('%s', (_what, stampMs, deviceMs, expectedMs) => {
    const clamped = clampHlc(formatHlc({ ms: stampMs, counter: 3 }, 'a'), {
      serverMs: noon,
      deviceMs,
      skewMs,
    })
    expect(clamped).toEqual({
      stamp: formatHlc({ ms: expectedMs, counter: 3 }, 'a'),
      clamped: expectedMs !== stampMs,
    })
  })

  test('the order of one device’s stamps stays, up to the edge', () => {
    fc.assert(
      fc.property(anyState, anyState, fc.integer({ min: 0, max: noon * 2 }), (one, other, deviceMs) => {
        const reading = { serverMs: noon, deviceMs, skewMs }
        const [left, right] = [one, other].map((state) => formatHlc(state, 'a'))
        const [leftAfter, rightAfter] = [left!, right!].map((stamp) => clampHlc(stamp, reading).stamp)
        if (left! < right! && one.ms !== other.ms)
          expect(leftAfter!.slice(0, 24) <= rightAfter!.slice(0, 24)).toBe(true)
      }),
      { numRuns: 300, seed: 14 },
    )
  })
})
