import { type EscrowEnding, type Limits, type Schema, SyncError } from '@holdfast/core'
import type { Caller, User } from '../engine.ts'
import { pageRows } from '../pull/page-rows.ts'
import type { StoreReader } from '../store/store.ts'
import { isInSight } from './escrow-sight.ts'
import { type EscrowedEdit, type EscrowPage, type EscrowQuery, editsOf } from './escrowed-edit.ts'

/** A page of what a reviewer sees. Errors: REQUEST_INVALID. Rules: ES-4, ES-5. */
export async function listEscrow<U extends User>(
  tx: StoreReader,
  {
    schema,
    limits,
    caller,
  }: { readonly schema: Schema; readonly limits: Limits; readonly caller: Caller<U> },
  query: EscrowQuery,
): Promise<EscrowPage> {
  const after = Number(query.after ?? 0)
  if (!Number.isSafeInteger(after) || after < 0)
    throw new SyncError('REQUEST_INVALID', 'after is the `next` of the page before')
  const limit = pageRows(query.limit, limits)
  const members = await tx.escrowUnits({ status: query.status ?? null, after, limit })
  const units = [...Map.groupBy(members, ({ unit }) => unit).values()]
  const edits: EscrowedEdit[] = []
  for (const unit of units) if (await isInSight(tx, schema, caller, unit)) edits.push(...editsOf(unit))
  const last = units.at(-1)?.[0]
  return { edits, next: units.length === limit && last ? String(last.n) : null }
}

/** How edits of one user stand that went to escrow: never a value. Rules: ES-9. */
export async function escrowEndings(
  tx: StoreReader,
  user: string,
  ids: readonly string[],
): Promise<readonly EscrowEnding[]> {
  if (ids.length === 0) return []
  const known = new Map((await tx.escrowOf(user, ids)).map((edit) => [edit.id, edit]))
  return ids.map((id): EscrowEnding => {
    const edit = known.get(id)
    if (!edit) return { id, status: 'unknown', reason: null, decidedAt: null }
    const { status, reason, decidedAt } = edit
    return { id, status, reason, decidedAt }
  })
}
