import {
  applyPayload,
  type CollectionSchema,
  emptyPayload,
  type FieldSchema,
  type Json,
  parseSeenValue,
  parseUpdate,
  type Payload,
  payloadOfUpdate,
  type RecordSnapshot,
  type Schema,
  SyncError,
  touchedFields,
  type Values,
  valuesEqual,
} from '@holdfast/core'

import { queueUploads } from '../attachments/upload-queue.ts'
import type { SqlRow } from '../drivers/sqlite-driver.ts'
import { watchList } from '../live/watch-list.ts'
import type { LocalReader, LocalTransaction, TransactionRunner } from '../local/local-database.ts'
import { requireNewest } from '../local/meta.ts'
import { readShadow } from '../local/records.ts'
import { discardEntries, showInstead } from './discard-entries.ts'
import { editBehind, mayBeTaken, valuesBehind } from './edit-behind.ts'
import { type Entry, entryColumns, payloadText, readEntry } from './entry.ts'
import { entriesOfRecord, seqsOf, updateEntries, writePayload } from './outbox.ts'
import type { Around } from './record-entries.ts'
import { createsAhead } from './referred-creates.ts'
import { carriedOver, seenIn } from '../write/seen-values.ts'
import { weigh, type WriteContext } from '../write/write-session.ts'
import { type DeadLetter, deadRows, lettersIn, noLetter, readLetters, rowsOf, seqOf } from './read-letters.ts'
import { requeue, type RequeueContext, standingOn } from './requeue.ts'

/** What a discard took away. */
export interface Discarded {
  /** Ids of the letter's mutations and, when it held a create, of the later ones of that record, which are nothing without it. */
  readonly mutations: readonly string[]
}

/**
 * `db.deadLetters`. Errors of every call with an id: RECORD_NOT_FOUND when no dead letter has it; of those that change
 * something also STORE_NEWER, once a newer app has opened the database. Rules: OB-13 to OB-17, SY-30.
 */
export interface DeadLettersApi {
  /** The oldest first. */
  list(): Promise<readonly DeadLetter[]>
  get(id: string): Promise<DeadLetter>
  /** Calls `listener` with all of them at once and after every commit that touched the outbox. Returns the way to stop. */
  watch(listener: (letters: readonly DeadLetter[]) => void): () => void
  /** Offers it again as it is; what waits behind it follows in order. Errors: ENTRY_UNREADABLE. */
  retry(id: string): Promise<void>
  /**
   * The same with other values in fields of the named mutation's record. `seen` is the record as it was shown to whoever
   * changed them: then a counter or a set is changed by what they did to it. What was given up without a verdict may have
   * been taken: it is tried again as it is, and the change goes as an edit behind it. Errors: those of an update;
   * VALUE_INVALID for a delete; ENTRY_UNREADABLE where another part of it cannot be read.
   */
  editAndRetry(
    id: string,
    changes: Readonly<Record<string, unknown>>,
    seen?: Readonly<Record<string, unknown>>,
  ): Promise<void>
  /** Forgets it, as if it had never been written: the record shows what the server and the other edits make of it. */
  discard(id: string): Promise<Discarded>
  /** Every byte of it, for a person or a tool. All of them unless an id is given. */
  export(id?: string): Promise<readonly SqlRow[]>
}

