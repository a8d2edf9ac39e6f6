import { keyEndLength, limits, parseRanges, type PullRequest, type Schema } from '@holdfast/core'

import type { LocalReader, LocalTransaction } from '../local/local-database.ts'
import { quoteName } from '../local/tables.ts'
import { entryColumns } from './entry.ts'
import { coversOf, seqsOf } from './outbox.ts'

/** How long settled work is kept, ms. */
export const retainedMs: number = limits.retainedDays * 86_400_000

/** What an entry keeps when it is to be settled once more; the rest is as if it had been offered without an answer. */
const returned: Readonly<Record<string, string>> = {
  status: "'pending'",
  verdict: 'NULL',
  exact: '0',
  version: 'NULL',
  server_updated_at: 'NULL',
  returned_at: '?3',
  escrow: '0',
}

/** Looked up span by span: there may be as many as there are numbers. */
const inSpans =
  'seq IN (SELECT kept.seq FROM json_each(?1) AS span CROSS JOIN _retained AS kept ON kept.seq BETWEEN span.value ->> 0 AND span.value ->> 1)'

/**
 * The server cannot say whether it knows what went under another name: it finds that out by the key, which it remembers for
 * longer than such work is kept.
 */
const isLost = `?1 IS NULL
  OR (device IS NOT (SELECT value FROM _meta WHERE key = 'device') AND kept_at >= ?2)
  OR ${inSpans}`

/**
 * Puts back into the outbox what was settled by a history that the server has lost, to be offered again under its key and
 * number. `lost`: which of this device's numbers the server does not know; all of them where it does not say. What has no
 * values any more cannot be offered: a note says that it is gone. Returns how many they are that were put back. Rules: SY-25.
 */
export async function returnRetained(
  tx: LocalTransaction,
  { lost, nowMs }: { readonly lost: string | undefined; readonly nowMs: number },
): Promise<number> {
  const spans = lost === undefined ? null : JSON.stringify(parseRanges(lost))
  await noteGone(tx, spans)
  // Of a fold whose lead is no longer kept, each goes by itself.
  await tx.run(
    `UPDATE _retained AS r SET offer = seq, wire = NULL WHERE offer IS NULL
     OR NOT EXISTS (SELECT 1 FROM _retained AS lead WHERE lead.seq = r.offer)`,
  )
  const values = entryColumns.split(', ').map((name) => returned[name] ?? name)
  const { changes } = await tx.run(
    `INSERT INTO _outbox (${entryColumns}) SELECT ${values.join(', ')} FROM _retained WHERE hash <> '' AND (${isLost}) ORDER BY seq`,
    [spans, nowMs - retainedMs, nowMs],
  )
  if (changes === 0) return 0
  await tx.run(`DELETE FROM _retained WHERE hash <> '' AND (${isLost})`, [spans, nowMs - retainedMs])
  tx.touch('_outbox', 'all')
  return changes
}

/** Only of what went under the name of now does the server's answer say that it is lost. */
async function noteGone(tx: LocalTransaction, spans: string | null): Promise<void> {
  const { changes } = await tx.run(
    `INSERT OR IGNORE INTO _escrow (id, collection, record, op, group_id, created_at, sent_at, status)
     SELECT id, collection, record, op, group_id, created_at, strftime('%Y-%m-%dT%H:%M:%fZ', kept_at / 1000.0, 'unixepoch'), 'unknown'
     FROM _retained WHERE ${isGone} ORDER BY seq`,
    [spans],
  )
  if (changes === 0) return
  await tx.run(`DELETE FROM _retained WHERE ${isGone}`, [spans])
  tx.touch('_escrow', 'all')
}

const isGone = `hash = '' AND device = (SELECT value FROM _meta WHERE key = 'device')
  AND ${inSpans}`

