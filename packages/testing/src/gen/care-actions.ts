import type { Conflict, ConflictPart, DeadLetter, DeadMutation, Settled } from '@holdfast/client'
import { assertNever, type ErrorCode, type Json, SyncError, type Values } from '@holdfast/core'

import type { Action } from '../sim/plan.ts'
import { traitsOf } from './traits.ts'
import {
  type AnyCollection,
  collectionOf,
  find,
  isExpected,
  make,
  mutationsOf,
  refused,
  type Turn,
} from './turn.ts'
import { freshCodes, randomPlace, randomUpdate } from './values.ts'

type How<Kind extends Action['kind']> = Extract<Action, { readonly kind: Kind; readonly how: unknown }>['how']

/** Settles the first conflict on which nobody on this device has decided yet. */
export async function settle(turn: Turn, how: How<'settle'>): Promise<number> {
  const [open, undecided] = await questions(turn)
  // Now and then somebody decides a second time, and is told so.
  const isHasty = turn.random.below(16) === 0
  const [conflict] = isHasty ? open : undecided
  return conflict === undefined ? 0 : settleOne(turn, conflict, how)
}

/** How people settle. */
export type Way = How<'settle'>

/** Every way there is. */
export const everyWay: readonly Way[] = ['mine', 'theirs', 'merge', 'both', 'discard']

/** What somebody decides on, and how. */
export interface Choices {
  /** Conflicts on which somebody else has said they will decide; what is decided is added. */
  readonly claimed: Set<string>
  readonly ways: readonly Way[]
}

/** Decides on everything in front of somebody, each thing once, but for what is claimed. */
export async function settleAll(turn: Turn, { claimed, ways }: Choices): Promise<void> {
  const [, undecided] = await questions(turn)
  for (const conflict of undecided) {
    if (claimed.has(conflict.id)) continue
    claimed.add(conflict.id)
    await settleOne(turn, conflict, ways[turn.random.below(ways.length)] ?? 'mine')
  }
  for (const letter of await turn.client.deadLetters.list())
    await repairOne(turn, letter, turn.random.below(3) === 0 ? 'edit' : 'discard')
}

/** Open conflicts, and those of them on which nobody on this device has decided yet. */
async function questions({ client }: Turn): Promise<readonly [readonly Conflict[], readonly Conflict[]]> {
  const [open, entries] = await Promise.all([client.conflicts.list(), client.outbox.list()])
  const decided = new Set(
    entries.flatMap(({ resolves, status }) => (status === 'dead' ? [] : (resolves ?? []))),
  )
  return [open, open.filter(({ id }) => !decided.has(id))]
}

async function settleOne(turn: Turn, conflict: Conflict, how: How<'settle'>): Promise<number> {
  // What an app does not know, a newer one decides.
  const newerOnly: readonly ErrorCode[] = turn.schema === turn.world.schema ? [] : ['SCHEMA_TOO_OLD']
  const settled = await make(turn, {
    what: `settle ${how}`,
    run: () => decide(turn, conflict, how),
    told: ({ mutations }) => mutations,
    // Two records with one key that has no text to number cannot both be kept.
    expected: ['CONFLICT_CLOSED', 'CONFLICT_UNKNOWN', 'VALUE_INVALID', ...newerOnly],
  })
  return settled === refused ? 0 : settled.mutations.length
}

function decide(turn: Turn, conflict: Conflict, how: How<'settle'>): Promise<Settled> {
  const { conflicts } = turn.client
  const { id } = conflict
  switch (how) {
    case 'mine':
      return conflicts.keepMine(id)
    case 'theirs':
      return conflicts.keepTheirs(id)
    case 'both':
      return conflicts.keepBoth(id)
    case 'discard':
      return conflicts.discard(id)
    case 'merge':
      return conflicts.merge(id, mergedValues(turn, conflict))
    default:
      return assertNever(how)
  }
}

/** Some of mine, some of theirs, some that is new, by record; rows that are written together get the same mark. */
function mergedValues(turn: Turn, conflict: Conflict): Readonly<Record<string, Values>> {
  const { world, source } = turn
  const mark = `${source.mark}${source.nonce()}`
  return Object.fromEntries(
    conflict.parts.map((part) => [
      part.record,
      part.collection === world.pairs ? { mark } : mergedPart(turn, conflict, part),
    ]),
  )
}

