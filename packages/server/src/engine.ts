import type {
  ErrorReport,
  Json,
  Mutation,
  PullResponse,
  PushRequest,
  PushResponse,
  RowRange,
  SnapshotRequest,
  Values,
  Verdict,
} from '@holdfast/core'

import type { EscrowAnswer, EscrowDecision, EscrowPage, EscrowQuery } from './escrow/escrowed-edit.ts'

/** Who is signed in, as `authenticate` of the host says. `id` is the account; it never changes hands. */
export interface User {
  readonly id: string
  readonly [claim: string]: unknown
}

/** The scopes of a user: a list, or '*' for every scope there is. */
export type Grants = readonly string[] | '*'

/** One request's author, put together by whoever received the request. */
export interface Caller<U extends User = User> {
  readonly user: U
  /** The device's UUID; null for plain HTTP clients, who have no device numbers. */
  readonly device: string | null
  /** What `Engine.grantsOf` said for this request. */
  readonly grants: Grants
  /** The schema version the client speaks; plain clients speak the server's. */
  readonly schemaVersion: number
  /** The device's wall clock when it sent the request, ms. */
  readonly deviceNowMs?: number
  readonly requestId: string
  /** `Prefer: return=representation`: a push shows every record it changed, not only those the device cannot build. */
  readonly wantsRecords?: boolean
  /** `traceparent` of the request. */
  readonly trace?: string
}

/** A pull or snapshot page: the text goes out as it is; the rest is for logs and metrics. */
export interface Page extends Pick<PullResponse, 'scopes' | 'cursor' | 'more'> {
  /** The whole `PullResponse` as JSON. */
  readonly text: string
  readonly changeCount: number
  /** Ranges that a device has found different and fetches again: each is a bug. */
  readonly repairs: readonly RowRange[]
}

/** What `Engine.pull` takes, already read from the query or body. */
export interface PullOptions {
  /** Absent: from the start. */
  readonly since?: string
  /** Rows; `limits.pullRows` unless said, never over `limits.pullRowsMax`. */
  readonly limit?: number
  /** Only these of the granted scopes. */
  readonly scopes?: readonly string[]
  readonly ack?: string
  /** What the device itself made comes whole, not as `have`. */
  readonly whole?: boolean
  /** Numbers that the device was answered for. */
  readonly answered?: string
  /** Keys that the device was told had been decided before. */
  readonly decided?: readonly string[]
  /** Keys of own edits in escrow: the last page says how they stand. */
  readonly escrow?: readonly string[]
  /** Numbers that the device has settled: the answer names those that this server does not know. */
  readonly settled?: string
  /** The ends of their keys, as in a `PullRequest`. */
  readonly settledKeys?: string
  /** The last page is to say what there is in each scope. */
  readonly digests?: boolean
  /** The last page is to hold every row of these. */
  readonly ranges?: readonly RowRange[]
  /** They are asked for although nothing is wrong with them. */
  readonly grown?: boolean
}

/** What `Engine.snapshot` takes. */
export type SnapshotOptions = SnapshotRequest

/** When a plain write counts as a lost race. */
export type Precondition =
  /** Never: it assigns. What it overwrites stays in the history. */
  | { readonly kind: 'none' }
  /** Unless the record is at exactly this version (`If-Match`, `baseVersion`); 0 is "not there". */
  | { readonly kind: 'version'; readonly version: number }
  /** When the record's `updated_at` is later than this ISO time. */
  | { readonly kind: 'time'; readonly updatedAt: string }
  /** As `time`, but a lost race is no conflict: the record stays, the loser goes to the history. */
  | { readonly kind: 'latest'; readonly updatedAt: string }

/** One write of a plain client. */
export interface PlainWrite {
  readonly collection: string
  readonly record: string
  /**
   * `create` refuses a live record, `update` sets the given fields, `put` creates or sets all fields (those not given
   * become their default), `upsert` creates or updates, `delete` removes, `restore` brings a deleted record back or
   * sets the given fields of a live one.
   */
  readonly op: 'create' | 'update' | 'put' | 'upsert' | 'delete' | 'restore'
  /** Business fields only. */
  readonly values: Values
  readonly increments?: Readonly<Record<string, number>>
  readonly precondition: Precondition
  /** ISO time of the edit, clamped like any device's; the server's clock unless said. */
  readonly at?: string
}