/** Stamps what was settled in this transaction, and drops what was kept for long enough or is too much, the oldest first. */
export async function boundRetained(tx: LocalTransaction, nowMs: number): Promise<void> {
  // Settled while the clock was ahead, it is kept for as long from now on: in the end no server knows its key any more.
  await tx.run('UPDATE _retained SET kept_at = ?1 WHERE kept_at IS NULL OR kept_at > ?1', [nowMs])
  await tx.run('DELETE FROM _retained WHERE kept_at < ?', [nowMs - retainedMs])
  const [newest] = await tx.all('SELECT n, total FROM _retained ORDER BY n DESC LIMIT 1')
  const [oldest] = await tx.all('SELECT total FROM _retained ORDER BY n LIMIT 1')
  await dropUpTo(tx, Number(newest?.n ?? 0) - limits.retainedRows)
  const bytes = Number(newest?.total ?? 0) - Number(oldest?.total ?? 0)
  if (bytes <= limits.retainedBytes) return
  // Somewhat more than needed, so that not every flip has to look.
  const total = Number(newest?.total) - limits.retainedBytes * keptShare
  const [last] = await tx.all('SELECT max(n) AS n FROM _retained WHERE total <= ?', [total])
  await dropUpTo(tx, Number(last?.n ?? 0))
}

/** With the rest of its transaction: half of one is not to be returned. They were settled in one flip. */
async function dropUpTo(tx: LocalTransaction, last: number): Promise<void> {
  await tx.run(
    `DELETE FROM _retained WHERE kept_at IN (SELECT kept_at FROM _retained WHERE n <= ?1 AND group_id IS NOT NULL)
     AND group_id IN (SELECT group_id FROM _retained WHERE n <= ?1)`,
    [last],
  )
  await tx.run('DELETE FROM _retained WHERE n <= ?', [last])
}

/** What is left of the bytes that may be kept once there are too many. */
const keptShare = 0.9

/**
 * The values of whatever the device keeps of records that it no longer has go; that they were deleted says nothing of what
 * they were. Rules: AP-8, SY-25.
 */
export async function emptyRetained(tx: LocalTransaction, schema: Schema): Promise<void> {
  const tables = [...schema.collections.keys()].map(
    (name) => `collection = '${name}' AND record IN (SELECT id FROM ${quoteName(name)})`,
  )
  await empty(
    tx,
    `NOT (${tables.map((each) => `(${each})`).join(' OR ')}) AND NOT (op = 'delete' AND payload = '{}')`,
  )
}

/** The same of one record, which left. */
export function emptyRetainedOf(tx: LocalTransaction, collection: string, record: string): Promise<void> {
  return empty(tx, 'record = ? AND collection = ?', [record, collection])
}

/** What is left says which mutation it was; without a checksum it is no mutation that could be returned. */
async function empty(tx: LocalTransaction, condition: string, params: readonly string[] = []): Promise<void> {
  await tx.run(
    `UPDATE _retained SET payload = '{}', hash = '', wire = NULL WHERE hash <> '' AND ${condition}`,
    params,
  )
}

/** What a pull says of settled work to a server that may have lost some of it. */
export type Settled = Pick<PullRequest, 'settled' | 'settledKeys'>

/** All that this device was answered for and has settled under its name: the server says which of it it does not know. */
export async function readSettled(tx: LocalReader): Promise<Settled> {
  const rows = await tx.all(
    `SELECT seq, substr(id, -${keyEndLength}) AS key FROM _retained
     WHERE device = (SELECT value FROM _meta WHERE key = 'device') ORDER BY seq`,
  )
  return {
    settled: coversOf(seqsOf(rows)),
    settledKeys: rows.map((row) => String(row.key)).join(''),
  }
}

/** Numbers that this device was answered for and has settled, as ranges: a server that lacks one has lost it. The newest `count`. */
export async function readRetained(tx: LocalReader, count: number): Promise<string> {
  const rows = await tx.all(
    `SELECT seq FROM _retained WHERE device = (SELECT value FROM _meta WHERE key = 'device') ORDER BY n DESC LIMIT ?`,
    [count],
  )
  return coversOf(seqsOf(rows))
}
