import {
  type ErrorCode,
  isJsonArray,
  isObject,
  type Json,
  isPartInDispute,
  newUuid,
  recordsNamed,
  type SettledBy,
  settledValues,
  type Values,
} from '@holdfast/core'
import type { ApplyResponse, Caller, PlainResult, Resolution, User } from '../engine.ts'
import { sees } from '../scope/grants.ts'
import type { StoreWriter } from '../store/store.ts'
import { ConstraintError } from '../store/store-errors.ts'
import { decideUnit } from './decide-unit.ts'
import type { MemberVerdict, ReadOffer } from './judge-mutation.ts'
import { closeConflict } from './open-conflict.ts'
import { readOffer } from './offer.ts'
import { plainStamp } from './plain-offer.ts'
import { openPlainSession, reportFor } from './plain-writes.ts'
import type { PushContext } from './push-context.ts'
import { canonicalRecord, type Session } from './session.ts'
import { whenLoaded } from './working-set.ts'
import { writeEffects } from './write-effects.ts'

/**
 * Settles a conflict for somebody without a device, by mutations that name it, one for each of its records, all or
 * none. If a record changed since the conflict was opened, they may meet a new one, which replaces it. Rules: PU-29.
 */
export async function resolveConflict<U extends User>(
  context: PushContext<U>,
  caller: Caller<U>,
  id: string,
  resolution: Resolution,
): Promise<ApplyResponse> {
  try {
    const { response, tell } = await context.store.write((tx) =>
      transact(context, caller, { tx, id, resolution }),
    )
    tell()
    return response
  } catch (error) {
    if (error instanceof ConstraintError) return refusal('CONSTRAINT_FAILED', error.message)
    throw error
  }
}

interface Work {
  readonly tx: StoreWriter
  readonly id: string
  readonly resolution: Resolution
}

async function transact<U extends User>(
  context: PushContext<U>,
  caller: Caller<U>,
  { tx, id, resolution }: Work,
): Promise<{ readonly response: ApplyResponse; readonly tell: () => void }> {
  const session = await openPlainSession(context, caller, tx)
  const firstVersion = session.nextVersion
  await session.working.loadConflicts([id])
  const conflict = session.working.conflict(id)
  const isSeen = conflict && sees(session.visibility, session.working.conflictScopes(id))
  if (!isSeen)
    return {
      response: refusal('CONFLICT_UNKNOWN', 'no conflict of this id is in your sight'),
      tell: () => undefined,
    }
  if (conflict.values['status'] !== 'open')
    return { response: refusal('CONFLICT_CLOSED', 'the conflict was settled already'), tell: () => undefined }
  const offers: ReadOffer[] = []
  const group = newUuid(session.env)
  const parts = readParts(conflict.values)
  const named = recordsNamed(parts, Object.keys(resolution.values ?? {}))
  if (!named)
    return {
      response: refusal('VALUE_INVALID', 'values are for records of the conflict, each named once'),
      tell: () => undefined,
    }
  for (const part of parts) {
    const known = withoutUnknown(session, part)
    if (!known) continue
    const raw = {
      ...(await settlementOf(session, known, settledBy(resolution, named.get(part)))),
      resolves: id,
      group,
    }
    const offer = readOffer(session.schema, raw, {
      serverMs: Date.parse(session.now),
      now: session.now,
      skewMs: context.limits.clockSkewMs,
    })
    if (!offer.mutation)
      return {
        response: {
          results: [{ status: 'rejected', record: null, created: false, error: offer.error }],
          duplicate: false,
          committed: false,
        },
        tell: () => undefined,
      }
    offers.push({ ...offer, mutation: offer.mutation })
  }
  if (offers.length === 0) closeConflict(session, id, [], null)
  const verdicts = offers.length === 0 ? [] : await whenLoaded(() => decideUnit(session, offers))
  await writeEffects(session, firstVersion)
  const tell = await context.beforeCommit(tx, { user: caller.user.id, device: caller.device })
  const results = verdicts.length === 0 ? [closedAlone] : verdicts.map(resultOf)
  return { response: { results, duplicate: false, committed: true }, tell }
}

