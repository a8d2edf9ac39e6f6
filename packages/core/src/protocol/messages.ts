import type { ErrorCode, Retry } from '../errors.ts'
import type { Values } from '../json.ts'
import type { Verdict } from '../mutation.ts'

/** What a device says of its outbox with every push, so that an operator can see what never arrived. */
export interface PendingReport {
  readonly count: number
  /** ISO time of the oldest entry; null when there is none. */
  readonly oldestAt: string | null
  readonly highestSeq: number
}

/** `POST /sync/push`. Each mutation is parsed on its own, so that a bad one fails alone. */
export interface PushRequest {
  /** Device numbers whose outcomes the device has stored for good: ranges such as "1-17". */
  readonly ack: string
  /** Device numbers whose answers the device holds and has not yet seen settled by a pull. */
  readonly answered?: string
  /** The cursor of the device's copy: nothing is decided for one of another history. */
  readonly since?: string
  /**
   * Numbers of this batch that were written before the device knew that the server was put back from a backup, and never
   * answered: what they stand on may yet be returned, and versions that they name are of the history that was lost.
   */
  readonly stranded?: string
  readonly pending?: PendingReport
  readonly mutations: readonly unknown[]
}

/** A conflict as an answer shows it: what one mutation disputes or waits with. */
export interface ConflictReport {
  readonly id: string
  readonly fields: readonly string[]
  readonly base: Values | null
  readonly mine: Values | null
  readonly theirs: Values | null
  /** Only with the mutation that began the dispute: what else is in the row of `_conflicts` that follows. */
  readonly kind?: string
  readonly parts?: readonly Values[]
}

/** Why a mutation or request failed. */
export interface ErrorReport {
  readonly code: ErrorCode
  readonly message: string
  readonly retry: Retry
  readonly retryAfterMs?: number
  readonly requestId?: string
  /** The field that is meant, if one is. */
  readonly field?: string
}

/** The verdict on one mutation. */
export interface PushResult {
  readonly id: string
  readonly status: Verdict
  /** Version of the record with this mutation in it; null when it had no effect. */
  readonly version: number | null
  readonly serverUpdatedAt: string | null
  /**
   * The row afterwards: fields, id, version, created_at, updated_at, server_updated_at, deleted_at. Absent only when
   * the row before was exactly the base and nothing but the sent columns changed.
   */
  readonly record?: Values
  /** The server had decided before; this is the first answer again. */
  readonly duplicate?: boolean
  readonly conflict?: ConflictReport
  readonly error?: ErrorReport
  /** The id of the conflict or mutation it waits for. */
  readonly heldBy?: string
  /**
   * Of a refusal that uses nothing up: what was decided before about mutations it stands for; `covers` names those of its
   * numbers that are the same mutations.
   */
  readonly known?: readonly Outcome[]
  /** Of such a refusal: those of its numbers that nothing was decided under. */
  readonly free?: string
}

/** Answer of `POST /sync/push`, in the order of the request. */
export interface PushResponse {
  readonly results: readonly PushResult[]
  /** ISO time of the server's clock. */
  readonly serverTime: string
}

/** A final verdict as pulls repeat it until the device acknowledges it. */
export interface Outcome {
  readonly id: string
  readonly seq: number
  readonly covers: string
  /** As in the mutation: keys of what was folded into it. */
  readonly folded?: readonly string[]
  readonly status: Extract<Verdict, 'applied' | 'merged' | 'conflict' | 'rejected'>
  readonly version: number | null
  readonly serverUpdatedAt: string | null
  readonly conflict?: ConflictReport
  readonly error?: ErrorReport
}

/** What became of an edit that went to escrow, as its author is told; its values are not. Rules: ES-9. */
export interface EscrowEnding {
  /** The key of the mutation. */
  readonly id: string
  /** `unknown`: the server has no such edit of this user, as after it was put back from a backup. */
  readonly status: 'waiting' | 'accepted' | 'refused' | 'unknown'
  /** What the operator said who refused it. */
  readonly reason: string | null
  /** ISO time. */
  readonly decidedAt: string | null
}