/** Makes `db.deadLetters`. */
export function createDeadLetters(database: TransactionRunner, context: WriteContext): DeadLettersApi {
  const { schema } = context
  const list = (): Promise<readonly DeadLetter[]> =>
    database.read(async (tx) => readLetters(tx, lettersIn(await deadRows(tx))))
  /** What is done with a letter makes rows anew, which an app can only do with all fields. */
  const change = <T>(
    id: string,
    work: (tx: LocalTransaction, rows: readonly SqlRow[]) => Promise<T>,
  ): Promise<T> =>
    database.write(async (tx) => {
      const rows = await rowsOf(tx, id)
      await requireNewest(tx, schema.version)
      return work(tx, rows)
    })
  return {
    list,
    watch: (listener) => watchList(database, { table: '_outbox', list, listener }),
    get: (id) =>
      database.read(async (tx) => {
        const [letter] = await readLetters(tx, [await rowsOf(tx, id)])
        return letter ?? noLetter(id)
      }),
    retry: (id) => change(id, (tx, rows) => retryLetter(tx, context, rows)),
    editAndRetry: (id, changes, seen) =>
      change(id, async (tx, rows) => {
        const named = rows.find((each) => each.id === id)
        const own = rows.filter(
          ({ record, collection }) => record === named?.record && collection === named?.collection,
        )
        if (mayBeTaken(rows)) return editBehind(tx, context, { letter: rows, own, changes, seen })
        const moved = await standingOn(tx, seqsOf(rows))
        await editLetter(tx, schema, { own, changes, seen, moved })
        assertReadable(await rowsOf(tx, id))
        await requeueLetter(tx, context, rows)
      }),
    discard: (id) =>
      change(id, async (tx, rows) => ({ mutations: await discardEntries(tx, schema, rows.map(seqOf)) })),
    export: (id) => database.read((tx) => (id === undefined ? deadRows(tx) : rowsOf(tx, id))),
  }
}

async function retryLetter(
  tx: LocalTransaction,
  context: RequeueContext,
  rows: readonly SqlRow[],
): Promise<void> {
  assertReadable(rows)
  const isRuledOn = rows.some((row) => !String(row.error).startsWith('ATTEMPTS_EXHAUSTED'))
  if (isRuledOn) return requeueLetter(tx, context, rows)
  // The server never ruled on it, and may have taken it all the same: only the same key keeps it from counting twice.
  await updateEntries(tx, seqsOf(rows), {
    set: "status = 'pending', verdict = NULL, attempts = 0, next_attempt_at = NULL, error = NULL",
    params: [],
  })
}

/** What cannot be read cannot be sent, nor the rest of its transaction without it. */
function assertReadable(rows: readonly SqlRow[]): void {
  if (rows.some((row) => readEntry(row) === undefined)) {
    throw new SyncError(
      'ENTRY_UNREADABLE',
      'its bytes cannot be read, so they cannot be sent: edit it, or discard it',
    )
  }
}

interface Edit {
  /** The mutations of the letter that are about the record to be edited. */
  readonly own: readonly SqlRow[]
  readonly changes: Readonly<Record<string, unknown>>
  readonly seen: Readonly<Record<string, unknown>> | undefined
  /** What goes to the end of the outbox with the letter: all else comes before it. */
  readonly moved: ReadonlySet<number>
}

async function editLetter(
  tx: LocalTransaction,
  schema: Schema,
  { own: all, changes, seen: shown, moved }: Edit,
): Promise<void> {
  const own = all.filter(({ op }) => op !== 'delete')
  const last = own.at(-1)
  const collection = schema.collections.get(String(last?.collection))
  if (last === undefined || collection === undefined) {
    throw new SyncError('VALUE_INVALID', 'a delete has no values to edit')
  }
  const wanted = parseUpdate(collection, changes)
  const { values: seen } = seenIn(collection, wanted, shown)
  for (const name of Object.keys(wanted)) {
    const field = collection.fieldsByName.get(name)
    // What was left as it was shown stays as it is: the letter's words, or nothing.
    if (field && Object.hasOwn(seen, name) && valuesEqual(field, seen[name] ?? null, wanted[name] ?? null))
      continue
    // The last to touch the field decides what it becomes.
    const target =
      own.findLast((row) => touchedFields(readEntry(row)?.payload ?? emptyPayload).includes(name)) ?? last
    await editEntry(tx, collection, { row: target, name, wanted, seen, moved })
  }
}

/**
 * The records that a letter refers to may be others now, or made anew since it was written: it comes behind their making.
 * Fields that it names, and the app has no more, are left out: with them it would be refused for ever.
 */
async function requeueLetter(
  tx: LocalTransaction,
  context: RequeueContext,
  rows: readonly SqlRow[],
): Promise<void> {
  const letter = seqsOf(rows)
  for (const row of rows) {
    const collection = context.schema.collections.get(String(row.collection))
    if (!collection) continue
    if (Number(row.schema) < context.schema.version) await leaveOutGone(tx, collection, row)
    await standOnReferred(tx, collection, { row, letter })
  }
  await requeue(tx, context, letter)
}

