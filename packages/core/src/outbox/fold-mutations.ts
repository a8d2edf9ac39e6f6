import type { Mutation } from '../mutation.ts'
import type { CollectionSchema } from '../schema/schema.ts'

/** What two neighbouring mutations of one record become. */
export type FoldResult =
  | { readonly kind: 'folded'; readonly mutation: Mutation }
  /** They cancel out: the server never heard of the record and need not. */
  | { readonly kind: 'nothing' }
  /** They must travel on their own, in order. */
  | { readonly kind: 'apart' }

/**
 * Folds `second` into `first`, both of one record, neighbours among that record's entries, neither ever offered.
 * Closed table: create+update → create; update+update → update; update of plain fields + delete → delete that carries
 * them; create+delete → nothing; all else stays apart (groups, settlements, other schema versions, two steps of one
 * `transitions` field, counter or set changes before a delete, delete+create). The folded mutation has the id and seq
 * of `first` and covers both. Rules: FO-1 to FO-9.
 */
export function foldMutations(collection: CollectionSchema, first: Mutation, second: Mutation): FoldResult {
  void [collection, first, second]
  throw new Error('being written')
}
