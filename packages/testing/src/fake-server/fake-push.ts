import {
  conflictsCollection,
  hlcOfTime,
  isObject,
  type Json,
  mergeRecord,
  type MergeOutcome,
  type Mutation,
  overlapCount,
  countRanges,
  parseMutation,
  parsePushRequest,
  parseRanges,
  personalScope,
  type PushResponse,
  type PushResult,
  SyncError,
  touchedFields,
} from '@holdfast/core'
import { isForEscrow, sentText, unitsOf } from './fake-units.ts'
import type { FakeRecord, FakeStore } from './fake-store.ts'
import { refusal, refuseReuse } from './refuse-reuse.ts'

/** Who pushes, and what the server makes of it. */
export interface PushCall {
  readonly store: FakeStore
  readonly user: string
  readonly device: string
  readonly scopes: ReadonlySet<string>
  readonly nowMs: number
  readonly newId: () => string
  /** What a test injects: whether the next update becomes a conflict; the second throws if the next mutation is refused. */
  readonly takeConflict: () => boolean
  readonly takeRefusal: () => void
}

/** Rules on a batch: in order, a group whole, each number once. */
export function answerPush(call: PushCall, body: unknown): PushResponse {
  const request = parsePushRequest(body)
  acknowledge(call, request.ack)
  const results: PushResult[] = []
  for (const unit of unitsOf(request.mutations)) results.push(...answerUnit(call, unit))
  return { results, serverTime: new Date(call.nowMs).toISOString() }
}

/** Forgets nothing but remembers that the device knows. */
export function acknowledge({ store, user, device }: PushCall, ack: string): void {
  const ranges = parseRanges(ack)
  for (const outcome of store.device(user, device).outcomes) {
    if (overlapCount(ranges, parseRanges(outcome.covers)) > 0) outcome.acked = true
  }
}

interface Decided {
  readonly result: PushResult
  /** Not final: the number stays free. */
  readonly isOpen: boolean
}

function answerUnit(call: PushCall, unit: readonly unknown[]): PushResult[] {
  const known = unit.map((raw) => knownAnswer(call, raw))
  if (known.every((answer) => answer !== undefined)) return known
  if (unit.some(isForEscrow)) return unit.map((raw) => keepInEscrow(call, raw))
  const undo = snapshotOf(call.store)
  const decided = unit.map((raw) => decide(call, raw))
  const isWhole = decided.every(({ result }) => result.status === 'applied' || result.status === 'merged')
  const final = isWhole || unit.length === 1 ? decided : refuseGroup(call, { unit, decided, undo })
  final.forEach((answer, index) => {
    if (!answer.isOpen) remember(call, unit[index], answer.result)
  })
  return final.map(({ result }) => result)
}

/** Nothing is judged, and nobody decides here. */
function keepInEscrow(call: PushCall, raw: unknown): PushResult {
  const result = refusal(isObject(raw) ? String(raw['id']) : '', 'ESCROWED')
  remember(call, raw, result)
  return result
}

/** The stored answer of a mutation, or why its number or key cannot be used; undefined when it is new. */
function knownAnswer(call: PushCall, raw: unknown): PushResult | undefined {
  if (!isObject(raw)) return undefined
  const { store, user, device } = call
  const { id, seq } = raw
  const covers = parseRanges(String(raw['covers'] ?? seq))
  const text = sentText(raw)
  for (const outcome of store.device(user, device).outcomes) {
    if (outcome.text === text) return { ...outcome.result, duplicate: true }
    if (outcome.id === id) return refuseReuse(call, raw, 'KEY_REUSED')
    const shared = overlapCount(parseRanges(outcome.covers), covers)
    if (shared === 0) continue
    return refuseReuse(call, raw, shared < countRanges(covers) ? 'COVERS_OVERLAP' : 'SEQ_REUSED')
  }
  return undefined
}

function decide(call: PushCall, raw: unknown): Decided {
  const id = isObject(raw) ? String(raw['id']) : ''
  try {
    call.takeRefusal()
    return decideMutation(call, parseMutation(call.store.schema, raw))
  } catch (error) {
    if (!(error instanceof SyncError)) throw error
    return { result: refusal(id, error.code, error.message), isOpen: false }
  }
}