/** What came of a plain write. */
export interface PlainResult {
  /** `conflict`: the precondition did not hold and nothing was written. `lost`: an older edit, kept in the history. */
  readonly status: 'applied' | 'merged' | 'conflict' | 'lost' | 'rejected'
  /** The canonical row afterwards (for a conflict: as it stands); null when the caller sees none. */
  readonly record: Values | null
  readonly created: boolean
  readonly error?: ErrorReport
}

/** Several plain writes. */
export interface ApplyOptions {
  /** One transaction: any conflict or rejection undoes all. A single write needs no saying. */
  readonly atomic?: boolean
  /** `Idempotency-Key` and a hash of the request: a repeat answers with the stored text, another hash with KEY_REUSED. */
  readonly key?: { readonly key: string; readonly hash: string }
}

/** Answer of `Engine.apply`, in the order of the writes. */
export interface ApplyResponse {
  readonly results: readonly PlainResult[]
  /** True when the key was known and these are the first results again. */
  readonly duplicate: boolean
  /** For atomic writes: false when everything was undone. */
  readonly committed: boolean
}

/** What `Engine.list` takes. */
export interface ListOptions {
  readonly limit?: number
  /** `next` of the page before. */
  readonly after?: string
  /** Equal to, by field. */
  readonly filters?: Readonly<Record<string, Json>>
}

/** Rows by id. */
export interface RecordPage {
  /** Canonical rows as the text of a JSON array. */
  readonly text: string
  /** null at the end. */
  readonly next: string | null
}

/** Rows that changed since a time this server issued. */
export interface ChangesSince {
  /**
   * Canonical rows with a further member `collection`, as the text of a JSON array, deleted ones with `deleted_at`. A row
   * that left the caller's scopes is `{id, collection, version, updated_at, deleted_at}`.
   */
  readonly text: string
  /** ISO time to send next. */
  readonly syncTimestamp: string
}

/** One entry of a record's timeline, newest first in `Engine.history`. */
export interface HistoryEntry {
  readonly n: number
  readonly op: 'create' | 'update' | 'delete' | 'restore' | 'none'
  /** null: another writer than Holdfast. */
  readonly user: string | null
  readonly device: string | null
  readonly mutation: string | null
  readonly version: number | null
  /** ISO time of the edit, clamped. */
  readonly at: string
  readonly receivedAt: string
  /** Changed fields only. */
  readonly before: Values | null
  readonly after: Values | null
  readonly status: Extract<Verdict, 'applied' | 'merged' | 'conflict' | 'rejected'> | 'lost'
  readonly decisions: readonly HistoryDecision[]
  readonly code: string | null
  readonly trace: string | null
  /** Who took it out of escrow; null: it never was there. */
  readonly acceptedBy: string | null
}

/** Two values that met, and why one of them stands. */
export interface HistoryDecision {
  readonly field: string
  readonly rule: string
  /** The rule in one sentence. */
  readonly explanation: string
  readonly winner: 'mine' | 'theirs' | 'both'
  readonly base?: Json
  readonly mine: Json
  readonly theirs: Json
  readonly result: Json
}

/** A value that lost to another and can be brought back. */
export interface LostValue {
  readonly field: string
  readonly value: Json
  readonly rule: string
  readonly explanation: string
  /** Whose value it was. */
  readonly user: string | null
  readonly at: string
  /** Entry of the timeline that decided. */
  readonly n: number
}

/** How a person settles a conflict over HTTP. */
export interface Resolution {
  readonly kind: 'mine' | 'theirs' | 'merge' | 'discard'
  /** For `merge`: values by record id, by `collection/id` where two records have one id, laid over "theirs". */
  readonly values?: Readonly<Record<string, Values>>
}

