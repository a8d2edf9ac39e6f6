import { type Ranges, SyncError } from '@holdfast/core'
import type { StoreReader } from '../store/store.ts'
import { subtractRanges } from './range-sets.ts'

/**
 * A device that was answered for a number the server does not hold for final was answered by a history that is gone.
 * Errors: EPOCH_CHANGED. Rules: PU-34.
 */
export function checkHistory(answered: Ranges, finals: Ranges): void {
  if (subtractRanges(answered, finals).length > 0) throw lostHistory()
}

/**
 * The same of keys that were decided before, maybe under another name or number: of a copy of the device.
 * Errors: EPOCH_CHANGED. Rules: PL-23.
 */
export async function checkDecided(
  tx: StoreReader,
  user: string,
  keys: readonly string[] = [],
): Promise<void> {
  if (keys.length === 0) return
  const outcomes = await tx.decidedKeys(user, keys)
  const decided = new Set(outcomes.flatMap(({ id, folded }) => [id, ...folded]))
  if (keys.some((key) => !decided.has(key))) throw lostHistory()
}

/** What a device is told that knows a history which this server does not. */
export function lostHistory(): SyncError {
  return new SyncError('EPOCH_CHANGED', 'the device was answered by a history that this server has lost')
}
