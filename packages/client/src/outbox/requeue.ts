import { type Environment, newUuid, type Schema } from '@holdfast/core'

import type { LocalTransaction } from '../local/local-database.ts'
import { keepClock } from '../local/meta.ts'
import { rebuildRecord } from '../local/records.ts'
import { type Entry, entryColumns, readEntry } from './entry.ts'
import { nextSeq, updateEntries } from './outbox.ts'

/** Entries moved together at most: a person repairs one thing at a time. */
const movedMax = 10_000

/** What moving entries takes. */
export interface RequeueContext {
  readonly schema: Schema
  readonly env: Pick<Environment, 'now' | 'randomBytes'>
}

/**
 * Puts entries at the end of the outbox under new keys and numbers, as if they had never been offered, and behind them,
 * in their order, everything fresh that stands on them: later edits of the same records, creates that refer to them,
 * whole groups. The old numbers stay used, and the records show what they are in the new order. Rules: OB-15, PR-1.
 */
export function requeue(
  tx: LocalTransaction,
  { schema, env }: RequeueContext,
  seqs: readonly number[],
): Promise<void> {
  return move(tx, schema, { seqs, keyOf: () => newUuid(env) })
}

/** The same under their own keys: whoever else holds them offers them under these, so that they count once. Rules: SY-12. */
export function requeueUnderOwnKeys(
  tx: LocalTransaction,
  schema: Schema,
  seqs: readonly number[],
): Promise<void> {
  return move(tx, schema, { seqs, keyOf: ({ id }) => id })
}

interface Move {
  readonly seqs: readonly number[]
  readonly keyOf: (entry: Entry) => string
}

async function move(tx: LocalTransaction, schema: Schema, { seqs, keyOf }: Move): Promise<void> {
  await keepClock(tx)
  const renewed = new Set(seqs)
  const moved = await withDependents(tx, seqs)
  const [first] = await tx.all(`SELECT ${nextSeq} AS seq`)
  let next = Number(first?.seq)
  const seqNow = new Map<number, number>()
  const idNow = new Map<string, string>()
  for (const entry of moved) {
    const isRenewed = renewed.has(entry.seq)
    const id = isRenewed ? keyOf(entry) : entry.id
    const depends = entry.depends.map((seq) => seqNow.get(seq) ?? seq)
    const after = entry.after === null ? null : (idNow.get(entry.after) ?? entry.after)
    await tx.run('UPDATE _outbox SET seq = ?, id = ?, after = ?, depends = ? WHERE seq = ?', [
      next,
      id,
      after,
      depends.length === 0 ? null : depends.join(','),
      entry.seq,
    ])
    if (isRenewed) await tx.run(`UPDATE _outbox SET ${asNew} WHERE seq = ?`, [next])
    seqNow.set(entry.seq, next++)
    idNow.set(entry.id, id)
  }
  tx.touch('_outbox', 'all')
  for (const [record, name] of new Map(moved.map((entry) => [entry.record, entry.collection]))) {
    const collection = schema.collections.get(name)
    if (collection !== undefined) await rebuildRecord(tx, collection, record)
  }
}

const asNew =
  "status = 'pending', verdict = NULL, exact = 0, attempts = 0, next_attempt_at = NULL, offer = NULL, wire = NULL, held_by = NULL, " +
  'version = NULL, server_updated_at = NULL, error = NULL'

/** Entries of an offer that the server refused whole are as if they had never been offered; keys and numbers stay. */
export async function offerAfresh(tx: LocalTransaction, seqs: readonly number[]): Promise<void> {
  await updateEntries(tx, seqs, { set: asNew, params: [] })
}

/** The entries and, transitively, the fresh ones that stand on them, in the order written. */
async function withDependents(tx: LocalTransaction, seqs: readonly number[]): Promise<readonly Entry[]> {
  const found = new Map<number, Entry>()
  let open: readonly number[] = seqs
  while (open.length > 0 && found.size < movedMax) {
    const rows = await tx.all(
      `SELECT ${entryColumns} FROM _outbox WHERE seq IN (SELECT value FROM json_each(?))`,
      [JSON.stringify(open)],
    )
    for (const entry of rows.flatMap((row) => readEntry(row) ?? [])) found.set(entry.seq, entry)
    open = (await dependentsOf(tx, open)).filter((seq) => !found.has(seq))
  }
  return [...found.values()].sort((left, right) => left.seq - right.seq)
}

/** Fresh entries that directly stand on one of `seqs`, and the rest of their groups. */
export async function dependentsOf(
  tx: Pick<LocalTransaction, 'all'>,
  seqs: readonly number[],
): Promise<readonly number[]> {
  const rows = await tx.all(
    `WITH lead AS (SELECT seq, record, collection, op FROM _outbox WHERE seq IN (SELECT value FROM json_each(?1))),
     direct AS (
       SELECT later.seq, later.group_id FROM lead JOIN _outbox AS later
         ON later.record = lead.record AND later.collection = lead.collection AND later.seq > lead.seq
         WHERE later.status = 'pending' AND later.offer IS NULL
       UNION SELECT child.seq, child.group_id FROM _outbox AS child, json_each('[' || child.depends || ']') AS depend
         WHERE child.depends IS NOT NULL AND child.seq > (SELECT min(seq) FROM lead)
         AND depend.value IN (SELECT seq FROM lead WHERE op = 'create') AND child.status = 'pending' AND child.offer IS NULL)
     SELECT seq FROM direct UNION SELECT seq FROM _outbox WHERE group_id IN (SELECT group_id FROM direct)`,
    [JSON.stringify(seqs)],
  )
  return rows.map((row) => Number(row.seq))
}
