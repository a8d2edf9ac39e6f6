import type { HistoryEntry, LostValue } from '../engine.ts'
import { type Visibility, sees } from '../scope/grants.ts'
import type { StoreReader } from '../store/store.ts'

/** Entries one answer holds unless fewer were asked for: what a person scrolls through. */
const historyRows = 200

/** Refusals of writers who could not see the record say nothing about it. */
const unrelated = ['RECORD_NOT_FOUND', 'SCOPE_DENIED', 'STALE_TARGET', 'ESCROWED']

/** What a history is asked for. */
export interface HistoryQuery {
  readonly collection: string
  readonly id: string
  readonly limit?: number
  /** `n` of the oldest entry known. */
  readonly before?: number
}

/** The timeline of a record, newest first; null when the reader sees no such record. Rules: AU-1 to AU-4. */
export async function readHistory(
  tx: StoreReader,
  visibility: Visibility,
  query: HistoryQuery,
): Promise<readonly HistoryEntry[] | null> {
  const { collection, id, before = Number.MAX_SAFE_INTEGER } = query
  const scopes = await tx.scopesOf(collection, id)
  if (scopes.length === 0 || !sees(visibility, scopes)) return null
  const limit = Math.max(1, Math.min(query.limit ?? historyRows, historyRows))
  return tx.history(collection, id, { before, limit, without: unrelated })
}

/** Values that lost to another, newest first: what the decisions of a timeline left out. Rules: AU-5, PR-7. */
export function lostValuesOf(entries: readonly HistoryEntry[]): readonly LostValue[] {
  return entries.flatMap((entry) =>
    entry.decisions.flatMap((decision): LostValue[] => {
      const { field, rule, explanation, winner } = decision
      const lost = { field, rule, explanation, at: entry.at, n: entry.n }
      // "Theirs" were written before the mutation that was decided here, by whoever the earlier entries name.
      const theirs = { ...lost, value: decision.theirs, user: writerOf(entries, entry.n, field) }
      const mine = { ...lost, value: decision.mine, user: entry.user }
      switch (winner) {
        case 'mine':
          return [theirs]
        case 'theirs':
          return [mine]
        case 'both':
          return rule === 'unique.rename' ? [mine] : []
        default:
          return winner satisfies never
      }
    }),
  )
}

function writerOf(entries: readonly HistoryEntry[], before: number, field: string): string | null {
  return (
    entries.find(
      ({ n, version, after }) => n < before && version !== null && after !== null && field in after,
    )?.user ?? null
  )
}
