import {
  assert,
  errorTable,
  formatRanges,
  isObject,
  type Outcome,
  parseRanges,
  type Ranges,
  type PushRequest,
  type PushResponse,
  type PushResult,
  overlapCount,
  unionRanges,
  SyncError,
} from '@holdfast/core'
import { checkHistory, lostHistory } from '../devices/check-history.ts'
import { intersectRanges, subtractRanges } from '../devices/range-sets.ts'
import type { Caller, User } from '../engine.ts'
import { visibilityOf } from '../scope/grants.ts'
import { isOfLostHistory } from '../pull/cursor.ts'
import type { StoredDevice, StoredOutcome, StoreWriter } from '../store/store.ts'
import { type Claim, Claims, type Known } from './claims.ts'
import { type Decided, decideParts, type Part, type Unit } from './decide-parts.ts'
import { decideUnit, isRead, noteWaiting, reject } from './decide-unit.ts'
import { type MemberVerdict, withoutLostConflict } from './judge-mutation.ts'
import { keepInEscrow } from './keep-in-escrow.ts'
import { knownOutcomes } from './known-outcomes.ts'
import { coversText, type Offer, readOffer } from './offer.ts'
import type { PushContext } from './push-context.ts'
import { decidedBelow } from './refused-below.ts'
import { canonicalRecord, noEffects, type Passage, type Session } from './session.ts'
import { whenLoaded, WorkingSet } from './working-set.ts'
import { followTriggers, writeEffects } from './write-effects.ts'

/** What a request says beside its mutations. */
interface Batch {
  readonly device: string
  readonly ack: string
  /** Numbers the device holds to be final: acknowledged, or answered. */
  readonly believed: Ranges
  /** Written before the device knew of the loss of a history, and never answered. */
  readonly stranded: Ranges
  readonly since: string | undefined
  /** Of all that is offered, by id: some of it may be decided already, or in another part. */
  readonly passages: Session['judged']
  readonly pending: PushRequest['pending']
}

/**
 * Decides a batch in one transaction, or in parts where it must: every mutation once, in order, each user transaction whole.
 * Errors: DEVICE_REQUIRED, EPOCH_CHANGED, REQUEST_INVALID, REQUEST_TOO_LARGE, STORE_BUSY. Rules: PU-1 to PU-23, PU-34, PU-43, PR-3.
 */
export async function pushBatch<U extends User>(
  context: PushContext<U>,
  caller: Caller<U>,
  request: PushRequest,
): Promise<PushResponse> {
  const { device } = caller
  if (device === null) throw new SyncError('DEVICE_REQUIRED', 'a push names its device')
  const { mutations, ack, answered = '', stranded = '', since, pending } = request
  if (mutations.length > context.limits.pushBatchMax) {
    throw new SyncError('REQUEST_TOO_LARGE', `a push takes at most ${context.limits.pushBatchMax} mutations`)
  }
  const nowMs = context.env.now()
  const now = new Date(nowMs).toISOString()
  const { deviceNowMs } = caller
  const clock = {
    serverMs: nowMs,
    now,
    skewMs: context.limits.clockSkewMs,
    ...(deviceNowMs === undefined ? {} : { deviceMs: deviceNowMs }),
  }
  const offers = mutations.map((raw) => readOffer(context.schema, raw, clock))
  const believed = unionRanges([...parseRanges(ack), ...parseRanges(answered)])
  const passages = new Map<string, Passage>(
    offers.map(({ id, after, hash, mutation }) => [id, { after, changes: {}, ...mutation, hash }]),
  )
  const batch = { device, ack, believed, stranded: parseRanges(stranded), since, passages, pending }
  const whole = { units: unitsOf(offers), held: new Map() }
  const { results } = await decideParts(context.env, whole, (part) =>
    transactPart(context, caller, batch, part),
  )
  context.count(results, offers)
  return { results, serverTime: now }
}

/** Neighbours with the same group are one unit. */
function unitsOf(offers: readonly Offer[]): readonly Unit[] {
  const units: Offer[][] = []
  for (const offer of offers) {
    const last = units.at(-1)
    if (last && offer.group !== null && last[0]?.group === offer.group) last.push(offer)
    else units.push([offer])
  }
  return units
}

