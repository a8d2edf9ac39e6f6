import { emptyPayload, type Mutation, type Schema } from '@holdfast/core'

import type { LocalReader } from '../local/local-database.ts'
import { recordKey } from '../local/record-key.ts'
import { type Entry, entryColumns, mutationOf, readEntry, readObject, wireText } from './entry.ts'
import { newIdentity } from './hold-reasons.ts'
import { standsBehind } from './ready-entries.ts'

/** One mutation as it travels, and the entries it stands for. */
export interface Offer {
  readonly mutation: Mutation
  /** What goes on the wire; a repeat has the same bytes. */
  readonly text: string
  /** Its entries, in the order written; the first is the lead. */
  readonly seqs: readonly number[]
}

/**
 * What was offered before and has no verdict yet, as the same bytes, in the order written, but nothing before what it
 * depends on; a user transaction is one unit, anything else one by itself. Left out is what waits for its next attempt,
 * what stands on something that does or that the server holds, and the whole of a transaction of which anything waits; a
 * decision passes what waits for it. Rules: OB-4, OB-5.
 */
export async function readOpenOffers(
  tx: LocalReader,
  schema: Schema,
  nowMs: number,
): Promise<readonly (readonly Offer[])[]> {
  const units = await readUndecided(tx)
  const held = await readHeld(tx, units.flat())
  const isHeldBack = (member: Entry): boolean =>
    (member.nextAttemptAt ?? 0) > nowMs || held.some((before) => standsBehind(schema, before, member))
  const waiting = waitingAmong(units, (members) => members.some(isHeldBack))
  return units.filter((members) => !waiting.has(members)).map(offersOfUnit)
}

/**
 * Whether an offer of these entries, or of their transaction, comes behind another one that the server has not decided:
 * it is kept back as long as that one waits. Rules: SY-11.
 */
export async function standsOnUndecided(tx: LocalReader, seqs: readonly number[]): Promise<boolean> {
  const [related] = await tx.all(
    `WITH own AS MATERIALIZED (
       SELECT * FROM _outbox WHERE NOT escrow AND (seq IN (SELECT value FROM json_each(?1))
         OR group_id IN (SELECT group_id FROM _outbox WHERE seq IN (SELECT value FROM json_each(?1)))))
     SELECT 1 FROM own JOIN _outbox AS other ON (other.record = own.record AND other.collection = own.collection)
       OR instr(',' || own.depends || ',', ',' || other.seq || ',')
     WHERE other.offer IS NOT NULL AND other.seq NOT IN (SELECT seq FROM own)
       AND other.status IN ('sending', 'pending') AND NOT other.escrow LIMIT 1`,
    [JSON.stringify(seqs)],
  )
  if (!related) return false
  const units = await readUndecided(tx)
  const own = units.find((members) => members.some(({ seq }) => seqs.includes(seq)))
  return own !== undefined && waitingAmong(units, (members) => members !== own).has(own)
}

type Unit = readonly Entry[]

/** What was offered and has no verdict yet: transactions, or offers, each behind what it depends on. */
async function readUndecided(tx: LocalReader): Promise<readonly Unit[]> {
  const rows = await tx.all(
    `SELECT ${entryColumns} FROM _outbox
     WHERE offer IS NOT NULL AND status IN ('sending', 'pending') AND NOT escrow ORDER BY offer, seq`,
  )
  const entries = rows.flatMap((row) => readEntry(row) ?? [])
  return parentsFirst([...Map.groupBy(entries, (entry) => entry.group ?? entry.offer ?? entry.seq).values()])
}

/** The units that wait by themselves or behind one that does; a decision passes what waits for it. */
function waitingAmong(units: readonly Unit[], waitsItself: (unit: Unit) => boolean): ReadonlySet<Unit> {
  const waiting = new Set<Unit>()
  const records = new Map<number, string>()
  const waitingRecords = new Set<string>()
  const isBehind = (member: Entry): boolean =>
    (waitingRecords.has(recordKey(member)) && member.resolves === null) ||
    member.depends.some((seq) => (records.get(seq) ?? recordKey(member)) !== recordKey(member))
  for (const members of units) {
    if (!waitsItself(members) && !members.some(isBehind)) continue
    waiting.add(members)
    for (const member of members) {
      records.set(member.seq, recordKey(member))
      waitingRecords.add(recordKey(member))
    }
  }
  return waiting
}

