import type { Schema } from '@holdfast/core'
import type { StoreWriter } from '../store.ts'
import type { Connection } from './connection.ts'
import { sqliteReader } from './sqlite-reader.ts'
import { ledgerStatements } from './write-ledger.ts'
import { recordStatements } from './write-records.ts'

/** The writer of this store; what is more than the seam is for the store itself. */
export type SqliteWriter = StoreWriter & Pick<ReturnType<typeof recordStatements>, 'readForeignNotes'>

const writers = new WeakMap<Connection, SqliteWriter>()

/** The reads and writes of a connection; the transaction is the caller's. */
export function sqliteWriter(db: Connection, schema: Schema): SqliteWriter {
  let writer = writers.get(db)
  if (!writer) {
    writer = { ...sqliteReader(db, schema), ...recordStatements(db, schema), ...ledgerStatements(db) }
    writers.set(db, writer)
  }
  return writer
}
