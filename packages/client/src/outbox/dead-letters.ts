import {
  applyPayload,
  type CollectionSchema,
  emptyPayload,
  type Json,
  parseSeenValue,
  parseUpdate,
  type Payload,
  payloadOfUpdate,
  replayMutations,
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
import { readShadow } from '../local/records.ts'
import { discardEntries, showInstead } from './discard-entries.ts'
import { type Entry, type EntryError, entryColumns, mutationOf, payloadText, readEntry } from './entry.ts'
import { entriesOfRecord, updateEntries, writePayload } from './outbox.ts'
import { createsAhead } from './referred-creates.ts'
import { carriedOver, seenIn } from '../write/seen-values.ts'
import { weigh } from '../write/write-session.ts'
import { dependentsOf, requeue, type RequeueContext } from './requeue.ts'

/** One mutation of a dead letter. */
export interface DeadMutation {
  readonly id: string
  readonly seq: number
  readonly collection: string
  readonly record: string
  readonly op: string
  /** null when its bytes cannot be read. */
  readonly payload: Payload | null
  readonly createdAt: string
  readonly attempts: number
  readonly error: EntryError
}

/** Mutations that will never succeed by themselves and travel together: one, a fold of several, or a transaction. */
export interface DeadLetter {
  /** Id of its first mutation; every call also takes the id of any other. */
  readonly id: string
  readonly error: EntryError
  readonly mutations: readonly DeadMutation[]
  /** Ids of the mutations that wait for it: they go on by themselves once it is retried, or are on their own once it is discarded. */
  readonly behind: readonly string[]
}

/** What a discard took away. */
export interface Discarded {
  /** Ids of the letter's mutations and, when it held a create, of the later ones of that record, which are nothing without it. */
  readonly mutations: readonly string[]
}

/** `db.deadLetters`. Errors of every call with an id: RECORD_NOT_FOUND when no dead letter has it. Rules: OB-13 to OB-17. */
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
   * changed them: then a counter or a set is changed by what they did to it. Errors: those of an update; VALUE_INVALID for
   * a delete; ENTRY_UNREADABLE where another part of it cannot be read.
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
export function createDeadLetters(database: TransactionRunner, context: RequeueContext): DeadLettersApi {
  const { schema } = context
  const list = (): Promise<readonly DeadLetter[]> =>
    database.read(async (tx) => readLetters(tx, lettersIn(await deadRows(tx))))
  return {
    list,
    watch: (listener) => watchList(database, { table: '_outbox', list, listener }),
    get: (id) =>
      database.read(async (tx) => {
        const [letter] = await readLetters(tx, [await rowsOf(tx, id)])
        return letter ?? noLetter(id)
      }),
    retry: (id) => database.write(async (tx) => retryLetter(tx, context, await rowsOf(tx, id))),
    editAndRetry: (id, changes, seen) =>
      database.write(async (tx) => {
        const rows = await rowsOf(tx, id)
        const named = rows.find((each) => each.id === id)
        const own = rows.filter(
          ({ record, collection }) => record === named?.record && collection === named?.collection,
        )
        await editLetter(tx, schema, { own, changes, seen })
        assertReadable(await rowsOf(tx, id))
        await requeueLetter(tx, context, rows)
      }),
    discard: (id) =>
      database.write(async (tx) => ({
        mutations: await discardEntries(tx, schema, (await rowsOf(tx, id)).map(seqOf)),
      })),
    export: (id) => database.read((tx) => (id === undefined ? deadRows(tx) : rowsOf(tx, id))),
  }
}

// That they are not pending is said for the index.
const isDead = "status = 'dead' AND status <> 'pending'"

function deadRows(tx: LocalReader): Promise<readonly SqlRow[]> {
  return tx.all(`SELECT ${entryColumns} FROM _outbox WHERE ${isDead} ORDER BY seq`)
}

/** Rows by letter: what was offered together, or written in one transaction, is refused together. */
export function lettersIn(rows: readonly SqlRow[]): readonly (readonly SqlRow[])[] {
  const letters = new Map<string, SqlRow[]>()
  for (const row of rows) {
    const key = row.group_id === null ? `offer ${row.offer ?? row.seq}` : `group ${row.group_id}`
    const letter = letters.get(key)
    if (letter === undefined) letters.set(key, [row])
    else letter.push(row)
  }
  return [...letters.values()]
}

async function rowsOf(tx: LocalReader, id: string): Promise<readonly SqlRow[]> {
  const rows = await tx.all(
    `WITH named AS MATERIALIZED (SELECT seq, offer, group_id FROM _outbox WHERE ${isDead} AND id = ?)
     SELECT ${entryColumns} FROM _outbox WHERE ${isDead} AND seq IN (SELECT seq FROM named
       UNION SELECT o.seq FROM named JOIN _outbox AS o ON o.group_id = named.group_id
       UNION SELECT o.seq FROM named JOIN _outbox AS o ON o.offer = named.offer WHERE named.group_id IS NULL) ORDER BY seq`,
    [id],
  )
  return lettersIn(rows).find((letter) => letter.some((row) => row.id === id)) ?? noLetter(id)
}

function noLetter(id: string): never {
  throw new SyncError('RECORD_NOT_FOUND', `there is no dead letter ${id}`)
}

/** What waits for any of them is looked for once. */
async function readLetters(
  tx: LocalReader,
  letters: readonly (readonly SqlRow[])[],
): Promise<readonly DeadLetter[]> {
  const dependents = await dependentsOf(tx, letters.flat().map(seqOf))
  const rows = await tx.all('SELECT seq, id FROM _outbox WHERE seq IN (SELECT value FROM json_each(?))', [
    JSON.stringify([...new Set([...dependents.values()].flat())]),
  ])
  const ids = new Map(rows.map((row) => [seqOf(row), String(row.id)]))
  return letters.map((letter) => {
    const behind = new Set(letter.flatMap((row) => dependents.get(seqOf(row)) ?? []))
    return letterOf(
      letter,
      [...behind].sort((left, right) => left - right).flatMap((seq) => ids.get(seq) ?? []),
    )
  })
}

function letterOf(rows: readonly SqlRow[], behind: readonly string[]): DeadLetter {
  const mutations = rows.map(deadMutationOf)
  // The culprit of a refused transaction is the member with a reason of its own.
  const culprit = mutations.find(({ error }) => error.code !== 'DEPENDENCY_FAILED') ?? mutations[0]
  const error = culprit?.error ?? { code: 'ENTRY_UNREADABLE', message: '' }
  return { id: String(rows[0]?.id), error, mutations, behind }
}

function deadMutationOf(row: SqlRow): DeadMutation {
  const entry = readEntry(row)
  const text = String(row.error ?? '')
  const space = `${text} `.indexOf(' ')
  return {
    id: String(row.id),
    seq: seqOf(row),
    collection: String(row.collection),
    record: String(row.record),
    op: String(row.op),
    payload: entry?.payload ?? null,
    createdAt: String(row.created_at),
    attempts: Number(row.attempts),
    error: { code: text.slice(0, space), message: text.slice(space + 1) },
  }
}

function seqOf(row: SqlRow): number {
  return Number(row.seq)
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
  await updateEntries(tx, rows.map(seqOf), {
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
}

async function editLetter(
  tx: LocalTransaction,
  schema: Schema,
  { own: all, changes, seen: shown }: Edit,
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
    await editEntry(tx, collection, { row: target, name, wanted, seen })
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
  const letter = rows.map(seqOf)
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

async function editEntry(
  tx: LocalTransaction,
  collection: CollectionSchema,
  edit: { readonly row: SqlRow; readonly name: string; readonly wanted: Values; readonly seen: Values },
): Promise<void> {
  const { row, name, wanted, seen } = edit
  const old = (await entryNow(tx, row))?.payload ?? emptyPayload
  const before = row.op === 'create' ? {} : await valuesBefore(tx, collection, row)
  const made = applyPayload(collection, before, old)[name] ?? null
  const next = Object.hasOwn(seen, name)
    ? relativeTo(collection, name, { seen: seen[name] ?? null, wanted: wanted[name] ?? null, made })
    : (wanted[name] ?? null)
  // Fields that merge as one travel as one: the others of the group keep what the mutation said of them.
  const group = collection.fieldsByName.get(name)?.group?.fields ?? []
  const mates = Object.entries(old.changes).filter(([member]) => group.includes(member))
  const value = { ...Object.fromEntries(mates), [name]: next }
  const payload =
    row.op === 'create'
      ? { ...old, changes: { ...old.changes, [name]: next } }
      : overlaid(old, payloadOfUpdate(collection, before, value), name)
  const { text } = weigh(collection, payload)
  await writePayload(tx, seqOf(row), text)
  const { record, created_at: createdAt } = row
  const later = (await entriesOfRecord(tx, collection.name, String(record))).filter(
    ({ seq }) => seq > seqOf(row),
  )
  await showInstead(tx, later, { gone: old.changes, seen: payload.changes })
  const written = { collection: collection.name, record: String(record), createdAt: String(createdAt) }
  await queueUploads(tx, { ...written, payload: text })
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
  if (field?.kind !== 'counter' && field?.kind !== 'set') return wanted
  return parseSeenValue(field, carriedOver(seen, wanted, made), `${collection}.${name}`)
}

/** What a mutation says once its words on one field are replaced. What its author saw in other fields stays. */
function overlaid(old: Payload, edit: Payload, name: string): Payload {
  const { [name]: _change, ...changes } = old.changes
  const { [name]: _amount, ...increments } = old.increments
  const { [name]: _added, ...additions } = old.additions
  const { [name]: _removed, ...removals } = old.removals
  const changed = { ...changes, ...edit.changes }
  const base = Object.entries({ ...edit.base, ...old.base }).filter(([member]) =>
    Object.hasOwn(changed, member),
  )
  return {
    changes: changed,
    base: Object.fromEntries(base),
    increments: { ...increments, ...edit.increments },
    additions: { ...additions, ...edit.additions },
    removals: { ...removals, ...edit.removals },
  }
}

/** The record as it was when the entry was to be written on it. */
async function valuesBefore(tx: LocalReader, collection: CollectionSchema, row: SqlRow): Promise<Values> {
  const record = String(row.record)
  const entries = await entriesOfRecord(tx, collection.name, record)
  const earlier = entries.filter((entry: Entry) => entry.seq < seqOf(row))
  const { snapshot } = await readShadow(tx, collection, record)
  const { view } = replayMutations(collection, snapshot, earlier.map(mutationOf))
  // Of a record that others have deleted, the one in front of whoever edits it stands on what it was.
  return view.kind === 'absent' ? {} : (view.values ?? {})
}
