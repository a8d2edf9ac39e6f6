import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite'

import type { DeviceCursor, EntryStatus, EntryWritten, Observation, Payload } from '../check/observation.ts'
import { readCursorShape } from './cursor-shape.ts'

/** A row by position. */
export type Row = readonly SQLOutputValue[]

/** Whose storage it is, and when it is looked at. */
export interface OnDisk {
  readonly atMs: number
  readonly disk: string
}

/** What a device's database says of itself and its outbox. */
export interface DeviceState {
  /** '' before it has one. */
  readonly device: string
  readonly cursor: string | null
  /** By seq and id, in the order of seq. */
  readonly entries: ReadonlyMap<string, DeviceEntry>
}

/** An entry of the outbox and where it stands. */
export interface DeviceEntry {
  readonly written: EntryWritten
  readonly payloadText: string
  readonly status: EntryStatus
}

/** A database without anything in it. */
export const emptyState: DeviceState = { device: '', cursor: null, entries: new Map() }

/** The columns of `_outbox` that `writtenOf` wants, from `seq` on. */
export const writtenColumns = 'seq, id, collection, record, op, payload, base_version, at, group_id, resolves'

/** The columns of `_outbox` that `statusOf` wants after seq and id. */
export const statusColumns = 'status, verdict, offer, attempts, error'

/** Reads the state from outside. */
export function readState(database: DatabaseSync, on: OnDisk): DeviceState {
  if (!hasDeviceTables(database)) return emptyState
  const meta = new Map(
    arrays(database, "SELECT key, value FROM _meta WHERE key IN ('device', 'cursor')")
      .all()
      .map(([key, value]) => [key, value]),
  )
  const device = String(meta.get('device') ?? '')
  const rows = arrays(
    database,
    `SELECT ${writtenColumns}, seq, id, ${statusColumns} FROM _outbox ORDER BY seq`,
  ).all()
  const entries = rows.map((row): [string, DeviceEntry] => [
    `${row[0]} ${row[1]}`,
    {
      written: writtenOf(row, 0, { ...on, device }),
      payloadText: String(row[5]),
      status: statusOf(row, 10, { ...on, device }),
    },
  ])
  return { device, cursor: textOf(meta.get('cursor')), entries: new Map(entries) }
}

/** Whether the client has made its tables. */
export function hasDeviceTables(database: DatabaseSync): boolean {
  const count = database
    .prepare("SELECT count(*) AS count FROM main.sqlite_schema WHERE name IN ('_outbox', '_meta')")
    .get()?.['count']
  return count === 2
}

/** A statement whose rows are arrays. */
export function arrays(
  database: DatabaseSync,
  sql: string,
): { all(...values: (string | number)[]): readonly Row[] } {
  const statement: StatementSync = database.prepare(sql)
  statement.setReturnArrays(true)
  // Rows are arrays now; the types know only of objects.
  return { all: (...values) => statement.all(...values) as unknown as readonly Row[] }
}

/** The entry whose `writtenColumns` begin at `from`. */
export function writtenOf(row: Row, from: number, on: OnDisk & { readonly device: string }): EntryWritten {
  return {
    kind: 'entry-written',
    atMs: on.atMs,
    disk: on.disk,
    device: on.device,
    seq: Number(row[from]),
    id: String(row[from + 1]),
    collection: String(row[from + 2]),
    record: String(row[from + 3]),
    // The client writes no other.
    op: String(row[from + 4]) as EntryWritten['op'],
    payload: payloadOf(row[from + 5]),
    baseVersion: Number(row[from + 6]),
    at: String(row[from + 7]),
    group: textOf(row[from + 8]),
    resolves: textOf(row[from + 9]),
  }
}

/** The status of the entry whose seq, id and `statusColumns` begin at `from`. */
export function statusOf(row: Row, from: number, on: OnDisk & { readonly device: string }): EntryStatus {
  // The client writes no other.
  const status = String(row[from + 2]) as EntryStatus['status']
  const offer = row[from + 4]
  return {
    kind: 'entry-status',
    atMs: on.atMs,
    disk: on.disk,
    device: on.device,
    seq: Number(row[from]),
    id: String(row[from + 1]),
    status,
    verdict: textOf(row[from + 3]),
    offer: typeof offer === 'number' ? offer : null,
    attempts: Number(row[from + 5]),
    code: status === 'dead' ? codeOf(row[from + 6]) : null,
  }
}

const noMembers = {}

/** A payload as the outbox holds it: members that say nothing are left out of the text. */
function payloadOf(text: unknown): Payload {
  // The client writes an object with some of these members.
  const parsed = JSON.parse(String(text)) as Partial<Payload>
  return {
    changes: parsed.changes ?? noMembers,
    base: parsed.base ?? null,
    increments: parsed.increments ?? noMembers,
    additions: parsed.additions ?? noMembers,
    removals: parsed.removals ?? noMembers,
  }
}

/** Where a cursor stands; one in the middle of a snapshot stands where the snapshot is added to. */
export function cursorOf(text: string | null, on: OnDisk): DeviceCursor {
  const moved = { kind: 'cursor', atMs: on.atMs, disk: on.disk } as const
  if (text === null) return { ...moved, epoch: null, position: 0 }
  const { e: epoch, p, s, at, b } = readCursorShape(text)
  if (at !== undefined) return { ...moved, epoch, position: b?.p ?? 0 }
  return { ...moved, epoch, position: p, ...(s === '*' ? {} : { scopes: s }) }
}

/** What an observer must be told to know the newer state, entries that came or went aside. */
export function differences(
  before: DeviceState,
  after: DeviceState,
  on: OnDisk & { readonly user: string },
): readonly Observation[] {
  const told: Observation[] = []
  const { atMs, disk, user } = on
  if (after.device !== before.device && after.device !== '')
    told.push({ kind: 'identity', atMs, disk, device: after.device, user })
  if (after.cursor !== before.cursor) told.push(cursorOf(after.cursor, on))
  for (const [key, { written, payloadText, status }] of after.entries) {
    const old = before.entries.get(key)
    if (old !== undefined && old.payloadText !== payloadText) {
      const { device, seq, id, payload } = written
      told.push({ kind: 'entry-payload', atMs, disk, device, seq, id, payload })
    }
    if (old === undefined ? !isFresh(status) : !isSameStatus(old.status, status)) told.push(status)
  }
  return told
}

function isFresh({ status, offer, attempts }: EntryStatus): boolean {
  return status === 'pending' && offer === null && attempts === 0
}

function isSameStatus(left: EntryStatus, right: EntryStatus): boolean {
  return (
    left.status === right.status &&
    left.verdict === right.verdict &&
    left.offer === right.offer &&
    left.attempts === right.attempts &&
    left.code === right.code
  )
}

function codeOf(error: unknown): string | null {
  return typeof error === 'string' ? (error.split(' ', 1)[0] ?? null) : null
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
