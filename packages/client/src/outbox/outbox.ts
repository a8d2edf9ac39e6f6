import { formatRanges, type Hlc, type MutationOp, parseRanges, rangesOf } from '@holdfast/core'

import { queueUploads } from '../attachments/upload-queue.ts'
import type { SqlParam, SqlRow } from '../drivers/sqlite-driver.ts'
import type { KnownVerdict, LocalReader, LocalTransaction } from '../local/local-database.ts'
import { quoteName } from '../local/tables.ts'
import { checksum } from './checksum.ts'
import type { KnownBefore } from './hold-reasons.ts'
import { type Entry, type EntryError, type EntryStatus, entryColumns, readEntry } from './entry.ts'

/** A mutation about to be written down. */
export interface NewEntry {
  readonly id: string
  readonly collection: string
  readonly record: string
  readonly op: MutationOp
  /** From `payloadText`. */
  readonly payload: string
  readonly baseVersion: number
  readonly after: string | null
  readonly at: Hlc
  readonly resolves: string | null
  readonly group: string | null
  readonly schema: number
  readonly trace: string | null
  /** ISO time. */
  readonly createdAt: string
  readonly depends: readonly number[]
}

/** The number after the newest there ever was, in SQL: entries leave, their numbers stay used. Rules: OB-1. */
export const nextSeq =
  "max(coalesce((SELECT max(seq) FROM _outbox), 0), coalesce((SELECT value FROM _meta WHERE key = 'seq'), 0)) + 1"

const insertSql =
  'INSERT INTO _outbox (seq, id, collection, record, op, payload, hash, base_version, after, at, resolves, group_id, ' +
  `schema, trace, created_at, depends) VALUES (${nextSeq}, ` +
  '?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'

/** Appends an entry and returns its device number. Numbers are dense and never used twice. Rules: OB-1. */
export async function insertEntry(tx: LocalTransaction, entry: NewEntry): Promise<number> {
  tx.touch('_outbox', 'all')
  const { lastInsertRowid } = await tx.run(insertSql, [
    entry.id,
    entry.collection,
    entry.record,
    entry.op,
    entry.payload,
    checksum(entry.payload),
    entry.baseVersion,
    entry.after,
    entry.at,
    entry.resolves,
    entry.group,
    entry.schema,
    entry.trace,
    entry.createdAt,
    entry.depends.length === 0 ? null : entry.depends.join(','),
  ])
  await queueUploads(tx, entry)
  return lastInsertRowid
}

/** Which entries to list. */
export interface EntryQuery {
  /** All of them unless said. */
  readonly status?: EntryStatus
  /** Only those of one record. */
  readonly record?: string
  /** Only decisions on conflicts. */
  readonly isDecision?: true
  /** Only entries with a greater seq: for reading on. */
  readonly afterSeq?: number
  readonly limit?: number
}

/** Readable entries in the order written. Damaged ones are found by `buryUnreadable`. */
export async function listEntries(tx: LocalReader, query: EntryQuery = {}): Promise<Entry[]> {
  const { status, record, isDecision } = query
  const wanted = [
    ...(status === undefined ? [] : [['status', status] as const]),
    ...(record === undefined ? [] : [['record', record] as const]),
  ]
  const where =
    wanted.map(([column]) => ` AND ${column} = ?`).join('') + (isDecision ? ' AND resolves IS NOT NULL' : '')
  const rows = await tx.all(
    `SELECT ${entryColumns} FROM _outbox WHERE seq > ?${where} ORDER BY seq LIMIT ?`,
    [query.afterSeq ?? 0, ...wanted.map(([, value]) => value), query.limit ?? -1],
  )
  return rows.flatMap((row) => readEntry(row) ?? [])
}

