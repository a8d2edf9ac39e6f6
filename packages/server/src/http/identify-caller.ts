import { isUuid, SyncError } from '@holdfast/core'

import type { Caller, Engine, User } from '../engine.ts'

const tracePattern = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** The host's word on who sent a request; null: nobody it knows. */
export type Authenticate<U extends User> = (request: Request) => U | null | Promise<U | null>

/** What `identifyCaller` needs beside the request. */
export interface CallerSource<U extends User> {
  readonly authenticate: Authenticate<U>
  readonly engine: Pick<Engine<U>, 'grantsOf' | 'schemaVersion'>
  readonly requestId: string
  readonly now: () => number
  /** Waits for the body of this user's request. Errors: RATE_LIMITED. */
  readonly arrived: (user: U) => Promise<void>
}

/**
 * The author of a request, from its token and headers, with the grants of the moment at which all of the request is here:
 * whoever sends a body slowly gains no time by it. A host that throws is a failed
 * server, not a bad token, so that an outage of its directory signs nobody out.
 * Errors: AUTH_REQUIRED, ACCOUNT_MISMATCH, DEVICE_REQUIRED, REQUEST_INVALID, RATE_LIMITED. Rules: PH-13 to PH-17.
 */
export async function identifyCaller<U extends User>(
  request: Request,
  source: CallerSource<U>,
): Promise<Caller<U>> {
  const { headers } = request
  const user = await source.authenticate(request)
  if (user === null || isExpired(user, source)) throw authRequired()
  if (typeof user.id !== 'string' || user.id === '')
    throw new Error('authenticate() returned a user without an id')
  const account = headers.get('holdfast-account')
  if (account !== null && account !== headerText(user.id)) {
    throw new SyncError('ACCOUNT_MISMATCH', 'The token belongs to another account than this database.')
  }
  const device = readDevice(headers)
  const schemaVersion = readSchemaVersion(headers) ?? source.engine.schemaVersion
  const deviceNowMs = readClock(headers)
  await source.arrived(user)
  if (isExpired(user, source)) throw authRequired()
  return {
    user,
    device,
    schemaVersion,
    deviceNowMs,
    grants: await source.engine.grantsOf(user),
    requestId: source.requestId,
    wantsRecords: /(^|[\s,;])return=representation($|[\s,;])/i.test(headers.get('prefer') ?? ''),
    trace: readTrace(headers),
  }
}

function isExpired(user: User, { now }: Pick<CallerSource<User>, 'now'>): boolean {
  const expiresAtMs = tokenExpiry(user)
  return expiresAtMs !== undefined && expiresAtMs <= now()
}

function authRequired(): SyncError {
  return new SyncError('AUTH_REQUIRED', 'This needs a valid token in the Authorization header.')
}

/** When the token behind a user ends, ms since 1970: the claim `expiresAt`, if the host gives one. */
export function tokenExpiry(user: User): number | undefined {
  return typeof user.expiresAt === 'number' ? user.expiresAt : undefined
}

/** A user id as a header carries it: ids that are not printable ASCII travel percent-encoded. */
export function headerText(id: string): string {
  return /^[\x21-\x24\x26-\x7e]+$/.test(id) ? id : encodeURIComponent(id)
}

/** The trace context of a request; one that is malformed counts as absent, as W3C Trace Context wants it. */
export function readTrace(headers: Headers): string | undefined {
  const trace = headers.get('traceparent')
  return trace !== null && tracePattern.test(trace) ? trace : undefined
}

function readDevice(headers: Headers): string | null {
  const device = headers.get('holdfast-device')
  if (device === null || isUuid(device)) return device
  throw new SyncError('DEVICE_REQUIRED', 'Holdfast-Device is not a UUID in lower case.')
}

function readSchemaVersion(headers: Headers): number | undefined {
  const text = headers.get('holdfast-schema')
  if (text === null) return undefined
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new SyncError('REQUEST_INVALID', 'Holdfast-Schema is not a schema version.')
}

function readClock(headers: Headers): number | undefined {
  const text = headers.get('holdfast-clock')
  if (text === null) return undefined
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) throw new SyncError('REQUEST_INVALID', 'Holdfast-Clock is not an ISO time.')
  return ms
}
