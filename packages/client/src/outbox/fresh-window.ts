import { type CollectionSchema, limits, type Schema } from '@holdfast/core'

import type { SqlParam, SqlRow } from '../drivers/sqlite-driver.ts'
import type { LocalReader } from '../local/local-database.ts'
import { type Entry, entryColumns, readEntry } from './entry.ts'

/** Fresh entries read together: they are judged and folded as one. */
export interface FreshWindow {
  /** In the order written. */
  readonly entries: readonly Entry[]
  /** Rows that cannot be read, those that others need among them. */
  readonly unreadable: readonly SqlRow[]
  /** Read on behind this seq; null when there is nothing more. */
  readonly nextSeq: number | null
}

/** Entries of the outbox that go before others, by what they do. */
export interface PriorityClass {
  readonly priority: number
  readonly writes: readonly string[]
  readonly deletes: readonly string[]
}

/** Rows of one window: enough to fold well, few enough to be read in milliseconds. */
const windowRows = 1_000

/** Entries added to a window because they fold into it or are needed by it. */
const addedRows = 10_000

/** Where fresh entries are. */
export interface FreshClasses {
  /** Those that hold any, the highest priority first. */
  readonly classes: readonly PriorityClass[]
  /** All of them are of one class: a window holds what lies between two of them. */
  readonly isOnly: boolean
}

/**
 * The classes of which the outbox holds fresh entries. Those of a priority below `leastPriority` wait, but not for ever.
 * Rules: OB-10, SY-28.
 */
export async function freshClasses(
  tx: LocalReader,
  schema: Schema,
  { nowMs, leastPriority = Number.NEGATIVE_INFINITY }: { nowMs: number; leastPriority?: number },
): Promise<FreshClasses> {
  const rows = await tx.all(
    "SELECT DISTINCT collection, op = 'delete' AS isDelete FROM _outbox WHERE status = 'pending' AND offer IS NULL AND NOT escrow",
  )
  const gone = new Set(
    rows.map((row) => String(row.collection)).filter((name) => !schema.collections.has(name)),
  )
  const known = withGone(priorityClasses(schema), [...gone])
  const countOf = ({ writes, deletes }: PriorityClass): number =>
    rows.filter((row) => (row.isDelete === 1 ? deletes : writes).includes(String(row.collection))).length
  const present = known.filter((members) => countOf(members) > 0)
  const isOnly = known.length === 1 || present.some((members) => countOf(members) === rows.length)
  const classes: PriorityClass[] = []
  for (const members of known.length === 1 && rows.length > 0 ? known : present)
    if (members.priority >= leastPriority || (await isOverdue(tx, members, nowMs))) classes.push(members)
  return { classes, isOnly }
}

/**
 * What the app has no more still has to be sent. Nobody knows how much it mattered, so it goes with the first; nothing that
 * the app has refers to it, so that no deletion of it has to wait.
 */
function withGone(
  [first, ...others]: readonly PriorityClass[],
  gone: readonly string[],
): readonly PriorityClass[] {
  if (first === undefined) return []
  return [{ ...first, writes: [...first.writes, ...gone], deletes: [...first.deletes, ...gone] }, ...others]
}

async function isOverdue(
  tx: LocalReader,
  { writes, deletes }: PriorityClass,
  nowMs: number,
): Promise<boolean> {
  const [row] = await tx.all(
    `SELECT min(created_at) AS oldest FROM _outbox WHERE status = 'pending' AND offer IS NULL AND NOT escrow
     AND collection IN (SELECT value FROM json_each(?))`,
    [JSON.stringify([...writes, ...deletes])],
  )
  const oldestMs = Date.parse(String(row?.oldest))
  // Stamps never go back: where the clock was ahead and was put right, nobody knows for how long these have waited.
  return oldestMs <= nowMs - limits.deferMs || oldestMs > nowMs
}

/**
 * The classes of a schema, the highest priority first. A delete goes with the lowest collection that refers to its own,
 * so that children go before their parents.
 */
