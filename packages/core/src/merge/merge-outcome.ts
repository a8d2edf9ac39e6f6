import type { ErrorCode } from '../errors.ts'
import type { Hlc } from '../hlc.ts'
import type { Values } from '../json.ts'
import type { Decision, Mutation, RecordSnapshot, ReturnedFate } from '../mutation.ts'
import type { CollectionSchema } from '../schema/schema.ts'

/** What of a mutation the merge looks at. */
export type MergeMutation = Pick<
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

/** What the merge of one mutation is decided from; nothing else. */
export interface MergeInput {
  readonly collection: CollectionSchema
  readonly mutation: MergeMutation
  readonly current: RecordSnapshot
  /**
   * Fields that changed between what the author saw and `current`, by anyone but the author's own chain of mutations;
   * 'unknown' when that can no longer be told, which counts as all. Decides strict records and deletes.
   */
  readonly concurrent: ReadonlySet<string> | 'unknown'
  /** True when `current` is deleted and the author's own chain (the mutation named in `after`) deleted it. */
  readonly ownTombstone?: boolean
  /** Newest stamp by `latest` field. A field without one counts as stamped at `fallbackStamp`. */
  readonly clocks: Readonly<Record<string, Hlc>>
  readonly fallbackStamp: Hlc
  /**
   * Of a mutation that a lost history had taken: what it meets, by field; a field that is not named stands. Its base and
   * base version are of that history, and say nothing about `current` unless it `meets`. Rules: ME-24.
   */
  readonly returned?: ReadonlyMap<string, ReturnedFate> | undefined
}

/** Why a person must decide. */
export type ConflictKind = 'fields' | 'delete' | 'unique'

/** What came of it. An edit applies whole or waits whole: there is no partial outcome. */
export type MergeOutcome = ApplyOutcome | ConflictOutcome | RejectOutcome

/** The mutation takes effect. */
export interface ApplyOutcome {
  readonly kind: 'apply'
  /** `applied`: the author's intent, unchanged. `merged`: a rule had to decide. */
  readonly status: 'applied' | 'merged'
  /** The record afterwards; `version` is the old one, the store gives the new. */
  readonly next: RecordSnapshot
  /** Fields whose value differs afterwards. Empty with an unchanged `next.kind`: no row is to be written. */
  readonly changed: readonly string[]
  /** New stamps of `latest` fields, to be stored even when `changed` is empty: an equal value can be newer. */
  readonly clocks: Readonly<Record<string, Hlc>>
  /** One for each field where two values met. */
  readonly decisions: readonly Decision[]
}

/** A person must decide; nothing of the mutation takes effect until then. */
export interface ConflictOutcome {
  readonly kind: 'conflict'
  readonly reason: ConflictKind
  /** Fields in dispute; empty for a plain delete. */
  readonly fields: readonly string[]
  /** What the author saw in the fields the mutation touches, as far as it says. */
  readonly base: Values | null
  /** All fields the mutation touches, as its author wants them; null: the author deletes the record. */
  readonly mine: Values | null
  /** The same fields as they are (all fields, when the author deletes); null: the record is deleted on the server. */
  readonly theirs: Values | null
}

/** The mutation can never take effect. */
export interface RejectOutcome {
  readonly kind: 'reject'
  readonly code: ErrorCode
  readonly message: string
  readonly field?: string
}
