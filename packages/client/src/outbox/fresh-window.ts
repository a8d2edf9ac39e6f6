import { type CollectionSchema, type Schema } from '@holdfast/core'

import type { SqlParam, SqlRow } from '../drivers/sqlite-driver.ts'
import type { LocalReader } from '../local/local-database.ts'
import { type Entry, entryColumns, readEntry } from './entry.ts'

/** Fresh entries read together: they are judged and folded as one. */
export interface FreshWindow {
  /** In the order written. */
  readonly entries: readonly Entry[]
  /** Rows that cannot be read. */
  readonly unreadable: readonly SqlRow[]
  /** Read on behind this seq; null when there is nothing more. */
  readonly nextSeq: number | null
}

/** Entries of the outbox that go before others, by what they do. */
export interface PriorityClass {
  readonly writes: readonly string[]
  readonly deletes: readonly string[]
}

/** Rows of one window: enough to fold well, few enough to be read in milliseconds. */
const windowRows = 1_000

/** Entries added to a window because they fold into it or are needed by it. */
const addedRows = 10_000

/**
 * The classes of a schema, the highest priority first. A delete goes with the lowest collection that refers to its own,
 * so that children go before their parents.
 */
export function priorityClasses(schema: Schema): readonly PriorityClass[] {
  const classes = new Map<number, { writes: string[]; deletes: string[] }>()
  const classOf = (priority: number): { writes: string[]; deletes: string[] } => {
    const known = classes.get(priority) ?? { writes: [], deletes: [] }
    classes.set(priority, known)
    return known
  }
  for (const collection of schema.collections.values()) {
    const children = [...schema.collections.values()].filter((other) => refersTo(other, collection.name))
    const lowest = Math.min(collection.priority, ...children.map((child) => child.priority))
    classOf(collection.priority).writes.push(collection.name)
    classOf(lowest).deletes.push(collection.name)
  }
  return [...classes].sort(([left], [right]) => right - left).map(([, members]) => members)
}

/**
 * The next fresh entries of a class behind `afterSeq`, whole groups, with later entries of the same records that may be
 * folded into them, and with what they depend on.
 */
export async function readWindow(
  tx: LocalReader,
  schema: Schema,
  {
    members,
    isOnly,
    afterSeq,
  }: { readonly members: PriorityClass; readonly isOnly: boolean; readonly afterSeq: number },
): Promise<FreshWindow> {
  const rows = isOnly
    ? await readFresh(tx, 'seq > ?', [afterSeq], windowRows)
    : await readFresh(
        tx,
        `seq > ? AND collection IN (SELECT value FROM json_each(iif(op = 'delete', ?, ?)))`,
        [afterSeq, JSON.stringify(members.deletes), JSON.stringify(members.writes)],
        windowRows,
      )
  const window: Window = new Map()
  const unreadable: SqlRow[] = []
  for (const row of rows) {
    const entry = readEntry(row)
    if (entry === undefined) unreadable.push(row)
    else window.set(entry.seq, entry)
  }
  const lastSeq = Number(rows.at(-1)?.seq ?? afterSeq)
  const isFull = rows.length === windowRows
  await addGroups(tx, window)
  if (isFull || !isOnly) await addLaterEntries(tx, schema, { window, lastSeq: isOnly ? lastSeq : afterSeq })
  await addParents(tx, window)
  const entries = [...window.values()].sort((left, right) => left.seq - right.seq)
  return { entries, unreadable, nextSeq: isFull ? lastSeq : null }
}

type Window = Map<number, Entry>

async function readFresh(
  tx: LocalReader,
  where: string,
  params: readonly SqlParam[],
  limit: number,
): Promise<readonly SqlRow[]> {
  return tx.all(
    `SELECT ${entryColumns} FROM _outbox WHERE status = 'pending' AND offer IS NULL AND ${where} ORDER BY seq LIMIT ?`,
    [...params, limit],
  )
}

function entriesIn(rows: readonly SqlRow[]): readonly (readonly [number, Entry])[] {
  return rows.flatMap((row) => {
    const entry = readEntry(row)
    return entry === undefined ? [] : [[entry.seq, entry] as const]
  })
}

/** A group goes whole or not at all, so it is looked at whole. */
async function addGroups(tx: LocalReader, window: Window): Promise<void> {
  const groups = new Set([...window.values()].flatMap(({ group }) => group ?? []))
  if (groups.size === 0) return
  const rows = await readFresh(
    tx,
    'group_id IN (SELECT value FROM json_each(?))',
    [JSON.stringify([...groups])],
    addedRows,
  )
  for (const [seq, entry] of entriesIn(rows)) window.set(seq, entry)
}

/**
 * Adds later entries of the window's records, so that edits far apart still fold. What is linked to other records stops
 * there, because what lies between is not in the window and might be passed; it goes another time.
 */
async function addLaterEntries(
  tx: LocalReader,
  schema: Schema,
  { window, lastSeq }: { readonly window: Window; readonly lastSeq: number },
): Promise<void> {
  const records = new Set([...window.values()].map((entry) => entry.record))
  const rows = await readFresh(
    tx,
    'record IN (SELECT value FROM json_each(?)) AND seq > ?',
    [JSON.stringify([...records]), lastSeq],
    addedRows,
  )
  const ended = new Set<string>()
  for (const [seq, entry] of entriesIn(rows)) {
    if (window.has(seq)) continue
    if (entry.group !== null || isLinked(schema, entry)) ended.add(entry.record)
    if (!ended.has(entry.record)) window.set(seq, entry)
  }
}

/** Adds the fresh entries that others of the window depend on, with those before them of the same record and group. */
async function addParents(tx: LocalReader, window: Window): Promise<void> {
  let missing = missingParents(window)
  while (missing.length > 0 && window.size < windowRows + addedRows) {
    const before = window.size
    const rows = await tx.all(
      `SELECT ${entryColumns
        .split(', ')
        .map((name) => `own.${name}`)
        .join(', ')} FROM _outbox AS parent
       JOIN _outbox AS own ON (own.record = parent.record AND own.seq <= parent.seq) OR own.group_id = parent.group_id
       WHERE parent.seq IN (SELECT value FROM json_each(?)) AND own.status = 'pending' AND own.offer IS NULL`,
      [JSON.stringify(missing)],
    )
    for (const [seq, entry] of entriesIn(rows)) window.set(seq, entry)
    if (window.size === before) return
    missing = missingParents(window)
  }
}

function missingParents(window: Window): readonly number[] {
  return [...new Set([...window.values()].flatMap((entry) => entry.depends))].filter(
    (seq) => !window.has(seq),
  )
}

/** Whether an entry refers to another record, takes or frees a unique key, or deletes what others may refer to. */
export function isLinked(schema: Schema, { collection: name, op, payload }: Entry): boolean {
  const collection = schema.collections.get(name)
  if (collection === undefined) return true
  const touchesLink = Object.keys(payload.changes).some(
    (field) => collection.fieldsByName.get(field)?.kind === 'reference' || isKey(collection, field),
  )
  if (op === 'update') return touchesLink
  return (
    collection.unique.length > 0 || [...schema.collections.values()].some((other) => refersTo(other, name))
  )
}

function isKey(collection: CollectionSchema, field: string): boolean {
  return collection.unique.some((key) => key.fields.includes(field))
}

function refersTo(collection: CollectionSchema, name: string): boolean {
  return collection.fields.some((field) => field.references === name)
}
