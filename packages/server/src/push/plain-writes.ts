import {
  type ErrorCode,
  errorTable,
  type ErrorReport,
  newUuid,
  scopesOfRow,
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
import type { Offer } from './offer.ts'
import { offerOf, plainSkewMs, type PlainStanding, plainStamp } from './plain-offer.ts'
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
    judged: new Map(),
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
  const lost = isLost(write, { stored, isSeen, isLive: live !== null, now: session.now })
  if (lost && write.precondition.kind === 'latest')
    return recordLoss(session, { write, collection, stored, isSeen, shown })
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
  /** ISO time. */
  readonly now: string
}

function isLost({ precondition }: PlainWrite, { stored, isSeen, isLive, now }: Standing): boolean {
  const { snapshot } = stored
  const editedMs = Date.parse(stored.updatedAt)
  switch (precondition.kind) {
    case 'none':
      return false
    case 'version':
      if (precondition.version === 0) return isLive
      return !isSeen || snapshot.kind === 'absent' || snapshot.version !== precondition.version
    case 'time':
      return isSeen && editedMs > Date.parse(precondition.updatedAt)
    case 'latest':
      // What was edited later than can be was edited by a clock that was ahead: nobody knows when.
      if (editedMs > Date.parse(now) + plainSkewMs) return false
      return isSeen && editedMs > Date.parse(precondition.updatedAt)
    default:
      return precondition satisfies never
  }
}

function unreadable({ error }: Offer, record: Values | null): Decided {
  const told = error ?? reportFor('MUTATION_INVALID', 'it cannot be read')
  return { result: { status: 'rejected', record, created: false, error: told }, verdict: null }
}

async function decideAsMutation<U extends User>(
  session: Session<U>,
  standing: PlainStanding,
): Promise<Decided> {
  const { write, shown } = standing
  const offer = offerOf(session, standing)
  if (!offer.mutation) return unreadable(offer, shown)
  const member = { ...offer, mutation: offer.mutation }
  const [verdict] = await whenLoaded(() => decideUnit(session, [member]))
  if (!verdict) return refused('SERVER_FAILED', 'nothing was decided')
  if (verdict.status === 'applied' || verdict.status === 'merged') {
    const created = offer.mutation.op === 'create'
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

/** Last write wins by time: the record stays, and the loser can be found and brought back. */
function recordLoss<U extends User>(session: Session<U>, standing: PlainStanding): Decided {
  const { write, collection, stored, shown } = standing
  // What is wrong by itself is no value that lost: nobody could bring it back.
  const offer = offerOf(session, standing)
  if (!offer.mutation) return unreadable(offer, shown)
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
