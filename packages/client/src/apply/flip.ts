import { assert, type Environment, type EscrowEnding, type RowRange, type Schema } from '@holdfast/core'
import { eraseUnnamedBytes } from '../attachments/spare-bytes.ts'
import { queueAllUploads } from '../attachments/upload-queue.ts'
import type { LocalTransaction } from '../local/local-database.ts'
import { writeMeta } from '../local/meta.ts'
import { recordKey } from '../local/record-key.ts'
import { quoteName } from '../local/tables.ts'
import { applyPages, numberScopes } from './apply-pages.ts'
import { RecordsToRebase } from './records-to-rebase.ts'
import { readSight, recordsOutOfSight, type SightBefore } from './out-of-sight.ts'
import { promoteViews, unpromotedHaves } from './own-version.ts'
import type { PageNote } from './page-note.ts'
import type { PullProgress } from './pull-progress.ts'
import { rebaseRecord } from './rebase-record.ts'
import { distrustRows, stageLeaves } from './replace-ranges.ts'
import { emptyTombstones, revokeScopes } from './revoke-scopes.ts'
import { isRewritingDue, oweRewriting } from './rewrite-file.ts'
import {
  breakHeadlessOffers,
  dropOvertaken,
  type EndedRecords,
  offerLostAgain,
  settleClosedConflicts,
  settleKnown,
  settleOutcomes,
} from './settle-outcomes.ts'
import { boundRetained, emptyRetained, returnRetained } from '../outbox/retained.ts'
import { askEndingsAgain, noteEscrowEndings } from '../outbox/escrow-api.ts'
import { moveToEscrow, settleEscrowed } from '../outbox/to-escrow.ts'
import { dropStaging, hasLostHistory, newestVerdicts, readCursor } from './staging.ts'

/** What the flip is done with. */
export interface FlipInput {
  readonly schema: Schema
  readonly progress: PullProgress
  /** Of all the pages, in the order they came. */
  readonly notes: readonly PageNote[]
  /** Those of which the last page holds every row. */
  readonly ranges?: readonly RowRange[]
  /** Called between two statements: throws when the transaction must end now. */
  readonly checkpoint: () => void
  readonly env: Pick<Environment, 'now' | 'randomBytes'>
}

/** What came of it. */
export interface Flipped {
  readonly rows: number
  /** Entries that were held, or settled by a history that is lost, and may be sent again. */
  readonly releasedCount: number
  /** Rows were erased because the device may not keep them: what is left of them in the log must go as well. */
  readonly hasErased: boolean
  /** The file is to be rewritten. */
  readonly isRewritingDue: boolean
}

/**
 * Makes the pages of a pull visible in one transaction: rows, shadows, scopes, settled entries and the cursor. Killed
 * at any statement, everything is as it was and the next flip does the same. Rules: AP-1 to AP-10, PR-1, PR-4, PR-6.
 */
export async function flip(tx: LocalTransaction, input: FlipInput): Promise<Flipped> {
  const { schema, progress, notes, checkpoint, env } = input
  const nowMs = env.now()
  assert(progress.step.kind === 'ready', 'a flip before everything is staged')
  const toRebase = new RecordsToRebase()
  const { outcomes, isAll, lost, escrow: endings = [] } = newestVerdicts(notes)
  // Another history may have lost the rows, and devices return them.
  const isLost = progress.replaces && (await hasLostHistory(tx))
  const before = progress.replaces && !isLost ? await readSight(tx, schema) : undefined
  const hasCleared = progress.replaces && (await clearServerCopy(tx, schema))
  const returnedCount = isLost ? await returnLost(tx, lost, nowMs) : 0
  if (!progress.replaces) assert(progress.base === (await readCursor(tx)), 'a flip from another cursor')
  await revokeScopes(tx, { schema, scopes: progress.revoked, toRebase })
  await numberScopes(tx, notes)
  const { promoted, unpromoted } = await promoteAll(tx, schema, notes)
  const ended = await settleOutcomes(tx, { outcomes, toRebase, needed: unpromoted })
  if (progress.replaces) await rebaseOutbox(tx, toRebase)
  await replaceRanges(tx, schema, input, (pages) =>
    applyPages(tx, { schema, notes: pages, toRebase, promoted, checkpoint }),
  )
  await dropOvertaken(tx, { schema, ended, toRebase })
  if (unpromoted.length > 0) {
    const late = await settleOutcomes(tx, { outcomes, toRebase, needed: [] })
    await dropOvertaken(tx, { schema, ended: late, toRebase })
  }
  const releasedCount = await reviewOutbox(tx, { isLost, isAll, toRebase, nowMs })
  const escrow = await takeOutOfSight(tx, { ...input, toRebase, ended, before, endings })
  if (progress.revoked.length > 0) await emptyTombstones(tx, toRebase)
  const hasLeft = await rebaseAll(tx, input, toRebase)
  const hasGone = hasCleared || progress.revoked.length > 0 || escrow.hasDropped
  if (hasGone) await emptyRetained(tx, schema)
  await boundRetained(tx, nowMs)
  if (isLost) await queueAllUploads(tx, schema, nowMs)
  else if (hasLeft || hasGone) await eraseUnnamedBytes(tx, schema)
  if (hasGone) await oweRewriting(tx)
  if (progress.step.cursor !== progress.base) await writeMeta(tx, 'cursor', progress.step.cursor)
  await dropStaging(tx)
  return {
    rows: progress.rows,
    releasedCount: releasedCount + returnedCount + escrow.movedCount,
    hasErased: hasLeft || hasGone,
    isRewritingDue: await isRewritingDue(tx, nowMs),
  }
}

