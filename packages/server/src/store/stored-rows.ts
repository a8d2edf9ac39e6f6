import {
  isJsonArray,
  isObject,
  type LostAnswer,
  parseRanges,
  type RangeSum,
  type Values,
} from '@holdfast/core'
import type { HistoryEntry } from '../engine.ts'
import type { StoredDigest } from './digest-store.ts'
import type { EscrowRuling, StoredEscrow } from './escrow-store.ts'
import type { AuditedLine, ParkedEvent, RecordKey, StoredConsumer } from './event-store.ts'
import type {
  SeenChange,
  StoreCounts,
  StoredConflict,
  StoredDevice,
  StoredOutcome,
  StoredReceipt,
  UniqueText,
  WaitingReceipt,
} from './store.ts'

/** A row of our own tables by column name, as either database gives it back: JSON and times as text, the account as `user`. */
export type StoredRow = Readonly<Record<string, string | number | bigint | boolean | null | Uint8Array>>

type Cell = StoredRow[string] | undefined

/** NULL stays null. */
export function numberOrNull(value: Cell): number | null {
  return value === null || value === undefined ? null : Number(value)
}

/** NULL stays null. */
export function textOrNull(value: Cell): string | null {
  return typeof value === 'string' ? value : null
}

/** Fields and their values from a JSON text of the store. */
export function parseValues(text: string): Values {
  // Built by the database over columns that the schema describes, or by JSON.stringify over a record's values.
  return JSON.parse(text) as Values
}

/** Values from a nullable JSON text of the store. */
export function valuesOrNull(value: Cell): Values | null {
  return typeof value === 'string' ? parseValues(value) : null
}

/** The members of a JSON list of texts that the store wrote. */
export function parseTexts(text: string): readonly string[] {
  const list: unknown = JSON.parse(text)
  return isJsonArray(list) ? list.filter((member) => typeof member === 'string') : []
}

/** A line of the audit. */
export function entryOf(row: StoredRow): HistoryEntry {
  return {
    n: Number(row['n']),
    // These three were written by writeAudit and capture from the same types.
    op: String(row['op']) as HistoryEntry['op'],
    status: String(row['status']) as HistoryEntry['status'],
    decisions: JSON.parse(String(row['decisions'])) as HistoryEntry['decisions'],
    user: textOrNull(row['user']),
    device: textOrNull(row['device']),
    mutation: textOrNull(row['mutation']),
    version: numberOrNull(row['version']),
    at: String(row['at']),
    receivedAt: String(row['received_at']),
    before: valuesOrNull(row['before']),
    after: valuesOrNull(row['after']),
    code: textOrNull(row['code']),
    trace: textOrNull(row['trace']),
    acceptedBy: textOrNull(row['accepted_by']),
  }
}

/** What a line of the audit says of who changed what. */
export function changeOf(row: StoredRow): SeenChange {
  return {
    record: String(row['record']),
    version: Number(row['version']),
    user: textOrNull(row['user']),
    device: textOrNull(row['device']),
    isMaking: row['op'] === 'create' || row['op'] === 'restore',
    fields: parseTexts(String(row['fields'])),
    decisions: JSON.parse(String(row['decisions'])) as HistoryEntry['decisions'],
    receivedAt: String(row['received_at']),
    // Written by writeAudit and by nobody else.
    was: typeof row['was'] === 'string' ? (JSON.parse(row['was']) as LostAnswer) : null,
  }
}

/** A conflict, its fields as JSON in `data`. */
export function conflictOf(row: StoredRow): StoredConflict {
  return {
    id: String(row['id']),
    version: Number(row['version']),
    values: parseValues(String(row['data'])),
    updatedAt: String(row['updated_at']),
  }
}

/** Who has a unique key. */
export function ownerOf(row: StoredRow): UniqueText & { readonly record: string } {
  return {
    collection: String(row['collection']),
    key: Number(row['key']),
    text: String(row['text']),
    record: String(row['record']),
  }
}

/** A verdict. */
export function outcomeOf(row: StoredRow): StoredOutcome {
  return {
    id: String(row['id']),
    seq: Number(row['seq']),
    covers: String(row['covers']),
    folded: row['folded'] === null ? [] : parseTexts(String(row['folded'])),
    hash: String(row['hash']),
    // Written by writeOutcomes from the same type.
    status: String(row['status']) as StoredOutcome['status'],
    version: numberOrNull(row['version']),
    stoodOn: numberOrNull(row['stood_on']),
    serverUpdatedAt: textOrNull(row['server_updated_at']),
    code: textOrNull(row['code']),
    body: textOrNull(row['body']),
    // A boolean, or 0 or 1.
    exact: Number(row['exact']) === 1,
    op: String(row['op']),
    fields: parseTexts(String(row['fields'])),
  }
}

