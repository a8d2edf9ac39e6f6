import {
  type Change,
  isObject,
  type Json,
  limits,
  type Outcome,
  type PullResponse,
  SyncError,
  type Values,
} from '@holdfast/core'
import type { FakeRecord, FakeStore, FeedEntry } from './fake-store.ts'

/** Who pulls, and how the fake server answers. */
export interface PullCall {
  readonly store: FakeStore
  readonly user: string
  readonly device: string
  readonly scopes: ReadonlySet<string>
  /** Own writes come back as `have`, without their data. */
  readonly haves: boolean
  /** Changes of one pull come in an order of their own, across its pages. */
  readonly disorder: boolean
}

interface Cursor {
  readonly epoch: string
  /** Position by scope. */
  readonly at: Readonly<Record<string, number>>
  /** Inside a snapshot: of which scopes, and the last key. */
  readonly snapshot?: { readonly scopes: readonly string[]; readonly after: string }
  /** Inside a pull in disorder: up to which position, and the last key. */
  readonly disorder?: { readonly head: number; readonly after: string }
}

/** One page from the feed. */
export function answerPull(
  call: PullCall,
  options: { readonly since?: string; readonly limit?: number; readonly whole?: boolean },
): PullResponse {
  const { store, scopes } = call
  const haves = call.haves && options.whole !== true
  const cursor =
    options.since === undefined ? { epoch: store.epoch, at: {} } : readCursor(call, options.since)
  const covered = Object.keys(cursor.at)
  const isCovered = (entry: FeedEntry): boolean =>
    scopes.has(entry.scope) && cursor.at[entry.scope] !== undefined
  const head = cursor.disorder?.head ?? store.head
  const waiting = [...store.feed.values()]
    .filter(
      (entry) => isCovered(entry) && entry.position > (cursor.at[entry.scope] ?? 0) && entry.position <= head,
    )
    .filter((entry) => cursor.disorder === undefined || shuffledKey(entry) > cursor.disorder.after)
    .sort(call.disorder ? byShuffledKey : (left, right) => left.position - right.position)
  const page = waiting.slice(0, options.limit ?? limits.pullRows)
  const more = page.length < waiting.length
  const granted = covered.filter((scope) => scopes.has(scope))
  const last = page.at(-1)
  const next: Cursor =
    more && call.disorder && last
      ? { epoch: store.epoch, at: pick(cursor.at, granted), disorder: { head, after: shuffledKey(last) } }
      : { epoch: store.epoch, at: advanced(cursor.at, granted, more ? (last?.position ?? head) : head) }
  const entered = [...scopes].filter((scope) => cursor.at[scope] === undefined).sort()
  const revoked = covered.filter((scope) => !scopes.has(scope))
  return pageOf(call, {
    changes: page.map((entry) => changeOf({ ...call, haves }, entry)),
    entered,
    revoked,
    next,
    more,
  })
}

/** One page of the rows as they are. */
export function answerSnapshot(
  call: PullCall,
  options: { readonly cursor?: string; readonly scope?: string; readonly limit?: number },
): PullResponse {
  const { store, scopes } = call
  if (options.scope !== undefined && !scopes.has(options.scope))
    throw new SyncError('SCOPE_DENIED', 'not granted')
  const begun =
    options.cursor === undefined ? { epoch: store.epoch, at: {} } : readCursor(call, options.cursor)
  const targets = begun.snapshot?.scopes ?? (options.scope === undefined ? [...scopes] : [options.scope])
  const at = begun.snapshot
    ? begun.at
    : advanced(begun.at, [...Object.keys(begun.at), ...targets], store.head, begun.at)
  const after = begun.snapshot?.after ?? ''
  const rows = [...store.records.values()]
    .flatMap((record) =>
      record.scopes.filter((scope) => targets.includes(scope)).map((scope) => ({ record, scope })),
    )
    .map(({ record, scope }) => ({ record, scope, key: `${record.collection}/${record.id} ${scope}` }))
    .filter(({ record, key }) => record.snapshot.kind === 'live' && key > after)
    .sort((left, right) => (left.key < right.key ? -1 : 1))
  const page = rows.slice(0, options.limit ?? limits.snapshotRows)
  const more = page.length < rows.length
  const next: Cursor = more
    ? { epoch: store.epoch, at, snapshot: { scopes: targets, after: page.at(-1)?.key ?? '' } }
    : { epoch: store.epoch, at }
  const changes = page.map(({ record, scope }) => putOf(record, scope))
  return pageOf(call, { changes, entered: [], revoked: [], next, more })
}

