import { SyncError } from '@holdfast/core'

import type { SqliteConnection, SqliteDriver, SqlRow } from '../drivers/sqlite-driver.ts'
import { readEntry } from '../outbox/entry.ts'

/** What could be read of an outbox, for a person or a tool to bring back. */
export interface Rescue {
  /** In the order written. */
  readonly entries: readonly RescuedEntry[]
  /** False when entries are known to be missing, or nobody can tell. */
  readonly isComplete: boolean
}

/** One entry as its bytes say it. */
export interface RescuedEntry {
  /** Every column as stored. */
  readonly columns: SqlRow
  /** Whether its checksum and shape are right. */
  readonly isSound: boolean
}

const pageRows = 100

/** Numbers tried one by one between the damage's edges: about a second's work. */
const gapMax = 100_000

/**
 * Reads what can be read of the outbox of a database, however damaged: forwards and backwards until the damage, then
 * number by number in between. Changes nothing. A file without a readable table of contents gives nothing.
 * Errors: STORE_FAILED when it cannot be opened at all. Rules: LO-9.
 */
export async function rescueOutbox(storage: SqliteDriver): Promise<Rescue> {
  const connection = await storage.open()
  try {
    const rows = new Map<number, SqlRow>()
    const low = await readRun(connection, rows, 'ASC')
    if (low === 'end') return rescued(rows, true)
    const high = await readRun(connection, rows, 'DESC')
    const bottom = low === 'none' ? 0 : low
    const top = typeof high === 'number' ? high : bottom + gapMax
    for (let seq = bottom + 1; seq < Math.min(top, bottom + gapMax); seq++) {
      for (const row of await readOrNothing(connection, 'seq = ?', [seq])) rows.set(seq, row)
    }
    return rescued(rows, false)
  } finally {
    await connection.close()
  }
}

/** Reads from one end; gives the last number before the damage, 'none' when the first read failed, 'end' when all was read. */
async function readRun(
  connection: SqliteConnection,
  rows: Map<number, SqlRow>,
  direction: 'ASC' | 'DESC',
): Promise<number | 'none' | 'end'> {
  const isForward = direction === 'ASC'
  let last: number | undefined
  let limit = pageRows
  for (;;) {
    const from = last ?? (isForward ? -1 : Number.MAX_SAFE_INTEGER)
    try {
      const page = await connection.all(
        `SELECT * FROM _outbox WHERE seq ${isForward ? '>' : '<'} ? ORDER BY seq ${direction} LIMIT ?`,
        [from, limit],
      )
      if (page.length === 0) return 'end'
      for (const row of page) rows.set(Number(row.seq), row)
      last = Number(page.at(-1)?.seq)
    } catch (error) {
      if (!(error instanceof SyncError)) throw error
      if (limit === 1) return last ?? 'none'
      limit = 1
    }
  }
}

async function readOrNothing(
  connection: SqliteConnection,
  where: string,
  params: readonly number[],
): Promise<readonly SqlRow[]> {
  try {
    return await connection.all(`SELECT * FROM _outbox WHERE ${where}`, params)
  } catch {
    // This is the damage; its neighbours may be whole.
    return []
  }
}

function rescued(rows: ReadonlyMap<number, SqlRow>, isComplete: boolean): Rescue {
  const sorted = [...rows].sort(([left], [right]) => left - right)
  const entries = sorted.map(([, columns]) => ({ columns, isSound: readEntry(columns) !== undefined }))
  return { entries, isComplete: isComplete && entries.every((entry) => entry.isSound) }
}
