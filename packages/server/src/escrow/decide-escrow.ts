import {
  errorTable,
  type ErrorCode,
  type ErrorReport,
  isStorableText,
  type Mutation,
  type Schema,
  SyncError,
  touchedFields,
} from '@holdfast/core'
import type { Caller, User } from '../engine.ts'
import { Claims } from '../push/claims.ts'
import { decideUnit } from '../push/decide-unit.ts'
import { type MemberVerdict, type ReadOffer, withoutLostConflict } from '../push/judge-mutation.ts'
import { overlaps } from '../push/refused-below.ts'
import { readOffer } from '../push/offer.ts'
import { openPlainSession } from '../push/plain-writes.ts'
import type { PushContext } from '../push/push-context.ts'
import type { Session } from '../push/session.ts'
import { whenLoaded } from '../push/working-set.ts'
import { followTriggers, writeEffects } from '../push/write-effects.ts'
import type { EscrowRuling, StoredEscrow } from '../store/escrow-store.ts'
import { ConstraintError } from '../store/store-errors.ts'
import type { StoredOutcome, StoreWriter } from '../store/store.ts'
import { checkReviewer, isInSight } from './escrow-sight.ts'
import { type EscrowAnswer, type EscrowDecision, editsOf, parseEscrowed } from './escrowed-edit.ts'

/** An edit in escrow and what is to become of it. */
interface Ruling {
  readonly id: string
  readonly decision: EscrowDecision
}

/**
 * Accepts or refuses an edit, once. Accepted, it is judged as it stands now, with the rights of who accepts it and in the
 * name of its author; one that cannot take effect goes on waiting. Errors: NOT_AUTHORIZED, NOT_FOUND, STORE_BUSY,
 * REQUEST_INVALID for a reason that no store can hold. Rules: ES-4 to ES-9.
 */
export async function decideEscrow<U extends User>(
  context: PushContext<U>,
  caller: Caller<U>,
  ruling: Ruling,
): Promise<EscrowAnswer> {
  checkReviewer(context.mayReview, caller)
  const { decision } = ruling
  if (decision.kind === 'refuse' && !isStorableText(decision.reason ?? ''))
    throw new SyncError('REQUEST_INVALID', 'The reason holds U+0000 or half of a surrogate pair.')
  try {
    const { answer, tell } = await context.store.write((tx) => transact(context, caller, tx, ruling))
    tell()
    return answer
  } catch (error) {
    if (!(error instanceof ConstraintError)) throw error
    const [edit] = editsOf(await context.store.read((tx) => tx.escrowUnit(ruling.id)))
    if (!edit) throw noSuchEdit()
    return { edit, error: reportOf('CONSTRAINT_FAILED', error.message) }
  }
}

interface Done {
  readonly answer: EscrowAnswer
  /** To be called once it is committed. */
  readonly tell: () => void
}

async function transact<U extends User>(
  context: PushContext<U>,
  caller: Caller<U>,
  tx: StoreWriter,
  { id, decision }: Ruling,
): Promise<Done> {
  const unit = await tx.escrowUnit(id)
  const [lead] = unit
  if (!lead || !(await isInSight(tx, context.schema, caller, unit))) throw noSuchEdit()
  const remain = (error: ErrorReport): Done => ({ answer: answerOf(unit, error), tell: () => undefined })
  if (lead.status !== 'waiting')
    return remain(reportOf('ESCROW_CLOSED', `the edit was ${lead.status} already`))
  const now = new Date(context.env.now()).toISOString()
  const decided = { decidedBy: caller.user.id, decidedAt: now, reason: null }
  if (decision.kind === 'refuse') {
    const { reason } = decision
    const ruled = unit.map((edit): StoredEscrow => ({ ...edit, ...decided, status: 'refused', reason }))
    await tx.ruleOnEscrow(ruled)
    return { answer: answerOf(ruled), tell: () => undefined }
  }
  if (await isBehindWaiting(tx, context.schema, unit))
    return remain(reportOf('DEPENDENCY_FAILED', 'an earlier edit of the record by its author comes first'))
  const { session, offers, error } = await openEscrowSession(context, caller, tx, unit)
  if (error) return remain(error)
  const firstVersion = session.nextVersion
  const verdicts = await whenLoaded(() => decideUnit(session, offers))
  const obstacle = obstacleOf(verdicts)
  if (obstacle) return remain(obstacle)
  await writeEffects(session, firstVersion)
  const followed = await followTriggers(session, verdicts)
  const ruled = unit.map((edit, at): StoredEscrow => {
    const ruling = rulingOf(followed[at])
    return { ...edit, ...decided, ...ruling, status: 'accepted' }
  })
  await tx.ruleOnEscrow(ruled)
  const tell = await context.beforeCommit(tx, { user: caller.user.id, device: null })
  return { answer: answerOf(ruled), tell }
}