interface OutOfSight extends FlipInput {
  readonly toRebase: RecordsToRebase
  readonly ended: EndedRecords
  readonly before: SightBefore | undefined
  readonly endings: readonly EscrowEnding[]
}

/** What is unsettled of records that are out of sight is for escrow from now on. Rules: ES-10 to ES-15. */
async function takeOutOfSight(
  tx: LocalTransaction,
  { schema, env, progress, toRebase, ended, before, endings }: OutOfSight,
): Promise<{ readonly hasDropped: boolean; readonly movedCount: number }> {
  await noteEscrowEndings(tx, endings)
  const hasDropped = await settleEscrowed(tx, { schema, env })
  const { revoked } = progress
  const left = await recordsOutOfSight(tx, { schema, toRebase, ended, revoked, before })
  const moved = await moveToEscrow(tx, { schema, env }, left)
  for (const row of moved) toRebase.add(String(row['collection']), String(row['record']))
  return { hasDropped, movedCount: moved.length }
}

/** Applies the pages, and what follows from their holding every row of some ranges. Rules: CS-3. */
async function replaceRanges(
  tx: LocalTransaction,
  schema: Schema,
  { notes, ranges = [] }: Pick<FlipInput, 'notes' | 'ranges'>,
  apply: (notes: readonly PageNote[]) => Promise<void>,
): Promise<void> {
  const note = ranges.length > 0 ? notes.at(-1) : undefined
  if (note) await distrustRows(tx, schema, { ranges, note })
  await apply(notes)
  if (note) await apply(await stageLeaves(tx, schema, { ranges, note }))
}

/** What was settled by a history that the server has lost is to be settled once more. Rules: SY-25. */
async function returnLost(tx: LocalTransaction, lost: string | undefined, nowMs: number): Promise<number> {
  await writeMeta(tx, 'sync.lost', null)
  await askEndingsAgain(tx, nowMs)
  // What it stands on may be returned by others.
  await tx.run('UPDATE _outbox SET returned_at = ?', [nowMs])
  return returnRetained(tx, { lost, nowMs })
}

/** A snapshot stands for everything, so everything but the outbox goes first. Returns whether there was any. Rules: AP-10. */
async function clearServerCopy(tx: LocalTransaction, schema: Schema): Promise<boolean> {
  let hasCleared = false
  for (const collection of schema.collections.values()) {
    const { changes } = await tx.run(`DELETE FROM ${quoteName(collection.name)}`)
    if (changes > 0) tx.touch(collection.name, 'all')
    hasCleared ||= changes > 0
  }
  // Of a deleted record these hold the values, and nothing else does.
  for (const table of ['_shadow', '_deleted', '_scopes', '_quarantine']) {
    const { changes } = await tx.run(`DELETE FROM ${table}`)
    hasCleared ||= table !== '_scopes' && changes > 0
  }
  return hasCleared
}

/** Every record that still has entries must be shown again. */
async function rebaseOutbox(tx: LocalTransaction, toRebase: RecordsToRebase): Promise<void> {
  for (const row of await tx.all('SELECT DISTINCT collection, record FROM _outbox')) {
    toRebase.add(String(row['collection']), String(row['record']))
  }
}

/** What pages say we have, by the keys of records: what is clean by that, and what still needs its entries to be built from. */
interface Haves {
  readonly promoted: ReadonlyMap<number, readonly string[]>
  readonly unpromoted: readonly string[]
}

async function promoteAll(tx: LocalTransaction, schema: Schema, notes: readonly PageNote[]): Promise<Haves> {
  const promoted = new Map<number, string[]>()
  const unpromoted: string[] = []
  for (const note of notes) {
    for (const name of note.haves) {
      const collection = schema.collections.get(name)
      if (!collection) continue
      const ids = await promoteViews(tx, collection, note)
      const others = await unpromotedHaves(tx, collection, { note, promoted: ids })
      const keyOf = (record: string): string => recordKey({ collection: name, record })
      promoted.set(note.page, [...(promoted.get(note.page) ?? []), ...ids.map(keyOf)])
      unpromoted.push(...others.map(keyOf))
    }
  }
  return { promoted, unpromoted }
}

interface Review {
  /** After a reset that followed the loss of a history. */
  readonly isLost: boolean
  /** The pages name every outcome there is. */
  readonly isAll: boolean
  readonly toRebase: RecordsToRebase
  readonly nowMs: number
}

/** What is left in the outbox after the pages, in the light of them. Returns how many entries were let go. */
async function reviewOutbox(
  tx: LocalTransaction,
  { isLost, isAll, toRebase, nowMs }: Review,
): Promise<number> {
  const [left] = await tx.all('SELECT 1 FROM _outbox LIMIT 1')
  if (!left) return 0
  await breakHeadlessOffers(tx, toRebase)
  if (isAll && !isLost) await settleKnown(tx, toRebase)
  if (isAll) await offerLostAgain(tx, toRebase, { isLost, nowMs })
  return settleClosedConflicts(tx, toRebase)
}

async function rebaseAll(
  tx: LocalTransaction,
  input: FlipInput,
  toRebase: RecordsToRebase,
): Promise<boolean> {
  let hasErased = false
  for (const { collection: name, record, hasLeft } of toRebase.all()) {
    const collection = input.schema.collections.get(name)
    // Entries of a collection that this app no longer has stay in the outbox; there is no table to show them in.
    if (!collection) continue
    input.checkpoint()
    await rebaseRecord(tx, { collection, record, hasLeft })
    hasErased ||= hasLeft
  }
  return hasErased
}