function decideMutation(call: PushCall, mutation: Mutation): Decided {
  const { store } = call
  const collection = store.collection(mutation.collection)
  if (!collection) throw new SyncError('MUTATION_INVALID', 'unknown collection')
  const known = store.find(mutation.collection, mutation.record)
  const record = known && isVisible(call, known) ? known : undefined
  const heldBy = openConflictOf(call, mutation)
  if (heldBy !== undefined) return { result: { ...bare(mutation), status: 'held', heldBy }, isOpen: true }
  if (mutation.resolves !== null) checkResolves(call, mutation)
  const outcome = mergeRecord({
    collection,
    mutation,
    current: record?.snapshot ?? { kind: 'absent' },
    concurrent: concurrentFields(call, mutation, record),
    ownTombstone: record?.changes.at(-1)?.device === call.device,
    clocks: record?.clocks ?? {},
    fallbackStamp: hlcOfTime(record?.updatedAt ?? '1970-01-01T00:00:00.000Z'),
  })
  const isForced =
    outcome.kind === 'apply' && mutation.op === 'update' && record !== undefined && call.takeConflict()
  return apply(call, mutation, isForced ? forcedConflict(mutation, record) : outcome)
}

function apply(call: PushCall, mutation: Mutation, outcome: MergeOutcome): Decided {
  const { store, device } = call
  const collection = store.collection(mutation.collection)
  if (!collection) throw new SyncError('MUTATION_INVALID', 'unknown collection')
  if (outcome.kind === 'reject') throw new SyncError(outcome.code, outcome.message)
  if (outcome.kind === 'conflict') return openConflict(call, mutation, outcome)
  const known = store.find(mutation.collection, mutation.record)
  const versionBefore = known && known.snapshot.kind !== 'absent' ? known.snapshot.version : 0
  const isChange = outcome.changed.length > 0 || outcome.next.kind !== (known?.snapshot.kind ?? 'absent')
  if (mutation.resolves !== null) closeConflict(call, mutation.resolves)
  if (!isChange) {
    const version = known ? versionBefore : null
    return { result: { ...bare(mutation), status: outcome.status, version }, isOpen: false }
  }
  const last = known?.changes.at(-1)
  const isOnBase =
    versionBefore === mutation.baseVersion ||
    (mutation.after !== null && last?.device === device && last.exact)
  const exact = outcome.status === 'applied' && isOnBase
  const now = new Date(call.nowMs).toISOString()
  const written = store.write({
    collection,
    record: mutation.record,
    next: outcome.next,
    fields: outcome.changed,
    at: mutation.at.slice(0, 24),
    now,
    device,
    exact,
    clocks: outcome.clocks,
  })
  const result: PushResult = {
    ...bare(mutation),
    status: outcome.status,
    version: store.head,
    serverUpdatedAt: now,
  }
  return { result: exact ? result : { ...result, record: store.canonical(written) }, isOpen: false }
}

function bare(mutation: Mutation): PushResult {
  return { id: mutation.id, status: 'applied', version: null, serverUpdatedAt: null }
}

function isVisible({ scopes }: PushCall, record: FakeRecord): boolean {
  return record.snapshot.kind !== 'live' || record.scopes.some((scope) => scopes.has(scope))
}

/** What others changed since the author looked. */
function concurrentFields(
  { device }: PushCall,
  mutation: Mutation,
  record: FakeRecord | undefined,
): ReadonlySet<string> {
  const since = (record?.changes ?? []).filter(
    (change) => change.version > mutation.baseVersion && change.device !== device,
  )
  return new Set(since.flatMap((change) => change.fields))
}

function forcedConflict(mutation: Mutation, record: FakeRecord): MergeOutcome {
  const values = record.snapshot.kind === 'live' ? record.snapshot.values : {}
  const fields = touchedFields(mutation)
  const theirs = Object.fromEntries(fields.map((name) => [name, values[name] ?? null]))
  return { kind: 'conflict', reason: 'fields', fields, base: mutation.base, mine: mutation.changes, theirs }
}

function openConflictOf({ store, user, device }: PushCall, mutation: Mutation): string | undefined {
  const own = new Set<unknown>()
  // What superseded a conflict was written after it.
  for (const record of store.records.values()) {
    if (record.collection !== conflictsCollection.name || record.snapshot.kind !== 'live') continue
    const { values } = record.snapshot
    const isOpen = values['status'] === 'open' && record.id !== mutation.resolves
    const isByAuthor = values['author'] === user && values['device'] === device
    const isOwn = (isByAuthor || own.has(record.id)) && values['record'] === mutation.record
    if (isOwn && isObject(values['resolution'])) own.add(values['resolution']['by'])
    const disputed = values['fields']
    const touches =
      mutation.op === 'delete' ||
      touchedFields(mutation).some((name) => Array.isArray(disputed) && disputed.includes(name))
    if (isOpen && isOwn && touches) return record.id
  }
  return undefined
}

function checkResolves({ store }: PushCall, mutation: Mutation): void {
  const conflict = store.find(conflictsCollection.name, mutation.resolves ?? '')
  if (conflict?.snapshot.kind !== 'live') throw new SyncError('CONFLICT_UNKNOWN', 'there is no such conflict')
  if (conflict.snapshot.values['status'] !== 'open')
    throw new SyncError('CONFLICT_CLOSED', 'it was settled already')
}