/** Which file of which record: the same bytes in another record are another attachment. */
export interface AttachmentKey {
  readonly collection: string
  readonly record: string
  /** SHA-256 of the bytes, 64 hex digits in lower case. */
  readonly hash: string
}

/** What a caller sees of an attachment. */
export interface AttachmentSight {
  /** Whether the record, or an open conflict about it that names the attachment, is visible: what is stored may be read. */
  readonly isVisible: boolean
  /** Bytes it has by the record, the conflict or the caller's edit in escrow that names it; null: none does that the caller sees. */
  readonly size: number | null
}

/** A device as an operator sees it. */
export interface DeviceInfo {
  readonly user: string
  readonly device: string
  readonly firstSeenAt: string
  readonly lastSeenAt: string
  /** What it last said of its outbox; null when it never pushed. */
  readonly pending: {
    readonly count: number
    readonly oldestAt: string | null
    readonly highestSeq: number
  } | null
  /** Highest number with a final outcome. */
  readonly highestFinal: number
  /** Numbers it announced that never arrived. */
  readonly missingCount: number
}

/** Told after every commit, never before. */
export interface CommitEvent {
  /** Scopes whose feed moved; '*' when another process wrote and nobody can tell. */
  readonly scopes: readonly string[] | '*'
  /** The device whose push it was; it need not be poked. */
  readonly device: string | null
  readonly user: string | null
}

/** Numbers for `/metrics` and `/readyz`. */
export interface EngineStats {
  readonly epoch: string
  readonly head: number
  readonly horizon: number
  readonly openConflicts: number
  /** Mutations in escrow that wait for an operator. */
  readonly escrowWaiting: number
  readonly devices: number
  /** Sum of what devices last reported. */
  readonly pendingCount: number
  readonly oldestPendingAt: string | null
  /** Verdicts since this process started, `count` by collection and status. */
  readonly verdicts: readonly {
    readonly collection: string
    readonly status: Verdict
    readonly count: number
  }[]
  /** Rejections since this process started. */
  readonly rejections: readonly { readonly code: string; readonly count: number }[]
  /** Requests answered from stored outcomes since this process started. */
  readonly duplicates: number
}

/** A value that the host binds to a statement. */
export type HostValue = string | number | boolean | null

/** A transaction of the host's own code, on its own tables. */
export interface HostTransaction {
  /**
   * One statement and the rows it gives, as the driver names and types them; none for one that gives none. Values are bound in order: `?` on SQLite, `$1`, `$2` … on PostgreSQL.
   */
  all(sql: string, ...values: readonly HostValue[]): Promise<readonly Readonly<Record<string, unknown>>[]>
}

/**
 * The server without HTTP: everything a transport needs, nothing that knows of one. Whole-request failures throw
 * SyncError with a code of the table; what was decided about a write is returned.
 */
