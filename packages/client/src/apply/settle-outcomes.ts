import {
  assertNever,
  type CollectionSchema,
  countRanges,
  coveredIds,
  formatRanges,
  type Outcome,
  parseRanges,
  type Ranges,
  type Schema,
  unionRanges,
} from '@holdfast/core'
import { openConflicts } from '../conflicts/open-conflicts.ts'
import type { SqlRow } from '../drivers/sqlite-driver.ts'
import type { LocalReader, LocalTransaction } from '../local/local-database.ts'
import { readMeta, writeMeta } from '../local/meta.ts'
import { quoteName } from '../local/tables.ts'
import { knownBefore, newIdentity } from '../outbox/hold-reasons.ts'
import { offerAfresh } from '../outbox/requeue.ts'
import { standOnTaken } from '../outbox/stand-on-taken.ts'
import { markConflicted, markDead, markHeld, releaseHeld, seqsOf, settle } from '../outbox/outbox.ts'
import type { RecordsToRebase } from './records-to-rebase.ts'

/** Outcomes and what they are settled with. */
export interface OutcomesToSettle {
  /** Of the newest page, in any order. */
  readonly outcomes: readonly Outcome[]
  readonly toRebase: RecordsToRebase
  /** Keys of records whose entries are still needed to build their shadow from; they end with the rebase. */
  readonly needed: readonly string[]
}

/**
 * Records of which entries were taken, by collection, and whether those left them standing; their new copy, if this device
 * may see it, is among the pages.
 */
export type EndedRecords = ReadonlyMap<string, ReadonlyMap<string, boolean>>

/**
 * Settles what the server says is final. The outcomes come from the database snapshot of the rows applied with them, so
 * that an entry ends in the transaction whose shadow holds its effect. What is stored for good is to be acknowledged.
 * Rules: AP-6, SY-9, PR-2.
 */
export async function settleOutcomes(tx: LocalTransaction, input: OutcomesToSettle): Promise<EndedRecords> {
  const { outcomes, toRebase, needed } = input
  await nameAsDecided(tx, outcomes)
  const taken = outcomes.filter(({ status }) => status === 'applied' || status === 'merged')
  const settled = await settleTaken(tx, taken, needed)
  const ended = new Map<string, Map<string, boolean>>()
  for (const row of settled) {
    const [collection, record] = [String(row['collection']), String(row['record'])]
    const records = ended.get(collection) ?? new Map<string, boolean>()
    ended.set(collection, records.set(record, row['op'] !== 'delete' && records.get(record) !== false))
  }
  const known: Outcome[] = [...taken]
  for (const outcome of outcomes) {
    if (outcome.status === 'applied' || outcome.status === 'merged') continue
    for (const row of await settleRefused(tx, outcome))
      toRebase.add(String(row['collection']), String(row['record']))
    known.push(outcome)
  }
  const covered = known.flatMap(({ covers }) => parseRanges(covers))
  // Whatever was to be acknowledged before and is not named here has been, or the server no longer knows it.
  const ack = unionRanges(covered)
  await writeMeta(tx, 'sync.ack', ack.length === 0 ? null : formatRanges(ack))
  return ended
}

/** Device numbers whose outcomes are stored for good and were not yet acknowledged. */
export async function readAck(tx: LocalReader): Promise<Ranges> {
  const text = await readMeta(tx, 'sync.ack')
  return typeof text === 'string' ? parseRanges(text) : []
}

/** Where the entries of outcomes are: numbers from `first` to `last`, with the key `id`, or of the offer that `lead` began. */
type Span = readonly [first: number, last: number, id: string | null, lead: number, leadId: string]

/**
 * Under the number of an outcome there may be another write, sent by a copy of this database: the keys tell them apart.
 * A server that does not tell the keys of a fold means the one that this database sent.
 */
function spansOf({ id, seq, covers, folded }: Outcome): readonly Span[] {
  const ranges = parseRanges(covers)
  const ids = coveredIds({ id, covers: ranges, folded })
  if (ids.size === countRanges(ranges)) return [...ids].map(([number, key]) => [number, number, key, seq, id])
  return ranges.map(([first, last]) => [first, last, null, seq, id])
}

/** Entries of `_outbox AS o` that a span means. */
const isMeant = `o.seq BETWEEN span.value ->> 0 AND span.value ->> 1 AND (o.id = span.value ->> 2
  OR (span.value ->> 2 IS NULL AND o.offer = span.value ->> 3
    AND EXISTS (SELECT 1 FROM _outbox AS lead WHERE lead.seq = span.value ->> 3 AND lead.id = span.value ->> 4)))`

/**
 * What stands on a part of what travelled folded, and was not offered with that since, names what the server knows that by.
 * Rules: PU-37.
 */