function openConflict(
  call: PushCall,
  mutation: Mutation,
  outcome: Extract<MergeOutcome, { kind: 'conflict' }>,
): Decided {
  const { store, user, device } = call
  const id = call.newId()
  if (mutation.resolves !== null) closeConflict(call, mutation.resolves, { kind: 'superseded', by: id })
  const now = new Date(call.nowMs).toISOString()
  const { collection, record, op } = mutation
  const fields = [...outcome.fields]
  const { base, mine, theirs, reason } = outcome
  // One record is in dispute, and says so by naming what rules it; the server puts sentences there.
  const rules = { [fields[0] ?? '']: 'A person decides.' }
  const parts = [{ collection, record, op, fields, base, mine, theirs, rules, schema: mutation.schema }]
  const values = {
    collection,
    record,
    kind: reason,
    status: 'open',
    fields,
    parts,
    mutation: mutation.id,
    author: user,
    device,
  }
  const rest = { createdAt: now, resolution: null, resolvedBy: null, resolvedAt: null }
  const scopes = [...new Set([...(store.find(collection, record)?.scopes ?? []), personalScope(user)])]
  store.write({
    collection: conflictsCollection,
    record: id,
    next: { kind: 'live', version: 0, values: { ...values, ...rest } },
    fields: [],
    at: now,
    now,
    device: null,
    scopes,
  })
  const conflict = { id, fields, base, mine, theirs, kind: reason, parts }
  return { result: { ...bare(mutation), status: 'conflict', serverUpdatedAt: now, conflict }, isOpen: false }
}

function closeConflict(call: PushCall, id: string, resolution: Json = { kind: 'merged' }): void {
  const { store, user } = call
  const conflict = store.find(conflictsCollection.name, id)
  if (conflict?.snapshot.kind !== 'live') return
  const now = new Date(call.nowMs).toISOString()
  const closed = { status: 'resolved', resolution, resolvedBy: user, resolvedAt: now }
  store.write({
    collection: conflictsCollection,
    record: id,
    next: { ...conflict.snapshot, values: { ...conflict.snapshot.values, ...closed } },
    fields: [],
    at: now,
    now,
    device: null,
    scopes: conflict.scopes,
  })
}

interface GroupRefusal {
  readonly unit: readonly unknown[]
  readonly decided: readonly Decided[]
  readonly undo: () => void
}

/** One member that cannot go keeps the others from going. */
function refuseGroup(call: PushCall, { unit, decided, undo }: GroupRefusal): readonly Decided[] {
  const culprit = decided.find(({ result }) => result.status !== 'applied' && result.status !== 'merged')
  if (!culprit) return decided
  undo()
  const { status } = culprit.result
  if (status === 'conflict') {
    const index = decided.indexOf(culprit)
    const opened = decide(call, unit[index])
    return decided.map(({ result }) => ({ result: { ...opened.result, id: result.id }, isOpen: false }))
  }
  if (status === 'held')
    return decided.map(({ result }) => ({ result: { ...culprit.result, id: result.id }, isOpen: true }))
  const failed = (result: PushResult): PushResult =>
    result === culprit.result
      ? result
      : refusal(result.id, 'DEPENDENCY_FAILED', `mutation ${culprit.result.id} was refused`)
  return decided.map(({ result }) => ({ result: failed(result), isOpen: false }))
}

function snapshotOf(store: FakeStore): () => void {
  const records = new Map(
    [...store.records].map(([key, record]) => [key, { ...record, changes: [...record.changes] }]),
  )
  const feed = new Map(store.feed)
  const { head } = store
  return () => {
    store.records.clear()
    for (const [key, record] of records) store.records.set(key, record)
    store.feed.clear()
    for (const [key, entry] of feed) store.feed.set(key, entry)
    store.head = head
  }
}

function remember({ store, user, device }: PushCall, raw: unknown, result: PushResult): void {
  if (!isObject(raw) || isReuse(result)) return
  const { id, seq } = raw
  const covers = String(raw['covers'] ?? seq)
  const { status, version, serverUpdatedAt, conflict, error } = result
  if (status === 'held' || status === 'retry') return
  const outcome = {
    id: String(id),
    seq: Number(seq),
    covers,
    ...(Array.isArray(raw['folded']) && { folded: raw['folded'].map(String) }),
    status,
    version,
    serverUpdatedAt,
    conflict,
    error,
  }
  const { outcomes } = store.device(user, device)
  outcomes.push({
    id: String(id),
    seq: Number(seq),
    covers,
    text: sentText(raw),
    result,
    outcome,
    acked: false,
  })
}

function isReuse({ error }: PushResult): boolean {
  return error?.code === 'KEY_REUSED' || error?.code === 'SEQ_REUSED' || error?.code === 'COVERS_OVERLAP'
}
