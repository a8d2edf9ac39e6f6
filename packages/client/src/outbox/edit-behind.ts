import {
  type CollectionSchema,
  parseUpdate,
  type Payload,
  type RecordSnapshot,
  replayMutations,
  SyncError,
  touchedFields,
  type Values,
} from '@holdfast/core'

import type { SqlRow } from '../drivers/sqlite-driver.ts'
import type { LocalTransaction } from '../local/local-database.ts'
import { StampClock } from '../local/meta.ts'
import { readShadow, rebuildRecords } from '../local/records.ts'
import { updatePayload } from '../write/payload-of-call.ts'
import { seenIn } from '../write/seen-values.ts'
import { weigh, type WriteContext } from '../write/write-session.ts'
import { type Entry, mutationOf, readEntry } from './entry.ts'
import { entriesOfRecord, insertEntry, seqsOf } from './outbox.ts'
import { referredCreates } from './referred-creates.ts'
import { keyBehind, offerAfresh } from './requeue.ts'

/** Whether the server ruled on nothing of a letter, as far as is known here: it may have taken it all the same. */
export function mayBeTaken(letter: readonly SqlRow[]): boolean {
  return letter.every(
    (row) => String(row.error).startsWith('ATTEMPTS_EXHAUSTED') && readEntry(row) !== undefined,
  )
}

/** A letter that may have been taken, the mutations of it that are to be edited, and how. */
interface EditBehind {
  readonly letter: readonly SqlRow[]
  readonly own: readonly SqlRow[]
  readonly changes: Readonly<Record<string, unknown>>
  readonly seen: Readonly<Record<string, unknown>> | undefined
}

/**
 * Tries a letter again under its keys and numbers, and writes behind it what it is to be changed by, as an edit of its own.
 * Where the two may be folded they travel as one, under both keys: of what the server has taken already it says so, and the
 * edit then goes by itself. Errors: those of an update. Rules: OB-17.
 */
export async function editBehind(
  tx: LocalTransaction,
  context: WriteContext,
  { letter, own, changes, seen: shown }: EditBehind,
): Promise<void> {
  const target = own.findLast(({ op }) => op !== 'delete')
  const collection = context.schema.collections.get(String(target?.collection))
  const edited = target && readEntry(target)
  if (edited === undefined || collection === undefined)
    throw new SyncError('VALUE_INVALID', 'a delete has no values to edit')
  await offerAfresh(tx, seqsOf(letter))
  const wanted = parseUpdate(collection, changes)
  const { values: seen } = seenIn(collection, wanted, shown)
  const earlier = await entriesOfRecord(tx, edited.collection, edited.record)
  // What its author has deleted since is not brought back.
  if (earlier.findLast(({ op }) => op !== 'update')?.op === 'delete') return
  const { snapshot } = await readShadow(tx, collection, edited.record)
  const values = valuesBehind(collection, snapshot, earlier)
  const payload = updatePayload(collection, values, wanted, seen)
  if (touchedFields(payload).length === 0) return
  // What is for escrow is no part of what the app sees.
  const last = edited.escrow ? edited : (earlier.at(-1) ?? edited)
  const seq = await insertBehind(tx, context, { collection, last, payload })
  if (edited.escrow) await tx.run('UPDATE _outbox SET escrow = 1 WHERE seq = ?', [seq])
  await rebuildRecords(tx, context.schema, [edited])
}

async function insertBehind(
  tx: LocalTransaction,
  { schema, env, device, trace }: WriteContext,
  {
    collection,
    last,
    payload,
  }: { readonly collection: CollectionSchema; readonly last: Entry; readonly payload: Payload },
): Promise<number> {
  const { text } = weigh(collection, payload)
  const { at, iso } = await new StampClock(env, device()).next(tx)
  return insertEntry(tx, {
    id: keyBehind(last, payload),
    collection: last.collection,
    record: last.record,
    op: 'update',
    payload: text,
    // Its author saw what was shown, and for the rest no more than the one before it did.
    baseVersion: last.baseVersion,
    after: last.id,
    at,
    resolves: null,
    group: null,
    schema: schema.version,
    trace: trace(),
    createdAt: iso,
    depends: [last.seq, ...(await referredCreates(tx, collection, payload.changes))],
  })
}

/** A record as it is where something is to be written on these entries, which stand on what the server has. */
export function valuesBehind(
  collection: CollectionSchema,
  snapshot: RecordSnapshot,
  earlier: readonly Entry[],
): Values {
  const { view } = replayMutations(collection, snapshot, earlier.map(mutationOf))
  // Of a record that others have deleted, the one in front of whoever edits it stands on what it was.
  return view.kind === 'absent' ? {} : (view.values ?? {})
}
