import { type Fold, foldOutbox, type Schema, utf8Length } from '@holdfast/core'

import type { LocalTransaction } from '../local/local-database.ts'
import { recordKey } from '../local/record-key.ts'
import { buryOffered, buryUnreadable } from './bury-unreadable.ts'
import { type Entry, mutationOf, wireText } from './entry.ts'
import { freshClasses, isLinked, readWindow } from './fresh-window.ts'
import { type Offer, readEscrowOffers, readOpenOffers } from './offer.ts'
import { refreshStates, seqsOf, updateEntries } from './outbox.ts'
import { type Obstacles, readObstacles, readyEntries } from './ready-entries.ts'

export type { Offer } from './offer.ts'

/** What a batch may hold. */
export interface BatchLimits {
  readonly nowMs: number
  /** A group of more goes all the same, alone. */
  readonly maxMutations: number
  /** UTF-8 bytes of the texts together; a larger mutation or group goes all the same, alone. */
  readonly maxBytes: number
  /** Fresh entries of collections of a lower priority wait, unless others need them; all go unless said. */
  readonly leastPriority?: number
}

/**
 * The next mutations to send, marked as `sending`; the transaction must be durable before they leave. First comes what
 * goes to escrow, then what was offered before and never got an answer, as the same bytes; then fresh entries: collections of higher priority
 * first, in the order written, folded, a group whole, nothing before what it depends on. What cannot be
 * read becomes a dead letter. Empty when there is nothing to send now.
 * Rules: OB-4 to OB-12, OB-21.
 */
export async function cutBatch(
  tx: LocalTransaction,
  schema: Schema,
  limits: BatchLimits,
): Promise<readonly Offer[]> {
  const { offers, seqs, repeated } = await chooseBatch(tx, schema, limits)
  await markWaiting(tx, seqs)
  await markSending(tx, offers, repeated)
  return offers
}

/**
 * The same for somebody who sends it later, or never: what is fresh in it counts as offered from now on, so that nothing
 * is folded into it, and nothing counts as under way. Rules: BG-2.
 */
export async function sealBatch(
  tx: LocalTransaction,
  schema: Schema,
  limits: BatchLimits,
): Promise<readonly Offer[]> {
  const { offers, repeated } = await chooseBatch(tx, schema, limits)
  await markOffered(tx, offers, repeated)
  return offers
}

interface Chosen {
  readonly offers: readonly Offer[]
  /** Of all of them. */
  readonly seqs: ReadonlySet<number>
  /** How many of the offers, the first ones, were offered before. */
  readonly repeated: number
}

async function chooseBatch(tx: LocalTransaction, schema: Schema, limits: BatchLimits): Promise<Chosen> {
  const batch = new Batch(limits)
  await buryOffered(tx)
  for (const unit of await readEscrowOffers(tx, limits.nowMs)) if (!batch.take(unit)) break
  for (const unit of await readOpenOffers(tx, schema, limits.nowMs)) if (!batch.take(unit)) break
  const repeated = batch.offers.length
  const { classes, isOnly } = await freshClasses(tx, schema, limits)
  for (const members of classes) {
    let afterSeq: number | null = 0
    while (afterSeq !== null && !batch.isFull) {
      const window = await readWindow(tx, schema, { members, isOnly, afterSeq })
      if (window.unreadable.length > 0) {
        await buryUnreadable(tx, window.unreadable)
        continue
      }
      await takeFresh(tx, { schema, batch, isOnly, entries: window.entries })
      afterSeq = window.nextSeq
    }
  }
  return { offers: inOneLine(batch.offers, repeated), seqs: batch.seqs, repeated }
}

/** What has been chosen so far. Once something did not fit, nothing more is taken, so that the order holds. */
class Batch {
  readonly offers: Offer[] = []
  readonly seqs = new Set<number>()
  readonly #limits: BatchLimits
  /** By the id of a part of a fold, the name under which it travels. */
  readonly #leads = new Map<string, string>()
  #bytes = 0
  isFull = false

  constructor(limits: BatchLimits) {
    this.#limits = limits
  }

  /** Whatever stands on a part of a fold, of this window or one before it, with the name under which that travels. */
  named(folds: readonly Fold[]): readonly Fold[] {
    for (const { members, mutation } of folds)
      if (members.length > 1) for (const { id } of members) this.#leads.set(id, mutation.id)
    return folds.map((fold) => {
      const after = this.#leads.get(fold.mutation.after ?? '')
      return after === undefined ? fold : { ...fold, mutation: { ...fold.mutation, after } }
    })
  }