async function nameAsDecided(tx: LocalTransaction, outcomes: readonly Outcome[]): Promise<void> {
  const folds = outcomes.filter(({ seq, covers }) => covers !== String(seq))
  if (folds.length === 0) return
  await tx.run(
    `UPDATE _outbox SET after = told.lead
     FROM (SELECT o.id AS member, span.value ->> 4 AS lead FROM json_each(?) AS span JOIN _outbox AS o ON ${isMeant}) AS told
     WHERE _outbox.after = told.member AND _outbox.after <> told.lead AND (_outbox.offer IS NULL OR _outbox.status = 'dead')`,
    [JSON.stringify(folds.flatMap(spansOf))],
  )
}

/** The entries that outcomes cover leave the outbox, in one statement; those that had no answer yet are told. */
async function settleTaken(
  tx: LocalTransaction,
  outcomes: readonly Outcome[],
  needed: readonly string[],
): Promise<readonly SqlRow[]> {
  if (outcomes.length === 0) return []
  await noteUnheard(tx, outcomes)
  const rows = await tx.all(
    `DELETE FROM _outbox WHERE seq IN (SELECT o.seq FROM json_each(?1) AS span JOIN _outbox AS o ON ${isMeant}
       WHERE o.collection || ' ' || o.record NOT IN (SELECT value FROM json_each(?2)))
     RETURNING seq, id, collection, record, op`,
    [JSON.stringify(outcomes.flatMap(spansOf)), JSON.stringify(needed)],
  )
  if (rows.length > 0) tx.touch('_outbox', 'all')
  return rows
}

/** Entries of which the answer was lost are answered by that. */
async function noteUnheard(tx: LocalTransaction, outcomes: readonly Outcome[]): Promise<void> {
  const spans = outcomes.flatMap((outcome) =>
    spansOf(outcome).map((span) => [...span, outcome.status, outcome.version, outcome.serverUpdatedAt]),
  )
  const rows = await tx.all(
    `UPDATE _outbox SET status = 'answered', verdict = told.verdict, exact = 0, version = told.version,
       server_updated_at = told.at, held_by = NULL, error = NULL
     FROM (SELECT o.seq, span.value ->> 5 AS verdict, span.value ->> 6 AS version, span.value ->> 7 AS at
       FROM json_each(?) AS span JOIN _outbox AS o ON ${isMeant} WHERE o.status <> 'answered') AS told
     WHERE _outbox.seq = told.seq RETURNING _outbox.seq, id, verdict, version`,
    [JSON.stringify(spans)],
  )
  await standOnTaken(tx, seqsOf(rows))
  for (const { id, verdict, version } of rows) {
    const status = verdict === 'merged' ? 'merged' : 'applied'
    tx.announce(String(id), { status, version: typeof version === 'number' ? version : null })
  }
}

/** A refusal of which the answer was lost. Returns the records it concerns. */
async function settleRefused(tx: LocalTransaction, outcome: Outcome): Promise<readonly SqlRow[]> {
  const rows = await tx.all(
    `SELECT o.seq, o.id, o.collection, o.record FROM json_each(?) AS span JOIN _outbox AS o ON ${isMeant}
     WHERE o.status NOT IN ('conflicted', 'dead')`,
    [JSON.stringify(spansOf(outcome))],
  )
  if (rows.length === 0) return []
  const seqs = seqsOf(rows)
  switch (outcome.status) {
    case 'conflict':
      await markConflicted(tx, seqs, outcome.conflict?.id ?? '')
      return rows
    case 'rejected': {
      const { code, message } = outcome.error ?? { code: 'MUTATION_INVALID', message: '' }
      await markDead(tx, seqs, { code, message })
      return rows
    }
    case 'applied':
    case 'merged':
      return []
    default:
      return assertNever(outcome.status)
  }
}

/**
 * Records that lost their last entry and got a newer copy with the pages are clean already: only their old shadow is in
 * the way. The others are brought in line one by one. Rules: AP-6.
 */
export async function dropOvertaken(
  tx: LocalTransaction,
  input: { readonly schema: Schema; readonly ended: EndedRecords; readonly toRebase: RecordsToRebase },
): Promise<void> {
  for (const [name, records] of input.ended) {
    const collection = input.schema.collections.get(name)
    if (!collection) continue
    const ids = JSON.stringify([...records.keys()])
    for (const row of await tx.all(leftBehind(collection), [ids]))
      input.toRebase.add(name, String(row['record']))
    await dropOvertakenShadows(tx, collection)
  }
}

/**
 * A row without entries that is newer than its shadow is the server's copy: the shadow must go before anybody takes it
 * for that. Shadows are few: only records with entries have one.
 */
export async function dropOvertakenShadows(tx: LocalTransaction, { name }: CollectionSchema): Promise<void> {
  await tx.run(
    `DELETE FROM _shadow WHERE collection = '${name}'
     AND version < (SELECT t._version FROM ${quoteName(name)} t WHERE t.id = _shadow.record)
     AND NOT EXISTS (SELECT 1 FROM _outbox o WHERE o.record = _shadow.record AND o.collection = '${name}')`,
  )
}

