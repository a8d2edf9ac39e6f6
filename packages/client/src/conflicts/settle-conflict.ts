import {
  type CollectionSchema,
  emptyPayload,
  type Environment,
  type MutationOp,
  newUuid,
  parseUpdate,
  type Payload,
  payloadOfUpdate,
  type Schema,
  settledValues,
  SyncError,
  type Values,
} from '@holdfast/core'
import type { LocalTransaction } from '../local/local-database.ts'
import { requireNewest, StampClock } from '../local/meta.ts'
import { readRow, readShadow, rebuildRecord, type Shadow } from '../local/records.ts'
import { rowToValues } from '../local/tables.ts'
import { payloadText } from '../outbox/entry.ts'
import { insertEntry } from '../outbox/outbox.ts'
import { createsAhead } from '../outbox/referred-creates.ts'
import { versionOf } from '../apply/change-shadow.ts'
import type { Conflict, ConflictPart } from './conflict.ts'
import { withFreeKeys } from './free-keys.ts'

/** What a person decided. */
export type Decision =
  | { readonly kind: 'mine' | 'theirs' | 'both' | 'discard' }
  /** Values of some of the records, laid over theirs. */
  | { readonly kind: 'merge'; readonly values: ReadonlyMap<ConflictPart, Values> }

/** What settling needs to know of its surroundings. */
export interface SettleContext {
  readonly schema: Schema
  readonly env: Pick<Environment, 'now' | 'randomBytes'>
  readonly device: () => string
}

/** What was written down. */
export interface Settled {
  /** Mutations by id, in the order of the parts. */
  readonly mutations: readonly string[]
  /** Ids of the linked records that `both` made. */
  readonly copies: readonly string[]
}

/** A conflict, and what is decided about it. */
export interface Settlement {
  readonly conflict: Conflict
  /** A pull has brought it, and the records it is about as they stood then; else only an answer has shown it. */
  readonly isPulled: boolean
  readonly decision: Decision
}

interface Draft {
  readonly collection: CollectionSchema
  readonly record: string
  readonly op: MutationOp
  readonly payload: Payload
  readonly baseVersion: number
  readonly resolves: string | null
}

/**
 * Writes a decision down as ordinary mutations that name the conflict, one for each record in dispute, in one group when
 * there are several. They are merged on the server like any other, so whoever decides first wins and the other is told.
 * Errors: CONFLICT_CLOSED, VALUE_INVALID, FIELD_UNKNOWN, SCHEMA_TOO_OLD, STORE_NEWER. Rules: CF-3, CF-5, CF-13, CF-15, SY-30.
 */
export async function settleConflict(
  tx: LocalTransaction,
  context: SettleContext,
  settlement: Settlement,
): Promise<Settled> {
  const { conflict, decision, isPulled } = settlement
  await requireNewest(tx, context.schema.version)
  if (conflict.status !== 'open') throw new SyncError('CONFLICT_CLOSED', 'the conflict was settled already')
  const [known] = await tx.all('SELECT 1 FROM _outbox WHERE resolves = ? AND status <> ?', [
    conflict.id,
    'dead',
  ])
  if (known) throw new SyncError('CONFLICT_CLOSED', 'a decision on this conflict is on its way')
  const drafts: Draft[] = []
  const copies: string[] = []
  for (const part of conflict.parts) {
    const collection = context.schema.collections.get(part.collection)
    const isAhead = part.schema === null || part.schema > context.schema.version
    if (!collection && isAhead) throw unknownHere(part.collection)
    // The app has it no more.
    if (!collection) continue
    const shadow = await readShadow(tx, collection, part.record)
    const seen = { collection, part, shadow, conflict, isPulled, isAhead }
    const copy = decision.kind === 'both' ? await draftCopy(tx, context, seen) : undefined
    if (copy) copies.push(copy.record)
    if (copy) drafts.push(copy)
    drafts.push(await draftDecision(tx, seen, decision))
  }
  if (drafts.length === 0) throw unknownHere(conflict.collection)
  const mutations = await writeDrafts(tx, context, { conflict, drafts })
  return { mutations, copies }
}

/** What its author wanted is not left out because this app is older than theirs. */
function unknownHere(name: string): SyncError {
  return new SyncError('SCHEMA_TOO_OLD', `this app has no ${name}: a newer one can decide`, { at: name })
}

interface Seen extends Pick<Settlement, 'conflict' | 'isPulled'> {
  readonly collection: CollectionSchema
  readonly part: ConflictPart
  /** What this app does not know of it may be new, and not gone. */
  readonly isAhead: boolean
  readonly shadow: Shadow
}

async function draftDecision(tx: LocalTransaction, seen: Seen, decision: Decision): Promise<Draft> {
  const { collection, part, shadow } = seen
  const isWritten = decision.kind === 'mine' || (decision.kind === 'merge' && decision.values.has(part))
  if (!isWritten && isOutOfSight(seen)) return draft(seen, 'update', emptyPayload)
  const isGone = part.theirs === null || isRefusedCreate(seen) || shadow.snapshot.kind === 'deleted'
  const wanted = settledValues(
    { ...part, isGone },
    decision.kind === 'merge'
      ? { kind: 'merge', values: parseUpdate(collection, decision.values.get(part) ?? {}) }
      : decision,
  )
  return wanted === null ? draft(seen, 'delete', emptyPayload) : write(tx, seen, wanted)
}

