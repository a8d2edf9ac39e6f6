import type { Schema } from '@holdfast/core'
import type { StoreReader } from '../store.ts'
import type { Connection } from './connection.ts'
import { decisionQueries } from './read-decisions.ts'
import { escrowQueries } from './escrow.ts'
import { eventQueries } from './events.ts'
import { deviceQueries } from './read-devices.ts'
import { digestQueries } from './read-digests.ts'
import { historyQueries } from './read-history.ts'
import { pageQueries } from './read-pages.ts'
import { recordQueries } from './read-records.ts'
import { receiptQueries } from './receipts.ts'

const readers = new WeakMap<Connection, StoreReader>()

/** The reads of a connection; the transaction is the caller's. */
export function sqliteReader(db: Connection, schema: Schema): StoreReader {
  let reader = readers.get(db)
  if (!reader) {
    reader = {
      ...deviceQueries(db),
      ...recordQueries(db, schema),
      ...decisionQueries(db),
      ...pageQueries(db, schema),
      ...digestQueries(db, schema),
      ...historyQueries(db),
      ...receiptQueries(db),
      ...eventQueries(db),
      ...escrowQueries(db),
    }
    readers.set(db, reader)
  }
  return reader
}