/** Every readable entry of a record in the order written, whatever its status, but for escrow: what its view is replayed from. */
export async function entriesOfRecord(tx: LocalReader, collection: string, record: string): Promise<Entry[]> {
  const rows = await tx.all(
    `SELECT ${entryColumns} FROM _outbox WHERE record = ? AND collection = ? AND NOT escrow ORDER BY seq`,
    [record, collection],
  )
  return rows.flatMap((row) => readEntry(row) ?? [])
}

/** Whether the first answer to something offered was lost: the device does not know whether the server took it as it was. */
export async function hasLostAnswer(tx: LocalReader): Promise<boolean> {
  const rows = await tx.all(
    // That they are not pending is said for the index.
    "SELECT 1 FROM _outbox WHERE status <> 'pending' AND (status = 'sending' OR (status = 'answered' AND held_by IS NOT NULL)) LIMIT 1",
  )
  return rows.length > 0
}

/** The entries that stand for the device numbers an outcome covers, such as "18-19". Numbers that are gone are left out. */
export async function entriesCovered(tx: LocalReader, covers: string): Promise<Entry[]> {
  const entries: Entry[] = []
  for (const [first, last] of parseRanges(covers)) {
    const rows = await tx.all(`SELECT ${entryColumns} FROM _outbox WHERE seq BETWEEN ? AND ? ORDER BY seq`, [
      first,
      last,
    ])
    for (const row of rows) {
      const entry = readEntry(row)
      if (entry !== undefined) entries.push(entry)
    }
  }
  return entries
}

/** The server applied or merged them: they stay, replayed, until a flip settles them. */
export async function markAnswered(
  tx: LocalTransaction,
  seqs: readonly number[],
  answer: {
    readonly status: 'applied' | 'merged'
    readonly version: number | null
    readonly serverUpdatedAt: string | null
    /** The server took it as it was: its answer needed no `record`. */
    readonly exact: boolean
    readonly heldBy?: KnownBefore
  },
): Promise<void> {
  await updateEntries(tx, seqs, {
    set: "status = 'answered', verdict = ?, exact = ?, version = ?, server_updated_at = ?, held_by = ?, error = NULL",
    params: [answer.status, answer.exact, answer.version, answer.serverUpdatedAt, answer.heldBy ?? null],
    verdict: { status: answer.status, version: answer.version },
  })
}

/** A person must decide: they wait for the conflict to close. */
export async function markConflicted(
  tx: LocalTransaction,
  seqs: readonly number[],
  conflict: string,
): Promise<void> {
  await updateEntries(tx, seqs, {
    set: "status = 'conflicted', verdict = 'conflict', held_by = ?, error = NULL",
    params: [conflict],
    verdict: { status: 'conflict', version: null },
  })
}

/** The server waits with them until `heldBy` closes. They keep id, number and bytes. */
export async function markHeld(tx: LocalTransaction, seqs: readonly number[], heldBy: string): Promise<void> {
  await updateEntries(tx, seqs, { set: "status = 'held', held_by = ?", params: [heldBy] })
}

/** Everything held by one of these may be offered again, as the same bytes. */
export async function releaseHeld(tx: LocalTransaction, heldBy: Iterable<string>): Promise<void> {
  const rows = await tx.all(
    // That they are not pending is said for the index.
    "SELECT seq FROM _outbox WHERE status = 'held' AND status <> 'pending' AND held_by IN (SELECT value FROM json_each(?))",
    [JSON.stringify([...new Set(heldBy)])],
  )
  await updateEntries(tx, seqsOf(rows), { set: "status = 'pending', held_by = NULL", params: [] })
}

/** They will never succeed by themselves: dead letters, with the reason. Bytes and numbers stay. */
export async function markDead(
  tx: LocalTransaction,
  seqs: readonly number[],
  error: EntryError,
): Promise<void> {
  await updateEntries(tx, seqs, {
    set: "status = 'dead', verdict = 'rejected', held_by = NULL, error = ?",
    params: [`${error.code} ${error.message}`],
    verdict: { status: 'rejected', version: null, error },
  })
}

