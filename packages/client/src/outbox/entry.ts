import {
  emptyPayload,
  type Hlc,
  isObject,
  type LostAnswer,
  type Mutation,
  type MutationOp,
  parseHlc,
  type Payload,
} from '@holdfast/core'

import type { SqlRow } from '../drivers/sqlite-driver.ts'
import { checksum } from './checksum.ts'

/**
 * Where an entry stands. `pending`: not sent, or to be sent again later. `sending`: in an offer that is or was under
 * way. `answered`: applied or merged by the server, not yet in the shadow. `held`: the server waits with it.
 * `conflicted`: a person must decide. `dead`: it will never succeed by itself.
 */
export type EntryStatus = 'pending' | 'sending' | 'answered' | 'held' | 'conflicted' | 'dead'

/** Why an entry is dead, or what its last attempt said. */
export interface EntryError {
  readonly code: string
  readonly message: string
}

/** A mutation as it stands in the outbox, and all that is known of its way. */
export interface Entry {
  /** The device number. */
  readonly seq: number
  /** The idempotency key. */
  readonly id: string
  readonly collection: string
  readonly record: string
  readonly op: MutationOp
  readonly payload: Payload
  readonly baseVersion: number
  readonly after: string | null
  readonly at: Hlc
  readonly resolves: string | null
  readonly group: string | null
  readonly schema: number
  readonly trace: string | null
  /** ISO time by the device's clock. */
  readonly createdAt: string
  readonly status: EntryStatus
  /** What the server said, once it has. */
  readonly verdict: 'applied' | 'merged' | 'conflict' | 'rejected' | null
  /** Whether the server took it as it was: the row before was exactly the base, and nothing else changed. */
  readonly exact: boolean
  readonly attempts: number
  /** ms since 1970; null when it may go at once. */
  readonly nextAttemptAt: number | null
  /** Seq of the lead of the offer it belongs to; null when it was never offered. */
  readonly offer: number | null
  /** Text of the offer as it was sent, on the lead of an offer of several. */
  readonly wire: string | null
  /** Seqs it was written on top of: the entry before it of the same record, and creates of records it refers to. */
  readonly depends: readonly number[]
  /** The conflict or mutation it waits for. */
  readonly heldBy: string | null
  /** Version of the record with it in it, once answered. */
  readonly version: number | null
  readonly serverUpdatedAt: string | null
  readonly error: EntryError | null
  /** What it had been answered by a history that the server has lost; null for everything else. */
  readonly was: LostAnswer | null
  /** Its record is out of sight: it goes to escrow, and is no part of what the app sees. */
  readonly escrow: boolean
}

/** The columns `readEntry` wants. */
export const entryColumns: string =
  'seq, id, collection, record, op, payload, hash, base_version, after, at, resolves, group_id, schema, trace, ' +
  'created_at, status, verdict, exact, attempts, next_attempt_at, offer, wire, depends, held_by, version, server_updated_at, error, was, returned_at, escrow'

/** Every status an entry can have. */
export const statuses: ReadonlySet<unknown> = new Set([
  'pending',
  'sending',
  'answered',
  'held',
  'conflicted',
  'dead',
])
const ops: ReadonlySet<unknown> = new Set(['create', 'update', 'delete'])

/** Reads a row of `_outbox`; undefined when its bytes are damaged or of another version. Rules: OB-12. */
export function readEntry(row: SqlRow): Entry | undefined {
  const payload = readPayload(row.payload, row.hash)
  const at = parseHlc(row.at)?.text
  const depends = readDepends(row.depends)
  const was = readWas(row.was)
  if (payload === undefined || at === undefined || depends === undefined || was === undefined)
    return undefined
  if (!statuses.has(row.status) || !ops.has(row.op)) return undefined
  return {
    seq: Number(row.seq),
    id: String(row.id),
    collection: String(row.collection),
    record: String(row.record),
    // Both are members of their sets, as checked above.
    op: row.op as MutationOp,
    status: row.status as EntryStatus,
    payload,
    at,
    baseVersion: Number(row.base_version),
    after: textOrNull(row.after),
    resolves: textOrNull(row.resolves),
    group: textOrNull(row.group_id),
    schema: Number(row.schema),
    trace: textOrNull(row.trace),
    createdAt: String(row.created_at),
    // Only verdicts are written there.
    verdict: textOrNull(row.verdict) as Entry['verdict'],
    exact: row.exact === 1,
    attempts: Number(row.attempts),
    nextAttemptAt: numberOrNull(row.next_attempt_at),
    offer: numberOrNull(row.offer),
    wire: textOrNull(row.wire),
    depends,
    heldBy: textOrNull(row.held_by),
    version: numberOrNull(row.version),
    serverUpdatedAt: textOrNull(row.server_updated_at),
    error: readError(row.error),
    was,
    escrow: Number(row.escrow) > 0,
  }
}

