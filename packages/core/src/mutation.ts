import type { Hlc } from './hlc.ts'
import type { Json, Values } from './json.ts'

/** What a mutation does to its record. */
export type MutationOp = 'create' | 'update' | 'delete'

/** What a mutation changes, apart from who, when and where: what is merged, folded and replayed. */
export interface Payload {
  /** New values of fields that are set as a whole. A create carries every field, counters and sets included. */
  readonly changes: Values
  /** What the author saw in the changed fields; null when the author did not say. Always null for a create. */
  readonly base: Values | null
  /** Amounts added, by counter. */
  readonly increments: Readonly<Record<string, number>>
  /** Members added, by set. */
  readonly additions: Readonly<Record<string, readonly (string | number)[]>>
  /** Members removed, by set. */
  readonly removals: Readonly<Record<string, readonly (string | number)[]>>
}

/** One user-intended write, as it travels. Rules: WI-1 to WI-4, FO-1 to FO-9. */
export interface Mutation extends Payload {
  /** The idempotency key: a UUID made when the write was made. */
  readonly id: string
  /** The first device number it stands for. */
  readonly seq: number
  /** All device numbers it stands for, such as "18-19". */
  readonly covers: string
  /** Keys of the mutations that were folded into this one, in the order of `covers` behind `seq`. */
  readonly folded?: readonly string[]
  /** The user transaction it belongs to: all or nothing, everywhere. */
  readonly group: string | null
  readonly collection: string
  readonly record: string
  readonly op: MutationOp
  /** The server version the author saw; 0 when there was none. */
  readonly baseVersion: number
  /** The own mutation of the same record it was written on top of, when that one was not yet in the shadow. */
  readonly after: string | null
  /** When it was made. */
  readonly at: Hlc
  /**
   * When each `latest` field was made, where that differs from `at`; and under `created_at` when the record was, where
   * a create was folded with later edits.
   */
  readonly ats: Readonly<Record<string, Hlc>>
  /** The conflict it settles. */
  readonly resolves: string | null
  /** Schema version it was written under. */
  readonly schema: number
  /** What it was answered by a history that the server has lost; absent for every other mutation. Rules: SY-25. */
  readonly was?: LostAnswer | undefined
  /** Its author may not see the record any more: it is not to be judged, but kept for an operator. Rules: ES-1. */
  readonly escrow?: true | undefined
}

/** What a mutation that was taken had been answered, before its server was put back from a backup. */
export interface LostAnswer {
  /** The version it had made; null when it had made none. */
  readonly version: number | null
  readonly serverUpdatedAt: string | null
}

/**
 * What a mutation of a lost history meets in a field: a value of before the backup, or returned with an older answer, so
 * that it `stands`; one returned with a newer answer, to which it `yields`; or one written after the restore, which it
 * `meets` as any other.
 */
export type ReturnedFate = 'stands' | 'yields' | 'meets'

/** The verdict on a mutation. `held` and `retry` are not final: its number stays free. */
export type Verdict = 'applied' | 'merged' | 'conflict' | 'held' | 'rejected' | 'retry'

/** A payload that changes nothing. */
export const emptyPayload: Payload = { changes: {}, base: null, increments: {}, additions: {}, removals: {} }

/** Fields a payload touches in any way, in no particular order, without repeats. */
export function touchedFields(payload: Payload): readonly string[] {
  return [
    ...new Set([
      ...Object.keys(payload.changes),
      ...Object.keys(payload.increments),
      ...Object.keys(payload.additions),
      ...Object.keys(payload.removals),
    ]),
  ]
}

/** A record as one side knows it. `deleted` keeps the last values, so that it can be brought back. */
export type RecordSnapshot =
  | { readonly kind: 'absent' }
  | { readonly kind: 'live'; readonly version: number; readonly values: Values }
  | { readonly kind: 'deleted'; readonly version: number; readonly values: Values | null }

/** A record nobody has. */
export const absentRecord: RecordSnapshot = { kind: 'absent' }

/** One value that met another: what the audit keeps and the history shows. */
export interface Decision {
  readonly field: string
  readonly rule: string
  readonly winner: 'mine' | 'theirs' | 'both'
  readonly base?: Json
  readonly mine: Json
  readonly theirs: Json
  readonly result: Json
}
