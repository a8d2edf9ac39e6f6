import { SyncError } from '@holdfast/core'
import type { LocalDatabase, LocalReader, LocalTransaction } from '../local/local-database.ts'
import { readMeta, writeMeta } from '../local/meta.ts'

/** A rewriting that failed is left alone so long, ms: it takes room for the whole file, and a second for each 100 MB. */
const retryMs = 3_600_000

/**
 * Remembers, in the transaction that erases them, that rows may still be read out of the file: SQLite overwrites what is
 * deleted, but the pages it has rebuilt before then hold older copies. Rules: AP-8.
 */
export function oweRewriting(tx: LocalTransaction): Promise<void> {
  return writeMeta(tx, 'sync.rewrite', 0)
}

/** Whether the file is to be rewritten now. A clock that was ahead does not put it off for longer than it may. */
export async function isRewritingDue(tx: LocalReader, nowMs: number): Promise<boolean> {
  const dueMs = await readMeta(tx, 'sync.rewrite')
  return typeof dueMs === 'number' && (nowMs >= dueMs || dueMs - nowMs > retryMs)
}

/** Writes the file anew with what is in its rows and nothing else. Returns what kept it from that; then it is put off. */
export async function rewriteFile(database: LocalDatabase, nowMs: number): Promise<SyncError | undefined> {
  try {
    await database.all('VACUUM')
  } catch (error) {
    if (!(error instanceof SyncError)) throw error
    await database.write((tx) => writeMeta(tx, 'sync.rewrite', nowMs + retryMs))
    return error
  }
  await database.write((tx) => writeMeta(tx, 'sync.rewrite', null))
  return undefined
}
