import { type Mutation, type Schema, scopesOfRow, SyncError } from '@holdfast/core'
import type { Caller, User } from '../engine.ts'
import { sees, visibilityOf } from '../scope/grants.ts'
import type { StoredEscrow } from '../store/escrow-store.ts'
import type { StoreReader } from '../store/store.ts'
import { parseEscrowed } from './escrowed-edit.ts'

/**
 * Refuses whoever does not decide about escrow: those do whom `mayReview` names; without it those who see everything, so
 * that there is always somebody. Errors: NOT_AUTHORIZED. Rules: ES-4.
 */
export function checkReviewer<U extends User>(
  mayReview: ((user: U) => boolean) | undefined,
  { user, grants }: Caller<U>,
): void {
  const isReviewer = mayReview ? mayReview(user) : grants === '*'
  if (!isReviewer) throw new SyncError('NOT_AUTHORIZED', 'Reviewers decide about edits in escrow.')
}

/**
 * Whether a reviewer sees every record of a unit: where it lies now, or where its create would put it. Of which nothing is
 * known is for those who see everything. Rules: ES-4.
 */
export async function isInSight<U extends User>(
  tx: StoreReader,
  schema: Schema,
  { user, grants }: Caller<U>,
  unit: readonly StoredEscrow[],
): Promise<boolean> {
  const visibility = visibilityOf(user, grants)
  for (const edit of unit) {
    const lies = await tx.scopesOf(edit.collection, edit.record)
    const scopes = lies.length > 0 ? lies : await madeIn(tx, schema, edit)
    if (!sees(visibility, scopes)) return false
  }
  return true
}

/** Where the create that an edit is, or stands on, would put its record: that may be in escrow by itself. */
async function madeIn(tx: StoreReader, schema: Schema, edit: StoredEscrow): Promise<readonly string[]> {
  const seen = new Set<string>()
  for (let lead: StoredEscrow | undefined = edit; lead?.record === edit.record && !seen.has(lead.id); ) {
    seen.add(lead.id)
    const { op, changes, after }: Mutation = parseEscrowed(lead.mutation)
    const collection = schema.collections.get(lead.collection)
    if (op === 'create') return collection ? scopesOfRow(collection.scopes, changes) : []
    if (after === null) return []
    lead = (await tx.escrowOf(edit.user, [after])).at(-1)
  }
  return []
}
