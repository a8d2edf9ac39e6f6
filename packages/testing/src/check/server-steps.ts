import type { Json, Values } from './values.ts'

/** The server committed its verdict on a mutation. */
export interface ServerOutcome {
  readonly kind: 'outcome'
  readonly atMs: number
  readonly user: string
  readonly device: string
  readonly seq: number
  /** Ranges of numbers, such as "18-19,21". */
  readonly covers: string
  readonly id: string
  readonly status: 'applied' | 'merged' | 'conflict' | 'rejected'
  readonly version: number | null
  readonly code: string | null
}

/** The server committed a line of its audit log. */
export interface ServerAudit {
  readonly kind: 'audit'
  readonly atMs: number
  readonly n: number
  readonly collection: string
  readonly record: string
  readonly version: number | null
  readonly op: 'create' | 'update' | 'delete' | 'restore' | 'none'
  /** null: somebody who wrote to the table beside the server. */
  readonly user: string | null
  readonly device: string | null
  readonly mutation: string | null
  readonly at: string
  /** Changed fields only. */
  readonly before: Values | null
  readonly after: Values | null
  readonly status: string
  readonly decisions: Json
  readonly code: string | null
  /** Who took it out of escrow; absent for everything that never was there. */
  readonly acceptedBy?: string | null
}

/** An operator decided about an edit in escrow; what came of it counts as the verdict from then on. */
export interface EscrowRuled {
  readonly kind: 'escrow-ruled'
  readonly atMs: number
  readonly user: string
  readonly device: string
  readonly id: string
  readonly status: 'accepted' | 'refused'
  readonly verdict: 'applied' | 'merged' | 'conflict' | null
  readonly version: number | null
}

/** The server was put back to an earlier state: its history after that is gone from it. */
export interface ServerRestored {
  readonly kind: 'server-restored'
  readonly atMs: number
  /** The newest line of the audit log it still has. */
  readonly auditN: number
  /** Outcomes it no longer has. */
  readonly forgotten: readonly ServerOutcome[]
  /** Edits in escrow that nobody has decided about any more. */
  readonly unruled?: readonly { readonly device: string; readonly id: string }[]
}

/** The server runs with a schema that has more columns; every row that is there has in each what the column came with. */
export interface ServerMigrated {
  readonly kind: 'server-migrated'
  readonly atMs: number
  /** By collection. */
  readonly columns: { readonly [collection: string]: Values }
}
