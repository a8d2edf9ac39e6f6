import type { Mutation, Schema } from '@holdfast/core'

import type { LocalTransaction } from '../local/local-database.ts'

/** What a batch may hold. */
export interface BatchLimits {
  readonly nowMs: number
  readonly maxMutations: number
  /** UTF-8 bytes of the texts together. */
  readonly maxBytes: number
}

/** One mutation as it travels, and the entries it stands for. */
export interface Offer {
  readonly mutation: Mutation
  /** What goes on the wire; a repeat has the same bytes. */
  readonly text: string
  /** Its entries, in the order written; the first is the lead. */
  readonly seqs: readonly number[]
}

/**
 * The next mutations to send, marked as `sending`; the transaction must be durable before they leave. First comes what
 * was offered before and never got an answer, as the same bytes; then fresh entries: collections of higher priority
 * first, in the order written, folded, a group whole, nothing before what it depends on. Empty when there is nothing
 * to send now. Rules: OB-4 to OB-11.
 */
export async function cutBatch(
  tx: LocalTransaction,
  schema: Schema,
  limits: BatchLimits,
): Promise<readonly Offer[]> {
  void [tx, schema, limits]
  throw new Error('being written')
}
