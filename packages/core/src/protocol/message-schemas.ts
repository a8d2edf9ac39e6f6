import * as v from 'valibot'
import { rangesMost } from '../digest.ts'
import { type ErrorCode, errorTable } from '../errors.ts'
import type { Values } from '../json.ts'
import { limits } from '../limits.ts'
import type { LostAnswer } from '../mutation.ts'
import type {
  Change,
  ConflictReport,
  ErrorReport,
  ErrorResponse,
  EscrowEnding,
  Outcome,
  PendingReport,
  PullRequest,
  PullResponse,
  PushRequest,
  PushResponse,
  PushResult,
  RowRange,
  ScopeDigest,
  SnapshotRequest,
} from './messages.ts'

/**
 * The messages of the protocol as valibot schemas: what both sides validate with and what the OpenAPI document is made
 * from. Members that are not named are ignored, so that either side can be newer; only a mutation must be understood
 * whole. Rules: WI-1 to WI-6.
 */
type MessageSchema<Message> = v.GenericSchema<unknown, Message>

const uuid = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'must be a UUID in lower case'),
)
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const isoTime = v.pipe(v.string(), v.minLength(1))
const exactTime = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'must be a time such as "2026-01-31T12:00:00.000Z"'),
)
const rangesText = v.pipe(
  v.string(),
  v.regex(/^(\d+(-\d+)?(,\d+(-\d+)?)*)?$/, 'must be device numbers such as "1-17,19"'),
)
const stamp = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z-[0-9a-f]{4}-[0-9a-z-]{1,64}$/, 'must be a stamp'),
)
// Whatever a message holds came out of JSON.parse, so that unknown members of an object are JSON.
const values = v.record(v.string(), v.unknown()) as v.GenericSchema<unknown, Values>
const members = v.record(v.string(), v.array(v.union([v.string(), v.number()])))

// The keys of the table are the codes; a code of a newer server reads as the one that says least.
const errorCode = v.fallback(v.picklist(Object.keys(errorTable) as ErrorCode[]), 'SERVER_FAILED')

/** Why a mutation or request failed. */
export const errorReportSchema: MessageSchema<ErrorReport> = v.object({
  code: errorCode,
  message: v.string(),
  retry: v.picklist(['never', 'backoff', 'after_auth', 'resync']),
  retryAfterMs: v.optional(v.pipe(v.number(), v.minValue(0))),
  requestId: v.optional(v.string()),
  field: v.optional(v.string()),
})

/** Every error answer of the sync API. */
export const errorResponseSchema: MessageSchema<ErrorResponse> = v.object({ error: errorReportSchema })

/** A mutation's envelope; whether its values fit is for `parseMutation`. Empty members may be left out. */
export const mutationSchema: MessageSchema<MutationShape> = v.strictObject({
  id: uuid,
  seq: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  covers: v.optional(rangesText),
  folded: v.optional(v.array(uuid)),
  group: v.optional(v.nullable(uuid), null),
  collection: v.string(),
  record: uuid,
  op: v.picklist(['create', 'update', 'delete']),
  baseVersion: v.optional(count, 0),
  after: v.optional(v.nullable(uuid), null),
  changes: v.optional(values, {}),
  base: v.optional(v.nullable(values), null),
  increments: v.optional(v.record(v.string(), v.number()), {}),
  additions: v.optional(members, {}),
  removals: v.optional(members, {}),
  at: stamp,
  ats: v.optional(v.record(v.string(), stamp), {}),
  resolves: v.optional(v.nullable(uuid), null),
  schema: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  was: v.optional(v.strictObject({ version: v.nullable(count), serverUpdatedAt: v.nullable(exactTime) })),
  escrow: v.optional(v.literal(true)),
})

/** A mutation as far as its envelope tells. */
export interface MutationShape {
  readonly id: string
  readonly seq: number
  readonly covers?: string | undefined
  readonly folded?: readonly string[]
  readonly group: string | null
  readonly collection: string
  readonly record: string
  readonly op: 'create' | 'update' | 'delete'
  readonly baseVersion: number
  readonly after: string | null
  readonly changes: Values
  readonly base: Values | null
  readonly increments: Readonly<Record<string, number>>
  readonly additions: Readonly<Record<string, readonly (string | number)[]>>
  readonly removals: Readonly<Record<string, readonly (string | number)[]>>
  readonly at: string
  readonly ats: Readonly<Record<string, string>>
  readonly resolves: string | null
  readonly schema: number
  readonly was?: LostAnswer | undefined
  readonly escrow?: true | undefined
}

const pendingReportSchema: MessageSchema<PendingReport> = v.object({
  count,
  oldestAt: v.nullable(isoTime),
  highestSeq: count,
})

/** `POST /sync/push`. */
export const pushRequestSchema: MessageSchema<PushRequest> = v.object({
  ack: v.optional(rangesText, ''),
  answered: v.optional(rangesText),
  since: v.optional(v.string()),
  stranded: v.optional(rangesText),
  pending: v.optional(pendingReportSchema),
  mutations: v.array(v.unknown()),
})

