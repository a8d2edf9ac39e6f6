import {
  type Decision,
  type Environment,
  type Hlc,
  type LostAnswer,
  type Ranges,
  type Schema,
  type Values,
  type Verdict,
} from '@holdfast/core'
import type { HistoryEntry, HostTransaction } from '../engine.ts'
import type { DigestReads } from './digest-store.ts'
import type { EscrowReads, EscrowWrites } from './escrow-store.ts'
import type { EventReads, EventWrites } from './event-store.ts'

/** What a store is opened with. */
export interface StoreSetup {
  readonly schema: Schema
  readonly env: Environment
}

/** Where the history of a server stands, in one snapshot. */
export interface StoreState {
  readonly epoch: string
  /** Newest position that this snapshot shows. */
  readonly head: number
  /** No change with a position up to here will appear later. Where several writers commit at once it may lie behind `head`. */
  readonly complete: number
  /** `historyTag` of `complete`: where most pulls end. */
  readonly tag: string
  /** Cursors below it cannot be served: tombstones up to it are gone. */
  readonly horizon: number
  /** ISO time at which the store was last opened: what was issued before may be of a history that a backup undid. */
  readonly openedAt: string
}

/** A record as it is kept. */
export interface StoredRecord {
  readonly id: string
  readonly version: number
  readonly values: Values
  readonly createdAt: string
  readonly updatedAt: string
  readonly serverUpdatedAt: string
  /** null: live. */
  readonly deletedAt: string | null
  /** Newest stamps of `latest` fields. */
  readonly clocks: Readonly<Record<string, Hlc>>
  /** Whether its collection's table has the row; false once it was deleted for good. */
  readonly isInTable: boolean
}

/** The final state of one record after a batch; the store compares nothing. */
export interface RecordWrite extends StoredRecord {
  readonly collection: string
  /** `delete` removes the row for good and keeps a tombstone; a soft delete is an `update`; `none` leaves the row. */
  readonly write: 'insert' | 'update' | 'delete' | 'none'
  /** Columns to write; for `insert` all. */
  readonly changed: ReadonlySet<string>
  /** The device whose own mutation made exactly this version; null when it could not build the row itself. */
  readonly maker: number | null
  readonly clocksChanged: boolean
}

/** A final verdict, as stored until it is acknowledged and expired. */
export interface StoredOutcome {
  readonly id: string
  readonly seq: number
  readonly covers: string
  /** Keys of what was folded into it, as the device told. */
  readonly folded: readonly string[]
  readonly hash: string
  readonly status: Extract<Verdict, 'applied' | 'merged' | 'conflict' | 'rejected'>
  readonly version: number | null
  /** Where it made no version: the newest that its author's own earlier mutations, on which it stood, had made. */
  readonly stoodOn: number | null
  readonly serverUpdatedAt: string | null
  readonly code: string | null
  /** Members `record`, `conflict` and `error` of the answer as JSON text; gone after the acknowledgement. */
  readonly body: string | null
  /** Whether the device can build the version itself. */
  readonly exact: boolean
  /** Fields the mutation touched: what a later one that stands on it is compared with. */
  readonly fields: readonly string[]
  readonly op: string
}

/** A device of a user. */
export interface StoredDevice {
  readonly n: number
  readonly user: string
  readonly device: string
  /** Numbers with a final outcome, for ever. */
  readonly finals: Ranges
  /** Of those, the ones the device has acknowledged. */
  readonly acked: Ranges
  readonly pending: {
    readonly count: number
    readonly oldestAt: string | null
    readonly highestSeq: number
  } | null
  readonly firstSeenAt: string
  readonly lastSeenAt: string
}

/** A line of the audit, about to be written. */
export interface AuditLine extends Omit<HistoryEntry, 'n'> {
  readonly collection: string
  readonly record: string
  /** Of a mutation that was returned: what a lost history had answered. */
  readonly was: LostAnswer | null
}