/** The entry of a row as it stands by now; undefined when it cannot be read. */
async function entryNow(tx: LocalReader, row: SqlRow): Promise<Entry | undefined> {
  const [stored] = await tx.all(`SELECT ${entryColumns} FROM _outbox WHERE seq = ?`, [seqOf(row)])
  return stored && readEntry(stored)
}

/** Takes out of an entry of an older app what this one has no more. */
async function leaveOutGone(
  tx: LocalTransaction,
  { fieldsByName }: CollectionSchema,
  row: SqlRow,
): Promise<void> {
  const payload = (await entryNow(tx, row))?.payload ?? emptyPayload
  const known = <Value>(members: Readonly<Record<string, Value>>): Readonly<Record<string, Value>> =>
    Object.fromEntries(Object.entries(members).filter(([name]) => fieldsByName.has(name)))
  const { changes, base, increments, additions, removals } = payload
  const text = payloadText({
    changes: known(changes),
    base: base && known(base),
    increments: known(increments),
    additions: known(additions),
    removals: known(removals),
  })
  if (text === payloadText(payload)) return
  await writePayload(tx, seqOf(row), text)
}

/** An entry stands on the creates of the records that it refers to now. */
async function standOnReferred(
  tx: LocalTransaction,
  collection: CollectionSchema,
  { row, letter }: { readonly row: SqlRow; readonly letter: readonly number[] },
): Promise<void> {
  const entry = await entryNow(tx, row)
  if (entry === undefined) return
  const before = await tx.all(
    'SELECT seq FROM _outbox WHERE seq IN (SELECT value FROM json_each(?)) AND record = ? AND collection = ?',
    [JSON.stringify(entry.depends), entry.record, entry.collection],
  )
  const { changes } = entry.payload
  const waiting = { seqs: letter, conflict: entry.resolves }
  const depends = [...before.map(seqOf), ...(await createsAhead(tx, { collection, changes }, waiting))]
  await tx.run('UPDATE _outbox SET depends = ? WHERE seq = ?', [
    depends.length === 0 ? null : depends.join(','),
    entry.seq,
  ])
}

interface FieldEdit extends Pick<Edit, 'moved'> {
  readonly row: SqlRow
  readonly name: string
  readonly wanted: Values
  readonly seen: Values
}

async function editEntry(tx: LocalTransaction, collection: CollectionSchema, edit: FieldEdit): Promise<void> {
  const { row, name, wanted, seen } = edit
  const entry = await entryNow(tx, row)
  const old = entry?.payload ?? emptyPayload
  const { earlier, later } = await aroundEntry(tx, edit)
  const { snapshot } = await readShadow(tx, collection, String(row.record))
  const before = row.op === 'create' ? {} : valuesBehind(collection, snapshot, earlier)
  const made = applyPayload(collection, before, old)[name] ?? null
  const next = Object.hasOwn(seen, name)
    ? relativeTo(collection, name, { seen: seen[name] ?? null, wanted: wanted[name] ?? null, made })
    : (wanted[name] ?? null)
  // Fields that merge as one travel as one: the others of the group keep what the mutation said of them.
  const unit = collection.fieldsByName.get(name)?.group?.fields ?? [name]
  const mates = Object.entries(old.changes).filter(([member]) => unit.includes(member))
  const value = { ...Object.fromEntries(mates), [name]: next }
  const shown = {
    ...shownIn(old, { collection, unit, later, seen }),
    ...seenOnServer(collection, snapshot, { unit, seen }),
  }
  const payload =
    row.op === 'create'
      ? { ...old, changes: { ...old.changes, [name]: next } }
      : overlaid(
          { ...old, base: { ...old.base, ...takenBack(collection, name, { old, next }), ...shown } },
          payloadOfUpdate(collection, { ...before, ...shown }, value),
          unit,
        )
  const { text } = weigh(collection, payload)
  await writePayload(tx, seqOf(row), text)
  await showInstead(tx, later, {
    gone: { ...payload.base, ...old.changes },
    seen: { ...old.base, ...payload.changes },
    baseVersion: entry?.baseVersion ?? 0,
  })
  const { record, created_at: createdAt } = row
  const written = { collection: collection.name, record: String(record), createdAt: String(createdAt) }
  await queueUploads(tx, { ...written, payload: text })
}