export interface Engine<U extends User = User> {
  readonly schemaVersion: number
  /** Calls the host's `scopes`; adds nothing. Once per request. */
  grantsOf(user: U): Promise<Grants>
  /** Errors: SCHEMA_TOO_OLD, SCHEMA_AHEAD, DEVICE_REQUIRED, REQUEST_INVALID, REQUEST_TOO_LARGE, STORE_BUSY. */
  push(caller: Caller<U>, request: PushRequest): Promise<PushResponse>
  /** Errors: CURSOR_INVALID, CURSOR_EXPIRED, EPOCH_CHANGED (all 410), SCHEMA_TOO_OLD, SCHEMA_AHEAD. */
  pull(caller: Caller<U>, options: PullOptions): Promise<Page>
  /** Errors: as `pull`; SCOPE_DENIED for a scope that is not granted. */
  snapshot(caller: Caller<U>, options: SnapshotOptions): Promise<Page>
  /** Errors: KEY_REUSED. */
  apply(caller: Caller<U>, writes: readonly PlainWrite[], options?: ApplyOptions): Promise<ApplyResponse>
  /** The canonical row as JSON text; null when there is none or it is not visible. Deleted ones only on request. */
  record(
    caller: Caller<U>,
    collection: string,
    id: string,
    options?: { readonly deleted?: boolean },
  ): Promise<string | null>
  /** Errors: NOT_FOUND for a collection that is not in the schema, FIELD_UNKNOWN for a filter. Also takes `_conflicts`. */
  list(caller: Caller<U>, collection: string, options?: ListOptions): Promise<RecordPage>
  /** null when the caller sees no such record, live or deleted. */
  history(
    caller: Caller<U>,
    collection: string,
    id: string,
    options?: { readonly limit?: number; readonly before?: number },
  ): Promise<readonly HistoryEntry[] | null>
  /** Values of this record that lost to another, newest first; null as in `history`. */
  lostValues(caller: Caller<U>, collection: string, id: string): Promise<readonly LostValue[] | null>
  /** Nothing is visible of what is not there. Rules: AT-2, AT-3. */
  attachment(caller: Pick<Caller<U>, 'user' | 'grants'>, key: AttachmentKey): Promise<AttachmentSight>
  /** In the order of the keys, whether a record or an open conflict names each, whoever may see that. Rules: AT-13. */
  attachmentsNamed(keys: readonly AttachmentKey[]): Promise<readonly boolean[]>
  /** Errors: CONFLICT_UNKNOWN, CONFLICT_CLOSED as results. */
  resolve(caller: Caller<U>, conflict: string, resolution: Resolution): Promise<ApplyResponse>
  /** Edits in escrow, for reviewers, as far as they see the records. Errors: NOT_AUTHORIZED, REQUEST_INVALID. */
  escrow(caller: Caller<U>, query?: EscrowQuery): Promise<EscrowPage>
  /** Errors: NOT_AUTHORIZED, NOT_FOUND, REQUEST_INVALID; ESCROW_CLOSED and what keeps an accepted edit from taking effect as `error`. */
  decideEscrow(caller: Caller<U>, id: string, decision: EscrowDecision): Promise<EscrowAnswer>
  /** Chosen by feed position of the newest issued time not later than `time`; repeats allowed, gaps not. `collection` null: all. */
  changesSince(caller: Caller<U>, collection: string | null, time: string | null): Promise<ChangesSince>
  /** Devices of one user, or of all. */
  devices(user?: string): Promise<readonly DeviceInfo[]>
  /** True when the caller's view of these scopes is concerned: for filtering pokes. */
  concerns(caller: Pick<Caller<U>, 'user' | 'grants'>, event: CommitEvent): boolean
  subscribe(listener: (event: CommitEvent) => void): () => void
  stats(): Promise<EngineStats>
  /**
   * Statements of the host's own code in one transaction, on its own tables: another writer like psql or a job, whose
   * changes reach every device, but told of as soon as it has committed. What throws undoes all. On PostgreSQL `work` is
   * run again where it met other writers: it does nothing but write here. Errors: CONSTRAINT_FAILED, STORE_BUSY, STORE_FULL. Rules: FE-68.
   *
   * @example
   * await server.write((tx) => tx.all('UPDATE items SET price = price * 1.1 WHERE warehouse = $1', '7'))
   */
  write<Result>(work: (tx: HostTransaction) => Promise<Result>): Promise<Result>
  /** Drops tombstones deleted before then and moves the horizon past them. Also forgets old outcomes, keys and issued times. */
  collectTombstones(options: {
    readonly olderThanMs: number
    /** ms since 1970 from which ages count: the server's clock unless said, which nobody checks. */
    readonly nowMs?: number
  }): Promise<{ readonly collected: number; readonly horizon: number }>
  /** Finishes what runs, then closes the store. Repeating is harmless. */
  close(): Promise<void>
}

/** What `authorize` decides about: one mutation, with the row before and after it. */
export interface AuthorizeRequest<U extends User = User> {
  readonly user: U
  readonly device: string | null
  readonly collection: string
  readonly record: string
  readonly op: Mutation['op']
  readonly mutation: Mutation
  /** null: the record is not there. */
  readonly before: Values | null
  /** null: the record will be gone. */
  readonly after: Values | null
}

/** Where log lines go: pino fits as it is. Lines hold ids, codes and counts, never values. */
export interface Logger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