/**
 * Whether an earlier edit by the same device waits that makes or deletes the record, or touches what this one touches, which
 * of a strict record is all of it: overtaking, a removal would come before what it removes.
 */
async function isBehindWaiting(
  tx: StoreWriter,
  schema: Schema,
  unit: readonly StoredEscrow[],
): Promise<boolean> {
  const [lead] = unit
  if (!lead) return false
  const { n, user, device } = lead
  const records = [...new Set(unit.map(({ record }) => record))]
  const earlier = await tx.escrowBefore({ n, user, device, records })
  return unit.some(({ collection, record, mutation }) => {
    const edit = parseEscrowed(mutation)
    if (edit.resolves !== null) return false
    const isStrict = schema.collections.get(collection)?.strict === true
    return earlier.some(
      (other) => other.record === record && (isStrict || mayNotPass(edit, parseEscrowed(other.mutation))),
    )
  })
}

function mayNotPass(later: Mutation, earlier: Mutation): boolean {
  if (later.op !== 'update' || earlier.op !== 'update') return true
  return overlaps(touchedFields(earlier), touchedFields(later))
}

function noSuchEdit(): SyncError {
  return new SyncError('NOT_FOUND', 'There is no such edit in escrow.')
}

function reportOf(code: ErrorCode, message: string): ErrorReport {
  return { code, message, retry: errorTable[code].retry }
}

function answerOf(unit: readonly StoredEscrow[], error?: ErrorReport): EscrowAnswer {
  const [edit] = editsOf(unit)
  if (!edit) throw noSuchEdit()
  return { edit, ...(error && { error }) }
}

/** Why a unit cannot take effect now: of a transaction, what is wrong with the member that is to blame. */
function obstacleOf(verdicts: readonly MemberVerdict[]): ErrorReport | undefined {
  const stuck = verdicts.filter(({ status }) => rulingStatus(status) === null)
  const [first] = stuck
  if (!first) return undefined
  const culprit = stuck.find(({ error }) => error && error.code !== 'DEPENDENCY_FAILED') ?? first
  return culprit.error ?? reportOf('CONFLICT', 'an earlier conflict over the record comes first')
}

function rulingStatus(status: MemberVerdict['status']): EscrowRuling['verdict'] {
  return status === 'applied' || status === 'merged' || status === 'conflict' ? status : null
}

function rulingOf(
  verdict: MemberVerdict | undefined,
): Pick<EscrowRuling, 'verdict' | 'version' | 'conflict'> {
  return {
    verdict: verdict ? rulingStatus(verdict.status) : null,
    version: verdict?.version ?? null,
    conflict: verdict?.conflict?.id ?? null,
  }
}

interface EscrowSession<U extends User> {
  readonly session: Session<U>
  readonly offers: readonly ReadOffer[]
  /** A mutation that the schema of today does not take. */
  readonly error?: ErrorReport
}

