import type { CollectionSchema, FieldSchema, Values } from '@holdfast/core'

import { openConflicts } from '../conflicts/open-conflicts.ts'
import type { LocalReader, LocalTransaction } from '../local/local-database.ts'
import { seqsOf } from './outbox.ts'
import { standingOn } from './requeue.ts'

/** Seqs of the unsettled creates of the records that the reference fields of `changes` name. Rules: OB-6. */
export async function referredCreates(
  tx: LocalReader,
  collection: CollectionSchema,
  changes: Values,
): Promise<readonly number[]> {
  const seqs: number[] = []
  for (const field of referencesOf(collection)) {
    const target = changes[field.name]
    if (typeof target !== 'string' || field.references === undefined) continue
    const [create] = await tx.all(
      "SELECT max(seq) AS seq FROM _outbox WHERE record = ? AND collection = ? AND op = 'create'",
      [target, field.references],
    )
    if (typeof create?.seq === 'number') seqs.push(create.seq)
  }
  return seqs
}

/** What waits for a mutation: what stands on these entries, or on what this conflict holds. */
export interface Waiting {
  readonly seqs: readonly number[]
  readonly conflict: string | null
}

/**
 * Those creates without the ones that wait for the mutation itself, for a mutation that is put behind what stands on it:
 * each would wait for the other for ever.
 */
export async function createsAhead(
  tx: LocalReader,
  { collection, changes }: { readonly collection: CollectionSchema; readonly changes: Values },
  waiting: Waiting,
): Promise<readonly number[]> {
  const creates = await referredCreates(tx, collection, changes)
  if (creates.length === 0) return creates
  const behind = await waitingFor(tx, waiting)
  return creates.filter((seq) => !behind.has(seq))
}

/**
 * What a decision was to wait for, and waits for it by what the server said since, it waits for no more: of two decisions
 * each of which refers to what the other's conflict holds, one goes, and is applied or refused. Rules: OB-6.
 */
export async function freeDecisions(tx: LocalTransaction): Promise<void> {
  const decisions = await tx.all(
    `SELECT seq, resolves, depends FROM _outbox WHERE resolves IS NOT NULL AND depends IS NOT NULL
     AND status = 'pending' AND offer IS NULL ORDER BY seq`,
  )
  for (const { seq = null, resolves, depends } of decisions) {
    const parents = String(depends).split(',')
    const behind = await waitingFor(tx, { seqs: [], conflict: String(resolves) })
    const ahead = parents.filter((parent) => !behind.has(Number(parent)))
    if (ahead.length === parents.length) continue
    const left = ahead.length === 0 ? null : ahead.join(',')
    await tx.run('UPDATE _outbox SET depends = ? WHERE seq = ?', [left, seq])
  }
}

/** Seqs of what stands on these entries or on what the conflict holds, and so on behind the decisions among that. */
async function waitingFor(tx: LocalReader, { seqs, conflict }: Waiting): Promise<ReadonlySet<number>> {
  const behind = new Set(await standingOn(tx, seqs))
  const conflicts = new Set(conflict === null ? [] : [conflict])
  // More are added on the way.
  for (const each of conflicts) {
    for (const seq of await standingOn(tx, await heldBy(tx, each))) behind.add(seq)
    for (const other of await conflictsDecidedBy(tx, behind)) conflicts.add(other)
  }
  return behind
}

async function conflictsDecidedBy(tx: LocalReader, seqs: ReadonlySet<number>): Promise<readonly string[]> {
  const rows = await tx.all(
    'SELECT DISTINCT resolves FROM _outbox WHERE resolves IS NOT NULL AND seq IN (SELECT value FROM json_each(?))',
    [JSON.stringify([...seqs])],
  )
  return rows.map(({ resolves }) => String(resolves))
}

/** What a conflict holds, or one that it superseded, and what else there is of these records: it waits, and its transaction with it. */
async function heldBy(tx: LocalReader, conflict: string): Promise<readonly number[]> {
  const rows = await tx.all('SELECT held_by, record, collection FROM _outbox WHERE held_by IS NOT NULL')
  const open = await openConflicts(
    tx,
    rows.map((row) => String(row['held_by'])),
  )
  const held = rows.filter(({ held_by: by }) => by === conflict || open.get(String(by)) === conflict)
  const touching = await tx.all(
    `WITH own AS MATERIALIZED (SELECT seq, group_id FROM _outbox JOIN json_each(?) AS held
       ON record = held.value ->> 0 AND collection = held.value ->> 1)
     SELECT seq FROM own UNION SELECT seq FROM _outbox WHERE group_id IN (SELECT group_id FROM own)`,
    [JSON.stringify(held.map(({ record, collection }) => [record, collection]))],
  )
  return seqsOf(touching)
}

const referencesByCollection = new WeakMap<CollectionSchema, readonly FieldSchema[]>()

function referencesOf(collection: CollectionSchema): readonly FieldSchema[] {
  let references = referencesByCollection.get(collection)
  if (references === undefined) {
    references = collection.fields.filter((field) => field.kind === 'reference')
    referencesByCollection.set(collection, references)
  }
  return references
}
