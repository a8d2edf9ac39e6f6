import type { Schema } from '@holdfast/core'
import type { Naming } from '../columns.ts'

/**
 * One step of a migration. `structure` steps are one transaction; an `index` is made outside of one, while others write;
 * `rows` are gone through in batches, each a transaction; `state` is last.
 */
export interface MigrationStep {
  readonly kind: 'structure' | 'index' | 'rows' | 'state'
  /** What it does, for a person. */
  readonly says: string
  readonly sql: string
  /** Whose rows, and what for: to bring them into the feed, or to read their unique keys again. */
  readonly rows?: { readonly collection: string; readonly work: RowWork }
}

/** What is done with the rows of a collection. */
export type RowWork = 'adopt' | 'move' | 'unique'

/** What a database lacks. Nothing was changed yet. */
export interface MigrationPlan {
  readonly steps: readonly MigrationStep[]
  /** Why it cannot be done, one line each; empty when it can. */
  readonly refusals: readonly string[]
  /** What somebody should know who carries it out. */
  readonly notes: readonly string[]
}

/** What the plan is made for. */
export interface MigrationSetup {
  readonly schema: Schema
  readonly naming: Naming
}

/** Pieces of a plan. */
export interface PlanParts {
  readonly steps: MigrationStep[]
  readonly refusals: string[]
  readonly notes: string[]
}
