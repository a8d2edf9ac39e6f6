/**
 * What the receiver of an error does next; the only part of an error that code decides by.
 * `never`: the same request will fail again. `backoff`: wait, then repeat. `after_auth`: new credentials first.
 * `resync`: take a snapshot.
 */
export type Retry = 'never' | 'backoff' | 'after_auth' | 'resync'

interface ErrorEntry {
  readonly meaning: string
  readonly cause: string
  readonly remedy: string
  readonly retry: Retry
  /** HTTP status when the error is a whole answer; absent for codes that never travel as one. */
  readonly status?: number
}

/**
 * The error table: the manual of everything that can go wrong. Codes are retired, never reused; nobody reads messages.
 * `docs/errors.md` is this table in print.
 */
// biome-ignore format: one line for each code, so that it reads as the table it is.
export const errorTable = {
  // What the app wrote.
  SCHEMA_INVALID: { meaning: 'The schema contradicts itself.', cause: 'A mistake in defineSchema.', remedy: 'The message names collection, field and what to write instead.', retry: 'never' },
  FIELD_UNKNOWN: { meaning: 'A value was given for a field the schema does not have.', cause: 'A typing mistake, or an older schema.', remedy: 'Use a declared field.', retry: 'never', status: 422 },
  VALUE_INVALID: { meaning: 'A value does not fit its field.', cause: 'Wrong type, not finite, text no store can hold, or a validator refused it.', remedy: 'Correct the value; the message names the field.', retry: 'never', status: 422 },
  VALUE_TOO_LARGE: { meaning: 'A value is over the limit of its field.', cause: 'Text, JSON, set or record too large.', remedy: 'Shorten it, or use an attachment.', retry: 'never', status: 422 },
  FIELD_SERVER_OWNED: { meaning: 'A client may not set this field.', cause: 'The field is declared owner: "server".', remedy: 'Leave it out.', retry: 'never', status: 403 },
  RECORD_NOT_FOUND: { meaning: 'There is no such record, or it is not visible to this user.', cause: 'A wrong id, a deleted record, or a foreign one.', remedy: 'Insert it first, or drop the write.', retry: 'never', status: 404 },
  RECORD_EXISTS: { meaning: 'A record with this id exists already.', cause: 'The same id inserted twice.', remedy: 'Update it, or insert with a new id.', retry: 'never', status: 409 },
  GROUP_TOO_LARGE: { meaning: 'The transaction is over the limit.', cause: 'More than limits.groupMutations mutations or limits.groupBytes bytes.', remedy: 'Split it into smaller transactions.', retry: 'never' },
  TRANSITION_REFUSED: { meaning: 'The state machine does not allow this step.', cause: 'The new state cannot follow the old one.', remedy: 'Take an allowed step.', retry: 'never', status: 422 },

  // What the server decided about a mutation.
  SCOPE_DENIED: { meaning: 'The record would lie outside the scopes of its author.', cause: 'A create into a scope that was not granted.', remedy: 'Write into a granted scope.', retry: 'never', status: 403 },
  ESCROWED: { meaning: 'The edit is with the operators: its author may not see the record any more.', cause: 'The right to the record ended before the edit was sent.', remedy: 'An operator accepts or refuses it; escrow lists how it ended.', retry: 'never' },
  ESCROW_CLOSED: { meaning: 'The edit in escrow was decided already.', cause: 'Another operator was faster, or the same decision was sent twice.', remedy: 'Look at how it ended.', retry: 'never', status: 409 },
  NOT_AUTHORIZED: { meaning: 'The authorize hook refused the mutation.', cause: 'A rule of the host application.', remedy: 'Ask whoever grants the right, then retry.', retry: 'never', status: 403 },
  UNIQUE_VIOLATION: { meaning: 'Another record has this unique key.', cause: 'Two devices created the same one.', remedy: 'Change the key, or drop the record.', retry: 'never', status: 409 },
  REFERENCE_MISSING: { meaning: 'The record refers to one that is not there.', cause: 'The parent was refused, deleted, or is not visible.', remedy: 'Repair the parent, then retry.', retry: 'never', status: 422 },
  CONSTRAINT_FAILED: { meaning: 'A constraint or trigger of the database refused the row.', cause: 'A rule of the host database; the message names it.', remedy: 'Correct the value, then retry.', retry: 'never', status: 422 },
  STALE_TARGET: { meaning: 'The record is gone and so old that its deletion is no longer known.', cause: 'The device was away for longer than the horizon.', remedy: 'Insert it again if it is still wanted.', retry: 'never', status: 409 },
  CONFLICT: { meaning: 'Both sides changed the same field and a person must decide.', cause: 'A concurrent edit under the rule "ask".', remedy: 'Settle the conflict.', retry: 'never', status: 409 },
  CONFLICT_CLOSED: { meaning: 'The conflict was settled already.', cause: 'Somebody else was faster.', remedy: 'Look at the result.', retry: 'never', status: 409 },
  CONFLICT_UNKNOWN: { meaning: 'No conflict of this id is in your sight.', cause: 'A wrong id, or its record moved out of your scopes before the decision arrived.', remedy: 'Discard the decision; whoever sees the record decides.', retry: 'never', status: 404 },
  DEPENDENCY_FAILED: { meaning: 'A mutation this one stands on was refused.', cause: 'The parent row, an earlier edit, or a member of the same transaction failed.', remedy: 'Repair the named mutation; this one follows by itself.', retry: 'never' },
  KEY_REUSED: { meaning: 'The idempotency key was used for another body.', cause: 'A copied database, or a defect in the client.', remedy: 'The device takes a new identity and offers the write again.', retry: 'never', status: 422 },
  SEQ_REUSED: { meaning: 'The device number was used under another key.', cause: 'A database restored from a copy, or power loss.', remedy: 'The device takes a new identity and offers the write again.', retry: 'never' },
  COVERS_OVERLAP: { meaning: 'Some but not all of the covered device numbers are final.', cause: 'A copied database.', remedy: 'The device takes a new identity and offers the rest again.', retry: 'never' },
  OUTCOME_EXPIRED: { meaning: 'The number is final, but what came of it is no longer known.', cause: 'A copy of a database older than limits.outcomeDays.', remedy: 'A person compares and decides.', retry: 'never' },
  ATTEMPTS_EXHAUSTED: { meaning: 'The server asked to retry too often.', cause: 'A lasting failure on the server for this mutation.', remedy: 'Look at the reason, then retry or discard.', retry: 'never' },
  ENTRY_UNREADABLE: { meaning: 'An outbox entry cannot be read.', cause: 'A damaged file, or an entry of another version.', remedy: 'Export its bytes; edit and retry, or discard.', retry: 'never' },
  MUTATION_INVALID: { meaning: 'The mutation has not the shape of the protocol or of the schema.', cause: 'A client defect, or an unknown schema version.', remedy: 'Look at the message; edit and retry.', retry: 'never', status: 400 },

  // A whole request.
  REQUEST_INVALID: { meaning: 'The request has not the shape of the protocol.', cause: 'A client defect.', remedy: 'Read docs/protocol.md.', retry: 'never', status: 400 },
  REQUEST_TOO_LARGE: { meaning: 'The body is over the limit.', cause: 'More than limits.pushBytes, or too many mutations.', remedy: 'Send smaller batches.', retry: 'never', status: 413 },
  AUTH_REQUIRED: { meaning: 'There is no valid token.', cause: 'Missing, malformed or expired.', remedy: 'Refresh the token and repeat.', retry: 'after_auth', status: 401 },
  ACCOUNT_MISMATCH: { meaning: 'The database belongs to another account or server.', cause: 'Somebody else signed in on the same database.', remedy: 'Open another database, or sign in as its owner. Nothing was sent or erased.', retry: 'after_auth', status: 403 },
  DEVICE_REQUIRED: { meaning: 'The request names no device.', cause: 'The Holdfast-Device header is missing or no UUID.', remedy: 'Send the header.', retry: 'never', status: 400 },
  NOT_FOUND: { meaning: 'There is nothing at this address.', cause: 'A wrong path or collection.', remedy: 'Read /openapi.json.', retry: 'never', status: 404 },
  METHOD_NOT_ALLOWED: { meaning: 'The address does not take this method.', cause: 'A wrong method.', remedy: 'Read /openapi.json.', retry: 'never', status: 405 },
  CURSOR_INVALID: { meaning: 'The cursor is not one of this server.', cause: 'It was edited or cut.', remedy: 'Start over with a snapshot.', retry: 'resync', status: 410 },
  ATTACHMENT_MISSING: { meaning: 'There are no bytes for this attachment, or its record does not name it.', cause: 'They were not uploaded yet, the record is not there or not visible, or it names another attachment.', remedy: 'Wait for the device that has the bytes; it repeats by itself.', retry: 'backoff', status: 404 },
  ATTACHMENT_MISMATCH: { meaning: 'The bytes are not what the hash says.', cause: 'They were damaged on the way or in storage.', remedy: 'They were thrown away; send or fetch them again.', retry: 'backoff', status: 422 },
  UPLOAD_OFFSET: { meaning: 'The upload is at another place.', cause: 'A part arrived that nobody heard of, or another device goes on with the same upload.', remedy: 'Go on at the offset in the answer.', retry: 'backoff', status: 409 },
  CURSOR_EXPIRED: { meaning: 'The cursor lies behind the horizon.', cause: 'The device was away for longer than the feed reaches back.', remedy: 'Take a snapshot; the outbox stays.', retry: 'resync', status: 410 },
  EPOCH_CHANGED: { meaning: 'The server has another history.', cause: 'It was restored from a backup, or is another one.', remedy: 'Take a snapshot; the outbox stays.', retry: 'resync', status: 410 },
  SCHEMA_TOO_OLD: { meaning: 'The server no longer speaks this schema version.', cause: 'The app is too old.', remedy: 'Update the app; the outbox stays.', retry: 'never', status: 426 },
  SCHEMA_AHEAD: { meaning: 'The client has a newer schema than the server.', cause: 'The server was not deployed yet.', remedy: 'Wait for the server.', retry: 'backoff', status: 503 },
  RATE_LIMITED: { meaning: 'Too many requests.', cause: 'A limit of the host.', remedy: 'Wait as Retry-After says.', retry: 'backoff', status: 429 },
  SERVER_FAILED: { meaning: 'The server failed.', cause: 'A defect or an overload; see its log by requestId.', remedy: 'Repeat later.', retry: 'backoff', status: 500 },
  SERVER_CLOSING: { meaning: 'The server is shutting down.', cause: 'A deploy or restart.', remedy: 'Repeat shortly; another node or the next start answers.', retry: 'backoff', status: 503 },
  STORE_BUSY: { meaning: 'Another writer holds the database.', cause: 'A long transaction.', remedy: 'Repeat later.', retry: 'backoff', status: 503 },

  // What the device saw of the network.
  OFFLINE: { meaning: 'The server cannot be reached.', cause: 'No network, DNS, TLS, or airplane mode.', remedy: 'Wait for connectivity.', retry: 'backoff' },
  CAPTIVE_PORTAL: { meaning: 'Something else answered in place of the server.', cause: 'A portal, a proxy page, a redirect, HTML.', remedy: 'Sign in to the network.', retry: 'backoff' },
  TIMEOUT: { meaning: 'The server did not answer in time.', cause: 'A bad link or an overloaded server.', remedy: 'Repeat later.', retry: 'backoff' },
  RESPONSE_INVALID: { meaning: 'The answer has not the shape of the protocol.', cause: 'A proxy, a cut body, or another version.', remedy: 'Repeat later.', retry: 'backoff' },

  // The local store.
  STORE_CORRUPT: { meaning: 'The database file is damaged.', cause: 'A failing disk, or another program wrote to it.', remedy: 'Keep the file; rescue the outbox; open a new one.', retry: 'never' },
  STORE_FOREIGN: { meaning: 'The file is a database of something else.', cause: 'A wrong path.', remedy: 'Choose another path. Nothing was changed.', retry: 'never' },
  STORE_NEWER: { meaning: 'The database was written by a newer version.', cause: 'The app was downgraded, or a newer one has opened the same file.', remedy: 'Update the app. Nothing was changed.', retry: 'never' },
  STORE_FULL: { meaning: 'The disk or quota is full.', cause: 'No space left.', remedy: 'Free space; what was stored stays readable.', retry: 'backoff' },
  STORE_LOCKED: { meaning: 'The database is locked by another process.', cause: 'A long transaction elsewhere.', remedy: 'Repeat later.', retry: 'backoff' },
  STORE_FAILED: { meaning: 'The database refused an operation.', cause: 'An input or output error.', remedy: 'Look at the cause.', retry: 'backoff' },
  LEASE_LOST: { meaning: 'Another process runs the sync engine now.', cause: 'This process was asleep for longer than its lease.', remedy: 'Nothing: the other engine goes on.', retry: 'backoff' },
  TRANSACTION_OVER: { meaning: 'The transaction is over.', cause: 'It took too long, or its tx was used after its end.', remedy: 'Await nothing in a transaction but its own tx.', retry: 'never' },
  CLIENT_DEFECT: { meaning: 'Something happened that cannot happen.', cause: 'A defect in Holdfast, or in a hook of the app.', remedy: 'Report it with the log; nothing was lost.', retry: 'backoff' },
  CLIENT_CLOSED: { meaning: 'The client was closed.', cause: 'A call after close().', remedy: 'Open it again.', retry: 'never' },
  CLIENT_MISSING: {
    meaning: 'There is no client here.',
    cause: 'A component is outside of HoldfastProvider, is rendered on a server, or was given no client.',
    remedy: 'Put HoldfastProvider above it and give it the client; on a server render what needs none.',
    retry: 'never',
  },
} as const