/** What changed in a record at one version, as that it is there (again) since then: for telling what an author had not seen. */
export interface SeenChange {
  readonly record: string
  readonly version: number
  readonly user: string | null
  readonly device: string | null
  readonly isMaking: boolean
  readonly fields: readonly string[]
  readonly decisions: readonly Decision[]
  readonly receivedAt: string
  /** As in its audit line. */
  readonly was: LostAnswer | null
}

/** A conflict as stored: the fields of the system collection. */
export interface StoredConflict {
  readonly id: string
  readonly version: number
  readonly values: Values
  readonly updatedAt: string
}

/** A unique key some row occupies or would like to. */
export interface UniqueText {
  readonly collection: string
  /** Index in `CollectionSchema.unique`. */
  readonly key: number
  readonly text: string
}

/** Up to where a reader has read. */
export interface Reached {
  /** Everything up to here, in every scope. */
  readonly position: number
  /** Scopes that were read to a later position. */
  readonly ahead: Readonly<Record<string, number>>
  /** A page ended within a transaction: the last entry it holds of that position, in order of collection and record. */
  readonly inside?: { readonly position: number; readonly collection: string; readonly record: string }
}

/** What is read on; '*' is every scope there is. */
export interface ReadFrom extends Reached {
  readonly scopes: readonly string[] | '*'
}

/** What a page may hold. */
export interface PageBounds {
  readonly rows: number
  readonly bytes: number
}

/** Changes as JSON texts, one each, in order of position. */
export interface FeedPage {
  readonly changes: readonly string[]
  /** Everything up to here is in this page or before it. */
  readonly reached: Reached
  readonly more: boolean
}

/** A place in a snapshot: the last row that was read. */
export interface SnapshotPlace {
  readonly scope: string
  readonly collection: string
  readonly record: string
}

/** Rows as JSON texts of `put` changes, in order of scope, collection and id. */
export interface SnapshotPage {
  readonly changes: readonly string[]
  /** null: nothing is left. */
  readonly place: SnapshotPlace | null
}

/** A push that was taken and is not decided yet. */
export interface WaitingReceipt {
  readonly id: string
  readonly user: string
  readonly device: string
  /** Larger goes first, between devices. */
  readonly priority: number
}

/** A push as it was taken. */
export interface NewReceipt extends WaitingReceipt {
  /** Who sent it and how, as JSON text. */
  readonly caller: string
  /** What was sent, as JSON text. */
  readonly body: string
  /** ISO time at which it was taken. */
  readonly at: string
}

/** A push that was taken; once it is answered, `caller` and `body` are ''. */
export interface StoredReceipt extends NewReceipt {
  /** How often somebody began to apply it. */
  readonly attempts: number
  /** JSON text of what came of it; null while it waits. */
  readonly answer: string | null
}

/** Reads of pushes that were taken to be decided later. */
export interface ReceiptReads {
  receipt(id: string): Promise<StoredReceipt | null>
  hasWaitingReceipts(user: string, device: string): Promise<boolean>
  receiptCounts(): Promise<{ readonly waiting: number; readonly oldestAt: string | null }>
  /**
   * The first waiting receipt of each device, where it came by `before` and nobody has it; urgent ones first. A time that is
   * later than `latest` is of a clock that was ahead.
   */
  strayReceipts(query: {
    readonly before: string
    readonly now: string
    readonly latest: string
    readonly limit: number
  }): Promise<readonly WaitingReceipt[]>
}

/** Writes of pushes that were taken to be decided later. */
export interface ReceiptWrites {
  /** In the order of the list. */
  saveReceipts(receipts: readonly NewReceipt[]): Promise<void>
  /** The first waiting receipt of a device, for whoever asks alone until a time; null when there is none, or somebody has it. */
  takeReceipt(
    user: string,
    device: string,
    times: { readonly now: string; readonly until: string; readonly latest: string },
  ): Promise<StoredReceipt | null>
  /** The first answer stands. */
  answerReceipt(id: string, answer: string, at: string): Promise<void>
  /** Nobody takes it until then. */
  postponeReceipt(id: string, until: string): Promise<void>
  /** Drops what was answered before then. */
  forgetReceipts(before: string): Promise<void>
}