/** One transaction. */
async function transactPart<U extends User>(
  context: PushContext<U>,
  caller: Caller<U>,
  batch: Batch,
  part: Part,
): Promise<Decided> {
  const decide = async (tx: StoreWriter): Promise<Decided & { readonly tell: () => void }> => {
    const { session, device } = await openSession(context, caller, { tx, batch, part })
    const firstVersion = session.nextVersion
    const answers: Answer[] = []
    for (const unit of part.units)
      answers.push(...(await whenLoaded(() => answerUnit(session, unit, part.refusedBy))))
    if (session.effects.audit.length + session.effects.records.size + session.effects.conflicts.size > 0)
      await writeEffects(session, firstVersion)
    const followed = await followHostTriggers(session, answers)
    const acked = intersectRanges(
      unionRanges([...device.acked, ...parseRanges(batch.ack)]),
      session.claims.finals,
    )
    const pending = batch.pending ?? device.pending
    const n = await tx.saveDevice({
      ...device,
      finals: session.claims.finals,
      acked,
      pending,
      lastSeenAt: session.now,
    })
    await tx.saveEscrow(session.effects.escrow)
    await tx.acknowledge(n, parseRanges(batch.ack))
    await tx.writeOutcomes(
      n,
      followed.flatMap(({ outcome }) => outcome ?? []),
      session.now,
    )
    const tell = await context.beforeCommit(tx, { user: caller.user.id, device: batch.device })
    return { results: followed.map((answer) => resultOf(session, answer)), held: session.held, tell }
  }
  const { results, held, tell } = await context.store.write(decide, { isBrief: part.untilMs !== undefined })
  tell()
  return { results, held }
}

async function openSession<U extends User>(
  context: PushContext<U>,
  caller: Caller<U>,
  { tx, batch, part }: { readonly tx: StoreWriter; readonly batch: Batch; readonly part: Part },
): Promise<{ readonly session: Session<U>; readonly device: StoredDevice }> {
  const { schema, env, authorize, mayReview } = context
  const now = new Date(env.now()).toISOString()
  const [state, device, isLost] = await Promise.all([
    tx.state(),
    knownDevice(tx, { user: caller.user.id, device: batch.device, now }),
    batch.since !== undefined && isOfLostHistory(tx, batch.since),
  ])
  if (isLost) throw lostHistory()
  checkHistory(batch.believed, device.finals)
  const offers = part.units.flat()
  const working = new WorkingSet(tx, schema)
  // What goes to escrow is not judged: nothing of the record is so much as read.
  const fresh = offers.filter(
    ({ covers, isEscrow }) => !isEscrow && overlapCount(device.finals, covers) === 0,
  )
  const [outcomes, decided] = await Promise.all([
    knownOutcomes(tx, device, { offers, passages: batch.passages }),
    tx.decidedKeys(
      caller.user.id,
      offers.flatMap(({ id, folded }) => [id, ...folded]),
    ),
    working.load(
      fresh.flatMap(({ mutation }) => mutation ?? []),
      { user: caller.user.id, device: batch.device, stranded: batch.stranded },
    ),
  ])
  const session: Session<U> = {
    tx,
    schema,
    env,
    caller,
    authorize,
    isReviewer: mayReview?.(caller.user) ?? false,
    working,
    now,
    visibility: visibilityOf(caller.user, caller.grants),
    acceptedBy: null,
    stranded: batch.stranded,
    claims: new Claims(device.finals, outcomes, decided),
    deviceNumber: device.n,
    horizon: state.horizon,
    held: new Map(part.held),
    judged: batch.passages,
    effects: noEffects(),
    nextVersion: await tx.firstVersion(),
  }
  return { session, device }
}

async function knownDevice(
  tx: StoreWriter,
  { user, device, now }: { readonly user: string; readonly device: string; readonly now: string },
): Promise<StoredDevice> {
  const known = await tx.device(user, device)
  if (known) return known
  const first: Omit<StoredDevice, 'n'> = {
    user,
    device,
    finals: [],
    acked: [],
    pending: null,
    firstSeenAt: now,
    lastSeenAt: now,
  }
  return { ...first, n: await tx.saveDevice(first) }
}