/** In the name of the author, whose own earlier mutations count as seen, with the sight and the rights of who accepts. */
async function openEscrowSession<U extends User>(
  context: PushContext<U>,
  acceptor: Caller<U>,
  tx: StoreWriter,
  unit: readonly StoredEscrow[],
): Promise<EscrowSession<U>> {
  const plain = await openPlainSession(context, acceptor, tx)
  const { now } = plain
  const clock = { serverMs: Date.parse(now), now, skewMs: context.limits.clockSkewMs }
  const offers: ReadOffer[] = []
  for (const { mutation } of unit) {
    const offer = readOffer(context.schema, JSON.parse(mutation), clock)
    if (!offer.mutation)
      return {
        session: plain,
        offers,
        error: offer.error ?? reportOf('MUTATION_INVALID', 'it cannot be read'),
      }
    offers.push({ ...offer, mutation: offer.mutation })
  }
  const { user: author = '', device = '' } = unit[0] ?? {}
  const mutations = offers.map(({ mutation }) => mutation)
  // Whoever accepted what the device wrote before stands for what that put in dispute.
  await plain.working.load(mutations, { user: null, device })
  const { authorize } = context
  const session: Session<U> = {
    ...plain,
    // Of the author nothing but the id is known here, and nothing else is asked for.
    caller: { ...acceptor, user: { ...acceptor.user, id: author }, device },
    authorize: authorize && ((request) => authorize({ ...request, user: acceptor.user })),
    isReviewer: true,
    acceptedBy: acceptor.user.id,
    claims: new Claims([], await outcomesBefore(tx, { author, device, unit }), []),
  }
  const current = offers.map((offer) => withoutLostConflict(session, offer))
  return {
    session,
    offers: current.flatMap((offer) => (offer.mutation ? [{ ...offer, mutation: offer.mutation }] : [])),
  }
}

/**
 * What became of the mutations that a unit stands on, and of those that these stand on in turn: of what was in escrow, what
 * became of it there. What took no version lets through what it stood on itself.
 */
async function outcomesBefore(
  tx: StoreWriter,
  {
    author,
    device,
    unit,
  }: { readonly author: string; readonly device: string; readonly unit: readonly StoredEscrow[] },
): Promise<readonly StoredOutcome[]> {
  const known = await tx.device(author, device)
  const outcomes = new Map<string, StoredOutcome>()
  const chain: StoredEscrow[] = []
  for (let edits = unit; edits.length > 0; ) {
    const ids = edits.flatMap(({ mutation }) => parseEscrowed(mutation).after ?? [])
    const asked = ids.filter((id) => !outcomes.has(id))
    // An outcome that its device has acknowledged is forgotten earlier than what became of the edit in escrow.
    const told = known && asked.length > 0 ? await tx.outcomes(known.n, { ids: asked }) : []
    for (const outcome of told) outcomes.set(outcome.id, outcome)
    edits = asked.length > 0 ? await tx.escrowOf(author, asked) : []
    for (const edit of edits) outcomes.set(edit.id, outcomeInEscrow(edit))
    chain.push(...edits)
  }
  for (const { id, mutation } of chain.toSorted((left, right) => left.n - right.n)) {
    const [outcome, before] = [outcomes.get(id), outcomes.get(parseEscrowed(mutation).after ?? '')]
    if (outcome) outcomes.set(id, { ...outcome, stoodOn: before?.version ?? before?.stoodOn ?? null })
  }
  return [...outcomes.values()]
}

/** What waits, or was refused, is none to stand on. */
function outcomeInEscrow({ id, status, verdict, version, mutation }: StoredEscrow): StoredOutcome {
  const edit = parseEscrowed(mutation)
  const { seq, op } = edit
  const isAccepted = status === 'accepted'
  return {
    id,
    seq,
    covers: String(seq),
    folded: [],
    hash: '',
    status: isAccepted ? (verdict ?? 'applied') : 'rejected',
    version: isAccepted ? version : null,
    stoodOn: null,
    serverUpdatedAt: null,
    code: isAccepted ? null : 'ESCROWED',
    body: null,
    exact: false,
    fields: touchedFields(edit),
    op,
  }
}