/** One row effect as a device receives it. */
export interface Change {
  readonly collection: string
  readonly record: string
  /** `have`: the record is at a version this device's own mutation made, without sending it back. */
  readonly op: 'put' | 'have' | 'delete' | 'leave'
  readonly scope: string
  readonly version: number
  readonly serverUpdatedAt: string
  /** Fields, created_at and updated_at. Only with `put`. */
  readonly data?: Values
}

/** How many rows a range holds, and the sum over them. */
export type RangeDigest = readonly [rows: number, sum: number]

/** What the server holds of a collection in a scope: one digest for each of so many ranges. Rules: CS-1. */
export interface ScopeDigest {
  readonly collection: string
  readonly scope: string
  /** 1, 16, 256 or 4096 of them; a record lies in the range of that number that the last digits of its id give. */
  readonly ranges: readonly RangeDigest[]
}

/** One of so many ranges of a collection in a scope. */
export interface RowRange {
  readonly collection: string
  readonly scope: string
  readonly range: number
  readonly of: number
}

/** Answer of `GET|POST /sync/pull` and `GET|POST /sync/snapshot`. */
export interface PullResponse {
  readonly changes: readonly Change[]
  /**
   * In the last page, where `more` is false: all of this device's outcomes it has not acknowledged, from the same
   * database snapshot as the rows. Empty in the pages before it.
   */
  readonly outcomes: readonly Outcome[]
  /** In the last page, of the numbers that were named as settled: those that the server has no outcome of, or one of another key. */
  readonly lost?: string | undefined
  /** In the last page: how the edits stand that were asked after. */
  readonly escrow?: readonly EscrowEnding[] | undefined
  /** In the last page, where it was asked for: digests of all that the cursor covers, from the same database snapshot. */
  readonly digests?: readonly ScopeDigest[] | undefined
  /** In the last page, of the ranges that were asked for: those of which this page holds every row there is, as `put`. */
  readonly ranges?: readonly RowRange[] | undefined
  readonly scopes: {
    /** Changes whenever the user's scopes change. */
    readonly version: string
    /** Granted scopes the cursor does not cover yet: take a snapshot of each. */
    readonly entered: readonly string[]
    /** Scopes the cursor covered that are no longer granted: erase them. */
    readonly revoked: readonly string[]
  }
  readonly cursor: string
  /** False only when nothing lies beyond this page in its database snapshot. */
  readonly more: boolean
}

/** `GET|POST /sync/pull`. */
export interface PullRequest {
  readonly since?: string
  readonly limit?: number
  readonly scopes?: readonly string[]
  /** As in a push: a device without anything to push acknowledges here. */
  readonly ack?: string
  /** Versions that this device made come whole too: it cannot build them, or does not know yet what it was answered. */
  readonly whole?: boolean
  /** Device numbers that were answered and that `outcomes` may leave out, because a copy of the device acknowledged them. */
  readonly answered?: string
  /** Keys that the device was told had been decided before, maybe under another name or number. */
  readonly decided?: readonly string[]
  /** Device numbers that were settled: those of them that the server does not know are `lost`. */
  readonly settled?: string
  /**
   * The last eight characters of the key of each of these, by number, without anything between them: what a copy of the
   * device did under the same number is not this.
   */
  readonly settledKeys?: string
  /** Keys of own edits in escrow: the last page says how they stand. */
  readonly escrow?: readonly string[]
  /** The last page is to say what there is in each scope (`digests`). */
  readonly digests?: boolean
  /** The last page is to hold every row of these ranges, as far as they fit. */
  readonly ranges?: readonly RowRange[]
  /** These ranges are asked for because the device's app has fields that the one before it did not keep: nothing is wrong. */
  readonly grown?: boolean
}

/** `GET|POST /sync/snapshot`. */
export interface SnapshotRequest {
  /** A snapshot's own cursor goes on; a pull's cursor is what `scope` is added to; absent starts one. */
  readonly cursor?: string
  /** One granted scope; absent: everything granted. */
  readonly scope?: string
  /** As in a pull: nothing else counts as granted. */
  readonly scopes?: readonly string[]
  readonly limit?: number
  readonly ack?: string
}

/** Every error answer of the sync API. */
export interface ErrorResponse {
  readonly error: ErrorReport
}
