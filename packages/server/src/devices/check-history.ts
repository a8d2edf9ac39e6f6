import { type Ranges, SyncError } from '@holdfast/core'
import { subtractRanges } from './range-sets.ts'

/**
 * A device that was answered for a number the server does not hold for final was answered by a history that is gone.
 * Errors: EPOCH_CHANGED. Rules: PU-34.
 */
export function checkHistory(answered: Ranges, finals: Ranges): void {
  if (subtractRanges(answered, finals).length > 0)
    throw new SyncError('EPOCH_CHANGED', 'the device was answered by a history that this server has lost')
}