function priorityClasses(schema: Schema): readonly PriorityClass[] {
  const classes = new Map<number, PriorityClass & { writes: string[]; deletes: string[] }>()
  const classOf = (priority: number): { writes: string[]; deletes: string[] } => {
    const known = classes.get(priority) ?? { priority, writes: [], deletes: [] }
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
 * The next fresh entries of a class behind `afterSeq`, with later entries of the same records that may be folded into
 * them, and with everything they may not go without or before.
 */
export async function readWindow(tx: LocalReader, schema: Schema, place: Place): Promise<FreshWindow> {
  for (let rows = windowRows; ; rows = Math.ceil(rows / 10)) {
    const window = await readRows(tx, schema, { ...place, rows })
    // What is not looked at whole would go in halves; one entry is, whatever it needs.
    if (window !== undefined) return window
  }
}

/** Where a window begins. */
interface Place {
  readonly members: PriorityClass
  /** Whether there is no other class. */
  readonly isOnly: boolean
  readonly afterSeq: number
}

/** undefined when `rows` entries need too many others. */
async function readRows(
  tx: LocalReader,
  schema: Schema,
  { members, isOnly, afterSeq, rows: limit }: Place & { readonly rows: number },
): Promise<FreshWindow | undefined> {
  const rows = isOnly
    ? await readFresh(tx, 'seq > ?', [afterSeq], limit)
    : await readFresh(
        tx,
        `seq > ? AND ((op <> 'delete' AND collection IN (SELECT value FROM json_each(?)))
           OR (op = 'delete' AND collection IN (SELECT value FROM json_each(?))))`,
        [afterSeq, JSON.stringify(members.writes), JSON.stringify(members.deletes)],
        limit,
      )
  if (rows.length === 0) return { entries: [], unreadable: [], nextSeq: null }
  const window: Window = new Map()
  const unreadable: SqlRow[] = []
  for (const row of rows) {
    const entry = readEntry(row)
    if (entry === undefined) unreadable.push(row)
    else window.set(entry.seq, entry)
  }
  const lastSeq = Number(rows.at(-1)?.seq ?? afterSeq)
  const isFull = rows.length === limit
  if (isFull || !isOnly) await addLaterEntries(tx, schema, { window, lastSeq: isOnly ? lastSeq : afterSeq })
  const most = limit === 1 ? Number.POSITIVE_INFINITY : windowRows + addedRows
  const isWhole = await addNeeded(tx, { window, unreadable, most })
  if (!isWhole) return undefined
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
    `SELECT ${entryColumns} FROM _outbox WHERE status = 'pending' AND offer IS NULL AND NOT escrow AND ${where} ORDER BY seq LIMIT ?`,
    [...params, limit],
  )
}

function entriesIn(rows: readonly SqlRow[]): readonly (readonly [number, Entry])[] {
  return rows.flatMap((row) => {
    const entry = readEntry(row)
    return entry === undefined ? [] : [[entry.seq, entry] as const]
  })
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

/**
 * Adds the fresh entries that those of the window may not go without or before, and what these need in turn: the rest of
 * their groups, what they depend on, and what their records were given earlier. False when there are too many.
 */
async function addNeeded(
  tx: LocalReader,
  {
    window,
    unreadable,
    most,
  }: { readonly window: Window; readonly unreadable: SqlRow[]; readonly most: number },
): Promise<boolean> {
  let added = [...window.keys()]
  while (added.length > 0) {
    if (window.size > most) return false
    const needs = await tx.all(
      `WITH added AS MATERIALIZED (
         SELECT seq, record, group_id, depends FROM _outbox WHERE seq IN (SELECT value FROM json_each(?)))
       SELECT own.seq FROM (SELECT record, max(seq) AS seq FROM added GROUP BY record) AS newest
         JOIN _outbox AS own ON own.record = newest.record AND own.seq < newest.seq
       UNION SELECT own.seq FROM (SELECT DISTINCT group_id FROM added WHERE group_id IS NOT NULL) AS grouped
         JOIN _outbox AS own ON own.group_id = grouped.group_id
       UNION SELECT parent.value FROM added, json_each('[' || added.depends || ']') AS parent
         WHERE added.depends IS NOT NULL`,
      [JSON.stringify(added)],
    )
    // What is in the window is left out here: handed over with each link of a chain, it would be most of the work.
    const missing = needs.map((row) => Number(row.seq)).filter((seq) => !window.has(seq))
    if (missing.length === 0) return true
    const rows = await tx.all(
      `SELECT ${entryColumns} FROM _outbox
       WHERE seq IN (SELECT value FROM json_each(?)) AND status = 'pending' AND offer IS NULL AND NOT escrow`,
      [JSON.stringify(missing)],
    )
    const needed = entriesIn(rows)
    for (const [seq, entry] of needed) window.set(seq, entry)
    unreadable.push(...rows.filter((row) => readEntry(row) === undefined))
    added = needed.map(([seq]) => seq)
  }
  return true
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
