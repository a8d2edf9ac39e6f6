import type { Schema } from '@holdfast/core'

import { keepUploadsOf } from '../attachments/upload-queue.ts'
import type { SqlRow } from '../drivers/sqlite-driver.ts'
import type { LocalReader, LocalTransaction } from '../local/local-database.ts'
import { rebuildRecords, recordsIn } from '../local/records.ts'
import { handOver } from './discard-entries.ts'
import { entryColumns, readEntry } from './entry.ts'
import { newIdentity } from './hold-reasons.ts'
import { seqsOf } from './outbox.ts'
import { RecordEntries } from './record-entries.ts'
import { requeue, type RequeueContext } from './requeue.ts'

/** Records the device may not see any more. */
export type LeftRecords = readonly { readonly collection: string; readonly record: string }[]

/** Their entries, `e`. */
const ofLeftRecords =
  "json_each(?) AS gone CROSS JOIN _outbox AS e ON e.record = gone.value ->> 'record' AND e.collection = gone.value ->> 'collection'"

/** What is unsettled and in front of nobody else: neither taken, nor in a conflict, nor unreadable. */
const isMovable = (entry: string): string =>
  `(${entry}.status NOT IN ('answered', 'conflicted') AND NOT ${entry}.escrow AND coalesce(${entry}.error, '') NOT LIKE 'ENTRY_UNREADABLE%')`

/** Records with entries that would go to escrow if they left. */
export async function movableRecords(
  tx: LocalReader,
): Promise<readonly { readonly collection: string; readonly record: string }[]> {
  const rows = await tx.all(`SELECT DISTINCT collection, record FROM _outbox AS e WHERE ${isMovable('e')}`)
  return recordsIn(rows)
}

/**
 * Marks whatever is unsettled of records that left the device's sight: from now on it is no part of what the app sees, and
 * is offered for escrow. With it go the rest of its transactions, and the later edits of a record whose making goes. What
 * had been refused goes under new keys and numbers, as its own are used up. Later edits of records that stay see what these
 * saw. Returns the records that are to be shown again. Rules: ES-11, ES-13, ES-15.
 */
export async function moveToEscrow(
  tx: LocalTransaction,
  context: RequeueContext,
  left: LeftRecords,
): Promise<readonly SqlRow[]> {
  if (left.length === 0) return []
  await renewRefused(tx, context, left)
  const going = await goingSeqs(tx, left)
  if (going.length === 0) return []
  await standAside(tx, context.schema, going)
  const rows = await tx.all(
    `UPDATE _outbox SET escrow = CASE WHEN offer IS NULL THEN 1 ELSE 2 END, verdict = NULL, attempts = 0, next_attempt_at = NULL, error = NULL,
       status = CASE WHEN status = 'sending' OR held_by = ?1 THEN status ELSE 'pending' END,
       held_by = CASE held_by WHEN ?1 THEN held_by END
     WHERE seq IN (SELECT value FROM json_each(?2)) RETURNING collection, record`,
    [newIdentity, JSON.stringify(going)],
  )
  tx.touch('_outbox', 'all')
  return rows
}

/**
 * Numbers and keys of what the server ruled on are used up. A transaction, and a fold, is refused together, and with it what
 * stands on it, though its record may stay in sight.
 */
async function renewRefused(tx: LocalTransaction, context: RequeueContext, left: LeftRecords): Promise<void> {
  const isRefused = (entry: string): string =>
    `${entry}.status = 'dead' AND ${entry}.error NOT LIKE 'ATTEMPTS_EXHAUSTED%' AND ${isMovable(entry)}`
  const rows = await tx.all(
    `WITH RECURSIVE refused (seq) AS (
       SELECT e.seq FROM ${ofLeftRecords} WHERE ${isRefused('e')}
       UNION SELECT other.seq FROM refused JOIN _outbox AS one ON one.seq = refused.seq JOIN _outbox AS other
         ON (other.group_id = one.group_id OR (one.group_id IS NULL AND other.offer = one.offer)
           OR (other.record = one.record AND other.after = one.id AND other.error LIKE 'DEPENDENCY_FAILED%')) AND ${isRefused('other')})
     SELECT seq FROM refused`,
    [JSON.stringify(left)],
  )
  if (rows.length > 0) await requeue(tx, context, seqsOf(rows))
}

async function goingSeqs(tx: LocalReader, left: LeftRecords): Promise<readonly number[]> {
  const rows = await tx.all(
    `WITH RECURSIVE going (seq) AS (
       SELECT e.seq FROM ${ofLeftRecords} WHERE ${isMovable('e')}
       UNION SELECT other.seq FROM going JOIN _outbox AS one ON one.seq = going.seq JOIN _outbox AS other
         ON (other.group_id = one.group_id OR (one.op = 'create' AND other.record = one.record AND other.collection = one.collection AND other.seq > one.seq))
         AND ${isMovable('other')})
     SELECT seq FROM going ORDER BY seq`,
    [JSON.stringify(left)],
  )
  return seqsOf(rows)
}

