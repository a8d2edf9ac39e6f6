import {
  type CollectionSchema,
  everyScope,
  type RecordSnapshot,
  replayMutations,
  type Schema,
  scopesOfRow,
} from '@holdfast/core'
import type { LocalReader } from '../local/local-database.ts'
import { recordKey } from '../local/record-key.ts'
import { readShadow } from '../local/records.ts'
import { mutationOf } from '../outbox/entry.ts'
import { entriesOfRecord } from '../outbox/outbox.ts'
import { type LeftRecords, movableRecords } from '../outbox/to-escrow.ts'
import { isOutside } from './change-shadow.ts'
import type { RecordsToRebase } from './records-to-rebase.ts'
import type { EndedRecords } from './settle-outcomes.ts'

/** Where a device's records were before everything was replaced. */
export interface SightBefore {
  /** Scopes that had rows. */
  readonly names: readonly string[]
  /** By key of a record with unsettled edits that the device had received, the scopes it lay in. */
  readonly scopesByRecord: ReadonlyMap<string, readonly string[]>
}

/** What is to be known of records with unsettled edits before a snapshot replaces everything. */
export async function readSight(tx: LocalReader, schema: Schema): Promise<SightBefore> {
  const numbers = await tx.all('SELECT n, name FROM _scopes')
  const nameOf = new Map(numbers.map(({ n, name }) => [String(n), String(name)]))
  const scopesByRecord = new Map<string, readonly string[]>()
  for (const { collection: name, record } of await movableRecords(tx)) {
    const collection = schema.collections.get(name)
    if (!collection) continue
    const { scopes } = await readShadow(tx, collection, record)
    scopesByRecord.set(
      recordKey({ collection: name, record }),
      scopes.split(',').flatMap((n) => nameOf.get(n) ?? []),
    )
  }
  return { names: [...nameOf.values()], scopesByRecord }
}

/** What a flip knows of the sight that it leaves. */
export interface SightNow {
  readonly schema: Schema
  readonly toRebase: RecordsToRebase
  /** What was taken by what this flip brings. */
  readonly ended: EndedRecords
  /** Scopes that are no longer granted. */
  readonly revoked: readonly string[]
  /** Where everything was replaced, unless by another history. */
  readonly before: SightBefore | undefined
}

/**
 * Records with unsettled edits that left the device's sight: erased with a scope or by a move, or never received and, by
 * their own values, in scopes that are gone alone, or taken and nowhere in the pages. A record that never came to be, because
 * others settled the dispute over its making, has left nothing. To be asked once the pages are in, and before tombstones lose
 * their values. A snapshot does not say what was revoked: gone are the scopes that had rows and have none. Rules: ES-11.
 */
export async function recordsOutOfSight(tx: LocalReader, sight: SightNow): Promise<LeftRecords> {
  const { schema, toRebase, before, ended } = sight
  const hadLeft = new Set<string>()
  for (const each of toRebase.all()) if (each.hasLeft) hadLeft.add(recordKey(each))
  const revoked = new Set(before ? await scopesGone(tx, before) : sight.revoked)
  if (hadLeft.size === 0 && revoked.size === 0) return []
  const left: { readonly collection: string; readonly record: string }[] = []
  for (const { collection: name, record } of await movableRecords(tx)) {
    const collection = schema.collections.get(name)
    if (!collection) continue
    const named = { collection: name, record }
    const shadow = await readShadow(tx, collection, record)
    if (hadLeft.has(recordKey(named)) && isOutside(shadow)) left.push(named)
    else if (shadow.snapshot.kind !== 'live') {
      const lay = await layIn(tx, { collection, record, snapshot: shadow.snapshot, before })
      const isGone = lay === 'nowhere' ? ended.get(name)?.get(record) : isWithin(revoked, lay)
      if (isGone === true) left.push(named)
    }
  }
  return left
}

function isWithin(revoked: ReadonlySet<string>, scopes: readonly string[]): boolean {
  return scopes.length > 0 && scopes.every((scope) => revoked.has(scope))
}

async function scopesGone(tx: LocalReader, before: SightBefore): Promise<readonly string[]> {
  const rows = await tx.all('SELECT name FROM _scopes')
  const names = new Set(rows.map(({ name }) => String(name)))
  // Whoever sees everything has lost nothing.
  if (names.has(everyScope)) return []
  return before.names.filter((name) => !names.has(name))
}

interface AbsentRecord {
  readonly collection: CollectionSchema
  readonly record: string
  readonly snapshot: Exclude<RecordSnapshot, { kind: 'live' }>
  readonly before: SightBefore | undefined
}

/**
 * Where a record lay, or would, that is not among the rows, by what is left of it or by its own making. `nowhere`: an edit of
 * what the device does not have, though it was neither deleted nor replaced.
 */
async function layIn(
  tx: LocalReader,
  { collection, record, snapshot, before }: AbsentRecord,
): Promise<readonly string[] | 'nowhere'> {
  if (snapshot.kind === 'deleted') return scopesOfRow(collection.scopes, snapshot.values ?? {})
  const entries = await entriesOfRecord(tx, collection.name, record)
  const [first] = entries
  if (first?.op === 'create') {
    const { view } = replayMutations(collection, snapshot, entries.map(mutationOf))
    const values = view.kind === 'live' ? view.values : first.payload.changes
    return scopesOfRow(collection.scopes, values)
  }
  return before
    ? (before.scopesByRecord.get(recordKey({ collection: collection.name, record })) ?? [])
    : 'nowhere'
}
