import type { Environment, Payload, Schema } from '@holdfast/core'

import type { LocalReader, LocalTransaction } from '../local/local-database.ts'
import { keepClock } from '../local/meta.ts'
import { rebuildRecords } from '../local/records.ts'
import { checksum } from './checksum.ts'
import { type Entry, entryColumns, payloadText, readEntry } from './entry.ts'
import { nextSeq, seqsOf, updateEntries } from './outbox.ts'

/** Entries moved together at most: a person repairs one thing at a time. */
const movedMax = 10_000

/** What moving entries takes. */
export interface RequeueContext {
  readonly schema: Schema
  readonly env: Pick<Environment, 'now'>
}

/**
 * Puts entries at the end of the outbox under new keys and numbers, as if they had never been offered, and behind them,
 * in their order, everything that stands on them and is not offered as the same bytes: later edits of the same records,
 * creates that refer to them, whole groups; dead letters among these stay dead. The old numbers stay used.
 * Their records show what comes of the new order. Rules: OB-15, PR-1.
 */
export function requeue(
  tx: LocalTransaction,
  { schema }: Pick<RequeueContext, 'schema'>,
  seqs: readonly number[],
): Promise<void> {
  return move(tx, schema, { seqs, keyOf: keyOfRetry })
}

/**
 * The key under which a mutation is tried again: it follows from the old one and from what the mutation does now, so that
 * another copy of the database, or this one once it is put back to a backup of before, tries the same under the same key,
 * whatever each of them has made of what its author saw. The form is that of UUID version 8, with the clock of the old key. Source: RFC 9562, section 5.8.
 */
function keyOfRetry({ id, payload }: Entry): string {
  return keyFrom(id, payloadText({ ...payload, base: null }))
}

/** The key of an edit that is written behind a letter: whoever writes the same one behind a copy of it gives it the same. */
export function keyBehind({ id }: Pick<Entry, 'id'>, payload: Payload): string {
  return keyFrom(id, `behind ${payloadText({ ...payload, base: null })}`)
}

function keyFrom(id: string, text: string): string {
  const digits = checksum(`${id} ${text}`).slice(-9) + checksum(`${text} ${id}`).slice(-9)
  return `${id.slice(0, 13)}-8${digits.slice(0, 3)}-a${digits.slice(3, 6)}-${digits.slice(6)}`
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
  const lastOf = new Map<number, string>()
  for (const entry of moved) {
    const isRenewed = renewed.has(entry.seq)
    const id = isRenewed ? keyOf(entry) : entry.id
    // Of a letter the first mutation moves first.
    const offer =
      entry.offer === null
        ? null
        : (seqNow.get(entry.offer) ?? (entry.offer === entry.seq ? next : entry.offer))
    await tx.run('UPDATE _outbox SET seq = ?, id = ?, offer = ? WHERE seq = ?', [next, id, offer, entry.seq])
    if (isRenewed) await tx.run(`UPDATE _outbox SET ${asNew} WHERE seq = ?`, [next])
    // Its fold may be cut otherwise now: each stands on the one before it again, and what stood on all of it on the last.
    if (id !== entry.id && entry.offer !== null) {
      const before = lastOf.get(entry.offer)
      if (before !== undefined) await tx.run('UPDATE _outbox SET after = ? WHERE seq = ?', [before, next])
      lastOf.set(entry.offer, id)
    }
    seqNow.set(entry.seq, next++)
    if (id !== entry.id) idNow.set(entry.id, id)
  }
  for (const { seq, id } of moved) if (lastOf.has(seq)) idNow.set(id, lastOf.get(seq) ?? id)
  await renameParents(tx, seqNow, idNow)
  tx.touch('_outbox', 'all')
  await rebuildRecords(tx, schema, moved)
}

/**
 * Whoever stands on what was moved names its new number and key, also a dead letter that is yet to be tried again. What is
 * offered as the same bytes keeps the key in them.
 */
export async function renameParents(
  tx: LocalTransaction,
  seqNow: ReadonlyMap<number, number>,
  idNow: ReadonlyMap<string, string>,
): Promise<void> {
  const rows = await tx.all('SELECT seq, depends FROM _outbox WHERE depends IS NOT NULL')
  for (const { seq = null, depends } of rows) {
    const parents = String(depends).split(',').map(Number)
    if (!parents.some((parent) => seqNow.has(parent))) continue
    const renamed = parents.map((parent) => seqNow.get(parent) ?? parent).join(',')
    await tx.run('UPDATE _outbox SET depends = ? WHERE seq = ?', [renamed, seq])
  }
  const later = await tx.all(
    `SELECT seq, after FROM _outbox AS later WHERE after IN (SELECT value FROM json_each(?))
     AND (later.offer IS NULL OR ${isRefused})`,
    [JSON.stringify([...idNow.keys()])],
  )
  await tx.run(
    'UPDATE _outbox SET after = renamed.value ->> 1 FROM json_each(?) AS renamed WHERE seq = renamed.value ->> 0',
    [JSON.stringify(later.map(({ seq, after }) => [seq, idNow.get(String(after))]))],
  )
}

