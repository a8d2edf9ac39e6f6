import { hash } from 'node:crypto'
import {
  canonicalJson,
  type ClockReading,
  clampHlc,
  type ErrorReport,
  formatRanges,
  type Hlc,
  isObject,
  isUuid,
  type Json,
  jsonDepth,
  jsonEqual,
  limits,
  type Mutation,
  parseMutation,
  parseRanges,
  type Ranges,
  type Schema,
  SyncError,
  touchedFields,
  type Values,
} from '@holdfast/core'

/** A mutation as it arrived at the server, with what claiming its number needs. */
export interface Offer {
  readonly id: string
  /** 0 when the number cannot be read: then nothing can be consumed. */
  readonly seq: number
  readonly covers: Ranges
  /** Keys of what was folded into it, as far as told. */
  readonly folded: readonly string[]
  readonly group: string | null
  /** What it stands on, as far as can be told. */
  readonly after: string | null
  readonly op: Mutation['op']
  /** Fields it touches, as far as can be told. */
  readonly touched: readonly string[]
  /** SHA-256 of the canonical text that arrived, without what a lost history had answered and whether it is for escrow. */
  readonly hash: string
  /** Stamps already clamped. Absent when it cannot be read. */
  readonly mutation: Mutation | undefined
  /** Whether what is stored is what was sent: nothing filled in, respelled or clamped. */
  readonly isVerbatim: boolean
  /** Its author lost the right to the record: it is kept for an operator. */
  readonly isEscrow: boolean
  readonly error: ErrorReport | undefined
}

/** The server's clock for a whole batch. */
export interface BatchClock extends ClockReading {
  /** `serverMs` as ISO time: stamps up to it are compared as text. */
  readonly now: string
}

/** Reads one mutation; a bad one becomes an offer with an error, so that it fails alone. Rules: PU-3. */
export function readOffer(schema: Schema, raw: unknown, clock: BatchClock): Offer {
  try {
    const parsed = parseMutation(schema, raw)
    const mutation = asFirstReceived(clampStamps(parsed, clock), clock)
    // parseMutation has read it: an object out of JSON, no deeper than values may be.
    const { was: _was, escrow, ...sent } = raw as { readonly [key: string]: Json }
    const { id, seq, group, after, op } = mutation
    return {
      id,
      seq,
      group,
      after,
      op,
      covers: mutation.covers === String(seq) ? [[seq, seq]] : parseRanges(mutation.covers),
      folded: mutation.folded ?? [],
      touched: touchedFields(mutation),
      hash: hash('sha256', canonicalJson(sent), 'base64url'),
      mutation,
      isVerbatim: mutation === parsed && isStoredAsSent(sent['changes'], parsed.changes),
      isEscrow: escrow === true,
      error: undefined,
    }
  } catch (error) {
    if (!(error instanceof SyncError)) throw error
    const unreadable = { mutation: undefined, isVerbatim: false, isEscrow: false, error: reportOf(error) }
    return { ...readEnvelope(raw), ...unreadable, hash: hashOfUnreadable(raw) }
  }
}

/** An error as answers carry it. */
export function reportOf({ code, message, retry, at }: SyncError): ErrorReport {
  return { code, message, retry, ...(at === undefined ? {} : { field: at.split('.').at(-1) ?? at }) }
}

/** What can be told of a mutation that may not be one. */
function readEnvelope(
  raw: unknown,
): Pick<Offer, 'id' | 'seq' | 'covers' | 'folded' | 'group' | 'after' | 'op' | 'touched'> {
  const { id, seq, covers, group, after, op, changes, increments, additions, removals } = isObject(raw)
    ? raw
    : {}
  const isNumbered = typeof seq === 'number' && Number.isSafeInteger(seq) && seq > 0 && isUuid(id)
  return {
    id: isUuid(id) ? id : '',
    seq: isNumbered ? seq : 0,
    covers: isNumbered ? readCovers(seq, covers) : [],
    folded: [],
    group: isUuid(group) ? group : null,
    after: isUuid(after) ? after : null,
    op: op === 'create' || op === 'delete' ? op : 'update',
    touched: [changes, increments, additions, removals]
      .flatMap((each) => (isObject(each) ? Object.keys(each) : []))
      .slice(0, limits.collectionFields),
  }
}

function readCovers(seq: number, covers: unknown): Ranges {
  try {
    const ranges = typeof covers === 'string' && covers.length <= 10_000 ? parseRanges(covers) : []
    if (ranges[0]?.[0] === seq && ranges.every(([first, last]) => last - first < limits.foldEntries))
      return ranges
  } catch (error) {
    if (!(error instanceof SyncError)) throw error
  }
  return [[seq, seq]]
}

function hashOfUnreadable(raw: unknown): string {
  // Whatever arrives came out of JSON.parse; what nests deeper than any mutation is not worth telling apart.
  const text =
    jsonDepth(raw, limits.jsonDepth + 4) > limits.jsonDepth + 4
      ? 'too deep'
      : canonicalJson((raw ?? null) as Json)
  return hash('sha256', text, 'base64url')
}

function clampStamps(mutation: Mutation, clock: BatchClock): Mutation {
  const { at, ats } = mutation
  const stamps = Object.entries(ats)
  if (isBelieved(at, clock) && stamps.every(([, stamp]) => isBelieved(stamp, clock))) return mutation
  const clamped = stamps.map(([name, stamp]): [string, Hlc] => [name, clampHlc(stamp, clock).stamp])
  const next = { ...mutation, at: clampHlc(at, clock).stamp, ats: Object.fromEntries(clamped) }
  return next.at === at && stamps.every(([name, stamp]) => next.ats[name] === stamp) ? mutation : next
}

/**
 * What is returned was clamped by the clock of when it was first received, which its answer told. An answer from the future
 * of this server's clock is no newer than now. Rules: HLC-4.
 */
function asFirstReceived(mutation: Mutation, { now, skewMs }: BatchClock): Mutation {
  const { was } = mutation
  const answeredAt = was?.serverUpdatedAt ?? null
  if (was === undefined || answeredAt === null) return mutation
  if (answeredAt > now) return { ...mutation, was: { ...was, serverUpdatedAt: now } }
  return clampStamps(mutation, { serverMs: Date.parse(answeredAt), skewMs, now: answeredAt })
}

/** Most stamps are: not after the server's clock, from a device whose clock is right. Telling so needs no parsing. */
function isBelieved(stamp: Hlc, { serverMs, deviceMs = serverMs, skewMs, now }: BatchClock): boolean {
  return Math.abs(serverMs - deviceMs) <= skewMs && stamp <= now
}

/** A field that was not sent and is null is read as null by its author too. */
function isStoredAsSent(sent: Json | undefined, stored: Values): boolean {
  const given = isObject(sent) ? sent : {}
  for (const name in stored) {
    const value = given[name] ?? null
    if (value !== stored[name] && !jsonEqual(value, stored[name])) return false
  }
  return true
}

/** Covers in the text of the protocol. */
export function coversText(offer: Offer): string {
  return formatRanges(offer.covers)
}
