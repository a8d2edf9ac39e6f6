import { createHash } from 'node:crypto'
import { isJsonArray, isObject, isStorableText, isUuid, type Limits, SyncError } from '@holdfast/core'
import type { Reached, SnapshotPlace, StoreReader, StoreState } from '../store/store.ts'

/** Up to where a device has read: one position, and scopes that are further. Devices never look into it. */
export interface PullCursor extends Reached {
  readonly epoch: string
  /** The scopes it covers beside the implicit ones; '*' is everything. */
  readonly scopes: readonly string[] | '*'
  /** The head when reading from the very start began: what was deleted before then was never received. */
  readonly from?: number
}

/** A snapshot under way. */
export interface SnapshotCursor {
  readonly epoch: string
  /** Read before the first page: what changes while the pages are read is pulled from here. */
  readonly position: number
  readonly scopes: readonly string[] | '*'
  readonly place: SnapshotPlace
  /** The pull cursor the snapshot is added to; null for a snapshot of everything. */
  readonly base: PullCursor | null
}

type NamedCursor =
  | { readonly kind: 'pull'; readonly cursor: PullCursor }
  | { readonly kind: 'snapshot'; readonly cursor: SnapshotCursor }

/** A cursor as it arrived. */
export type ReadCursor = NamedCursor & {
  /** Hashes of the lists that it names: they are stored. */
  readonly stored: readonly string[]
}

/** What the text of a cursor says, before anything was looked up. */
export interface CursorText {
  readonly shape: Shape
  /** Without its scopes. */
  readonly bare: NamedCursor
  readonly newest: number
  readonly stored: readonly string[]
}

/** What the store knows of what a cursor names. */
export interface LookedUp {
  /** Of the newest position in it. */
  readonly tag: string
  readonly lists: ReadonlyMap<string, readonly string[] | null>
}

/** Lists longer than this are kept by the server under their hash, which the cursor names. */
type ScopeLists = Map<string, readonly string[]>

/** What a cursor is written down with. */
export interface CursorContext {
  readonly limits: Pick<Limits, 'cursorScopes'>
  /** Of the history that made the newest position in it. */
  readonly tag: string
}

/** The newest position a cursor names: the history that made it made the older ones as well. */
export function newestPosition(cursor: PullCursor | SnapshotCursor): number {
  if ('place' in cursor) return Math.max(cursor.position, cursor.base ? newestPosition(cursor.base) : 0)
  const { position, from = 0, ahead, inside } = cursor
  return Math.max(position, from, inside?.position ?? 0, ...Object.values(ahead))
}

/** The text of a cursor, and the lists that must be stored before it is given out. Rules: PL-1, PL-2. */
export function formatCursor(
  cursor: PullCursor | SnapshotCursor,
  { limits, tag }: CursorContext,
): { readonly text: string; readonly lists: ScopeLists } {
  const lists: ScopeLists = new Map()
  const shape = 'place' in cursor ? snapshotShape(cursor, lists, limits) : pullShape(cursor, lists, limits)
  const tagged = tag === '' ? shape : { ...shape, t: tag }
  return { text: Buffer.from(JSON.stringify(tagged)).toString('base64url'), lists }
}

function pullShape(
  { epoch, position, scopes, ahead, inside, from }: PullCursor,
  lists: ScopeLists,
  limits: Pick<Limits, 'cursorScopes'>,
): object {
  const more = Object.keys(ahead).length > 0 ? { a: ahead } : {}
  const isFromStart = from !== undefined && from > position
  return {
    e: epoch,
    p: position,
    s: shortList(scopes, lists, limits),
    ...more,
    ...(inside && { i: [inside.position, inside.collection, inside.record] }),
    ...(isFromStart && { f: from }),
  }
}

function snapshotShape(
  { epoch, position, scopes, place, base }: SnapshotCursor,
  lists: ScopeLists,
  limits: Pick<Limits, 'cursorScopes'>,
): object {
  const at = [place.scope, place.collection, place.record]
  return {
    e: epoch,
    p: position,
    s: shortList(scopes, lists, limits),
    at,
    b: base && pullShape(base, lists, limits),
  }
}

function shortList(
  scopes: readonly string[] | '*',
  lists: ScopeLists,
  limits: Pick<Limits, 'cursorScopes'>,
): unknown {
  if (scopes === '*' || scopes.length <= limits.cursorScopes) return scopes
  const hash = scopesHash(scopes)
  lists.set(hash, scopes)
  return { hash }
}

/** The same for the same scopes in any order; changes whenever they do. */
export function scopesHash(scopes: readonly string[] | '*'): string {
  const text = scopes === '*' ? '*' : JSON.stringify([...scopes].sort())
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}

/** Errors: CURSOR_INVALID. */
export function parseCursor(text: string): CursorText {
  const shape = parseShape(text)
  if (typeof shape['e'] !== 'string' || !isPosition(shape['p'])) throw invalid()
  const bare = cursorOf(shape, () => [])
  return { shape, bare, newest: newestPosition(bare.cursor), stored: hashesIn(shape) }
}

/** Asks for all that checking a cursor takes, at once. */
export async function lookUpCursor(tx: StoreReader, { newest, stored }: CursorText): Promise<LookedUp> {
  const [tag, lists] = await Promise.all([
    tx.historyTag(newest),
    Promise.all(stored.map(async (hash) => [hash, await tx.scopeSet(hash)] as const)),
  ])
  return { tag, lists: new Map(lists) }
}

