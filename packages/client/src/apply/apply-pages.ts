import { assert, type Change, type CollectionSchema, type Schema } from '@holdfast/core'
import type { LocalTransaction } from '../local/local-database.ts'
import { recordKey } from '../local/record-key.ts'
import { readShadow } from '../local/records.ts'
import { quoteName } from '../local/tables.ts'
import { mutationOf } from '../outbox/entry.ts'
import { entriesOfRecord } from '../outbox/outbox.ts'
import { addScopes, bulkApply, pageRows } from './bulk-apply.ts'
import { changeShadow, hasLeftScope, isOutside, versionOf } from './change-shadow.ts'
import { chainOfHave } from './own-version.ts'
import type { PageNote } from './page-note.ts'
import { quarantineUnfit, releaseOvertaken } from './quarantine.ts'
import { saveShadow } from './rebase-record.ts'
import type { RecordsToRebase } from './records-to-rebase.ts'
import { dropOvertakenShadows } from './settle-outcomes.ts'

/** What the pages are applied with. */
export interface PagesToApply {
  readonly schema: Schema
  readonly notes: readonly PageNote[]
  readonly toRebase: RecordsToRebase
  /** Keys of records whose `have` is dealt with, by page. */
  readonly promoted: ReadonlyMap<number, readonly string[]>
  /** Called between two statements: throws when the transaction must end now. */
  readonly checkpoint: () => void
}

/**
 * The one way in which rows of the server get into the device's tables: pages in the order they came, `put` of clean
 * rows in bulk, everything else through the record's shadow. Rules: AP-1, AP-2, AP-5.
 */
export async function applyPages(tx: LocalTransaction, input: PagesToApply): Promise<void> {
  const { schema, notes, checkpoint } = input
  const [parked] = await tx.all('SELECT 1 FROM _quarantine LIMIT 1')
  // What became the server's copy as it stands has the scopes of one page: an earlier one may have taken them from it.
  const left = new Set<string>()
  const hasParked = parked !== undefined || notes.some((note) => note.unfit.length > 0)
  for (const note of notes) {
    const shortfalls = await putAll(tx, note, input)
    const promoted = (input.promoted.get(note.page) ?? []).filter((record) => !left.has(record))
    const singles = note.hasOthers || shortfalls.size > 0 ? await readSingles(tx, note, promoted) : []
    for (const [collection, count] of shortfalls) {
      const withEntries = singles.filter(({ change }) => isPutOf(change, collection)).length
      if (withEntries < count) await addScopes(tx, collection, note)
    }
    if (hasParked) await quarantineUnfit(tx, note)
    if (hasParked) await releaseOvertaken(tx, note)
    for (const single of singles) {
      checkpoint()
      await applyChange(tx, { ...single, input })
    }
    for (const { change } of singles)
      if (change.op === 'leave' || change.op === 'delete') left.add(recordKey(change))
  }
  // Whatever else makes a row newer than its tombstone rebuilds the record.
  const named = notes.flatMap((note) => [...Object.keys(note.puts), ...note.haves])
  for (const name of new Set(named)) await forgetRevived(tx, collectionNamed(schema, name))
}

/** Gives the scopes that pages name their numbers. */
export async function numberScopes(tx: LocalTransaction, notes: readonly PageNote[]): Promise<void> {
  const scopes = new Set(notes.flatMap((note) => note.scopes))
  if (scopes.size === 0) return
  await tx.run('INSERT OR IGNORE INTO _scopes (name) SELECT value FROM json_each(?)', [
    JSON.stringify([...scopes]),
  ])
}

/** Puts the rows of a page in bulk. Returns how many of a collection were not put, where any were not. */
async function putAll(
  tx: LocalTransaction,
  note: PageNote,
  { schema, checkpoint }: PagesToApply,
): Promise<ReadonlyMap<CollectionSchema, number>> {
  const shortfalls = new Map<CollectionSchema, number>()
  for (const [name, expected] of Object.entries(note.puts)) {
    checkpoint()
    const collection = collectionNamed(schema, name)
    const count = await bulkApply(tx, collection, note)
    if (count < expected) shortfalls.set(collection, expected - count)
    // A row that moves within the device's scopes is put and leaves: its old copy must not stand in for the new one.
    await dropOvertakenShadows(tx, collection)
  }
  return shortfalls
}

function isPutOf({ op, collection }: Change, { name }: CollectionSchema): boolean {
  return op === 'put' && collection === name
}

/** A change that is applied by itself, and the number of its scope. */
interface Single {
  readonly change: Change
  readonly scope: number
}

/** Changes that bulk cannot take: other than `put`, or of records with entries, but no `have` of those that were promoted. */
async function readSingles(
  tx: LocalTransaction,
  note: PageNote,
  promoted: readonly string[],
): Promise<readonly Single[]> {
  const rows = await tx.all(
    `WITH ${pageRows} SELECT v, s.n AS scope FROM rows CROSS JOIN _scopes s ON s.name = v ->> '$.scope'
     WHERE k NOT IN (SELECT value FROM json_each(?2)) AND (v ->> '$.op' <> 'put'
       OR EXISTS (SELECT 1 FROM _outbox o WHERE o.record = v ->> '$.record' AND o.collection = v ->> '$.collection'))
     AND NOT (v ->> '$.op' = 'have' AND (v ->> '$.collection') || ' ' || (v ->> '$.record') IN (SELECT value FROM json_each(?3)))
     ORDER BY k`,
    [note.page, JSON.stringify(note.unfit.map(({ index }) => index)), JSON.stringify(promoted)],
  )
  return rows.map((row) => ({
    // The page was parsed before it was staged, and unfit changes are not among these.
    change: JSON.parse(String(row['v'])) as Change,
    scope: Number(row['scope']),
  }))
}

async function applyChange(
  tx: LocalTransaction,
  { change, scope, input }: Single & { readonly input: PagesToApply },
): Promise<void> {
  const collection = collectionNamed(input.schema, change.collection)
  const { record } = change
  const shadow = await readShadow(tx, collection, record)
  const entries = change.op === 'have' ? await entriesOfRecord(tx, collection.name, record) : []
  const own = chainOfHave(entries, versionOf(shadow), change).map(mutationOf)
  const next = changeShadow(shadow, { collection, change, scope, own })
  const hasLeft = hasLeftScope(shadow, next, change) && isOutside(next)
  if (next === shadow && !hasLeft) return
  await saveShadow(tx, { collection, record }, next)
  // A later page may put the row in bulk, and takes over the scopes it finds there.
  if (next.scopes !== shadow.scopes) {
    await tx.run(`UPDATE ${quoteName(collection.name)} SET _scopes = ? WHERE id = ?`, [next.scopes, record])
  }
  input.toRebase.add(collection.name, record, hasLeft)
  if (!hasLeft) return
  tx.touch(collection.name, record)
}

function collectionNamed(schema: Schema, name: string): CollectionSchema {
  const collection = schema.collections.get(name)
  assert(collection, `a change of the unknown collection ${name} passed the quarantine`)
  return collection
}

/** A record that came back is no tombstone any more. */
async function forgetRevived(tx: LocalTransaction, collection: CollectionSchema): Promise<void> {
  await tx.run(
    `DELETE FROM _deleted AS d WHERE d.collection = '${collection.name}'
     AND EXISTS (SELECT 1 FROM "${collection.name}" t WHERE t.id = d.record AND t._version > d.version)`,
  )
}
