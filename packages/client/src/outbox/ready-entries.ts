import { type Schema, touchedFields } from '@holdfast/core'

import type { LocalReader } from '../local/local-database.ts'
import { recordKey } from '../local/record-key.ts'
import { type Entry, type EntryStatus, entryColumns, isRefused, readEntry } from './entry.ts'

/** What stands in the way of fresh entries: what lies before them in the outbox and does not go in this batch. */
export interface Obstacles {
  /** Entries of the same records that were offered before or will not go, in the order written. */
  readonly earlier: readonly Entry[]
  /** By seq, what the fresh entries depend on and is still in the outbox. */
  readonly needed: ReadonlyMap<number, NeededEntry>
  /** Seqs that are in the batch already. */
  readonly taken: ReadonlySet<number>
}

/** An entry that others depend on. */
export interface NeededEntry {
  readonly collection: string
  readonly record: string
  readonly status: EntryStatus
  readonly escrow: boolean
}

/** Reads what may stand in the way of `entries`. */
export async function readObstacles(
  tx: LocalReader,
  entries: readonly Entry[],
  taken: ReadonlySet<number>,
): Promise<Obstacles> {
  const records = new Set(entries.map((entry) => entry.record))
  const rows = await tx.all(
    `SELECT ${entryColumns} FROM _outbox WHERE record IN (SELECT value FROM json_each(?))
     AND (status <> 'pending' OR offer IS NOT NULL) AND NOT escrow ORDER BY seq`,
    [JSON.stringify([...records])],
  )
  const depends = new Set(entries.flatMap((entry) => entry.depends))
  const found = await tx.all(
    'SELECT seq, collection, record, status, escrow FROM _outbox WHERE seq IN (SELECT value FROM json_each(?))',
    [JSON.stringify([...depends])],
  )
  const needed = new Map(
    found.map(({ seq, collection, record, status, escrow }): [number, NeededEntry] => [
      Number(seq),
      // Only statuses are written to that column.
      {
        collection: String(collection),
        record: String(record),
        status: status as EntryStatus,
        escrow: escrow !== 0,
      },
    ]),
  )
  return { earlier: rows.flatMap((row) => readEntry(row) ?? []), needed, taken }
}

/** The fields of a record that later entries may not touch yet; 'all' when none may go. */
type Blocked = Set<string> | 'all'

/**
 * The fresh entries that may go now, in the order written. An entry waits behind an earlier one of its record that does
 * not go, if both touch a field or one of them creates or deletes; behind the create of a record it refers to; and with
 * its whole group. Everything else passes. Pure. Rules: OB-5, OB-6.
 */
export function readyEntries(
  schema: Schema,
  entries: readonly Entry[],
  obstacles: Obstacles,
): readonly Entry[] {
  const stuckGroups = new Set<string>()
  for (;;) {
    const ready = onePass({ schema, entries, obstacles, stuckGroups })
    const readySeqs = new Set(ready.map((entry) => entry.seq))
    const torn = entries.filter(
      ({ seq, group }) => group !== null && !readySeqs.has(seq) && !stuckGroups.has(group),
    )
    // Each round finds another group that cannot go whole, so there are at most as many rounds as groups.
    if (torn.length === 0) return ready
    for (const { group } of torn) if (group !== null) stuckGroups.add(group)
  }
}

interface Pass {
  readonly schema: Schema
  readonly entries: readonly Entry[]
  readonly obstacles: Obstacles
  readonly stuckGroups: ReadonlySet<string>
}

function onePass({ schema, entries, obstacles, stuckGroups }: Pass): readonly Entry[] {
  const { earlier, needed, taken } = obstacles
  const blocked = new Map<string, Blocked>()
  const waiting = new Set<string>()
  const ready: Entry[] = []
  const going = new Set(taken)
  const passed = new Map<string, string | null>()
  const standing = ({ after }: Entry): string | null =>
    after === null ? null : passed.has(after) ? (passed.get(after) ?? null) : after
  let next = 0
  for (const entry of entries) {
    for (
      let before = earlier[next];
      before !== undefined && before.seq < entry.seq;
      before = earlier[++next]
    ) {
      if (before.status !== 'answered' && !taken.has(before.seq)) {
        if (isWaiting(before)) waiting.add(recordKey(before))
        if (isRefused(before) || before.status === 'held') passed.set(before.id, standing(before))
        block(schema, blocked, before)
      }
    }
    // The server cannot know an entry that is passed, has refused it or holds it; what goes on stands on what that one stood on.
    const after = standing(entry)
    const hasParents = entry.depends.every((seq) => {
      const parent = needed.get(seq)
      const isSatisfied = parent === undefined || parent.status === 'answered' || going.has(seq)
      return isSatisfied || recordKey(parent) === recordKey(entry)
    })
    const isStuck = entry.group !== null && stuckGroups.has(entry.group)
    const isInOrder = !waiting.has(recordKey(entry)) && !isBlocked(blocked.get(recordKey(entry)), entry)
    // A decision passes what waits for it.
    if (hasParents && !isStuck && (isInOrder || entry.resolves !== null)) {
      ready.push(after === entry.after ? entry : { ...entry, after })
      going.add(entry.seq)
    } else {
      passed.set(entry.id, after)
      block(schema, blocked, entry)
    }
  }
  return ready
}

/** Fields stay blocked by what can be decided without them; everything is blocked by what decides whether the record is. */
function block(schema: Schema, blocked: Map<string, Blocked>, entry: Entry): void {
  const isWhole = entry.op !== 'update' || schema.collections.get(entry.collection)?.strict !== false
  const known = blocked.get(recordKey(entry))
  if (isWhole || known === 'all') blocked.set(recordKey(entry), 'all')
  else blocked.set(recordKey(entry), new Set([...(known ?? []), ...touchedFields(entry.payload)]))
}

/**
 * Whether an entry has to wait for one before it that does not go: both touch a field of one record, either creates or
 * deletes it, or the entry refers to it. A decision passes what waits for it.
 */
export function standsBehind(schema: Schema, before: Entry, entry: Entry): boolean {
  if (before.seq >= entry.seq || entry.resolves !== null) return false
  if (recordKey(before) !== recordKey(entry)) return entry.depends.includes(before.seq)
  const blocked = new Map<string, Blocked>()
  block(schema, blocked, before)
  return isBlocked(blocked.get(recordKey(entry)), entry)
}

/** An offer that will go again by itself keeps its place: nothing of its record overtakes it. */
function isWaiting({ status }: Entry): boolean {
  return status === 'pending' || status === 'sending'
}

function isBlocked(blocked: Blocked | undefined, entry: Entry): boolean {
  if (blocked === undefined) return false
  if (blocked === 'all' || entry.op !== 'update') return true
  return touchedFields(entry.payload).some((name) => blocked.has(name))
}