/** Reads in one database snapshot. Lists come back in no order unless said; what is not there is left out. */
export interface StoreReader extends ReceiptReads, EventReads, EscrowReads, DigestReads {
  state(): Promise<StoreState>
  /**
   * What tells the history that made a position from every other: the same as long as the position is that history's,
   * whatever is restored from which backup; '' for what all histories of the epoch share. Rules: PL-21.
   */
  historyTag(position: number): Promise<string>
  device(user: string, device: string): Promise<StoredDevice | null>
  devices(user?: string): Promise<readonly StoredDevice[]>
  /** By id, or by number: every outcome that covers it, and perhaps some that do not. */
  outcomes(
    device: number,
    keys: { readonly seqs?: readonly number[]; readonly ids?: readonly string[] },
  ): Promise<readonly StoredOutcome[]>
  /** Of whichever device of the user, and of folds that hold one of these keys too. */
  decidedKeys(user: string, ids: readonly string[]): Promise<readonly StoredOutcome[]>
  /** The device's outcomes with these first numbers as the text of a JSON array of `Outcome`. */
  outcomesText(device: number, seqs: Ranges): Promise<string>
  /** Live and deleted records. */
  records(collection: string, ids: readonly string[]): Promise<readonly StoredRecord[]>
  /** Audited changes of records with a version after the given one. */
  changesSince(
    collection: string,
    since: readonly { readonly record: string; readonly version: number }[],
  ): Promise<readonly SeenChange[]>
  conflicts(ids: readonly string[]): Promise<readonly StoredConflict[]>
  /**
   * Open conflicts over what a device put in dispute on records: its own (of any author, where none is named), and those that
   * superseded its own. Without a device those of all.
   */
  openConflicts(
    author: { readonly user: string | null; readonly device: string } | null,
    records: readonly { readonly collection: string; readonly record: string }[],
  ): Promise<readonly StoredConflict[]>
  uniqueOwners(texts: readonly UniqueText[]): Promise<readonly (UniqueText & { readonly record: string })[]>
  feedPage(from: ReadFrom, bounds: PageBounds, device: number | null): Promise<FeedPage>
  /** Canonical rows (and stubs of rows that left) instead of changes, for plain clients. */
  rowsPage(from: ReadFrom, bounds: PageBounds, collection: string | null): Promise<FeedPage>
  snapshotPage(
    scopes: readonly string[] | '*',
    after: SnapshotPlace | null,
    bounds: PageBounds,
  ): Promise<SnapshotPage>
  /** Scopes the record lies in now, from the feed; those of a deleted record until its tombstone is collected. */
  scopesOf(collection: string, record: string): Promise<readonly string[]>
  /** Canonical rows by id after `after`, as JSON texts with their ids. */
  list(query: {
    readonly collection: string
    readonly scopes: readonly string[] | '*'
    readonly after: string
    readonly filters: Values
    readonly limit: number
  }): Promise<readonly { readonly id: string; readonly text: string }[]>
  /** The canonical row as JSON text. */
  recordText(collection: string, id: string): Promise<string | null>
  /** Newest first; `before` is an `n`, `without` are codes of refusals that are left out. */
  history(
    collection: string,
    record: string,
    page: { readonly before: number; readonly limit: number; readonly without?: readonly string[] },
  ): Promise<readonly HistoryEntry[]>
  scopeSet(hash: string): Promise<readonly string[] | null>
  key(user: string, key: string): Promise<{ readonly hash: string; readonly body: string } | null>
  /** The newest issued time not later than `time`. */
  issuedTime(
    user: string,
    collection: string,
    time: string,
  ): Promise<{ readonly time: string; readonly position: number; readonly scopes: string } | null>
  counts(): Promise<StoreCounts>
}