/**
 * A cursor that this server can serve. Errors: CURSOR_INVALID, CURSOR_EXPIRED (behind the horizon), EPOCH_CHANGED (another
 * history, or a position this one has not reached). Rules: PL-3 to PL-5, PL-21.
 */
export function checkCursor(
  { shape, bare, newest, stored }: CursorText,
  { tag, lists }: LookedUp,
  state: StoreState,
): ReadCursor {
  if (shape['e'] !== state.epoch) throw otherHistory()
  checkHorizon(bare, state)
  const read = cursorOf(shape, (list) => scopesOf(list, lists))
  if (newest > state.head || tag !== (shape['t'] ?? '')) throw otherHistory()
  return { ...read, stored }
}

function checkHorizon({ kind, cursor }: NamedCursor, { horizon }: StoreState): void {
  // A snapshot that began before the horizon moved may hold rows whose deletion is no longer known.
  if (kind === 'snapshot' && cursor.position < horizon)
    throw new SyncError('CURSOR_EXPIRED', 'the snapshot began behind the horizon')
  const pull = kind === 'snapshot' ? cursor.base : cursor
  if (pull && Math.max(pull.position, pull.from ?? 0) < horizon)
    throw new SyncError('CURSOR_EXPIRED', 'the cursor lies behind the horizon')
}

/**
 * Whether a device's copy is of a history that this server has lost. Of a cursor that nobody can read, or that lies behind
 * the horizon, its next pull decides. Rules: PU-34.
 */
export async function isOfLostHistory(tx: StoreReader, cursor: string): Promise<boolean> {
  try {
    const text = parseCursor(cursor)
    const [state, found] = await Promise.all([tx.state(), lookUpCursor(tx, text)])
    checkCursor(text, found, state)
    return false
  } catch (error) {
    if (
      !(error instanceof SyncError) ||
      (!error.code.startsWith('CURSOR_') && error.code !== 'EPOCH_CHANGED')
    )
      throw error
    return error.code === 'EPOCH_CHANGED'
  }
}

function hashesIn({ s, b }: Shape): readonly string[] {
  const lists = [s, isObject(b) ? b['s'] : undefined]
  return lists.flatMap((list) => (isObject(list) && typeof list['hash'] === 'string' ? [list['hash']] : []))
}

function otherHistory(): SyncError {
  return new SyncError('EPOCH_CHANGED', 'the server has another history than this cursor')
}

type ScopesOf = (list: unknown) => readonly string[] | '*'

function cursorOf(shape: Shape, of: ScopesOf): NamedCursor {
  const { e, p, s, at, b } = shape
  if (!isPosition(p)) throw invalid()
  if (at === undefined) return { kind: 'pull', cursor: pullCursorOf(String(e), shape, of) }
  if (!isJsonArray(at) || at.length !== 3) throw invalid()
  const [scope, collection, record] = at.map(String)
  const place = { scope: scope ?? '', collection: collection ?? '', record: record ?? '' }
  const base = b === null ? null : pullCursorOf(String(e), isObject(b) ? b : {}, of)
  return { kind: 'snapshot', cursor: { epoch: String(e), position: p, scopes: of(s), place, base } }
}

function pullCursorOf(epoch: string, { p, s, a, i, f }: Shape, of: ScopesOf): PullCursor {
  if (!isPosition(p) || !(f === undefined || isPosition(f))) throw invalid()
  const inside = readInside(i)
  return { epoch, position: p, scopes: of(s), ahead: readAhead(a), ...(inside && { inside }), from: f }
}

type Shape = Readonly<Record<string, unknown>>

function parseShape(text: string): Shape {
  try {
    const shape: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'), storable)
    if (isObject(shape)) return shape
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw invalid()
}

/** Whatever a cursor names is looked for in the store, which holds no such text. */
function storable(key: string, value: unknown): unknown {
  if (!isStorableText(key) || (typeof value === 'string' && !isStorableText(value))) throw invalid()
  return value
}

function scopesOf(list: unknown, lists: LookedUp['lists']): readonly string[] | '*' {
  if (list === '*') return '*'
  const scopes = isObject(list) && typeof list['hash'] === 'string' ? lists.get(list['hash']) : list
  if (Array.isArray(scopes) && scopes.every((scope) => typeof scope === 'string')) return scopes
  throw invalid()
}

function readAhead(shape: unknown): Readonly<Record<string, number>> {
  if (shape === undefined) return {}
  if (!isObject(shape)) throw invalid()
  return Object.fromEntries(
    Object.entries(shape).map(([scope, position]): [string, number] => {
      if (!isPosition(position)) throw invalid()
      return [scope, position]
    }),
  )
}

function readInside(shape: unknown): Reached['inside'] {
  if (shape === undefined) return undefined
  if (!isJsonArray(shape) || shape.length !== 3) throw invalid()
  const [position, collection, record] = shape
  if (!isPosition(position) || typeof collection !== 'string' || !isUuid(record)) throw invalid()
  return { position, collection, record }
}

function isPosition(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function invalid(): SyncError {
  return new SyncError('CURSOR_INVALID', 'the cursor is not one of this server')
}
