/**
 * Hybrid logical clock: the wall clock, raised to the newest time seen, with a counter for ties.
 * Source: Kulkarni et al., "Logical Physical Clocks", 2014. Spelled `2026-11-20T10:00:00.000Z-0000-<device>`, so that
 * comparing the text compares time, then counter, then device. Rules: HLC-1, HLC-2, HLC-3.
 */
export type Hlc = string & { readonly __brand: 'Hlc' }

/** The part of a clock that a device must remember between two stamps. */
export interface HlcState {
  readonly ms: number
  readonly counter: number
}

const hlcPattern = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)-([0-9a-f]{4})-([0-9a-z-]{1,64})$/
const counterMax = 0xffff
const msMax = Date.UTC(9999, 11, 31)

/** The next stamp of a device whose newest stamp was `last`. Always greater than `last`, whatever the wall clock does. */
export function tickHlc(last: HlcState, nowMs: number): HlcState {
  const now = Math.min(Math.max(0, Math.floor(nowMs)), msMax)
  if (now > last.ms) return { ms: now, counter: 0 }
  if (last.counter < counterMax) return { ms: last.ms, counter: last.counter + 1 }
  return { ms: last.ms + 1, counter: 0 }
}

/** The text that travels. */
export function formatHlc(state: HlcState, device: string): Hlc {
  const counter = state.counter.toString(16).padStart(4, '0')
  // The brand holds because the text is built here in the one pattern that parseHlc reads.
  return `${new Date(state.ms).toISOString()}-${counter}-${device}` as Hlc
}

/** Reads a stamp; undefined when it is not one. */
export function parseHlc(
  value: unknown,
): (HlcState & { readonly device: string; readonly text: Hlc }) | undefined {
  const match = typeof value === 'string' ? hlcPattern.exec(value) : null
  const ms = Date.parse(match?.[1] ?? '')
  if (!match || Number.isNaN(ms) || new Date(ms).toISOString() !== match[1]) return undefined
  // The brand holds because the pattern matched and the date is a real one.
  return { ms, counter: Number.parseInt(match[2] ?? '0', 16), device: match[3] ?? '', text: match[0] as Hlc }
}

/** What a server knows of a device's clock when a stamp arrives. */
export interface ClockReading {
  /** The server's wall clock at receipt, ms. */
  readonly serverMs: number
  /** The device's wall clock when it sent the request, ms; absent when it did not say. */
  readonly deviceMs?: number
  /** Skew that is believed, ms: `limits.clockSkewMs`. */
  readonly skewMs: number
}

/**
 * A stamp as the server stores it, decided once, at first receipt. A device whose clock is off by more than `skewMs`
 * has its stamps shifted by the difference; whatever then still lies further ahead than `skewMs` is moved to that edge,
 * so that one clock in the future cannot win for years. Stamps of the past stay: an edit made offline yesterday must
 * not beat one made an hour ago. Rules: HLC-3.
 */
export function clampHlc(
  stamp: Hlc,
  clock: ClockReading,
): { readonly stamp: Hlc; readonly clamped: boolean } {
  const parsed = parseHlc(stamp)
  if (!parsed) return { stamp, clamped: false }
  const skew = clock.deviceMs === undefined ? 0 : clock.serverMs - clock.deviceMs
  const shifted = Math.abs(skew) > clock.skewMs ? parsed.ms + skew : parsed.ms
  const ms = Math.min(Math.max(0, shifted), clock.serverMs + clock.skewMs)
  if (ms === parsed.ms) return { stamp, clamped: false }
  return { stamp: formatHlc({ ms, counter: parsed.counter }, parsed.device), clamped: true }
}

/** The stamp of a time without a device, for rows whose writer had no clock of ours; sorts before any device's stamp of that ms. */
export function hlcOfTime(isoTime: string): Hlc {
  return formatHlc({ ms: Math.max(0, Date.parse(isoTime) || 0), counter: 0 }, '-')
}