/** What one offer is answered: a verdict of now, an outcome of before, or a refusal that consumes nothing. */
interface Answer {
  readonly offer: Offer
  readonly verdict?: MemberVerdict
  /** What is stored of the verdict, if it is final. */
  readonly outcome?: StoredOutcome
  readonly duplicate?: StoredOutcome
  readonly refused?: Extract<Claim, { kind: 'refused' }>['code'] | 'MUTATION_INVALID'
}

function answerUnit<U extends User>(
  session: Session<U>,
  offered: Unit,
  refusedBy: string | undefined,
): readonly Answer[] {
  const isEscrow = offered.some((offer) => offer.isEscrow)
  const unit = isEscrow ? offered : offered.map((offer) => withoutLostConflict(session, offer))
  const claims = session.claims.claimUnit(unit)
  const refused = [...claims.values()].find((claim) => claim.kind === 'refused')
  const unnumbered = unit.some(({ seq }) => seq === 0)
  const fresh = unit.filter((offer) => claims.get(offer)?.kind === 'new')
  // A unit with a member that may not consume its number consumes none: the device offers it again, whole.
  const isRefused = refused !== undefined || unnumbered
  const verdicts = isRefused ? [] : decideFresh(session, fresh, refusedBy)
  if (isRefused) noteWaiting(session.held, unit.filter(isRead).filter(isUndecided(session, claims)), null)
  // One by one: what the second stands on may be the first.
  const outcomes = verdicts.map((verdict) => {
    const outcome = isFinal(verdict) ? outcomeOf(session, verdict) : undefined
    if (outcome) session.claims.settle([outcome])
    return outcome
  })
  return unit.map((offer): Answer => {
    const claim = claims.get(offer)
    if (claim?.kind === 'duplicate') return { offer, duplicate: claim.outcome }
    const at = verdicts.length === 0 ? -1 : fresh.indexOf(offer)
    if (at !== -1) return { offer, verdict: verdicts[at], outcome: outcomes[at] }
    return { offer, refused: claim?.kind === 'refused' ? claim.code : (refused?.code ?? 'MUTATION_INVALID') }
  })
}

/** Whether some of what an offer carries was never decided, under whatever key or number: what stands on it waits. Rules: PU-44. */
function isUndecided<U extends User>(
  { claims }: Session<U>,
  claimOf: ReadonlyMap<Offer, Claim>,
): (offer: Offer) => boolean {
  return (offer) => {
    const kind = claimOf.get(offer)?.kind
    if (kind !== 'refused') return kind === 'new'
    const { known } = claims.explain(offer)
    return subtractRanges(offer.covers, unionRanges(known.flatMap(({ covers }) => covers))).length > 0
  }
}

/** The answers, once the triggers of the host have had their say. */
async function followHostTriggers<U extends User>(
  session: Session<U>,
  answers: readonly Answer[],
): Promise<readonly Answer[]> {
  const verdicts = answers.flatMap(({ verdict }) => verdict ?? [])
  const followed = await followTriggers(session, verdicts)
  if (followed === verdicts) return answers
  const byOffer = new Map(followed.map((verdict) => [verdict.offer, verdict]))
  return answers.map((answer) => {
    const verdict = byOffer.get(answer.offer)
    if (!verdict || verdict === answer.verdict) return answer
    return { ...answer, verdict, outcome: isFinal(verdict) ? outcomeOf(session, verdict) : undefined }
  })
}

function decideFresh<U extends User>(
  session: Session<U>,
  fresh: Unit,
  refusedBy: string | undefined,
): readonly MemberVerdict[] {
  const bad = fresh.findIndex(({ error }) => error)
  const error = fresh[bad]?.error
  if (error)
    return reject(session, fresh, {
      index: bad,
      code: error.code,
      message: error.message,
      ...(error.field === undefined ? {} : { field: error.field }),
    })
  if (refusedBy !== undefined) {
    return fresh.flatMap((offer) =>
      reject(session, [offer], { index: 0, code: 'CONSTRAINT_FAILED', message: refusedBy }),
    )
  }
  const read = fresh.filter(isRead)
  return read.some(({ isEscrow }) => isEscrow) ? keepInEscrow(session, read) : decideUnit(session, read)
}

