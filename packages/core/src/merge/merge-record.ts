import type { ErrorCode } from '../errors.ts'
import type { Hlc } from '../hlc.ts'
import type { Values } from '../json.ts'
import type { Decision, Mutation, RecordSnapshot } from '../mutation.ts'
import type { CollectionSchema } from '../schema/schema.ts'

/** What the merge of one mutation is decided from; nothing else. */
export interface MergeInput {
  readonly collection: CollectionSchema
  readonly mutation: Pick<
    Mutation,
    | 'op'
    | 'baseVersion'
    | 'changes'
    | 'base'
    | 'increments'
    | 'additions'
    | 'removals'
    | 'at'
    | 'ats'
    | 'resolves'
  >
  readonly current: RecordSnapshot
  /**
   * Fields that changed between what the author saw and `current`, by anyone but the author's own chain of mutations;
   * 'unknown' when that can no longer be told, which counts as all. Decides strict records and deletes.
   */
  readonly concurrent: ReadonlySet<string> | 'unknown'
  /** Newest stamp by `latest` field. A field without one counts as stamped at `fallbackStamp`. */
  readonly clocks: Readonly<Record<string, Hlc>>
  readonly fallbackStamp: Hlc
}

/** Why a person must decide. */
export type ConflictKind = 'fields' | 'delete' | 'unique'

/** What came of it. An edit applies whole or waits whole: there is no partial outcome. */
export type MergeOutcome =
  | {
      readonly kind: 'apply'
      /** `applied`: the author's intent, unchanged. `merged`: a rule had to decide. */
      readonly status: 'applied' | 'merged'
      /** The record afterwards; `version` is the old one, the store gives the new. */
      readonly next: RecordSnapshot
      /** Fields whose value differs afterwards. Empty with an unchanged `next.kind`: nothing is to be written. */
      readonly changed: readonly string[]
      /** New stamps of the `latest` fields that were written. */
      readonly clocks: Readonly<Record<string, Hlc>>
      /** One for each field where two values met. */
      readonly decisions: readonly Decision[]
    }
  | {
      readonly kind: 'conflict'
      readonly reason: ConflictKind
      /** Fields in dispute; empty for a plain delete. */
      readonly fields: readonly string[]
      readonly base: Values | null
      /** null: the author deletes the record. */
      readonly mine: Values | null
      /** null: the record is deleted on the server. */
      readonly theirs: Values | null
    }
  | { readonly kind: 'reject'; readonly code: ErrorCode; readonly message: string; readonly field?: string }

/**
 * Three-way merge of one mutation with the record as it is. Pure, and the same code on both sides: the server decides
 * with it, a device replays with it. Rules: ME-1 to ME-20.
 */
export function mergeRecord(input: MergeInput): MergeOutcome {
  void input
  throw new Error('being written')
}
