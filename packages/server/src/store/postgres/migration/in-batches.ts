import { SyncError } from '@holdfast/core'
import { beginWrite, type Connection, RaceLost } from '../connection.ts'

/** A transaction that lost a race is tried so many times. */
const attempts = 12
/** How long a batch waits for a lock, ms. */
export const lockTimeoutMs = 4_000

/** One transaction, again when another writer was in its way. Errors: STORE_BUSY after the last attempt. */
export async function inTransaction<Result>(db: Connection, work: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await db.transact(beginWrite(lockTimeoutMs), work)
    } catch (error) {
      if (!(error instanceof RaceLost)) throw error
      if (attempt === attempts)
        throw new SyncError('STORE_BUSY', 'other writers were faster each time', { cause: error })
    }
  }
}