/** As if they had never been written: from the newest to the oldest, so that each hands over what it stood on itself. */
async function standAside(tx: LocalTransaction, schema: Schema, going: readonly number[]): Promise<void> {
  const gone = new Set(going)
  const rows = await tx.all(
    `SELECT ${entryColumns} FROM _outbox WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq DESC`,
    [JSON.stringify(going)],
  )
  const entries = new RecordEntries(tx)
  for (const entry of rows.flatMap((row) => readEntry(row) ?? []))
    entries.replace(await handOver(tx, schema, { entry, ...(await entries.around(entry, gone)) }))
}

/** What an answer must have said for an edit to be offered again for escrow: its author lacked sight, then as now. */
const unseen: ReadonlySet<string> = new Set([
  'RECORD_NOT_FOUND',
  'SCOPE_DENIED',
  'STALE_TARGET',
  'REFERENCE_MISSING',
  'CONFLICT_UNKNOWN',
  'NOT_AUTHORIZED',
  'DEPENDENCY_FAILED',
])

const settledColumns = 'seq, collection, record, op, status, error, group_id, offer, escrow'

/**
 * Takes in what the server said of edits that are for escrow, however it was heard. Those it has leave a note without a value;
 * what it had ruled on before, when they were offered as any other, counts: taken is taken, a conflict is one, and what was
 * refused for lack of sight goes once more. Any other refusal is a dead letter. What another copy of this database has sent
 * there leaves this one as well, though it knows of no reason: with a create go the later edits of its record. Returns
 * whether values were dropped: their traces in the file are to go as well. Rules: ES-14, ES-15.
 */
export async function settleEscrowed(tx: LocalTransaction, context: RequeueContext): Promise<boolean> {
  const rows = await tx.all(
    `SELECT ${settledColumns} FROM _outbox WHERE escrow AND status IN ('answered', 'conflicted', 'dead')
       AND coalesce(error, '') NOT LIKE 'ATTEMPTS_EXHAUSTED%'
     UNION ALL SELECT ${settledColumns} FROM _outbox
       WHERE NOT escrow AND status = 'dead' AND status <> 'pending' AND error LIKE 'ESCROWED%' ORDER BY seq`,
  )
  if (rows.length === 0) return false
  const taken = rows.filter(({ status }) => status === 'answered')
  const kept: number[] = []
  const again: number[] = []
  const others = [...seqsOf(rows.filter(({ status }) => status === 'conflicted'))]
  for (const letter of lettersOf(rows.filter(({ status }) => status === 'dead'))) {
    const seqs = seqsOf(letter)
    const code = reasonOf(letter)
    if (code === 'ESCROWED') kept.push(...seqs)
    else if (unseen.has(code) && letter.every(({ escrow }) => escrow === 2)) again.push(...seqs)
    else others.push(...seqs)
  }
  const unaware = rows.filter(({ escrow }) => escrow === 0)
  await standAside(tx, context.schema, seqsOf(unaware))
  await keepUploadsOf(tx, kept)
  await keepNotes(tx, kept, new Date(context.env.now()).toISOString())
  await drop(tx, [...kept, ...seqsOf(taken)])
  const made = recordsIn(unaware.filter(({ op }) => op === 'create'))
  const later = await moveToEscrow(tx, context, made)
  const shown = await tx.all(
    'UPDATE _outbox SET escrow = 0 WHERE seq IN (SELECT value FROM json_each(?)) RETURNING collection, record',
    [JSON.stringify(others)],
  )
  await tx.run('UPDATE _outbox SET escrow = 1 WHERE seq IN (SELECT value FROM json_each(?))', [
    JSON.stringify(again),
  ])
  if (again.length > 0) await requeue(tx, context, again)
  // The ones are part of what the app sees again, the others are not any more.
  await rebuildRecords(tx, context.schema, recordsIn([...shown, ...unaware, ...later]))
  tx.touch('_outbox', 'all')
  return kept.length + taken.length > 0
}

/** What was refused together: a transaction, a fold, or one by itself. */
function lettersOf(rows: readonly SqlRow[]): Iterable<readonly SqlRow[]> {
  return Map.groupBy(rows, ({ group_id: group, offer, seq }) => group ?? offer ?? seq).values()
}

/** The culprit of a refused transaction is the member with a reason of its own. */
function reasonOf(letter: readonly SqlRow[]): string {
  const codes = letter.map(({ error }) => String(error).split(' ')[0] ?? '')
  return codes.find((code) => code !== 'DEPENDENCY_FAILED') ?? 'DEPENDENCY_FAILED'
}

async function keepNotes(tx: LocalTransaction, seqs: readonly number[], sentAt: string): Promise<void> {
  await tx.run(
    `INSERT OR REPLACE INTO _escrow (id, collection, record, op, group_id, created_at, sent_at)
     SELECT id, collection, record, op, group_id, created_at, ?1 FROM _outbox WHERE seq IN (SELECT value FROM json_each(?2)) ORDER BY seq`,
    [sentAt, JSON.stringify(seqs)],
  )
  if (seqs.length > 0) tx.touch('_escrow', 'all')
}

async function drop(tx: LocalTransaction, seqs: readonly number[]): Promise<void> {
  await tx.run('DELETE FROM _outbox WHERE seq IN (SELECT value FROM json_each(?))', [JSON.stringify(seqs)])
}