/** How much there is of what an operator watches. */
export interface StoreCounts {
  readonly openConflicts: number
  /** Mutations in escrow that wait for an operator. */
  readonly escrowWaiting: number
  readonly devices: number
  /** Sum of what devices last reported. */
  readonly pendingCount: number
  readonly oldestPendingAt: string | null
}

/** Writes, all in one transaction. */
export interface StoreWriter extends StoreReader, ReceiptWrites, EventWrites, EscrowWrites {
  /** The first of the versions this transaction may give: above every version of what it has read and will read. */
  firstVersion(): Promise<number>
  /** Takes `count` versions from the first on, which the rows written next carry. Once per transaction. */
  reserve(count: number, now: string): Promise<void>
  /** Whether triggers of the host wrote rows too, or made others of those that were written. */
  hostWrote(): Promise<boolean>
  /** Scopes whose feed this transaction moves. To be asked last. */
  movedScopes(): Promise<readonly string[]>
  /** Inserts or updates everything but `n`; a new device gets one. */
  saveDevice(device: Omit<StoredDevice, 'n'>): Promise<number>
  /** Drops bodies of these outcomes. */
  acknowledge(device: number, seqs: Ranges): Promise<void>
  /** Capture writes the feed. Errors: ConstraintError. */
  writeRecords(records: readonly RecordWrite[]): Promise<void>
  writeOutcomes(device: number, outcomes: readonly StoredOutcome[], at: string): Promise<void>
  writeAudit(lines: readonly AuditLine[]): Promise<void>
  writeUnique(
    changes: readonly (UniqueText & { readonly record: string; readonly op: 'add' | 'remove' })[],
  ): Promise<void>
  /** `scopes`: the scopes of a new conflict; an old one keeps its own. */
  writeConflict(conflict: StoredConflict, scopes: readonly string[] | null): Promise<void>
  saveScopeSet(hash: string, scopes: readonly string[]): Promise<void>
  saveKey(
    user: string,
    key: string,
    entry: { readonly hash: string; readonly body: string; readonly at: string },
  ): Promise<void>
  saveIssuedTime(
    user: string,
    collection: string,
    issued: { readonly time: string; readonly position: number; readonly scopes: string },
  ): Promise<void>
  /** Removes tombstones deleted before `deletedBefore`, moves the horizon, forgets what is older than `forgetBefore`. */
  collect(
    deletedBefore: string,
    forgetBefore: { readonly outcomes: string; readonly keys: string },
  ): Promise<number>
}

/**
 * Where the server keeps everything. Asynchronous and set-based: a batch is a handful of calls, whatever its size. No
 * SQL leaves the store. Every writer's changes of the collections' tables appear in the feed, whoever made them.
 */
export interface Store {
  readonly kind: string
  /** Creates what the schema adds. Errors: STORE_FOREIGN, STORE_NEWER, STORE_CORRUPT, STORE_BUSY, SCHEMA_INVALID. */
  open(setup: StoreSetup): Promise<void>
  /** One transaction; writers wait for each other. Rolled back when `work` throws. Errors: BlockedError, STORE_BUSY, STORE_FULL. */
  write<Result>(work: (tx: StoreWriter) => Promise<Result>, options?: WriteOptions): Promise<Result>
  /**
   * One transaction of the host's own statements: another writer like any, but told of at its commit, not when somebody
   * looks. Decided again from the start where it lost a race. Errors: as `write`, and ConstraintError.
   */
  hostWrite<Result>(work: (tx: HostTransaction) => Promise<Result>): Promise<Result>
  /** One database snapshot. */
  read<Result>(work: (tx: StoreReader) => Promise<Result>): Promise<Result>
  /** Told the scopes that others than this process have moved; '*' when nobody can tell. */
  onForeignCommit(listener: (scopes: readonly string[] | '*') => void): void
  close(): Promise<void>
}

/** How a transaction waits. */
export interface WriteOptions {
  /** Whether it soon gives up waiting for a row that another transaction holds. */
  readonly isBrief?: boolean
}
