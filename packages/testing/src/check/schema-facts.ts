import type { Json } from './values.ts'

/** What checkers need to know of a schema; by name of the collection. */
export type SchemaFacts = { readonly [collection: string]: CollectionFacts }

/** What checkers need to know of a collection. */
export interface CollectionFacts {
  /** The collection each reference field refers to. */
  readonly references: { readonly [field: string]: string }
  /** The fields of each unique key. */
  readonly unique: readonly {
    readonly fields: readonly string[]
    readonly ignoresCase: boolean
  }[]
  /** What the scopes of a row are made of: texts, and between them the values of fields; none where everybody sees it. */
  readonly scopes?: readonly {
    readonly literals: readonly string[]
    readonly fields: readonly string[]
  }[]
  /** Whether any change that its author has not seen is a conflict. */
  readonly isStrict?: boolean
  /** Counters and sets. */
  readonly adding?: readonly string[]
  /** What a record says of fields that its author said nothing of, where that is a value. */
  readonly defaults?: { readonly [field: string]: Json }
  /** Fields that merge as one. */
  readonly groups?: readonly (readonly string[])[]
}
