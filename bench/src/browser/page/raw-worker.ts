import { opfsStorage } from '@holdfast/client/opfs'
import type { SqliteConnection } from '@holdfast/client'

import type { RawCall } from './raw-database.ts'

// The limit: the same build of SQLite, driven by hand. One table, prepared statements, no bookkeeping.
let connection: SqliteConnection | undefined

const insertSql = 'INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)'
const queueSql = 'INSERT INTO outbox (id, collection, record, op, payload, at) VALUES (?, ?, ?, ?, ?, ?)'

globalThis.addEventListener('message', ({ data }: MessageEvent<{ id: number; call: RawCall }>) => {
  perform(data.call).then(
    (value) => globalThis.postMessage({ id: data.id, value }),
    (error: unknown) => globalThis.postMessage({ id: data.id, error: String(error) }),
  )
})

async function perform(call: RawCall): Promise<unknown> {
  if (call.kind === 'open') {
    connection = await opfsStorage(call.name).open()
    await connection.exec(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
       CREATE TABLE IF NOT EXISTS items (id TEXT PRIMARY KEY, sku TEXT, name TEXT, description TEXT, stock INTEGER, price TEXT, tags TEXT, warehouse TEXT, counted TEXT);
       CREATE INDEX IF NOT EXISTS items_warehouse ON items (warehouse, name);
       CREATE TABLE IF NOT EXISTS outbox (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, collection TEXT, record TEXT, op TEXT, payload TEXT, at TEXT);
       CREATE INDEX IF NOT EXISTS outbox_record ON outbox (record)`,
    )
    return undefined
  }
  if (connection === undefined) throw new Error('open it first')
  if (call.kind === 'insert') return connection.run(insertSql, call.row)
  if (call.kind === 'all') return connection.all(call.sql)
  await connection.run('BEGIN IMMEDIATE')
  const at = new Date().toISOString()
  for (const row of call.rows) {
    await connection.run(insertSql, row)
    if (call.kind === 'insertAll') continue
    const entry = [crypto.randomUUID(), 'items', row[0] ?? '', 'create', JSON.stringify(row), at]
    await connection.run(queueSql, entry)
  }
  await connection.run('COMMIT')
  return undefined
}