/** Every code there is. */
export type ErrorCode = keyof typeof errorTable

/** True when `value` is a code of the table. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(errorTable, value)
}

/** What else an error may carry. */
export interface SyncErrorOptions {
  /** The collection, field, index or path that is meant. */
  readonly at?: string
  readonly cause?: unknown
  /** How long the server asked to wait, ms. */
  readonly retryAfterMs?: number
  /** Overrides the table when the server said otherwise. */
  readonly retry?: Retry
}

/** The one error of Holdfast. Decide by `code` or `retry`; the message is for people. */
export class SyncError extends Error {
  readonly code: ErrorCode
  readonly retry: Retry
  readonly at: string | undefined
  readonly retryAfterMs: number | undefined

  constructor(code: ErrorCode, message: string, options: SyncErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'SyncError'
    this.code = code
    this.retry = options.retry ?? errorTable[code].retry
    this.at = options.at
    this.retryAfterMs = options.retryAfterMs
  }
}

/** The HTTP status a code travels with; 500 for codes that are never a whole answer. */
export function statusOfCode(code: ErrorCode): number {
  const entry: ErrorEntry = errorTable[code]
  return entry.status ?? 500
}

/** For states that cannot be: stops at once, because going on would harm data. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Holdfast invariant broken: ${message}`)
}

/** Ends a switch over a union; a forgotten case fails to compile. */
export function assertNever(value: never): never {
  throw new Error(`Holdfast invariant broken: unexpected ${JSON.stringify(value)}`)
}
