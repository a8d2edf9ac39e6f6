import type { Schema } from '@holdfast/core'
import type { StoreWriter } from '../store.ts'
import type { Connection } from './connection.ts'
import { escrowStatements } from './escrow.ts'
import { eventStatements } from './events.ts'
import { receiptStatements } from './receipts.ts'
import { sqliteReader } from './sqlite-reader.ts'
import { ledgerStatements } from './write-ledger.ts'
import { recordStatements } from './write-records.ts'

/** The writer of this store; what is more than the seam is for the store itself. */
export type SqliteWriter = StoreWriter & Pick<ReturnType<typeof recordStatements>, 'readForeignNotes'>

/** Which commits were told: those up to a position. */
export interface ToldPosition {
  position: number
  /** What `position` becomes once the transaction under way has committed. */
  next: number | undefined
}

const writers = new WeakMap<Connection, SqliteWriter>()

/** The reads and writes of a connection; the transaction is the caller's. */
export function sqliteWriter(db: Connection, schema: Schema, told: ToldPosition): SqliteWriter {
  let writer = writers.get(db)
  if (!writer) {
    writer = {
      ...sqliteReader(db, schema),
      ...recordStatements(db, schema),
      ...ledgerStatements(db),
      ...receiptStatements(db),
      ...eventStatements(db),
      ...escrowStatements(db),
      movedScopes: async () => {
        told.next = Number(db.get('SELECT counter FROM holdfast_state')?.['counter'])
        return told.next > told.position ? scopesSince(db, told.position) : []
      },
    }
    writers.set(db, writer)
  }
  return writer
}

/** Scopes whose feed moved after a position. */
export function scopesSince(db: Connection, position: number): readonly string[] {
  const sql =
    'SELECT DISTINCT scope FROM holdfast_feed INDEXED BY holdfast_feed_by_position WHERE position > ?'
  return db.all(sql, position).map((row) => String(row['scope']))
}
