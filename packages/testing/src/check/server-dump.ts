import type { Values } from './values.ts'

/** A row as a table holds it: fields, then times and version. */
export interface DumpedRow {
  readonly id: string
  readonly version: number
  readonly createdAt: string | null
  readonly updatedAt: string | null
  readonly values: Values
}

/** What the server holds. */
export interface ServerDump {
  readonly epoch: string
  readonly collections: { readonly [name: string]: readonly DumpedRow[] }
  /** Soft-deleted rows and tombstones. */
  readonly deleted: { readonly [name: string]: readonly { readonly id: string; readonly version: number }[] }
  /** Scopes of each live record, by `collection/id`. */
  readonly scopes: { readonly [record: string]: readonly string[] }
  readonly conflicts: readonly DumpedConflict[]
  /** Edits in escrow, by the key of their mutation; none where nobody looked. */
  readonly escrow?: readonly DumpedEscrow[]
  /** Messages of SQLite's own integrity check; empty when all is well. */
  readonly damage: readonly string[]
}

/** A conflict as it is stored. */
export interface DumpedConflict {
  readonly id: string
  readonly status: 'open' | 'resolved'
  readonly collection: string
  readonly record: string
  readonly mutation: string
  readonly author: string
  /** ISO times by the server's clock. */
  readonly createdAt?: string
  readonly resolvedAt?: string | null
  readonly reason?: 'fields' | 'delete' | 'unique'
  /** Those in dispute. */
  readonly fields?: readonly string[]
  /** All records it is about, as `collection/id`. */
  readonly records?: readonly string[]
  /** What each side wanted, by record; where nobody looked none. */
  readonly parts?: readonly DumpedPart[]
}

/** One record of a conflict, with what a person is shown of it. A side that deletes, or has no such record, is null. */
export type DumpedPart = {
  /** As `collection/id`. */
  readonly record: string
  readonly mine: Values | null
  readonly theirs: Values | null
}

/** An edit in escrow as it is stored. */
export interface DumpedEscrow {
  readonly id: string
  readonly user: string
  readonly device: string
  readonly status: 'waiting' | 'accepted' | 'refused'
}