/** Records among the given ids whose row is not the newer copy of a record without entries. */
function leftBehind({ name }: CollectionSchema): string {
  return `SELECT ids.value AS record FROM json_each(?) AS ids LEFT JOIN ${quoteName(name)} t ON t.id = ids.value
    WHERE t.id IS NULL OR t._version <= coalesce(
        (SELECT h.version FROM _shadow h WHERE h.collection = '${name}' AND h.record = ids.value), 0)
      OR EXISTS (SELECT 1 FROM _outbox o WHERE o.record = ids.value AND o.collection = '${name}')`
}

/**
 * What was answered and is not among all the outcomes there are, the server no longer knows: it was put back to before
 * that. It is offered again, as the same bytes under the same number, and so is what waits for a conflict of which only
 * that answer spoke. Rules: SY-21.
 */
export async function offerLostAgain(
  tx: LocalTransaction,
  toRebase: RecordsToRebase,
  { isLost, nowMs }: { readonly isLost: boolean; readonly nowMs: number },
): Promise<void> {
  const rows = await tx.all(
    `UPDATE _outbox SET status = 'pending', verdict = NULL, exact = 0, attempts = 0, next_attempt_at = NULL, error = NULL,
       was = CASE status WHEN 'answered' THEN coalesce(was, json_object('version', version, 'serverUpdatedAt', server_updated_at)) END,
       returned_at = ?2, version = NULL, server_updated_at = NULL, held_by = NULL
     WHERE status <> 'pending' AND ((status = 'answered' AND (held_by IS NULL OR ?1))
       OR (status = 'conflicted' AND held_by NOT IN (SELECT id FROM _conflicts WHERE _version > 0)))
     RETURNING collection, record`,
    [isLost, nowMs],
  )
  if (rows.length === 0) return
  await tx.run('DELETE FROM _conflicts WHERE _version = 0')
  tx.touch('_conflicts', 'all')
  tx.touch('_outbox', 'all')
  for (const row of rows) toRebase.add(String(row['collection']), String(row['record']))
}

/**
 * An offer of which another copy of this database had sent the lead was refused or will be, whole: what is left of it is
 * as if it had never been offered. Rules: SY-12.
 */
export async function breakHeadlessOffers(tx: LocalTransaction, toRebase: RecordsToRebase): Promise<void> {
  const rows = await tx.all(
    `SELECT seq, collection, record FROM _outbox AS o WHERE offer IS NOT NULL AND status IN ('sending', 'pending')
     AND NOT EXISTS (SELECT 1 FROM _outbox AS lead WHERE lead.seq = o.offer AND lead.status IN ('sending', 'pending'))`,
  )
  await offerAfresh(tx, seqsOf(rows))
  for (const row of rows) toRebase.add(String(row['collection']), String(row['record']))
}

/**
 * What the server had decided before: the pull that has just ended came after that decision, of the same history, for it
 * asked. After the loss of a history nobody knows that, and what is answered twice is only known twice.
 */
export async function settleKnown(tx: LocalReader, toRebase: RecordsToRebase): Promise<void> {
  const rows = await tx.all(
    "SELECT collection, record FROM _outbox WHERE status = 'answered' AND status <> 'pending' AND held_by IN (SELECT value FROM json_each(?))",
    [JSON.stringify(knownBefore)],
  )
  for (const row of rows) toRebase.add(String(row['collection']), String(row['record']))
}

/**
 * Ends what waited for conflicts that are closed: the mutation in dispute is over, whoever won, and what was held
 * behind it may go. Where another conflict superseded one, the dispute goes on in that: its author goes on seeing mine,
 * and what was held is held by that one. Returns how many entries wait to be sent once a conflict was settled: some
 * of them it may have let go, held or not yet offered. Rules: CF-4, CF-12, SY-10.
 */
export async function settleClosedConflicts(
  tx: LocalTransaction,
  toRebase: RecordsToRebase,
): Promise<number> {
  const waiting = await tx.all(
    `SELECT o.seq, o.collection, o.record, o.status, o.held_by, c.status AS conflict FROM _outbox o
     LEFT JOIN _conflicts c ON c.id = o.held_by WHERE o.status IN ('conflicted', 'held') AND o.held_by <> ?`,
    [newIdentity],
  )
  const heldBy = (row: SqlRow): string => String(row['held_by'])
  const open = await openConflicts(tx, waiting.map(heldBy))
  const ended = waiting.filter((row) => !open.has(heldBy(row)))
  const over = ended.filter((row) => row['status'] === 'conflicted' && row['conflict'] === 'resolved')
  const held = ended.filter((row) => row['status'] === 'held')
  if (over.length > 0) await settle(tx, seqsOf(over))
  await releaseHeld(tx, held.map(heldBy))
  const behind = Map.groupBy(
    waiting.filter((row) => row['status'] === 'held'),
    heldBy,
  )
  for (const [conflict, successor] of open)
    if (successor !== conflict) await markHeld(tx, seqsOf(behind.get(conflict) ?? []), successor)
  for (const row of [...over, ...held]) toRebase.add(String(row['collection']), String(row['record']))
  if (!ended.some((row) => row['conflict'] === 'resolved')) return 0
  const [pending] = await tx.all("SELECT count(*) AS count FROM _outbox WHERE status = 'pending'")
  return Number(pending?.['count'])
}
