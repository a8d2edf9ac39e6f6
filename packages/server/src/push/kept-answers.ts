import { type Environment, SyncError } from '@holdfast/core'
import type { ApplyOptions, ApplyResponse, PlainResult } from '../engine.ts'
import type { Store, StoreReader, StoreWriter } from '../store/store.ts'

/** What a request is kept under, with a hash of what it was. */
export type RequestKey = NonNullable<ApplyOptions['key']>

/** What was answered under a key before. Errors: KEY_REUSED. Rules: PU-33. */
export async function keptAnswer(
  tx: Pick<StoreReader, 'key'>,
  user: string,
  { key, hash }: RequestKey,
): Promise<readonly PlainResult[] | undefined> {
  const known = await tx.key(user, key)
  if (!known) return undefined
  if (known.hash !== hash) throw new SyncError('KEY_REUSED', 'the idempotency key was used for another body')
  // Written by keepAnswer from the same type.
  return JSON.parse(known.body) as readonly PlainResult[]
}

/** Keeps what is answered under a key that is new. */
export function keepAnswer(
  tx: Pick<StoreWriter, 'saveKey'>,
  user: string,
  { key, hash }: RequestKey,
  { results, at }: { readonly results: readonly PlainResult[]; readonly at: string },
): Promise<void> {
  return tx.saveKey(user, key, { hash, body: JSON.stringify(results), at })
}

/** Keeps an answer whose transactions are over, unless somebody else was given one under this key meanwhile. */
export async function keptOnce(
  { store, env }: { readonly store: Store; readonly env: Pick<Environment, 'now'> },
  user: string,
  key: RequestKey | undefined,
  results: readonly PlainResult[],
): Promise<ApplyResponse | undefined> {
  if (!key) return undefined
  const at = new Date(env.now()).toISOString()
  return store.write(async (tx) => {
    const known = await keptAnswer(tx, user, key)
    if (!known) await keepAnswer(tx, user, key, { results, at })
    return { results: known ?? results, duplicate: known !== undefined, committed: true }
  })
}

/** The key of one write of a batch that was taken apart: none that a header can carry. */
export function keyOfWrite({ key, hash }: RequestKey, index: number): RequestKey {
  return { key: `${key}\u0001${index}`, hash }
}