/** Positions of the named scopes at `head`; those that `known` already has stay. */
function advanced(
  at: Cursor['at'],
  scopes: readonly string[],
  head: number,
  known: Cursor['at'] = {},
): Record<string, number> {
  return Object.fromEntries(scopes.map((scope) => [scope, known[scope] ?? Math.max(at[scope] ?? 0, head)]))
}

function pick(at: Cursor['at'], scopes: readonly string[]): Record<string, number> {
  return Object.fromEntries(scopes.map((scope) => [scope, at[scope] ?? 0]))
}

function readCursor({ store }: PullCall, text: string): Cursor {
  let parsed: unknown
  try {
    parsed = JSON.parse(atob(text))
  } catch {
    throw new SyncError('CURSOR_INVALID', 'the cursor was edited or cut')
  }
  if (!isObject(parsed) || !isObject(parsed['at']))
    throw new SyncError('CURSOR_INVALID', 'no cursor of this server')
  if (parsed['epoch'] !== store.epoch) throw new SyncError('EPOCH_CHANGED', 'the server has another history')
  // Written by pageOf; a test that edits cursors is told by JSON and by the epoch.
  return parsed as unknown as Cursor
}

function changeOf(call: PullCall, entry: FeedEntry): Change {
  const { store, device, haves } = call
  const record = store.find(entry.collection, entry.record)
  if (!record || record.snapshot.kind === 'absent')
    throw new Error('the feed names a record that is not there')
  const { version } = record.snapshot
  const { collection, record: id, scope, op } = entry
  const last = record.changes.at(-1)
  if (op === 'put' && haves && last?.device === device && last.exact) {
    return { collection, record: id, op: 'have', scope, version, serverUpdatedAt: record.serverUpdatedAt }
  }
  if (op === 'put') return putOf(record, scope)
  return { collection, record: id, op, scope, version, serverUpdatedAt: record.serverUpdatedAt }
}

function putOf(record: FakeRecord, scope: string): Change {
  const { collection, id, snapshot, createdAt, updatedAt, serverUpdatedAt } = record
  const values: Values = snapshot.kind === 'absent' ? {} : (snapshot.values ?? {})
  const version = snapshot.kind === 'absent' ? 0 : snapshot.version
  const data: Record<string, Json> = { ...values, created_at: createdAt, updated_at: updatedAt }
  return { collection, record: id, op: 'put', scope, version, serverUpdatedAt, data }
}

interface PageParts {
  readonly changes: readonly Change[]
  readonly entered: readonly string[]
  readonly revoked: readonly string[]
  readonly next: Cursor
  readonly more: boolean
}

function pageOf(
  { store, user, device, scopes }: PullCall,
  { changes, entered, revoked, next, more }: PageParts,
): PullResponse {
  const decided = more ? [] : store.device(user, device).outcomes
  const outcomes: Outcome[] = decided.flatMap(({ acked, outcome }) =>
    acked || outcome === undefined ? [] : [outcome],
  )
  const version = [...scopes].sort().join(' ')
  return {
    changes,
    outcomes,
    scopes: { version, entered, revoked },
    cursor: btoa(JSON.stringify(next)),
    more,
  }
}

function byShuffledKey(left: FeedEntry, right: FeedEntry): number {
  return shuffledKey(left) < shuffledKey(right) ? -1 : 1
}

/** An order that has nothing to do with time but is the same for every page of a pull. */
function shuffledKey({ scope, collection, record }: FeedEntry): string {
  const text = `${collection}/${record} ${scope}`
  let hash = 7
  for (let index = 0; index < text.length; index++)
    hash = (Math.imul(hash, 31) + text.charCodeAt(index)) >>> 0
  return `${hash.toString(16).padStart(8, '0')} ${text}`
}
