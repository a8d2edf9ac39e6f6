import type { TransactionRunner } from '../local/local-database.ts'
import { callListener } from './call-listener.ts'

/** A list, the table it is read from, and who wants to know of it. */
export interface WatchedList<Item> {
  readonly table: string
  readonly list: () => Promise<readonly Item[]>
  readonly listener: (items: readonly Item[]) => void
}

/**
 * Tells the list at once and after every commit that touched its table, of this process or another; where it could not be read, after the next commit.
 * Returns the way to stop. Rules: LQ-8.
 */
export function watchList<Item>(
  database: Pick<TransactionRunner, 'onCommit'>,
  { table, list, listener }: WatchedList<Item>,
): () => void {
  let isStopped = false
  let isReading = false
  let isStale = false
  const tell = async (): Promise<void> => {
    isStale = true
    if (isReading) return
    isReading = true
    // One after the other, so that an older list never comes last.
    while (isStale && !isStopped) {
      isStale = false
      const items = await list().catch(() => undefined)
      if (items === undefined) {
        // A database that was closed has nothing more to say; one that failed has with its next commit.
        isStale = true
        break
      }
      if (!isStopped) callListener(listener, items)
    }
    isReading = false
  }
  const stop = database.onCommit(
    ({ tables }) => {
      if (tables.has(table) || isStale) void tell()
    },
    { others: true },
  )
  void tell()
  return () => {
    isStopped = true
    stop()
  }
}