/** Whether the server has turned it down: what is tried again of it goes under another key, and not as the bytes of then. */
export function isRefused({ status, error }: Entry): boolean {
  return status === 'dead' && error?.code !== 'ATTEMPTS_EXHAUSTED'
}

/** An entry as the mutation it would travel as by itself. */
export function mutationOf(entry: Entry): Mutation {
  return {
    id: entry.id,
    seq: entry.seq,
    covers: String(entry.seq),
    group: entry.group,
    collection: entry.collection,
    record: entry.record,
    op: entry.op,
    baseVersion: entry.baseVersion,
    after: entry.after,
    ...entry.payload,
    at: entry.at,
    ats: {},
    resolves: entry.resolves,
    schema: entry.schema,
    ...(entry.was && { was: entry.was }),
    ...(entry.escrow && { escrow: true }),
  }
}

/** The text of a payload as it is stored: empty members are left out. */
export function payloadText(payload: Payload): string {
  return JSON.stringify({
    changes: isEmpty(payload.changes) ? undefined : payload.changes,
    base: payload.base ?? undefined,
    increments: isEmpty(payload.increments) ? undefined : payload.increments,
    additions: isEmpty(payload.additions) ? undefined : payload.additions,
    removals: isEmpty(payload.removals) ? undefined : payload.removals,
  })
}

/**
 * The text a mutation travels as: empty members are left out. The same mutation always gives the same text, so a repeat
 * is the same bytes.
 */
export function wireText(mutation: Mutation): string {
  return JSON.stringify({
    id: mutation.id,
    seq: mutation.seq,
    covers: mutation.covers,
    folded: isEmpty(mutation.folded ?? []) ? undefined : mutation.folded,
    group: mutation.group ?? undefined,
    collection: mutation.collection,
    record: mutation.record,
    op: mutation.op,
    baseVersion: mutation.baseVersion,
    after: mutation.after ?? undefined,
    changes: isEmpty(mutation.changes) ? undefined : mutation.changes,
    base: mutation.base ?? undefined,
    increments: isEmpty(mutation.increments) ? undefined : mutation.increments,
    additions: isEmpty(mutation.additions) ? undefined : mutation.additions,
    removals: isEmpty(mutation.removals) ? undefined : mutation.removals,
    at: mutation.at,
    ats: isEmpty(mutation.ats) ? undefined : mutation.ats,
    resolves: mutation.resolves ?? undefined,
    schema: mutation.schema,
    was: mutation.was,
    escrow: mutation.escrow,
  })
}

function readPayload(text: unknown, hash: unknown): Payload | undefined {
  if (typeof text !== 'string' || checksum(text) !== hash) return undefined
  const parsed = readObject(text)
  // The checksum says that these are the bytes payloadText wrote, so the members have the types it gave them.
  return parsed && { ...emptyPayload, ...(parsed as Partial<Payload>) }
}

function readDepends(value: unknown): readonly number[] | undefined {
  if (value === null) return []
  const isList = typeof value === 'string' && /^\d{1,15}(,\d{1,15})*$/.test(value)
  return isList ? value.split(',').map(Number) : undefined
}

/** Written by the trigger that keeps settled entries, and by `offerLostAgain`. */
function readWas(value: unknown): LostAnswer | null | undefined {
  if (typeof value !== 'string') return null
  // Nobody else writes it, so that what is an object is one of these.
  return readObject(value) as LostAnswer | undefined
}

/** The object that a text holds; undefined when it holds none. */
export function readObject(text: string): object | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    return isObject(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

function readError(value: unknown): EntryError | null {
  if (typeof value !== 'string') return null
  const space = value.indexOf(' ')
  return space < 0
    ? { code: value, message: '' }
    : { code: value.slice(0, space), message: value.slice(space + 1) }
}

function isEmpty(members: object): boolean {
  for (const _ in members) return false
  return true
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' ? value : null
}
