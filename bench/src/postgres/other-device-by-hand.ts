import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import { Calls } from '../calls.ts'
import { expectSame } from '../measurement.ts'
import type { RunningServer } from '../server-process.ts'

/** Two devices: what one writes, the other has. */
export interface DevicePair {
  /** Resolves with the time from the call until the other has it, ms. */
  readonly write: (stock: number) => Promise<number>
  readonly close: () => Promise<void>
}

/**
 * The least that brings a change to another device and keeps it: a row with its outbox entry is committed with a sync, pushed,
 * committed by the server, told, asked for, and committed with a sync by the other.
 */
export async function openByHand(
  folder: string,
  url: string,
  start: () => Promise<RunningServer>,
): Promise<DevicePair> {
  const sql = new Client({ connectionString: url })
  await sql.connect()
  await sql.query(
    'CREATE TABLE by_hand (id text PRIMARY KEY, stock bigint, version bigint); CREATE SEQUENCE by_hand_versions; CREATE INDEX ON by_hand (version)',
  )
  await sql.end()
  const nodes = [await start(), await start()]
  const [writer, reader] = [openDevice(folder), openDevice(folder)]
  const ask = async (at: number, path: string, body: unknown): Promise<Response> =>
    fetch(`${nodes[at]?.url ?? ''}${path}`, { method: 'POST', body: JSON.stringify(body) })
  const calls = new Calls<number>()
  const stopping = new AbortController()
  let version = 0
  const follow = async (): Promise<void> => {
    const { body } = await fetch(`${nodes[1]?.url ?? ''}/stream`, { method: 'POST', signal: stopping.signal })
    for await (const _ of body ?? []) {
      // Only the node of this benchmark answers.
      const rows = (await (await ask(1, '/pull', version)).json()) as { stock: string; version: string }[]
      const row = rows[0]
      if (!row) continue
      version = Number(row.version)
      reader.write(Number(row.stock), version)
      calls.receive(Number(row.stock))
    }
  }
  const following = follow().catch(() => undefined)
  return {
    write: async (stock) => {
      const call = calls.next()
      const startedMs = performance.now()
      writer.write(stock, 0)
      await (await ask(0, '/push', { id: 'one', stock })).text()
      const { value, atMs } = await call
      expectSame('stock at the reader', value, stock)
      return atMs - startedMs
    },
    close: async () => {
      stopping.abort()
      await following
      writer.close()
      reader.close()
      for (const node of nodes) await node.stop()
    },
  }
}

function openDevice(folder: string) {
  const database = new DatabaseSync(join(mkdtempSync(join(folder, 'hand-')), 'device.db'))
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE items (id TEXT PRIMARY KEY, stock INTEGER, version INTEGER); CREATE TABLE outbox (id TEXT PRIMARY KEY, stock INTEGER)`)
  const write = database.prepare('INSERT OR REPLACE INTO items VALUES (?, ?, ?)')
  const note = database.prepare('INSERT OR REPLACE INTO outbox VALUES (?, ?)')
  return {
    write: (stock: number, version: number): void => {
      database.exec('BEGIN IMMEDIATE')
      write.run('one', stock, version)
      note.run('one', stock)
      database.exec('COMMIT')
    },
    close: () => database.close(),
  }
}
