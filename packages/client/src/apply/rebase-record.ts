import type { CollectionSchema } from '@holdfast/core'
import type { LocalTransaction } from '../local/local-database.ts'
import { readShadow, type Shadow, showRecord, statementsOf, storeShadow } from '../local/records.ts'
import type { Entry } from '../outbox/entry.ts'
import { isKnownBefore } from '../outbox/hold-reasons.ts'
import { entriesOfRecord, settle } from '../outbox/outbox.ts'
import { emptyRetainedOf } from '../outbox/retained.ts'
import { absentShadow, isOutside, versionOf } from './change-shadow.ts'

/** A record whose shadow or entries changed. */
export interface RebaseTarget {
  readonly collection: CollectionSchema
  readonly record: string
  /** It left the device's scopes: what the server took of ours will never come back as a version. */
  readonly hasLeft: boolean
}

/**
 * Brings a record in line with its shadow and entries: entries that the shadow contains are settled, the rest is
 * replayed on it. Repeating is safe. Rules: AP-6, PR-1.
 */
export async function rebaseRecord(tx: LocalTransaction, target: RebaseTarget): Promise<void> {
  const { collection, record } = target
  const stored = await readShadow(tx, collection, record)
  const hasLeft = target.hasLeft && isOutside(stored)
  if (hasLeft) await saveShadow(tx, target, absentShadow)
  const shadow = hasLeft ? absentShadow : stored
  const version = versionOf(stored)
  const contained: number[] = []
  const entries: Entry[] = []
  for (const entry of await entriesOfRecord(tx, collection.name, record)) {
    if (isContained(entry, version, hasLeft)) contained.push(entry.seq)
    else entries.push(entry)
  }
  if (contained.length > 0) await settle(tx, contained)
  if (hasLeft) await emptyRetainedOf(tx, collection.name, record)
  await showRecord(tx, { collection, record, shadow, entries })
}

function isContained(entry: Entry, shadowVersion: number, hasLeft: boolean): boolean {
  if (entry.status !== 'answered') return false
  return hasLeft || isKnownBefore(entry.heldBy) || (entry.version !== null && shadowVersion >= entry.version)
}

/** Makes `shadow` the server's copy of a record; the row follows with `rebaseRecord`. */
export async function saveShadow(
  tx: LocalTransaction,
  target: Pick<RebaseTarget, 'collection' | 'record'>,
  shadow: Shadow,
): Promise<void> {
  const { collection, record } = target
  const { snapshot } = shadow
  if (snapshot.kind === 'absent') {
    // Nothing may be left that could be taken for the server's copy.
    await tx.run(statementsOf(collection).remove, [record])
    await tx.run('DELETE FROM _shadow WHERE collection = ? AND record = ?', [collection.name, record])
    await tx.run('DELETE FROM _deleted WHERE collection = ? AND record = ?', [collection.name, record])
    return
  }
  await storeShadow(tx, target, { shadow, orElse: 'REPLACE' })
}