/** The entries are done with: settled by the server and in the shadow, or discarded by a person. */
export async function settle(tx: LocalTransaction, seqs: readonly number[]): Promise<void> {
  const rows = await tx.all(
    'DELETE FROM _outbox WHERE seq IN (SELECT value FROM json_each(?)) RETURNING collection, record',
    [JSON.stringify(seqs)],
  )
  tx.touch('_outbox', 'all')
  await refreshStates(tx, rows)
}

/** The device numbers of rows that were read with their `seq`. */
export function seqsOf(rows: readonly SqlRow[]): readonly number[] {
  return rows.map(({ seq }) => Number(seq))
}

/** Device numbers as the protocol spells them. */
export function coversOf(seqs: Iterable<number>): string {
  return formatRanges(rangesOf(seqs))
}

interface EntryUpdate {
  readonly set: string
  readonly params: readonly SqlParam[]
  readonly verdict?: KnownVerdict
}

/** Has an entry say something else. The text is that of `payloadText`. */
export async function writePayload(tx: LocalTransaction, seq: number, text: string): Promise<void> {
  await tx.run('UPDATE _outbox SET payload = ?, hash = ? WHERE seq = ?', [text, checksum(text), seq])
}

/** Updates entries and the states of their records, and announces the verdict by mutation id. */
export async function updateEntries(
  tx: LocalTransaction,
  seqs: readonly number[],
  { set, params, verdict }: EntryUpdate,
): Promise<void> {
  if (seqs.length === 0) return
  const rows = await tx.all(
    `UPDATE _outbox SET ${set} WHERE seq IN (SELECT value FROM json_each(?)) RETURNING id, collection, record`,
    [...params, JSON.stringify(seqs)],
  )
  tx.touch('_outbox', 'all')
  if (verdict !== undefined) for (const row of rows) tx.announce(String(row.id), verdict)
  await refreshStates(tx, rows)
}

/** Sets `_state` of the named records to what their entries say. Rules: OB-3. */
export async function refreshStates(
  tx: LocalTransaction,
  records: readonly Readonly<Record<string, unknown>>[],
): Promise<void> {
  const idsOf = idsByCollection(records)
  // A name that is damaged, or that no schema had yet, has no rows; whatever it is of goes on all the same.
  const tables = await tx.all(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN (SELECT value FROM json_each(?))",
    [JSON.stringify([...idsOf.keys()])],
  )
  for (const name of tables.map((each) => String(each.name))) {
    const [collection, ids] = [name, idsOf.get(name) ?? []]
    const table = quoteName(collection)
    const changed = await tx.all(
      `UPDATE ${table} SET _state = fresh.state FROM (
         SELECT ids.value AS id, coalesce((
           SELECT CASE max(CASE status WHEN 'dead' THEN 4 WHEN 'conflicted' THEN 3 WHEN 'sending' THEN 2 WHEN 'answered' THEN 2 ELSE 1 END)
             WHEN 4 THEN 'failed' WHEN 3 THEN 'conflicted' WHEN 2 THEN 'syncing' WHEN 1 THEN 'pending' END
           FROM _outbox WHERE record = ids.value AND collection = ? AND NOT escrow), 'clean') AS state
         FROM json_each(?) AS ids) AS fresh
       WHERE ${table}.id = fresh.id AND ${table}._state <> fresh.state RETURNING ${table}.id AS id`,
      [collection, JSON.stringify([...ids])],
    )
    for (const row of changed) tx.touch(collection, String(row.id))
  }
}

function idsByCollection(records: readonly Readonly<Record<string, unknown>>[]): Map<string, Set<string>> {
  const ids = new Map<string, Set<string>>()
  for (const { collection, record } of records) {
    const known = ids.get(String(collection))
    if (known === undefined) ids.set(String(collection), new Set([String(record)]))
    else known.add(String(record))
  }
  return ids
}