/** Nothing that the conflict was about is in the schema any more: no record is written. */
const closedAlone: PlainResult = { status: 'applied', record: null, created: false }

function refusal(code: ErrorCode, message: string): ApplyResponse {
  return {
    results: [{ status: 'rejected', record: null, created: false, error: reportFor(code, message) }],
    duplicate: false,
    committed: false,
  }
}

function resultOf(verdict: MemberVerdict): PlainResult {
  const { offer, status, record, error } = verdict
  const shown = offer.mutation && record ? (canonicalRecord(offer.mutation.record, record) ?? null) : null
  if (status === 'applied' || status === 'merged')
    return { status, record: shown, created: offer.mutation?.op === 'create' }
  if (status === 'conflict')
    return {
      status,
      record: shown,
      created: false,
      error: reportFor('CONFLICT', 'the record changed again; a new conflict was recorded'),
    }
  return {
    status: 'rejected',
    record: null,
    created: false,
    error: error ?? reportFor('CONFLICT', 'an earlier conflict comes first'),
  }
}

interface Part {
  readonly collection: string
  readonly record: string
  readonly op: string
  readonly fields: readonly string[]
  readonly mine: Values | null
  readonly theirs: Values | null
  readonly last: Values | null
  /** Of a user transaction some records may only have waited with the others. */
  readonly isInDispute: boolean
  /** In a dispute over a unique key, theirs is the other record. */
  readonly isOther: boolean
}

function readParts(values: Values): readonly Part[] {
  const parts = values['parts']
  if (!isJsonArray(parts)) return []
  return parts
    .filter((part) => isObject(part))
    .map((part: Readonly<Record<string, unknown>>) => ({
      collection: String(part['collection']),
      record: String(part['record']),
      op: String(part['op']),
      fields: Array.isArray(part['fields']) ? part['fields'].map(String) : [],
      // Written by openConflict: values by field, or null.
      mine: part['mine'] as Values | null,
      theirs: part['theirs'] as Values | null,
      last: (part['last'] ?? null) as Values | null,
      isInDispute: isPartInDispute(part['rules']),
      isOther: values['kind'] === 'unique' && isPartInDispute(part['rules']),
    }))
}

/** What a resolution says of the record that has this name in its values. */
function settledBy({ kind, values }: Resolution, name: string | undefined): SettledBy {
  return kind === 'merge'
    ? { kind, values: (name === undefined ? undefined : values?.[name]) ?? {} }
    : { kind }
}

/** What the schema has no more is no part of a decision. */
function withoutUnknown<U extends User>({ schema }: Session<U>, part: Part): Part | undefined {
  const collection = schema.collections.get(part.collection)
  if (!collection || part.mine === null) return collection && part
  const known = Object.entries(part.mine).filter(([name]) => collection.fieldsByName.has(name))
  return { ...part, mine: Object.fromEntries(known) }
}

/** The mutation that gives one record the values that were chosen, as somebody writes it who saw "theirs". */
async function settlementOf<U extends User>(
  session: Session<U>,
  part: Part,
  decision: SettledBy,
): Promise<Readonly<Record<string, Json>>> {
  const { snapshot } = await whenLoaded(() => session.working.record(part.collection, part.record))
  const envelope = {
    id: newUuid(session.env),
    seq: 1,
    collection: part.collection,
    record: part.record,
    schema: session.schema.version,
    baseVersion: snapshot.kind === 'absent' ? 0 : snapshot.version,
    at: plainStamp(session, undefined),
  }
  const wanted = settledValues({ ...part, isGone: snapshot.kind !== 'live' }, decision)
  if (wanted === null) return { ...envelope, op: 'delete' }
  if (snapshot.kind === 'absent') return { ...envelope, op: 'create', changes: { ...part.mine, ...wanted } }
  const seen = (part.isOther ? null : part.theirs) ?? part.last ?? {}
  const base = Object.fromEntries(
    Object.keys(wanted).map((name): [string, Json] => [name, seen[name] ?? snapshot.values?.[name] ?? null]),
  )
  return { ...envelope, op: 'update', changes: wanted, base: snapshot.kind === 'live' ? base : null }
}