  /** Takes offers that go together or not at all. An empty batch takes whatever comes. */
  take(offers: readonly Offer[]): boolean {
    const bytes = offers.reduce((sum, offer) => sum + utf8Length(offer.text), 0)
    const isOver =
      this.offers.length + offers.length > this.#limits.maxMutations ||
      this.#bytes + bytes > this.#limits.maxBytes
    if (this.isFull || (isOver && this.offers.length > 0)) {
      this.isFull = true
      return false
    }
    for (const offer of offers) {
      this.offers.push(offer)
      for (const seq of offer.seqs) this.seqs.add(seq)
    }
    this.#bytes += bytes
    return true
  }
}

/**
 * What stands on something that went before, though others of its record come in between (it had overtaken them,
 * or they are tried again), stands on the last of these, and the first of them on what went before: they are all of one
 * author, and what others changed since the version that each names is told by that. What was offered before keeps its
 * bytes. Rules: OB-24.
 */
function inOneLine(offers: readonly Offer[], repeated: number): readonly Offer[] {
  const line = [...offers]
  const ids = offers.map(({ mutation }) => mutation.id)
  const undecided = new Set<string | null>(ids.splice(0, repeated))
  const fresh = new Set<string | null>(ids)
  /** By record, the places of the first and the last so far. */
  const ends = new Map<string, readonly [first: number, last: number]>()
  for (const [place, offer] of offers.entries()) {
    const { mutation } = offer
    if (place < repeated || mutation.resolves !== null) continue
    const key = recordKey(mutation)
    const [head, end] = ends.get(key) ?? [place, place]
    ends.set(key, [head, place])
    const [first, last] = [line[head], line[end]]
    const { after } = mutation
    if (!first || !last || head === place || after === null) continue
    const both = [after, first.mutation.after]
    if (both.some((id) => fresh.has(id))) continue
    // What has no verdict yet may be refused, and what was written before it must not fall with it.
    if (!both.some((id) => undecided.has(id))) line[head] = standingOn(first, after)
    line[place] = standingOn(offer, last.mutation.id)
  }
  return line
}

function standingOn({ mutation, seqs }: Offer, after: string): Offer {
  const standing = { ...mutation, after }
  return { mutation: standing, text: wireText(standing), seqs }
}

interface Fresh {
  readonly schema: Schema
  readonly batch: Batch
  readonly isOnly: boolean
  readonly entries: readonly Entry[]
}

async function takeFresh(tx: LocalTransaction, { schema, batch, isOnly, entries }: Fresh): Promise<void> {
  const fresh = entries.filter((entry) => !batch.seqs.has(entry.seq))
  if (fresh.length === 0) return
  const obstacles = await readObstacles(tx, fresh, batch.seqs)
  const ready = readyEntries(schema, fresh, obstacles)
  const folds = batch.named(foldReady(schema, ready, { isOnly, ...obstacles }))
  for (const unit of unitsOf(folds)) {
    if (!batch.take(unit.map(offerOf))) return
  }
}

/**
 * Folds what may fold. With several priorities the window holds one class only, and what lies between two entries may
 * be missing from it: then linked entries, and those behind them of the same record, go as they are. So does what may be
 * refused because a record that it refers to is not made: nothing else is to be refused with it. And so does what was
 * written behind an offer that goes in this batch, where the fold would begin before that: the server may put that offer
 * off, and the fold does not say that it stands on it. Rules: FO-8.
 */
function foldReady(
  schema: Schema,
  ready: readonly Entry[],
  { isOnly, needed, earlier, taken }: Pick<Fresh, 'isOnly'> & Obstacles,
): readonly Fold[] {
  /** By record, where its fold begins. */
  const begun = new Map<string, number>()
  const offered = Map.groupBy(
    earlier.filter(({ seq }) => taken.has(seq)),
    recordKey,
  )
  const ended = new Set<string>()
  const made = new Set<string>()
  const mayLack = (entry: Entry, seq: number): boolean => {
    const parent = needed.get(seq)
    if (parent === undefined || parent.status === 'answered') return false
    if (recordKey(parent) === recordKey(entry)) return false
    // A new record may have hundreds of edits: they go as few, unless what they refer to is known to be missing.
    return parent.escrow || !made.has(recordKey(entry))
  }
  const isApart = (entry: Entry): boolean => {
    const key = recordKey(entry)
    if (entry.op === 'create') made.add(key)
    const first = begun.get(key)
    const mayPass = !isOnly && first !== undefined && isLinked(schema, entry)
    const isAcross = offered.get(key)?.some(({ seq }) => seq > (first ?? entry.seq) && seq < entry.seq)
    if (mayPass || isAcross || entry.depends.some((seq) => mayLack(entry, seq))) ended.add(key)
    if (first === undefined) begun.set(key, entry.seq)
    return ended.has(key)
  }
  const apart = new Set(ready.filter(isApart))
  const folds = foldOutbox(schema, ready.filter((entry) => !apart.has(entry)).map(mutationOf))
  if (apart.size === 0) return folds
  const singles = [...apart].map((entry): Fold => {
    const mutation = mutationOf(entry)
    return { mutation, members: [mutation] }
  })
  return [...folds, ...singles].sort((left, right) => placeOf(left) - placeOf(right))
}

