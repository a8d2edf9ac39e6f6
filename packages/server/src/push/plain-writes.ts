import { createHash } from 'node:crypto'
import {
  absentValue,
  canonicalTimestamp,
  type CollectionSchema,
  type ErrorCode,
  errorTable,
  type ErrorReport,
  formatHlc,
  type Hlc,
  type Json,
  newUuid,
  scopesOfRow,
  SyncError,
  type Values,
} from '@holdfast/core'
import type {
  ApplyOptions,
  ApplyResponse,
  Caller,
  HistoryDecision,
  PlainResult,
  PlainWrite,
  User,
} from '../engine.ts'
import { sees, visibilityOf } from '../scope/grants.ts'
import type { StoreWriter } from '../store/store.ts'
import { ConstraintError } from '../store/store-errors.ts'
import { Claims } from './claims.ts'
import { auditBase } from '../audit/audit-line.ts'
import { decideUnit } from './decide-unit.ts'
import { keepAnswer, keptAnswer, keptOnce, keyOfWrite } from './kept-answers.ts'
import type { MemberVerdict } from './judge-mutation.ts'
import { valuesOf } from './judge-mutation.ts'
import { readOffer } from './offer.ts'
import type { PushContext } from './push-context.ts'
import { canonicalRecord, noEffects, type Session } from './session.ts'
import { type CurrentRecord, whenLoaded, WorkingSet } from './working-set.ts'
import { followTriggers, writeEffects } from './write-effects.ts'

/** Thrown to undo an atomic batch; carries what is answered. */
class Undone extends Error {
  readonly results: readonly PlainResult[]

  constructor(results: readonly PlainResult[]) {
    super('undone')
    this.results = results
  }
}

/** Thrown where each write of a batch was decided by itself before, under a key of its own. */
class TakenApart extends Error {}

/**
 * Writes of plain clients, by the same way as a device's: each becomes a mutation against the row as it stands, unless
 * its precondition says that the client lost a race. A batch in which a constraint refuses a write is decided write by
 * write. Errors: KEY_REUSED, STORE_BUSY. Rules: PU-24 to PU-28, PU-33.
 */
export async function applyWrites<U extends User>(
  context: PushContext<U>,
  caller: Caller<U>,
  writes: readonly PlainWrite[],
  options: ApplyOptions = {},
): Promise<ApplyResponse> {
  try {
    const { response, tell } = await context.store.write((tx) =>
      transact(context, caller, { tx, writes, options }),
    )
    tell()
    return response
  } catch (error) {
    if (error instanceof Undone) return { results: error.results, duplicate: false, committed: false }
    if (error instanceof ConstraintError && (writes.length === 1 || options.atomic)) {
      const results = writes.map(() => refusedBy(error.message))
      const kept = options.atomic ? undefined : await keptOnce(context, caller.user.id, options.key, results)
      return { results, duplicate: false, ...kept, committed: false }
    }
    if (!(error instanceof ConstraintError || error instanceof TakenApart)) throw error
    const { key } = options
    const results: PlainResult[] = []
    for (const [index, write] of writes.entries()) {
      const own = key && { key: keyOfWrite(key, index) }
      results.push(...(await applyWrites(context, caller, [write], own)).results)
    }
    const kept = await keptOnce(context, caller.user.id, key, results)
    return { results, duplicate: false, committed: true, ...kept }
  }
}

function refusedBy(message: string): PlainResult {
  return {
    status: 'rejected',
    record: null,
    created: false,
    error: { code: 'CONSTRAINT_FAILED', message, retry: 'never' },
  }
}

interface Work {
  readonly tx: StoreWriter
  readonly writes: readonly PlainWrite[]
  readonly options: ApplyOptions
}

async function transact<U extends User>(
  context: PushContext<U>,
  caller: Caller<U>,
  { tx, writes, options }: Work,
): Promise<{ readonly response: ApplyResponse; readonly tell: () => void }> {
  const { key, atomic } = options
  const known = key && (await keptAnswer(tx, caller.user.id, key))
  if (known) return { response: { results: known, duplicate: true, committed: true }, tell: () => undefined }
  if (key && !atomic && writes.length > 1 && (await keptAnswer(tx, caller.user.id, keyOfWrite(key, 0))))
    throw new TakenApart()
  const session = await openPlainSession(context, caller, tx)
  const firstVersion = session.nextVersion
  const verdicts: (MemberVerdict | null)[] = []
  const results: PlainResult[] = []
  for (const write of writes) {
    const { result, verdict } = await decideWrite(session, write)
    results.push(result)
    verdicts.push(verdict)
    if (atomic && (result.status === 'conflict' || result.status === 'rejected')) throw new Undone(results)
  }
  if (session.effects.audit.length + session.effects.records.size > 0)
    await writeEffects(session, firstVersion)
  const followed = await followTriggers(
    session,
    verdicts.filter((verdict) => verdict !== null),
  )
  const final = results.map((result, index): PlainResult => {
    const verdict = verdicts[index]
    const now = verdict && followed.find(({ offer }) => offer === verdict.offer)
    return now && now !== verdict && now.record && now.offer.mutation
      ? { ...result, record: canonicalRecord(now.offer.mutation.record, now.record) ?? null }
      : result
  })
  if (key) await keepAnswer(tx, caller.user.id, key, { results: final, at: session.now })
  const tell = await context.beforeCommit(tx, { user: caller.user.id, device: caller.device })
  return { response: { results: final, duplicate: false, committed: true }, tell }
}