/** The other entries of the record, as they will be offered: those that go with the letter are behind all that does not. */
async function aroundEntry(
  tx: LocalReader,
  { row, moved }: Pick<FieldEdit, 'row' | 'moved'>,
): Promise<Around> {
  const entries = await entriesOfRecord(tx, String(row.collection), String(row.record))
  const staying = entries.filter(({ seq }) => !moved.has(seq))
  const going = entries.filter(({ seq }) => moved.has(seq))
  return {
    earlier: [...staying, ...going.filter(({ seq }) => seq < seqOf(row))],
    later: going.filter(({ seq }) => seq > seqOf(row)),
  }
}

/**
 * What whoever edits a field that the mutation did not touch saw in it, and in those that travel with it: what the first
 * later edit of it saw, which goes on behind the mutation; else what they were shown.
 */
function shownIn(old: Payload, { collection, unit, later, seen }: Shown): Values {
  const shown: Record<string, Json> = {}
  for (const name of unit) {
    if (addsUp(collection.fieldsByName.get(name)) || Object.hasOwn(old.changes, name)) continue
    const first = later.find(({ payload }) => Object.hasOwn(payload.changes, name))
    const value = first ? first.payload.base?.[name] : seen[name]
    if (value !== undefined) shown[name] = value
  }
  return shown
}

/** What whoever types back what a field was before the mutation saw in it: what the mutation says, or they would say nothing. */
function takenBack(
  { fieldsByName }: CollectionSchema,
  name: string,
  { old, next }: { readonly old: Payload; readonly next: Json },
): Values {
  const field = fieldsByName.get(name)
  const said = old.changes[name]
  const was = old.base?.[name]
  if (!field || said === undefined || was === undefined || !valuesEqual(field, was, next)) return {}
  return { [name]: said }
}

/** What was shown, and is what the server has: whoever types something else over that has seen it, whatever the mutation saw. */
function seenOnServer(
  collection: CollectionSchema,
  snapshot: RecordSnapshot,
  { unit, seen }: Pick<Shown, 'unit' | 'seen'>,
): Values {
  if (snapshot.kind !== 'live') return {}
  const isThere = (name: string, value: Json): boolean => {
    const field = collection.fieldsByName.get(name)
    return (
      unit.includes(name) && !!field && !addsUp(field) && valuesEqual(field, value, snapshot.values[name])
    )
  }
  return Object.fromEntries(Object.entries(seen).filter(([name, value]) => isThere(name, value)))
}

interface Shown {
  readonly collection: CollectionSchema
  /** Names of fields that merge as one. */
  readonly unit: readonly string[]
  readonly later: readonly Entry[]
  readonly seen: Values
}

/**
 * What a mutation is to make of a field: of what adds up it made `made`, and is to make as much more as was done to `seen`.
 * Errors: VALUE_INVALID for a counter that is not exact, VALUE_TOO_LARGE.
 */
function relativeTo(
  { name: collection, fieldsByName }: CollectionSchema,
  name: string,
  { seen, wanted, made }: { readonly seen: Json; readonly wanted: Json; readonly made: Json },
): Json {
  const field = fieldsByName.get(name)
  if (!field || !addsUp(field)) return wanted
  return parseSeenValue(field, carriedOver(seen, wanted, made), `${collection}.${name}`)
}

function addsUp(field: FieldSchema | undefined): boolean {
  return field?.kind === 'counter' || field?.kind === 'set'
}

/**
 * What a mutation says once its words on fields that merge as one are replaced. What its author saw in those, where it said
 * something of them, and in others stays.
 */
function overlaid(old: Payload, edit: Payload, unit: readonly string[]): Payload {
  const others = <Value>(members: Readonly<Record<string, Value>>): Readonly<Record<string, Value>> =>
    Object.fromEntries(Object.entries(members).filter(([name]) => !unit.includes(name)))
  const changes = { ...others(old.changes), ...edit.changes }
  const base = Object.entries({ ...edit.base, ...old.base }).filter(([name]) => Object.hasOwn(changes, name))
  return {
    changes,
    base: Object.fromEntries(base),
    increments: { ...others(old.increments), ...edit.increments },
    additions: { ...others(old.additions), ...edit.additions },
    removals: { ...others(old.removals), ...edit.removals },
  }
}