/**
 * What goes to escrow: in the order written and as it was written, each by itself or with its transaction; what was offered
 * before as the same bytes. Left out is what waits for its next attempt, with its transaction. Rules: ES-12.
 */
export async function readEscrowOffers(
  tx: LocalReader,
  nowMs: number,
): Promise<readonly (readonly Offer[])[]> {
  const rows = await tx.all(
    `SELECT ${entryColumns} FROM _outbox WHERE escrow AND status IN ('sending', 'pending') ORDER BY coalesce(offer, seq), seq`,
  )
  const entries = rows.flatMap((row) => readEntry(row) ?? [])
  const units = Map.groupBy(entries, (entry) => entry.group ?? entry.offer ?? entry.seq)
  return [...units.values()]
    .filter((members) => members.every(({ nextAttemptAt }) => (nextAttemptAt ?? 0) <= nowMs))
    .map(offersOfUnit)
}

/**
 * Units in their order, each behind those it depends on: what was written later may travel under the number of an earlier
 * edit, folded into it once the create that it refers to was on its way.
 */
function parentsFirst(units: readonly Unit[]): readonly Unit[] {
  const unitOf = new Map(units.flatMap((members) => members.map(({ seq }) => [seq, members] as const)))
  const ordered = new Set<Unit>()
  const visited = new Set<Unit>()
  const visit = (members: Unit): void => {
    if (visited.has(members)) return
    visited.add(members)
    for (const seq of members.flatMap(({ depends }) => depends)) {
      const parent = unitOf.get(seq)
      if (parent !== undefined) visit(parent)
    }
    ordered.add(members)
  }
  for (const members of units) visit(members)
  return [...ordered]
}

/**
 * What the server holds and these may stand on. It knows what it holds only as long as it reads one batch: what was let go
 * together must not overtake it in the next. What is held for a new identity waits for these.
 */
async function readHeld(tx: LocalReader, entries: readonly Entry[]): Promise<readonly Entry[]> {
  if (entries.length === 0) return []
  const rows = await tx.all(
    `SELECT ${entryColumns} FROM _outbox WHERE status = 'held' AND held_by <> ?
     AND (record IN (SELECT value FROM json_each(?)) OR seq IN (SELECT value FROM json_each(?))) ORDER BY seq`,
    [
      newIdentity,
      JSON.stringify([...new Set(entries.map(({ record }) => record))]),
      JSON.stringify([...new Set(entries.flatMap(({ depends }) => depends))]),
    ],
  )
  return rows.flatMap((row) => readEntry(row) ?? [])
}

/** Offers by their leads; one whose lead, or text, is gone cannot be told again. */
function offersOfUnit(members: readonly Entry[]): readonly Offer[] {
  const byLead = new Map<number, Entry[]>()
  for (const entry of members) {
    const lead = entry.offer ?? entry.seq
    byLead.set(lead, [...(byLead.get(lead) ?? []), entry])
  }
  return [...byLead].flatMap(([lead, entries]) =>
    entries[0]?.seq === lead ? (offerOf(entries[0], entries) ?? []) : [],
  )
}

/** The offer of entries that have travelled together before; undefined when what it said cannot be read any more. */
function offerOf(lead: Entry, members: readonly Entry[]): Offer | undefined {
  const seqs = members.map((entry) => entry.seq)
  if (lead.wire === null) {
    const mutation = mutationOf(lead)
    return { mutation, text: wireText(mutation), seqs }
  }
  // The text was written by wireText, which leaves out empty members and nothing else.
  const parsed: Partial<Mutation> | undefined = readObject(lead.wire)
  if (parsed === undefined) return undefined
  const bare = { ...mutationOf(lead), ...emptyPayload, group: null, after: null, resolves: null, ats: {} }
  const mutation = { ...bare, ...parsed }
  // What a lost history had answered, and that it is for escrow, is no part of what is compared.
  const beside = { ...(lead.was && { was: lead.was }), ...(lead.escrow && { escrow: true as const }) }
  const text = lead.was || lead.escrow ? JSON.stringify({ ...parsed, ...beside }) : lead.wire
  return { mutation, text, seqs }
}