const conflictReportSchema: MessageSchema<ConflictReport> = v.object({
  id: v.string(),
  fields: v.array(v.string()),
  base: v.nullable(values),
  mine: v.nullable(values),
  theirs: v.nullable(values),
  kind: v.optional(v.string()),
  parts: v.optional(v.array(values)),
})

/** A final verdict as pulls repeat it. */
export const outcomeSchema: MessageSchema<Outcome> = v.object({
  id: v.string(),
  seq: count,
  covers: rangesText,
  folded: v.optional(v.array(v.string())),
  status: v.picklist(['applied', 'merged', 'conflict', 'rejected']),
  version: v.nullable(count),
  serverUpdatedAt: v.nullable(isoTime),
  conflict: v.optional(conflictReportSchema),
  error: v.optional(errorReportSchema),
})

/** The verdict on one mutation. */
export const pushResultSchema: MessageSchema<PushResult> = v.object({
  id: v.string(),
  status: v.picklist(['applied', 'merged', 'conflict', 'held', 'rejected', 'retry']),
  version: v.nullable(count),
  serverUpdatedAt: v.nullable(isoTime),
  record: v.optional(values),
  duplicate: v.optional(v.boolean()),
  conflict: v.optional(conflictReportSchema),
  error: v.optional(errorReportSchema),
  heldBy: v.optional(v.string()),
  known: v.optional(v.array(outcomeSchema)),
  free: v.optional(rangesText),
})

/** Answer of `POST /sync/push`. */
export const pushResponseSchema: MessageSchema<PushResponse> = v.object({
  results: v.array(pushResultSchema),
  serverTime: isoTime,
})

/** One row effect. `parsePullResponse` checks the same by hand, because a first sync brings hundreds of thousands. */
export const changeSchema: MessageSchema<Change> = v.object({
  collection: v.string(),
  record: v.string(),
  op: v.picklist(['put', 'have', 'delete', 'leave']),
  scope: v.string(),
  version: count,
  serverUpdatedAt: v.string(),
  data: v.optional(values),
})

const rowRangeSchema: MessageSchema<RowRange> = v.object({
  collection: v.string(),
  scope: v.string(),
  range: count,
  of: v.picklist([1, 16, 256, rangesMost]),
})

const scopeDigestSchema: MessageSchema<ScopeDigest> = v.object({
  collection: v.string(),
  scope: v.string(),
  ranges: v.pipe(v.array(v.tuple([count, count])), v.maxLength(rangesMost)),
})

const escrowEndingSchema: MessageSchema<EscrowEnding> = v.object({
  id: v.string(),
  status: v.picklist(['waiting', 'accepted', 'refused', 'unknown']),
  reason: v.nullable(v.string()),
  decidedAt: v.nullable(isoTime),
})

const pageMembers = {
  outcomes: v.array(outcomeSchema),
  escrow: v.optional(v.array(escrowEndingSchema)),
  lost: v.optional(rangesText),
  digests: v.optional(v.array(scopeDigestSchema)),
  ranges: v.optional(v.array(rowRangeSchema)),
  scopes: v.object({ version: v.string(), entered: v.array(v.string()), revoked: v.array(v.string()) }),
  cursor: v.string(),
  more: v.boolean(),
}

/** Answer of `GET|POST /sync/pull` and `GET|POST /sync/snapshot`. */
export const pullResponseSchema: MessageSchema<PullResponse> = v.object({
  changes: v.array(changeSchema),
  ...pageMembers,
})

/** The same with the changes left as they are. */
export const pageSchema: MessageSchema<
  Omit<PullResponse, 'changes'> & { readonly changes: readonly unknown[] }
> = v.object({ changes: v.array(v.unknown()), ...pageMembers })

const pageLimit = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(limits.pullRowsMax))
/** Of any length: an app names what it was granted, and one in which no row can lie is no reason to sync nothing. */
const scopeNames = v.array(v.string())

/** `GET|POST /sync/snapshot`. */
export const snapshotRequestSchema: MessageSchema<SnapshotRequest> = v.object({
  cursor: v.optional(v.string()),
  scope: v.optional(v.string()),
  scopes: v.optional(scopeNames),
  limit: v.optional(pageLimit),
  ack: v.optional(rangesText),
})

/** `GET|POST /sync/pull`. */
export const pullRequestSchema: MessageSchema<PullRequest> = v.object({
  since: v.optional(v.string()),
  limit: v.optional(pageLimit),
  scopes: v.optional(scopeNames),
  decided: v.optional(v.pipe(v.array(uuid), v.maxLength(limits.decidedAsked))),
  settled: v.optional(rangesText),
  settledKeys: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]*$/, 'must be the ends of keys'))),
  escrow: v.optional(v.pipe(v.array(uuid), v.maxLength(limits.escrowAsked))),
  whole: v.optional(v.boolean()),
  digests: v.optional(v.boolean()),
  ranges: v.optional(v.pipe(v.array(rowRangeSchema), v.maxLength(limits.rangesAsked))),
  grown: v.optional(v.boolean()),
  ack: v.optional(rangesText),
  answered: v.optional(rangesText),
})
