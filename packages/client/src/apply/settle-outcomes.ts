import {
  assertNever,
  formatRanges,
  type Outcome,
  parseRanges,
  type Ranges,
  unionRanges,
} from '@holdfast/core'
import type { LocalReader, LocalTransaction } from '../local/local-database.ts'
import { readMeta, writeMeta } from '../local/meta.ts'
import type { Entry } from '../outbox/entry.ts'
import {
  entriesCovered,
  markAnswered,
  markConflicted,
  markDead,
  releaseHeld,
  settle,
} from '../outbox/outbox.ts'
import type { RecordsToRebase } from './apply-pages.ts'

/**
 * Settles what the server says is final. The outcomes come from the database snapshot of the rows applied with them, so
 * that an entry ends in the transaction whose shadow holds its effect.
 * Rules: AP-6, SY-9, PR-2.
 */
export async function settleOutcomes(
  tx: LocalTransaction,
  outcomes: readonly Outcome[],
  toRebase: RecordsToRebase,
): Promise<void> {
  let ack = await readAck(tx)
  for (const outcome of outcomes) {
    const entries = await entriesCovered(tx, outcome.covers)
    const lead = entries.find((entry) => entry.seq === outcome.seq)
    // Another write under the same number: an older copy of this database sent it. The next push finds out.
    if (lead && lead.id !== outcome.id) continue
    await settleOutcome(tx, outcome, entries)
    for (const entry of entries) toRebase.add(entry.collection, entry.record)
    ack = unionRanges([...ack, ...parseRanges(outcome.covers)])
  }
  await writeMeta(tx, 'sync.ack', ack.length === 0 ? null : formatRanges(ack))
}

/** Device numbers whose outcomes are stored for good and were not yet acknowledged. */
export async function readAck(tx: LocalReader): Promise<Ranges> {
  const text = await readMeta(tx, 'sync.ack')
  return typeof text === 'string' ? parseRanges(text) : []
}

async function settleOutcome(
  tx: LocalTransaction,
  outcome: Outcome,
  entries: readonly Entry[],
): Promise<void> {
  const { status, version, serverUpdatedAt } = outcome
  const seqsOf = (chosen: readonly Entry[]): number[] => chosen.map((entry) => entry.seq)
  switch (status) {
    case 'applied':
    case 'merged': {
      const unheard = entries.filter((entry) => entry.status !== 'answered')
      await markAnswered(tx, seqsOf(unheard), { status, version, serverUpdatedAt, exact: false })
      await settle(tx, seqsOf(entries))
      return
    }
    case 'conflict':
      await markConflicted(tx, seqsOf(entries.filter(isOpen)), outcome.conflict?.id ?? '')
      return
    case 'rejected': {
      const error = outcome.error ?? { code: 'MUTATION_INVALID', message: '' }
      await markDead(tx, seqsOf(entries.filter(isOpen)), { code: error.code, message: error.message })
      return
    }
    default:
      assertNever(status)
  }
}

/** Not yet among the conflicts or dead letters. */
function isOpen(entry: Entry): boolean {
  return entry.status !== 'conflicted' && entry.status !== 'dead'
}

/** What the server took without an effect, or under another name of this device, has no version to wait for. */
export async function settleWithoutVersion(tx: LocalReader, toRebase: RecordsToRebase): Promise<void> {
  const rows = await tx.all(
    "SELECT collection, record FROM _outbox WHERE status = 'answered' AND version IS NULL",
  )
  for (const row of rows) toRebase.add(String(row['collection']), String(row['record']))
}

/**
 * Ends what waited for conflicts that are closed: the mutation in dispute is over, whoever won, and what was held
 * behind it may go. Returns how many entries a settled conflict let go. Rules: CF-4, SY-10.
 */
export async function settleClosedConflicts(
  tx: LocalTransaction,
  toRebase: RecordsToRebase,
): Promise<number> {
  const waiting = await tx.all(
    `SELECT o.seq, o.collection, o.record, o.status, o.held_by, c.status AS conflict FROM _outbox o
     LEFT JOIN _conflicts c ON c.id = o.held_by WHERE o.status IN ('conflicted', 'held')`,
  )
  const closed = waiting.filter((row) => row['conflict'] === 'resolved')
  const over = closed.filter((row) => row['status'] === 'conflicted')
  const held = waiting.filter((row) => row['status'] === 'held' && row['conflict'] !== 'open')
  if (over.length > 0)
    await settle(
      tx,
      over.map((row) => Number(row['seq'])),
    )
  for (const heldBy of new Set(held.map((row) => String(row['held_by'])))) await releaseHeld(tx, heldBy)
  for (const row of [...over, ...held]) toRebase.add(String(row['collection']), String(row['record']))
  return held.filter((row) => row['conflict'] === 'resolved').length
}