function placeOf(fold: Fold): number {
  return fold.members[0]?.seq ?? 0
}

/** Folds that go together: the members of a group, or one alone. */
function unitsOf(folds: readonly Fold[]): readonly (readonly Fold[])[] {
  const units: Fold[][] = []
  let group: string | null = null
  for (const fold of folds) {
    const own = fold.mutation.group
    if (own !== null && own === group) units.at(-1)?.push(fold)
    else units.push([fold])
    group = own
  }
  return units
}

function offerOf({ mutation, members }: Fold): Offer {
  return { mutation, text: wireText(mutation), seqs: members.map((member) => member.seq) }
}

/** Entries that stand on one of `seqs` stand on `after` from now on: it is the name that travels. */
async function renameAfter(
  tx: LocalTransaction,
  {
    record,
    seqs,
    after,
  }: { readonly record: string; readonly seqs: readonly number[]; readonly after: string },
): Promise<void> {
  await tx.run(
    `UPDATE _outbox SET after = ? WHERE record = ? AND after IS NOT ?
     AND after IN (SELECT id FROM _outbox WHERE seq IN (SELECT value FROM json_each(?)))`,
    [after, record, after, JSON.stringify(seqs)],
  )
}

/** What was under way before and does not go with this batch is not under way. Rules: OB-21. */
async function markWaiting(tx: LocalTransaction, seqs: ReadonlySet<number>): Promise<void> {
  const rows = await tx.all(
    // That they are not pending is said for the index.
    `SELECT seq FROM _outbox WHERE status = 'sending' AND status <> 'pending'
     AND seq NOT IN (SELECT value FROM json_each(?))`,
    [JSON.stringify([...seqs])],
  )
  await updateEntries(tx, seqsOf(rows), { set: "status = 'pending'", params: [] })
}

async function markSending(tx: LocalTransaction, offers: readonly Offer[], repeated: number): Promise<void> {
  if (offers.length === 0) return
  const rows = await tx.all(
    `UPDATE _outbox SET status = 'sending', next_attempt_at = NULL, offer = member.value ->> 1
     FROM json_each(?) AS member WHERE seq = member.value ->> 0
     RETURNING collection, record`,
    [membersOf(offers)],
  )
  tx.touch('_outbox', 'all')
  await keepBytes(tx, offers.slice(repeated))
  await refreshStates(tx, rows)
}

async function markOffered(tx: LocalTransaction, offers: readonly Offer[], repeated: number): Promise<void> {
  const fresh = offers.slice(repeated)
  if (fresh.length === 0) return
  await tx.run(
    'UPDATE _outbox SET offer = member.value ->> 1 FROM json_each(?) AS member WHERE seq = member.value ->> 0',
    [membersOf(fresh)],
  )
  tx.touch('_outbox', 'all')
  await keepBytes(tx, fresh)
}

/** Pairs of an entry and the lead of its offer. */
function membersOf(offers: readonly Offer[]): string {
  return JSON.stringify(offers.flatMap(({ seqs }) => seqs.map((seq) => [seq, seqs[0] ?? seq])))
}

/** Stores what a repeat needs beside the entries: the texts of folds, and the one thing in which singles may differ. */
async function keepBytes(tx: LocalTransaction, offers: readonly Offer[]): Promise<void> {
  for (const { mutation, text, seqs } of offers) {
    const [lead] = seqs
    if (lead === undefined || seqs.length === 1) continue
    await tx.run('UPDATE _outbox SET wire = ? WHERE seq = ?', [text, lead])
    await renameAfter(tx, { record: mutation.record, seqs, after: mutation.id })
  }
  // Last: what was sent stands, whatever a fold renames.
  const singles = offers.flatMap(({ mutation, seqs }) =>
    seqs.length === 1 ? [[seqs[0], mutation.after]] : [],
  )
  await tx.run(
    `UPDATE _outbox SET after = single.value ->> 1 FROM json_each(?) AS single
     WHERE seq = single.value ->> 0 AND after IS NOT single.value ->> 1`,
    [JSON.stringify(singles)],
  )
}