/** A create that met the unique key of another record: on the server there is no record of this id. */
function isRefusedCreate({ conflict, part }: Pick<Seen, 'conflict' | 'part'>): boolean {
  return conflict.kind === 'unique' && part.op === 'create'
}

/**
 * There was a record, which this device does not see any more: leaving it as it is takes no write. Before the pull that
 * brings the conflict, the record may just not have come yet.
 */
function isOutOfSight({ isPulled, shadow, ...seen }: Seen): boolean {
  return isPulled && shadow.snapshot.kind === 'absent' && seen.part.theirs !== null && !isRefusedCreate(seen)
}

/** What stands in the record itself. In a dispute over a unique key, theirs is the other record. */
function standing({ conflict, part, shadow }: Seen): Values {
  const isOther = conflict.kind === 'unique' && part.isInDispute
  return { ...liveValues(shadow), ...(isOther ? {} : part.theirs) }
}

/**
 * The chosen values against theirs. A record that is gone comes back from what the server last knew of it, which may be
 * more than this device ever saw; one that was never there is created.
 */
async function write(tx: LocalTransaction, seen: Seen, chosen: Values): Promise<Draft> {
  const { collection, part } = seen
  if (isRefusedCreate(seen) || (part.theirs === null && part.op === 'create')) {
    const changes = { ...(await viewOf(tx, seen)), ...part.mine, ...chosen }
    return draft(seen, 'create', { ...emptyPayload, changes: fieldsOnly(seen, changes) })
  }
  if (part.theirs === null) {
    const wanted = fieldsOnly(seen, { ...part.mine, ...chosen })
    return draft(
      seen,
      'update',
      payloadOfUpdate(collection, { ...liveValues(seen.shadow), ...part.last }, wanted),
    )
  }
  return draft(seen, 'update', payloadOfUpdate(collection, standing(seen), fieldsOnly(seen, chosen)))
}

/** The author's side as a record of its own; a record that only waited stays one. */
async function draftCopy(
  tx: LocalTransaction,
  context: SettleContext,
  seen: Seen,
): Promise<Draft | undefined> {
  const { collection, part } = seen
  if (part.mine === null || !part.isInDispute) return undefined
  const values = { ...liveValues(seen.shadow), ...(await viewOf(tx, seen)), ...part.mine }
  const stays = part.theirs === null || isRefusedCreate(seen) ? [] : [standing(seen)]
  const other = part.theirs === null ? [] : [part.theirs]
  const beside = { collection, record: part.record, standing: [...stays, ...other] }
  const changes = fieldsOnly(seen, await withFreeKeys(tx, beside, values))
  const payload = { ...emptyPayload, changes }
  return { collection, record: newUuid(context.env), op: 'create', payload, baseVersion: 0, resolves: null }
}

function draft({ collection, part, shadow, conflict }: Seen, op: MutationOp, payload: Payload): Draft {
  return {
    collection,
    record: part.record,
    op,
    payload,
    baseVersion: versionOf(shadow),
    resolves: conflict.id,
  }
}

/** The record as this device shows it: on the author's, with their values. */
async function viewOf(tx: LocalTransaction, { collection, part, shadow }: Seen): Promise<Values> {
  const row = await readRow(tx, collection, part.record)
  const { snapshot } = shadow
  return row
    ? rowToValues(collection, row)
    : ((snapshot.kind === 'absent' ? null : snapshot.values) ?? part.base ?? {})
}

function liveValues({ snapshot }: Shadow): Values {
  return snapshot.kind === 'live' ? snapshot.values : {}
}

/** What can be written: all that this app has, if it is no older than what is decided. */
function fieldsOnly({ collection, isAhead }: Seen, values: Values): Values {
  const unknown = Object.keys(values).find((name) => !collection.fieldsByName.has(name))
  if (unknown !== undefined && isAhead) throw unknownHere(`${collection.name}.${unknown}`)
  return Object.fromEntries(Object.entries(values).filter(([name]) => collection.fieldsByName.has(name)))
}

async function writeDrafts(
  tx: LocalTransaction,
  context: SettleContext,
  { conflict, drafts }: { readonly conflict: Conflict; readonly drafts: readonly Draft[] },
): Promise<string[]> {
  const clock = new StampClock(context.env, context.device())
  const group = drafts.length > 1 ? newUuid(context.env) : null
  const ids: string[] = []
  for (const { collection, record, op, payload, baseVersion, resolves } of drafts) {
    const { at, iso } = await clock.next(tx)
    const id = newUuid(context.env)
    const entry = {
      id,
      collection: collection.name,
      record,
      op,
      payload: payloadText(payload),
      baseVersion,
      after: null,
    }
    const origin = {
      at,
      resolves,
      group,
      schema: context.schema.version,
      trace: null,
      createdAt: iso,
      depends: await createsAhead(
        tx,
        { collection, changes: payload.changes },
        { seqs: [], conflict: conflict.id },
      ),
    }
    await insertEntry(tx, { ...entry, ...origin })
    await rebuildRecord(tx, collection, record)
    ids.push(id)
  }
  return ids
}
