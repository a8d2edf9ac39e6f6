/** What one process of one contender measured. */
export interface Measurement {
  /** In the unit of the case. */
  readonly value: number
  /** Figures beside it, such as a 95th percentile; printed below the table, never judged. */
  readonly notes?: Readonly<Record<string, number>>
}

/** The value below which `share` of the values lie; 0.5 of an even count is the mean of the middle two. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((left, right) => left - right)
  const place = (sorted.length - 1) * share
  const below = sorted[Math.floor(place)] ?? Number.NaN
  const above = sorted[Math.ceil(place)] ?? Number.NaN
  return below + (above - below) * (place - Math.floor(place))
}

/** `count` per second for work that took since `startedMs`. */
export function perSecond(count: number, startedMs: number): Measurement {
  return { value: (count / (performance.now() - startedMs)) * 1_000 }
}

/** The median of durations in ms, with the 95th percentile as a note. */
export function medianMs(durationsMs: readonly number[]): Measurement {
  return { value: percentile(durationsMs, 0.5), notes: { p95: percentile(durationsMs, 0.95) } }
}

/** Stops a contender that did not do the whole job: a figure for half of it would be a lie. */
export function expectSame(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`${what}: expected ${String(expected)}, found ${String(actual)}`)
}
