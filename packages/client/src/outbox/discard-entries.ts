import { type Json, jsonEqual, type Payload, type Schema, type Values } from '@holdfast/core'

import type { SqlRow } from '../drivers/sqlite-driver.ts'
import type { LocalTransaction } from '../local/local-database.ts'
import { readShadow, rebuildRecords, recordsIn } from '../local/records.ts'
import { type Entry, entryColumns, isRefused, payloadText, readEntry } from './entry.ts'
import { writePayload } from './outbox.ts'
import { type Around, RecordEntries } from './record-entries.ts'
import { renameParents } from './requeue.ts'

/**
 * Takes entries out of the outbox as if they had never been written: later edits of their records that were never
 * offered stand on what lay beneath. A create takes all later mutations of its record with it. Gives the ids of what
 * is gone. Rules: OB-16.
 */
export async function discardEntries(
  tx: LocalTransaction,
  schema: Schema,
  seqs: readonly number[],
): Promise<readonly string[]> {
  const rows = await tx.all(
    `SELECT ${entryColumns} FROM _outbox WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq`,
    [JSON.stringify(seqs)],
  )
  const gone = new Map(rows.map((row) => [Number(row.seq), String(row.id)]))
  const entries = new RecordEntries(tx)
  // From the newest to the oldest, so that each hands over what it stood on itself.
  for (const row of rows.toReversed()) {
    const entry = readEntry(row)
    const place = { collection: String(row.collection), record: String(row.record), seq: Number(row.seq) }
    const around = await entries.around(place, gone)
    if (row.op === 'create') for (const other of around.later) gone.set(other.seq, other.id)
    else if (entry !== undefined) entries.replace(await handOver(tx, schema, { entry, ...around }))
  }
  await tx.run('DELETE FROM _outbox WHERE seq IN (SELECT value FROM json_each(?))', [
    JSON.stringify([...gone.keys()]),
  ])
  await waitForEarlier(tx, rows)
  tx.touch('_outbox', 'all')
  for (const id of gone.values()) tx.announce(id, { status: 'nothing', version: null })
  await rebuildRecords(tx, schema, recordsIn(rows))
  return [...gone.values()]
}

/** What refers to a record whose create is gone waits for the one before it, where there is one. Rules: OB-6. */
async function waitForEarlier(tx: LocalTransaction, gone: readonly SqlRow[]): Promise<void> {
  const seqNow = new Map<number, number>()
  for (const { seq, record = null, collection = null } of gone.filter(({ op }) => op === 'create')) {
    const [earlier] = await tx.all(
      "SELECT max(seq) AS seq FROM _outbox WHERE record = ? AND collection = ? AND op = 'create'",
      [record, collection],
    )
    if (typeof earlier?.seq === 'number') seqNow.set(Number(seq), earlier.seq)
  }
  if (seqNow.size > 0) await renameParents(tx, seqNow, new Map())
}

/**
 * Later edits that saw values of `entry` see what it saw instead, and stand on what it stood on. A value that the server
 * has as well was seen there, whoever else wrote it, unless the entry was written on what goes ahead and changes it.
 * Returns those that say something else now.
 */
export async function handOver(
  tx: LocalTransaction,
  schema: Schema,
  { entry, earlier, later }: Around & { readonly entry: Entry },
): Promise<readonly Entry[]> {
  if (later.length === 0) return []
  const changed = new Map<number, Entry>()
  const shown = await showInstead(tx, later, {
    gone: without(entry.payload.changes, await standingBeneath(tx, schema, { entry, earlier })),
    seen: entry.payload.base ?? {},
    baseVersion: entry.baseVersion,
  })
  for (const other of shown) changed.set(other.seq, other)
  const after = standsOn(entry, earlier)
  for (const other of later) {
    if (other.after !== entry.id || !isWritable(other)) continue
    await tx.run('UPDATE _outbox SET after = ? WHERE seq = ?', [after, other.seq])
    changed.set(other.seq, { ...(changed.get(other.seq) ?? other), after })
  }
  return [...changed.values()]
}

/** What is before it now: when it was offered, it named what the server knew of that. A fold is known by its lead. */
function standsOn({ after }: Entry, earlier: readonly Entry[]): string | null {
  const last = earlier.at(-1)
  return last === undefined ? after : (earlier.find(({ seq }) => seq === last.offer)?.id ?? last.id)
}

/**
 * Later edits that saw the values `gone` saw those of `seen`, up to the next one that changed the field. One that was
 * written before and moved behind when its letter was retried saw other values, and so did one of a form that was opened at
 * an older version than `baseVersion`, that of the entry in question. Returns those that were written anew.
 */
export async function showInstead(
  tx: LocalTransaction,
  later: readonly Entry[],
  { gone, seen, baseVersion }: { readonly gone: Values; readonly seen: Values; readonly baseVersion: number },
): Promise<readonly Entry[]> {
  const changed: Entry[] = []
  const left = new Map(Object.entries(seen).filter(([name]) => Object.hasOwn(gone, name)))
  for (const other of later) {
    // Behind the next one that changed each of them nobody saw them.
    if (left.size === 0) break
    const hasSeen = isWritable(other) && other.baseVersion >= baseVersion
    const base = hasSeen ? rebased(other.payload.base, left, gone) : other.payload.base
    if (base !== other.payload.base) {
      const payload = { ...other.payload, base }
      await writePayload(tx, other.seq, payloadText(payload))
      changed.push({ ...other, payload })
    }
    for (const name of Object.keys(other.payload.changes)) left.delete(name)
  }
  return changed
}

/** What the server has of a record, but for what an entry was written on, and what goes ahead of it is to make of that. */
async function standingBeneath(
  tx: LocalTransaction,
  schema: Schema,
  { entry, earlier }: Pick<Around, 'earlier'> & { readonly entry: Entry },
): Promise<Values> {
  const collection = schema.collections.get(entry.collection)
  const server = collection && (await readShadow(tx, collection, entry.record)).snapshot
  if (server?.kind !== 'live') return {}
  const ahead: Record<string, Json> = {}
  for (const other of earlier) if (!isRefused(other)) Object.assign(ahead, other.payload.changes)
  const seen = entry.payload.base ?? {}
  return Object.fromEntries(
    Object.entries(server.values).filter(([name]) => !jsonEqual(ahead[name], seen[name])),
  )
}

/** Of these values those that stand nowhere else. */
function without(values: Values, elsewhere: Values): Values {
  return Object.fromEntries(
    Object.entries(values).filter(([name, value]) => !jsonEqual(value, elsewhere[name])),
  )
}

/** Whether it goes as other bytes than any that went before. */
function isWritable(entry: Entry): boolean {
  return (entry.status === 'pending' && entry.offer === null) || isRefused(entry)
}

/** A base with what `seen` says in the fields that hold the value `gone`. */
function rebased(base: Payload['base'], seen: ReadonlyMap<string, Json>, gone: Values): Payload['base'] {
  const isOf = (name: string, value: Json): boolean => seen.has(name) && jsonEqual(value, gone[name])
  if (base === null || !Object.entries(base).some(([name, value]) => isOf(name, value))) return base
  return Object.fromEntries(
    Object.entries(base).map(([name, value]) => [name, isOf(name, value) ? (seen.get(name) ?? null) : value]),
  )
}