function isFinal(
  verdict: MemberVerdict,
): verdict is MemberVerdict & { readonly status: StoredOutcome['status'] } {
  return verdict.status !== 'held' && verdict.status !== 'retry'
}

function outcomeOf<U extends User>(
  session: Session<U>,
  verdict: MemberVerdict & { readonly status: StoredOutcome['status'] },
): StoredOutcome {
  const { offer, status, version, isExact, error } = verdict
  const members = membersOf(verdict)
  const { after } = offer
  const before = version === null ? decidedBelow(session, after) : undefined
  return {
    id: offer.id,
    seq: offer.seq,
    covers: coversText(offer),
    folded: offer.folded,
    hash: offer.hash,
    status,
    version,
    stoodOn: before?.version ?? before?.stoodOn ?? null,
    exact: isExact,
    serverUpdatedAt: version === null ? null : session.now,
    code: error?.code ?? null,
    body: Object.keys(members).length === 0 ? null : JSON.stringify(members),
    op: offer.op,
    fields: offer.touched,
  }
}

/** What an answer says beyond the verdict. The record is left out only when the device can build it itself and did not ask. */
function membersOf(
  { status, isExact, record, offer, conflict, error }: MemberVerdict,
  isAsked = false,
): Pick<PushResult, 'record' | 'conflict' | 'error'> {
  const isTaken = status === 'applied' || status === 'merged'
  const isShown = isTaken && (isAsked || !isExact) && record && offer.mutation
  const shown = isShown ? canonicalRecord(offer.mutation.record, record) : undefined
  return { ...(shown && { record: shown }), ...(conflict && { conflict }), ...(error && { error }) }
}

function resultOf<U extends User>(
  session: Session<U>,
  { offer, verdict, duplicate, refused }: Answer,
): PushResult {
  const { id } = offer
  if (duplicate) return duplicateResult(duplicate)
  if (verdict) {
    const { status, version, heldBy } = verdict
    const serverUpdatedAt = version === null ? null : session.now
    return {
      id,
      status,
      version,
      serverUpdatedAt,
      ...membersOf(verdict, session.caller.wantsRecords),
      ...(heldBy === undefined ? {} : { heldBy }),
    }
  }
  assert(refused, 'every offer is answered')
  const { meaning: message, retry } = errorTable[refused]
  const { known, free } = session.claims.explain(offer)
  // What is wrong with one member is not said where none of the unit was decided: that would settle it alone.
  const ownError = refused === 'MUTATION_INVALID' ? offer.error : undefined
  return {
    id,
    status: 'rejected',
    version: null,
    serverUpdatedAt: null,
    error: ownError ?? { code: refused, message, retry },
    ...(known.length > 0 && { known: known.map(toldOutcome) }),
    ...(free.length > 0 && { free: formatRanges(free) }),
  }
}

/** An outcome as pulls tell it, for those numbers that are the same mutations. */
function toldOutcome({ outcome, covers }: Known): Outcome {
  const { id, seq, status } = outcome
  const { version, serverUpdatedAt, conflict, error } = duplicateResult(outcome)
  const members = { ...(conflict && { conflict }), ...(error && { error }) }
  return { id, seq, covers: formatRanges(covers), status, version, serverUpdatedAt, ...members }
}

/** The first answer again; after the acknowledgement only the verdict is left of it. */
function duplicateResult({ id, status, version, serverUpdatedAt, code, body }: StoredOutcome): PushResult {
  const parsed: unknown = body === null ? {} : JSON.parse(body)
  // Written by outcomeOf from the members of an answer.
  const members = (isObject(parsed) ? parsed : {}) as Pick<PushResult, 'record' | 'conflict' | 'error'>
  const known =
    code !== null && Object.hasOwn(errorTable, code) ? (code as keyof typeof errorTable) : undefined
  const error = known && { code: known, message: errorTable[known].meaning, retry: errorTable[known].retry }
  return { id, status, version, serverUpdatedAt, duplicate: true, ...(error && { error }), ...members }
}
