import { isObject, limits } from '@holdfast/core'
import type { LocalReader, LocalTransaction } from '../local/local-database.ts'
import { readMeta, writeMeta } from '../local/meta.ts'

/** What the engine counts, across restarts. */
export interface Tally {
  /** Cycles begun, and how they ended. */
  readonly runs: number
  readonly successes: number
  readonly failures: number
  /** Attempts that counted against entries, and entries that used up theirs. */
  readonly retries: number
  readonly retryExhausted: number
  readonly resets: number
  readonly identityRenewals: number
  /** Ranges in which this device's copy differed from the server's and was replaced: each is a bug. */
  readonly repairs: number
  /** Verdicts by collection, then by status. */
  readonly verdicts: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** Lengths of the latest successful cycles, ms; the newest last. */
  readonly latenciesMs: readonly number[]
  /** ISO time of the last flip; null before the first. */
  readonly lastSyncAt: string | null
}

/** Members of a tally that are plain counts. */
export type Count = Exclude<keyof Tally, 'verdicts' | 'latenciesMs' | 'lastSyncAt'>

/** A tally of nothing. */
const emptyTally: Tally = {
  runs: 0,
  successes: 0,
  failures: 0,
  retries: 0,
  retryExhausted: 0,
  resets: 0,
  identityRenewals: 0,
  repairs: 0,
  verdicts: {},
  latenciesMs: [],
  lastSyncAt: null,
}

/** What was counted so far. */
export async function readTally(tx: LocalReader): Promise<Tally> {
  const text = await readMeta(tx, 'sync.tally')
  if (typeof text !== 'string') return emptyTally
  try {
    const parsed: unknown = JSON.parse(text)
    // Written by updateTally; a version that counted less left members out.
    return isObject(parsed) ? { ...emptyTally, ...(parsed as Partial<Tally>) } : emptyTally
  } catch {
    return emptyTally
  }
}

/** Counts inside the transaction of what is counted, so that neither is known without the other. Rules: ST-4. */
export async function updateTally(
  tx: LocalTransaction,
  update: (tally: Tally) => Partial<Tally>,
): Promise<void> {
  const tally = await readTally(tx)
  await writeMeta(tx, 'sync.tally', JSON.stringify({ ...tally, ...update(tally) }))
}

/** Adds to one count. */
export function countOne(tx: LocalTransaction, count: Count, by = 1): Promise<void> {
  return updateTally(tx, (tally) => ({ [count]: tally[count] + by }))
}

/** Adds verdicts to the counts by collection. */
export function countVerdicts(
  tx: LocalTransaction,
  verdicts: readonly { readonly collection: string; readonly status: string }[],
): Promise<void> {
  return updateTally(tx, (tally) => {
    const counts: Record<string, Record<string, number>> = {}
    for (const [collection, known] of Object.entries(tally.verdicts)) counts[collection] = { ...known }
    for (const { collection, status } of verdicts) {
      const known = (counts[collection] ??= {})
      known[status] = (known[status] ?? 0) + 1
    }
    return { verdicts: counts }
  })
}

/** A tally with one more successful cycle. */
export function withSuccess(tally: Tally, latencyMs: number): Partial<Tally> {
  const latenciesMs = [...tally.latenciesMs, Math.round(latencyMs)].slice(-limits.latencySamples)
  return { runs: tally.runs + 1, successes: tally.successes + 1, latenciesMs }
}

/** The value below which the given share of the samples lies; null without samples. `share` in [0, 1]. */
export function percentile(samples: readonly number[], share: number): number | null {
  const sorted = [...samples].sort((left, right) => left - right)
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? null
}
