import type { Mutation, RecordSnapshot } from '../mutation.ts'
import type { CollectionSchema } from '../schema/schema.ts'
import type { MergeOutcome } from '../merge/merge-record.ts'

/** A mutation that the server would not simply take, as far as a device can tell. A hint, never an outcome. */
export interface Foretold {
  readonly mutation: string
  readonly outcome: Extract<MergeOutcome, { kind: 'conflict' | 'reject' }>
}

/** The record as the app sees it, and what is foretold about it. */
export interface Replayed {
  readonly view: RecordSnapshot
  readonly foretold: readonly Foretold[]
}

/**
 * Rebase: the shadow with every unsettled mutation of the record replayed on it, in the order written. Where the merge
 * says conflict or reject, the view shows the author's own values and the outcome is foretold. Pure and total: it
 * never throws for any shadow. Rules: RB-1 to RB-4.
 */
export function replayMutations(
  collection: CollectionSchema,
  shadow: RecordSnapshot,
  mutations: readonly Mutation[],
): Replayed {
  void [collection, shadow, mutations]
  throw new Error('being written')
}
