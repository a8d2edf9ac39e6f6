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
 * Which offers come behind others that the server has not decided: they are kept back as long as those wait. The outbox is
 * looked through once, for all that are asked about. Rules: SY-11, OB-23.
 */
export class Undecided {
  readonly #tx: LocalReader
  #behind: ReadonlySet<number> | undefined

  constructor(tx: LocalReader) {
    this.#tx = tx
  }

  /** Whether an offer of these entries, or of their transaction, does. */
  async isBehind(seqs: readonly number[]): Promise<boolean> {
    const tx = this.#tx
    const isOther = `other.offer IS NOT NULL AND other.seq NOT IN (SELECT seq FROM own)
      AND other.status IN ('sending', 'pending') AND NOT other.escrow`
    const [related] = await tx.all(
      `WITH own AS MATERIALIZED (
         SELECT * FROM _outbox WHERE NOT escrow AND (seq IN (SELECT value FROM json_each(?1))
           OR group_id IN (SELECT group_id FROM _outbox WHERE seq IN (SELECT value FROM json_each(?1)))))
       SELECT 1 FROM (SELECT DISTINCT record, collection FROM own) AS named JOIN _outbox AS other
         ON other.record = named.record AND other.collection = named.collection WHERE ${isOther}
       UNION ALL SELECT 1 FROM own, json_each('[' || own.depends || ']') AS depend JOIN _outbox AS other
         ON other.seq = depend.value WHERE json_valid('[' || own.depends || ']') AND ${isOther} LIMIT 1`,
      [JSON.stringify(seqs)],
    )
    if (!related) return false
    this.#behind ??= behindOthers(await readUndecided(tx))
    return seqs.some((seq) => this.#behind?.has(seq))
  }

  /** Something that was undecided is decided. */
  lookAgain(): void {
    this.#behind = undefined
  }
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
  const waiting = new Waiting()
  for (const unit of units) if (waitsItself(unit) || waiting.isBehind(unit)) waiting.add(unit)
  return waiting.units
}

/** The entries of units that come behind any other. */
function behindOthers(units: readonly Unit[]): ReadonlySet<number> {
  const others = new Waiting()
  const behind = new Set<number>()
  for (const unit of units) {
    if (others.isBehind(unit)) for (const { seq } of unit) behind.add(seq)
    others.add(unit)
  }
  return behind
}

/** Units that what comes after them may have to wait for. */
class Waiting {
  readonly units = new Set<Unit>()
  readonly #recordBySeq = new Map<number, string>()
  readonly #records = new Set<string>()

  add(unit: Unit): void {
    this.units.add(unit)
    for (const member of unit) {
      this.#recordBySeq.set(member.seq, recordKey(member))
      this.#records.add(recordKey(member))
    }
  }

  isBehind(unit: Unit): boolean {
    return unit.some((member) => {
      const record = recordKey(member)
      const isBehindRecord = this.#records.has(record) && member.resolves === null
      return isBehindRecord || member.depends.some((seq) => (this.#recordBySeq.get(seq) ?? record) !== record)
    })
  }
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