const asNew =
  "status = 'pending', verdict = NULL, exact = 0, attempts = 0, next_attempt_at = NULL, offer = NULL, wire = NULL, held_by = NULL, " +
  'version = NULL, server_updated_at = NULL, error = NULL'

/** Entries of an offer that the server refused whole are as if they had never been offered; keys and numbers stay. */
export async function offerAfresh(tx: LocalTransaction, seqs: readonly number[]): Promise<void> {
  await updateEntries(tx, seqs, { set: asNew, params: [] })
}

/** Seqs of the entries and, transitively, of all that stands on them and is not offered as the same bytes. */
export async function standingOn(tx: LocalReader, seqs: readonly number[]): Promise<ReadonlySet<number>> {
  return new Set((await withDependents(tx, seqs)).map(({ seq }) => seq))
}

async function withDependents(tx: LocalReader, seqs: readonly number[]): Promise<readonly Entry[]> {
  const found = new Map<number, Entry>()
  let open: readonly number[] = seqs
  while (open.length > 0 && found.size < movedMax) {
    const rows = await tx.all(
      `SELECT ${entryColumns} FROM _outbox WHERE seq IN (SELECT value FROM json_each(?))`,
      [JSON.stringify(open)],
    )
    for (const entry of rows.flatMap((row) => readEntry(row) ?? [])) found.set(entry.seq, entry)
    open = (await directlyOn(tx, open, `${isFresh} OR ${isRefused}`)).filter((seq) => !found.has(seq))
  }
  return [...found.values()].sort((left, right) => left.seq - right.seq)
}

/** By each of `seqs`, in one statement: the fresh entries that directly stand on it, and the rest of their groups. */
export async function dependentsOf(
  tx: LocalReader,
  seqs: readonly number[],
): Promise<ReadonlyMap<number, readonly number[]>> {
  const rows = await tx.all(
    `${directly(isFresh)} SELECT lead, seq FROM direct
     UNION SELECT lead, mate.seq FROM direct JOIN _outbox AS mate ON mate.group_id = direct.group_id`,
    [JSON.stringify(seqs)],
  )
  const dependents = new Map<number, number[]>()
  for (const { lead, seq } of rows) {
    const known = dependents.get(Number(lead))
    if (known === undefined) dependents.set(Number(lead), [Number(seq)])
    else known.push(Number(seq))
  }
  return dependents
}

async function directlyOn(
  tx: LocalReader,
  seqs: readonly number[],
  condition: string,
): Promise<readonly number[]> {
  const rows = await tx.all(
    `${directly(condition)} SELECT seq FROM direct
     UNION SELECT seq FROM _outbox WHERE group_id IN (SELECT group_id FROM direct)`,
    [JSON.stringify(seqs)],
  )
  return seqsOf(rows)
}

/** Within a record the stamps tell what was written later: the numbers of what was tried again are new. */
function directly(condition: string): string {
  return `WITH leads AS MATERIALIZED (
       SELECT seq, record, collection, op, at FROM _outbox WHERE seq IN (SELECT value FROM json_each(?1))),
     direct AS (
       SELECT leads.seq AS lead, later.seq, later.group_id FROM leads JOIN _outbox AS later
         ON later.record = leads.record AND later.collection = leads.collection AND later.at > leads.at
         WHERE (${condition})
       UNION SELECT leads.seq, later.seq, later.group_id
         FROM _outbox AS later, json_each('[' || later.depends || ']') AS depend, leads
         WHERE json_valid('[' || later.depends || ']') AND leads.op = 'create' AND leads.seq = depend.value
         AND (${condition}))`
}

/** Of `later`, in SQL: it was never offered. */
export const isFresh = "(later.status = 'pending' AND later.offer IS NULL AND NOT later.escrow)"

/** The same: it was refused for good; tried again, it goes under another key and number. */
export const isRefused =
  "(later.status = 'dead' AND later.error NOT LIKE 'ATTEMPTS_EXHAUSTED%' AND NOT later.escrow)"