/** A session of somebody without a device. */
export async function openPlainSession<U extends User>(
  { schema, env, authorize, mayReview }: PushContext<U>,
  caller: Caller<U>,
  tx: StoreWriter,
): Promise<Session<U>> {
  const { horizon } = await tx.state()
  return {
    tx,
    schema,
    env,
    authorize,
    isReviewer: mayReview?.(caller.user) ?? false,
    now: new Date(env.now()).toISOString(),
    // A plain client has no device numbers; its writes are nobody's chain.
    caller: { ...caller, device: null },
    working: new WorkingSet(tx, schema),
    visibility: visibilityOf(caller.user, caller.grants),
    claims: new Claims([], [], []),
    deviceNumber: null,
    acceptedBy: null,
    horizon,
    held: new Map(),
    effects: noEffects(),
    nextVersion: await tx.firstVersion(),
  }
}

interface Decided {
  readonly result: PlainResult
  readonly verdict: MemberVerdict | null
}

async function decideWrite<U extends User>(session: Session<U>, write: PlainWrite): Promise<Decided> {
  const collection = session.schema.collections.get(write.collection)
  if (!collection) return refused('NOT_FOUND', `there is no collection "${write.collection}"`)
  const stored = await whenLoaded(() => session.working.record(write.collection, write.record))
  const { snapshot } = stored
  const isSeen =
    snapshot.kind !== 'absent' &&
    sees(session.visibility, scopesOfRow(collection.scopes, snapshot.values ?? {}))
  const live = isSeen ? valuesOf(stored) : null
  const shown = isSeen ? (canonicalRecord(write.record, stored) ?? null) : null
  if (write.op === 'create' && live)
    return refused('RECORD_EXISTS', 'a record with this id exists already', shown)
  if (write.op === 'update' && !live) return refused('RECORD_NOT_FOUND', 'there is no such record')
  if (write.op === 'restore' && !isSeen) return refused('RECORD_NOT_FOUND', 'there is no such record')
  // A client that only knows times may send the deletion of what it had made itself since: there is nothing to do.
  if (write.op === 'delete' && !isSeen && write.precondition.kind === 'latest') {
    return { result: { status: 'applied', record: null, created: false }, verdict: null }
  }
  if (write.op === 'delete' && !isSeen) return refused('RECORD_NOT_FOUND', 'there is no such record')
  const lost = isLost(write, { stored, isSeen, isLive: live !== null })
  if (lost && write.precondition.kind === 'latest')
    return recordLoss(session, { write, collection, stored, shown })
  if (lost)
    return {
      result: {
        status: 'conflict',
        record: shown,
        created: false,
        error: reportFor('CONFLICT', 'the record changed meanwhile'),
      },
      verdict: null,
    }
  return decideAsMutation(session, { write, collection, stored, isSeen, shown })
}

function refused(code: ErrorCode, message: string, record: Values | null = null): Decided {
  return {
    result: { status: 'rejected', record, created: false, error: reportFor(code, message) },
    verdict: null,
  }
}

/** An error by its code. */
export function reportFor(code: ErrorCode, message: string): ErrorReport {
  return { code, message, retry: errorTable[code].retry }
}

interface Standing {
  readonly stored: CurrentRecord
  readonly isSeen: boolean
  readonly isLive: boolean
}

function isLost({ precondition }: PlainWrite, { stored, isSeen, isLive }: Standing): boolean {
  const { snapshot } = stored
  switch (precondition.kind) {
    case 'none':
      return false
    case 'version':
      if (precondition.version === 0) return isLive
      return !isSeen || snapshot.kind === 'absent' || snapshot.version !== precondition.version
    case 'time':
    case 'latest':
      return isSeen && Date.parse(stored.updatedAt) > Date.parse(precondition.updatedAt)
    default:
      return precondition satisfies never
  }
}

interface PlainStanding {
  readonly write: PlainWrite
  readonly collection: CollectionSchema
  readonly stored: CurrentRecord
  readonly isSeen?: boolean
  readonly shown: Values | null
}

