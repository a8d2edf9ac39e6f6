import { SyncError } from '@holdfast/core'

import { watchList } from '../live/watch-list.ts'
import type { TransactionRunner } from '../local/local-database.ts'
import type { Entry } from './entry.ts'
import { type EntryQuery, listEntries, updateEntries } from './outbox.ts'

/** `db.outbox`: every mutation that is not settled. */
export interface OutboxApi {
  /** In the order written. */
  list(query?: EntryQuery): Promise<readonly Entry[]>
  /** Calls `listener` with the entries at once and after every commit that touched one. Returns the way to stop. */
  watch(listener: (entries: readonly Entry[]) => void, query?: EntryQuery): () => void
  /** Sends a mutation that waits for its next attempt without further waiting. Errors: RECORD_NOT_FOUND. */
  retry(mutation: string): Promise<void>
}

/** Makes `db.outbox`. */
export function createOutboxApi(database: TransactionRunner): OutboxApi {
  const list: OutboxApi['list'] = (query) => database.read((tx) => listEntries(tx, query))
  return {
    list,
    watch: (listener, query) => watchList(database, { table: '_outbox', list: () => list(query), listener }),
    retry: (mutation) =>
      database.write(async (tx) => {
        const rows = await tx.all('SELECT seq, offer FROM _outbox WHERE id = ?', [mutation])
        const [row] = rows
        if (row === undefined)
          throw new SyncError('RECORD_NOT_FOUND', `the outbox holds no mutation ${mutation}`)
        const members = await tx.all('SELECT seq FROM _outbox WHERE seq = ? OR offer = ?', [
          row.seq ?? 0,
          row.offer ?? null,
        ])
        await updateEntries(
          tx,
          members.map((member) => Number(member.seq)),
          { set: 'next_attempt_at = NULL', params: [] },
        )
      }),
  }
}