function mergedPart(turn: Turn, { kind }: Conflict, part: ConflictPart): Values {
  const { random, source } = turn
  const collection = turn.schema.collections.get(part.collection)
  if (collection === undefined) return {}
  // Neither side's key is of any use: mine is taken, and theirs is what it is taken by.
  if (kind === 'unique' && part.isInDispute) return freshCodes(collection, part.fields, source)
  const values: Record<string, Json> = {}
  for (const name of part.fields) {
    const field = collection.fieldsByName.get(name)
    const side = random.below(2) === 0 ? part.mine : part.theirs
    const value = side?.[name]
    if (value !== undefined && field?.owner === 'anyone' && (value !== null || field.optional))
      values[name] = value
  }
  const isNew = part.mine !== null && random.below(3) === 0
  const row = { ...part.theirs, ...part.mine }
  if (!isNew) return values
  // Nobody says how many there are of what they do not see.
  const seen = Object.entries(randomUpdate(collection, row, { count: 1, source })).filter(
    ([name]) => name in row,
  )
  return { ...values, ...Object.fromEntries(seen) }
}

/** Does something about the first dead letter. */
export async function repair(turn: Turn, how: How<'repair'>): Promise<number> {
  const letters = await turn.client.deadLetters.list()
  const letter = letters[turn.random.below(letters.length)]
  if (letter !== undefined) await repairOne(turn, letter, how)
  return 0
}

async function repairOne(turn: Turn, letter: DeadLetter, how: How<'repair'>): Promise<void> {
  const culprit =
    letter.mutations.find(({ error }) => error.code !== 'DEPENDENCY_FAILED') ?? letter.mutations[0]
  // One half of a pair must not be edited alone.
  const isWhole = letter.mutations.every(({ collection }) => collection !== turn.world.pairs)
  const edited = how === 'edit' && culprit && isWhole ? editOf(turn, culprit) : undefined
  if (how === 'discard') await discard(turn, letter)
  else if (culprit && edited)
    await retry(turn, 'edit', () => turn.client.deadLetters.editAndRetry(culprit.id, edited))
  else await retry(turn, 'retry', () => turn.client.deadLetters.retry(letter.id))
}

function retry(turn: Turn, what: string, run: () => Promise<void>): Promise<unknown> {
  return make(turn, { what: `repair ${what}`, run, expected: ['VALUE_INVALID', 'TRANSITION_REFUSED'] })
}

/** Other values for what was refused; undefined for a delete, which has none. */
function editOf(turn: Turn, culprit: DeadMutation): Values | undefined {
  const { source, random } = turn
  const collection = collectionOf(turn, culprit.collection)
  if (collection === undefined || culprit.op === 'delete') return undefined
  const row = culprit.payload?.changes ?? {}
  const names = Object.keys(row)
  // Who is told why it was refused changes that.
  if (culprit.error.code === 'UNIQUE_VIOLATION') return freshCodes(collection, names, source)
  if (culprit.error.code === 'SCOPE_DENIED') return randomPlace(collection, source)
  const wanted = randomUpdate(collection, row, { count: collection.fields.length, source })
  // The fields it wrote are those that may be wrong.
  const edits = Object.entries(wanted).filter(([name]) => names.includes(name))
  return edits.length === 0 ? undefined : Object.fromEntries(edits.slice(0, 1 + random.below(3)))
}

/**
 * Gives a letter up. That is said before it is done, since nobody may be left to say it afterwards: what is named may
 * go, and what a create takes with it is named once it is gone.
 */
async function discard(turn: Turn, letter: DeadLetter): Promise<void> {
  const { client, disk, observe, nowMs } = turn
  const tell = (mutations: readonly string[]): void =>
    observe({ kind: 'discarded', atMs: nowMs(), disk, mutations })
  const known = [...letter.mutations.map(({ id }) => id), ...(await laterEntries(turn, letter))]
  tell(known)
  const discarded = await make(turn, {
    what: 'repair discard',
    run: () => client.deadLetters.discard(letter.id),
    told: ({ mutations }) => mutations,
  })
  if (discarded === refused) return
  const more = discarded.mutations.filter((id) => !known.includes(id))
  if (more.length > 0) tell(more)
}