/** The write becomes a mutation that has seen the row as it is: what it overwrites, it overwrites knowingly. */
async function decideAsMutation<U extends User>(
  session: Session<U>,
  { write, collection, stored, isSeen, shown }: PlainStanding,
): Promise<Decided> {
  const op = opOf(write, stored, isSeen === true)
  const snapshot = stored.snapshot
  const baseVersion = snapshot.kind === 'absent' || isSeen !== true ? 0 : snapshot.version
  const raw = {
    id: newUuid(session.env),
    seq: 1,
    collection: collection.name,
    record: write.record,
    op,
    baseVersion,
    changes: op === 'delete' ? {} : changesOf(write, { collection, stored, op }),
    increments: op === 'update' ? (write.increments ?? {}) : {},
    at: plainStamp(session, write.at),
    schema: session.schema.version,
  }
  const { now } = session
  const clock = { serverMs: Date.parse(now), now, skewMs: plainSkewMs }
  const offer = readOffer(session.schema, raw, clock)
  if (!offer.mutation)
    return {
      result: {
        status: 'rejected',
        record: shown,
        created: false,
        error: offer.error ?? reportFor('MUTATION_INVALID', 'it cannot be read'),
      },
      verdict: null,
    }
  const member = { ...offer, mutation: offer.mutation }
  const [verdict] = await whenLoaded(() => decideUnit(session, [member]))
  if (!verdict) return refused('SERVER_FAILED', 'nothing was decided')
  if (verdict.status === 'applied' || verdict.status === 'merged') {
    const created = op === 'create'
    const record = verdict.record ? (canonicalRecord(write.record, verdict.record) ?? null) : null
    return { result: { status: verdict.status, record, created }, verdict }
  }
  const error = verdict.error ?? reportFor('CONFLICT', 'a person must decide; the conflict was recorded')
  return {
    result: {
      status: verdict.status === 'conflict' ? 'conflict' : 'rejected',
      record: shown,
      created: false,
      error,
    },
    verdict: null,
  }
}

/** The skew a plain client's own times are believed by, ms: that of any device. */
const plainSkewMs = 300_000

function opOf(
  { op }: PlainWrite,
  { snapshot }: CurrentRecord,
  isSeen: boolean,
): 'create' | 'update' | 'delete' {
  if (op === 'delete' || op === 'create' || op === 'update') return op
  // An update of a tombstone starts from its values, so that what only the server may set comes back too.
  if (op === 'restore') return 'update'
  return snapshot.kind === 'live' && isSeen ? 'update' : 'create'
}

function changesOf(
  write: PlainWrite,
  { collection, stored, op }: Omit<PlainStanding, 'write' | 'shown'> & { readonly op: 'create' | 'update' },
): Values {
  const { snapshot } = stored
  if (write.op === 'restore' && snapshot.kind === 'deleted') {
    const settable = collection.fields.filter(
      ({ name, owner }) => owner === 'anyone' && snapshot.values?.[name] !== undefined,
    )
    const kept = settable.map(({ name }): [string, Json] => [name, snapshot.values?.[name] ?? null])
    return { ...Object.fromEntries(kept), ...write.values }
  }
  if (op === 'create' && write.increments) {
    const twice = Object.keys(write.increments).find((name) => Object.hasOwn(write.values, name))
    if (twice !== undefined)
      throw new SyncError('MUTATION_INVALID', `${twice}: is set and added to at once`, { at: twice })
    return { ...write.values, ...write.increments }
  }
  if (write.op !== 'put' || op !== 'update') return write.values
  const whole: Record<string, Json> = {}
  for (const field of collection.fields) {
    const value = write.values[field.name] ?? absentValue(field)
    // What the server owns stays; what is required and missing is for parsing to refuse.
    if (field.owner === 'server' || write.increments?.[field.name] !== undefined) continue
    if (value !== undefined) whole[field.name] = value
    else
      throw new SyncError('VALUE_INVALID', `${collection.name}.${field.name} is missing`, {
        at: `${collection.name}.${field.name}`,
      })
  }
  return { ...whole, ...write.values }
}

/** The stamp of an edit without a device's clock. */
export function plainStamp<U extends User>({ now, caller }: Session<U>, at: string | undefined): Hlc {
  const time = (at === undefined ? undefined : canonicalTimestamp(at)) ?? now
  const name = createHash('sha256').update(caller.user.id).digest('hex').slice(0, 16)
  return formatHlc({ ms: Date.parse(time), counter: 0 }, `plain-${name}`)
}

/** Last write wins by time: the record stays, and the loser can be found and brought back. */
async function recordLoss<U extends User>(
  session: Session<U>,
  { write, collection, stored, shown }: PlainStanding,
): Promise<Decided> {
  const current = valuesOf(stored)
  const decisions = Object.entries(write.values).flatMap(([field, mine]): HistoryDecision[] => {
    const theirs = current?.[field] ?? null
    if (!collection.fieldsByName.has(field) || JSON.stringify(mine) === JSON.stringify(theirs)) return []
    return [
      {
        field,
        rule: 'latest',
        explanation: 'The newest edit of the record stays, by the time it was made.',
        winner: 'theirs',
        mine,
        theirs,
        result: theirs,
      },
    ]
  })
  const at = plainStamp(
    session,
    write.at ?? (write.precondition.kind === 'latest' ? write.precondition.updatedAt : undefined),
  )
  const mutation = { id: newUuid(session.env), collection: write.collection, record: write.record, at }
  session.effects.audit.push({
    ...auditBase(session, mutation),
    op: 'none',
    version: null,
    before: null,
    after: write.op === 'delete' ? null : write.values,
    status: 'lost',
    decisions,
    code: null,
  })
  return { result: { status: 'lost', record: shown, created: false }, verdict: null }
}