/** A device. */
export function deviceOf(row: StoredRow): StoredDevice {
  const pending: unknown = row['pending'] === null ? null : JSON.parse(String(row['pending']))
  return {
    n: Number(row['n']),
    user: String(row['user']),
    device: String(row['device']),
    finals: parseRanges(String(row['finals'])),
    acked: parseRanges(String(row['acked'])),
    pending: isObject(pending) ? pendingOf(pending) : null,
    firstSeenAt: String(row['first_seen_at']),
    lastSeenAt: String(row['last_seen_at']),
  }
}

function pendingOf(report: Readonly<Record<string, unknown>>): NonNullable<StoredDevice['pending']> {
  const { oldestAt } = report
  return {
    count: Number(report['count']),
    oldestAt: typeof oldestAt === 'string' ? oldestAt : null,
    highestSeq: Number(report['highestSeq']),
  }
}

/** A receipt that nobody has answered, as far as a queue needs it. */
export function waitingOf(row: StoredRow): WaitingReceipt {
  return {
    id: String(row['id']),
    user: String(row['user']),
    device: String(row['device']),
    priority: Number(row['priority']),
  }
}

/** A receipt. */
export function receiptOf(row: StoredRow): StoredReceipt {
  return {
    ...waitingOf(row),
    caller: String(row['caller']),
    body: String(row['body']),
    at: String(row['at']),
    attempts: Number(row['attempts']),
    answer: textOrNull(row['answer']),
  }
}

/** An edit in escrow. */
export function escrowedOf(row: StoredRow): StoredEscrow {
  return {
    n: Number(row['n']),
    unit: String(row['unit']),
    place: Number(row['place']),
    id: String(row['id']),
    user: String(row['user']),
    device: String(row['device']),
    collection: String(row['collection']),
    record: String(row['record']),
    mutation: String(row['mutation']),
    at: String(row['at']),
    // These two were written by ruleOnEscrow from the same types.
    status: String(row['status']) as EscrowRuling['status'],
    verdict: textOrNull(row['verdict']) as EscrowRuling['verdict'],
    decidedBy: textOrNull(row['decided_by']),
    decidedAt: textOrNull(row['decided_at']),
    reason: textOrNull(row['reason']),
    version: numberOrNull(row['version']),
    conflict: textOrNull(row['conflict']),
  }
}

/** Sums by scope and collection from rows of `digestSql`, in no order. */
export function storedDigests(rows: readonly StoredRow[]): readonly StoredDigest[] {
  const digests = new Map<string, { scope: string; collection: string; sums: RangeSum[] }>()
  for (const row of rows) {
    const { scope, collection } = { scope: String(row['scope']), collection: String(row['collection']) }
    const key = `${collection}/${scope}`
    const digest = digests.get(key) ?? { scope, collection, sums: [] }
    digests.set(key, digest)
    digest.sums.push({ part: Number(row['part']), rows: Number(row['n']), sum: Number(row['total']) })
  }
  return [...digests.values()]
}

/** What a store counted. */
export function countsOf(row: StoredRow | undefined): StoreCounts {
  return {
    openConflicts: Number(row?.['conflicts'] ?? 0),
    escrowWaiting: Number(row?.['escrow'] ?? 0),
    devices: Number(row?.['devices'] ?? 0),
    pendingCount: Number(row?.['pending'] ?? 0),
    oldestPendingAt: textOrNull(row?.['oldest']),
  }
}

/** A line of the audit for readers of events. */
export function auditedOf(row: StoredRow): AuditedLine {
  return {
    ...entryOf(row),
    collection: String(row['collection']),
    record: String(row['record']),
    scopes: parseTexts(String(row['scopes'])),
    place: { position: Number(row['position']), n: Number(row['n']) },
  }
}

/** A reader of events. */
export function consumerOf(row: StoredRow): StoredConsumer {
  return {
    name: String(row['name']),
    place: { position: Number(row['position']), n: Number(row['n']) },
    owner: String(row['owner']),
    beat: Number(row['beat']),
  }
}

/** A record that a row names. */
export function recordKeyOf(row: StoredRow): RecordKey {
  return { collection: String(row['collection']), record: String(row['record']) }
}

/** An event that waits or was given up. */
export function parkedOf(row: StoredRow): ParkedEvent {
  return {
    ...recordKeyOf(row),
    consumer: String(row['consumer']),
    n: Number(row['n']),
    event: String(row['event']),
    attempts: Number(row['attempts']),
    dueMs: Number(row['due_ms']),
    // A boolean, or 0 or 1.
    isDead: Number(row['is_dead']) === 1,
    reason: String(row['reason']),
    failedMs: Number(row['failed_ms']),
  }
}