/** What is nothing without the records that a letter creates. */
async function laterEntries({ client }: Turn, { mutations }: DeadLetter): Promise<readonly string[]> {
  const records = new Set(mutations.flatMap(({ op, record }) => (op === 'create' ? [record] : [])))
  if (records.size === 0) return []
  const own = new Set(mutations.map(({ id }) => id))
  const entries = await client.outbox.list()
  return entries.flatMap(({ id, record }) => (records.has(record) && !own.has(id) ? [id] : []))
}

/**
 * Refusals of a question to the server that are nobody's fault; every error that says "later" is one too. A server may not
 * know a collection yet that the app knows.
 */
const unanswered: readonly ErrorCode[] = ['RECORD_NOT_FOUND', 'NOT_FOUND', 'AUTH_REQUIRED', 'CLIENT_CLOSED']

/** Looks for a value that lost, and brings it back. */
export async function restoreValue(turn: Turn): Promise<number> {
  const { random } = turn
  const lossy = turn.collections.filter((collection) => traitsOf(collection).isLossy)
  const collection = lossy[random.below(lossy.length)]
  const found = collection && (await find(turn, collection.name, true))
  if (found === undefined) return 0
  const { api, record } = found
  const lost = await lostValues(api, record.id)
  const value = lost[random.below(lost.length)]
  if (value === undefined) return 0
  const receipt = await make(turn, {
    what: `restore-value ${record.collection}`,
    run: () => api.update(record.id, { [value.field]: value.value }),
    told: mutationsOf,
    expected: ['VALUE_INVALID', 'FIELD_SERVER_OWNED'],
  })
  return receipt === refused || receipt.mutation === null ? 0 : 1
}

async function lostValues(api: AnyCollection, id: string): ReturnType<AnyCollection['lostValues']> {
  try {
    return await api.lostValues(id)
  } catch (error) {
    const isLater = error instanceof SyncError && error.retry !== 'never'
    if (isLater || isExpected(error, unanswered)) return []
    throw error
  }
}

/** Looks at the status, and at two rows that were written together. */
export async function look(turn: Turn): Promise<number> {
  await Promise.all([lookAtStatus(turn), lookAtPair(turn)])
  return 0
}

async function lookAtStatus({ client, disk, observe, nowMs }: Turn): Promise<void> {
  // Asked for without a pause between them, all four are read one after the other and nothing gets in between.
  const [status, entries, conflicts, letters] = await Promise.all([
    client.status.get(),
    client.outbox.list(),
    client.conflicts.list(),
    client.deadLetters.list(),
  ])
  const waiting = entries.filter((entry) => ['pending', 'sending', 'held'].includes(entry.status))
  const { phase, online, pendingCount, deadLetterCount, conflictCount } = status
  observe({
    kind: 'status-read',
    atMs: nowMs(),
    disk,
    said: { pending: pendingCount, dead: deadLetterCount, conflicts: conflictCount },
    truth: {
      pending: waiting.length,
      dead: letters.reduce((sum, { mutations }) => sum + mutations.length, 0),
      conflicts: conflicts.length,
    },
    isIdle: phase === 'idle' && online && pendingCount === 0,
  })
}

async function lookAtPair({ client, world, tenant, recordRoll, disk, observe, nowMs }: Turn): Promise<void> {
  const pair = world.pickPair(tenant, recordRoll)
  const name = world.pairs
  if (pair === undefined || name === undefined) return
  const ids = [pair.one, pair.other]
  // One statement: both rows are of one moment.
  const rows = await client.query((q) => q.selectFrom(name).select(['id', 'mark']).where('id', 'in', ids))
  const marks = new Map(rows.map((row) => [String(row['id']), String(row['mark'])]))
  observe({
    kind: 'group-read',
    atMs: nowMs(),
    disk,
    where: 'device',
    marks: Object.fromEntries(ids.map((id) => [id, marks.get(id) ?? null])),
  })
}

/** Somebody presses the button, and does not always wait. */
export async function sync({ client, random }: Turn): Promise<number> {
  if (random.below(2) === 0) client.sync.trigger()
  else await client.sync.now()
  return 0
}
