import {
  type EscrowEnding,
  formatRanges,
  isStorableText,
  type Limits,
  parseRanges,
  type Ranges,
  type RowRange,
  type ScopeDigest,
  SyncError,
  unionRanges,
} from '@holdfast/core'
import { checkDecided, checkHistory } from '../devices/check-history.ts'
import { subtractRanges } from '../devices/range-sets.ts'
import type { Caller, Page, PullOptions, SnapshotOptions, User } from '../engine.ts'
import { type Visibility, visibilityOf } from '../scope/grants.ts'
import type { PageBounds, ReadFrom, StoredDevice, StoreReader, StoreState } from '../store/store.ts'
import { escrowEndings } from '../escrow/list-escrow.ts'
import { pageRows } from './page-rows.ts'
import { lostNumbers } from './lost-numbers.ts'
import { readDigests } from './read-digests.ts'
import {
  formatCursor,
  lookUpCursor,
  newestPosition,
  parseCursor,
  checkCursor,
  type PullCursor,
  type ReadCursor,
  scopesHash,
  type SnapshotCursor,
} from './cursor.ts'

/** A page, and the scope lists that must be stored before its cursor leaves the server. */
export interface ReadPage {
  readonly page: Page
  readonly lists: ReadonlyMap<string, readonly string[]>
}

/** What reading a page takes. */
export interface PageRequest<U extends User, Options> {
  readonly caller: Caller<U>
  readonly options: Options
  readonly limits: Limits
  /** Told as soon as it is known which device asks; null: one that was never here, or none. */
  readonly met: (device: StoredDevice | null) => void
}

/**
 * The next page of a pull. Head, grants, outcomes and rows come from one database snapshot. Errors: CURSOR_INVALID,
 * CURSOR_EXPIRED, EPOCH_CHANGED. Rules: PL-1 to PL-12, PL-23, PL-24, SC-1 to SC-6.
 */
export async function readPullPage<U extends User>(
  tx: StoreReader,
  { caller, options, limits, met }: PageRequest<U, PullOptions>,
): Promise<ReadPage> {
  const { state, device, read } = await begin(tx, {
    caller,
    met,
    options: { cursor: options.since, ack: options.ack },
  })
  const visibility = narrow(caller, options.scopes)
  const { scopes } = visibility
  const cursor = startOf(read, { state, visibility })
  const covered =
    cursor.scopes === '*' || scopes === '*' ? '*' : cursor.scopes.filter((scope) => scopes.has(scope))
  checkHistory(parseRanges(options.answered ?? ''), device?.finals ?? [])
  const from = readFrom(cursor, covered, visibility)
  const feed = await tx.feedPage(
    from,
    boundsOf(options.limit, limits),
    options.whole ? null : (device?.n ?? null),
  )
  const { epoch, from: start } = cursor
  const next: PullCursor = { epoch, from: start, ...feed.reached, scopes: covered }
  const outcomes = device && !feed.more ? await tx.outcomesText(device.n, device.open) : '[]'
  const { digests, ranges, rows } = feed.more
    ? { rows: [] }
    : await readDigests(tx, options, { scopes: from.scopes, limits })
  const escrow = feed.more
    ? undefined
    : options.escrow && (await escrowEndings(tx, caller.user.id, options.escrow))
  const lost = feed.more ? undefined : await lostNumbers(tx, device, options)
  if (!feed.more) await checkDecided(tx, caller.user.id, options.decided)
  return buildPage(tx, {
    changes: [...feed.changes, ...rows],
    outcomes,
    escrow,
    lost,
    digests,
    ranges,
    isDue: options.grown === true,
    visibility,
    cursor: next,
    more: feed.more,
    old: cursor.scopes,
    read,
    state,
    limits,
  })
}

interface BeginRequest<U extends User> extends Pick<PageRequest<U, unknown>, 'caller' | 'met'> {
  readonly options: { readonly cursor?: string | undefined; readonly ack?: string | undefined }
}

interface Begun {
  readonly state: StoreState
  readonly device: (StoredDevice & { readonly open: Ranges }) | null
  readonly read: CheckedCursor | null
}

type CheckedCursor = ReadCursor & { readonly newest: number; readonly tag: string }

/** What every page begins with; nothing of it needs another's answer, so that the store is asked for all of it at once. */
async function begin<U extends User>(
  tx: StoreReader,
  { caller: { user, device }, met, options: { cursor, ack = '' } }: BeginRequest<U>,
): Promise<Begun> {
  const text = cursor === undefined ? undefined : parseCursor(cursor)
  const acked = parseRanges(ack)
  const [state, known, found] = await Promise.all([
    tx.state(),
    device === null ? null : tx.device(user.id, device),
    text && lookUpCursor(tx, text),
  ])
  met(known)
  return {
    state,
    device: known && {
      ...known,
      open: subtractRanges(known.finals, unionRanges([...known.acked, ...acked])),
    },
    read: text && found ? { ...checkCursor(text, found, state), newest: text.newest, tag: found.tag } : null,
  }
}

/** The grants a request goes by; asking for fewer is allowed, asking for others gives nothing. */
function narrow<U extends User>(caller: Caller<U>, wanted: readonly string[] | undefined): Visibility {
  const all = visibilityOf(caller.user, caller.grants)
  if (wanted === undefined) return all
  const granted = wanted.filter(
    (scope) =>
      scope !== '*' && scope !== '' && (all.scopes === '*' ? isStorableText(scope) : all.scopes.has(scope)),
  )
  return { scopes: new Set([...granted, ...all.implicit]), implicit: all.implicit }
}

interface Start {
  readonly state: StoreState
  readonly visibility: Visibility
}

function startOf(read: ReadCursor | null, { state, visibility }: Start): PullCursor {
  const { epoch, complete } = state
  if (!read) return { epoch, position: 0, scopes: explicitScopes(visibility), ahead: {}, from: complete }
  if (read.kind !== 'pull') throw new SyncError('CURSOR_INVALID', 'this cursor is of a snapshot under way')
  if ((read.cursor.scopes === '*') !== (visibility.scopes === '*')) throw otherKind()
  return read.cursor
}

/** A copy of everything and a copy of some scopes are not the same kind of copy: one cannot become the other. */
function otherKind(): SyncError {
  return new SyncError('CURSOR_EXPIRED', 'the user sees everything now, or no longer does: take a snapshot')
}

function explicitScopes({ scopes, implicit }: Visibility): readonly string[] | '*' {
  return scopes === '*' ? '*' : [...scopes].filter((scope) => !implicit.includes(scope))
}

/** What is read on. The implicit scopes are covered by every cursor; what is not covered any more is not ahead either. */
function readFrom(cursor: PullCursor, covered: readonly string[] | '*', visibility: Visibility): ReadFrom {
  const { position, inside } = cursor
  const scopes = covered === '*' ? '*' : [...new Set([...covered, ...visibility.implicit])]
  const kept = new Set(scopes)
  const ahead = Object.fromEntries(
    Object.entries(cursor.ahead).filter(([scope]) => scopes === '*' || kept.has(scope)),
  )
  return { position, ahead, scopes, ...(inside && { inside }) }
}

/**
 * A page of live rows by key. Ends with the cursor of a position read before its first page, so that nothing written
 * meanwhile is missed. Errors: as a pull; SCOPE_DENIED. Rules: PL-13 to PL-17.
 */
export async function readSnapshotPage<U extends User>(
  tx: StoreReader,
  request: PageRequest<U, SnapshotOptions>,
): Promise<ReadPage> {
  const { caller, options, limits } = request
  const { state, device, read } = await begin(tx, request)
  const visibility = narrow(caller, options.scopes)
  const { snapshot, isFirst } = snapshotOf(read, { options, state, visibility })
  const granted = visibility.scopes
  // Grants are asked for on every page: what was revoked since the last one is read no further.
  const isOfEverything = snapshot.scopes === '*' || snapshot.base?.scopes === '*'
  if (isOfEverything && granted !== '*') throw otherKind()
  const scopes =
    snapshot.scopes === '*' || granted === '*'
      ? snapshot.scopes
      : snapshot.scopes.filter((scope) => granted.has(scope))
  const covered = snapshot.base && snapshot.base.scopes !== '*' ? snapshot.base.scopes : []
  const old = snapshot.scopes === '*' ? '*' : [...snapshot.scopes, ...covered]
  const { changes, place } = await tx.snapshotPage(
    scopes,
    isFirst ? null : snapshot.place,
    boundsOf(options.limit, limits),
  )
  const known = { read, state, limits }
  if (place)
    return buildPage(tx, {
      changes,
      outcomes: '[]',
      visibility,
      cursor: { ...snapshot, scopes, place },
      more: true,
      old,
      ...known,
    })
  const outcomes = device ? await tx.outcomesText(device.n, device.open) : '[]'
  const cursor = endOf({ ...snapshot, scopes }, visibility)
  return buildPage(tx, { changes, outcomes, visibility, cursor, more: false, old, ...known })
}

interface SnapshotStart extends Start {
  readonly options: SnapshotOptions
}

const beginning = { scope: '', collection: '', record: '' }

function snapshotOf(
  read: ReadCursor | null,
  { options, state, visibility }: SnapshotStart,
): { readonly snapshot: SnapshotCursor; readonly isFirst: boolean } {
  const { epoch, complete: position } = state
  const { scopes: granted } = visibility
  if (read?.kind === 'snapshot') return { snapshot: read.cursor, isFirst: false }
  const { scope } = options
  if (scope === undefined) {
    const scopes = granted === '*' ? '*' : [...granted].sort()
    return { snapshot: { epoch, position, scopes, place: beginning, base: null }, isFirst: true }
  }
  if (granted === '*' ? !isStorableText(scope) : !granted.has(scope)) {
    throw new SyncError('SCOPE_DENIED', 'the scope is not granted')
  }
  const scopes = scope === '*' ? '*' : [scope]
  const base: PullCursor = read?.cursor ?? {
    epoch,
    position: 0,
    scopes: scope === '*' ? '*' : [],
    ahead: {},
    from: position,
  }
  return { snapshot: { epoch, position, scopes, place: beginning, base }, isFirst: true }
}

/** The pull cursor a finished snapshot leaves. */
function endOf({ epoch, position, scopes, base }: SnapshotCursor, visibility: Visibility): PullCursor {
  const explicit = scopes === '*' ? '*' : scopes.filter((scope) => !visibility.implicit.includes(scope))
  if (!base || explicit === '*' || base.scopes === '*')
    return { epoch, position, scopes: explicit, ahead: {} }
  const granted = visibility.scopes
  const covered = base.scopes.filter((scope) => granted === '*' || granted.has(scope))
  const ahead = { ...base.ahead }
  for (const scope of explicit) if (position > base.position) ahead[scope] = position
  return { ...base, scopes: [...new Set([...covered, ...explicit])], ahead }
}

function boundsOf(limit: number | undefined, limits: Limits): PageBounds {
  return { rows: pageRows(limit, limits), bytes: limits.pageBytes }
}

interface PageParts {
  readonly changes: readonly string[]
  readonly outcomes: string
  /** Of the edits that were asked after; undefined when none were. */
  readonly escrow?: readonly EscrowEnding[] | undefined
  /** Of the numbers that were named as settled; undefined when none were. */
  readonly lost?: Ranges | undefined
  readonly digests?: readonly ScopeDigest[] | undefined
  readonly ranges?: readonly RowRange[] | undefined
  /** They are fetched for the fields of a newer app, and no repair. */
  readonly isDue?: boolean
  readonly visibility: Visibility
  readonly cursor: PullCursor | SnapshotCursor
  readonly more: boolean
  /** The scopes the device had before this page. */
  readonly old: readonly string[] | '*'
  /** The cursor that came with the request: its lists need not be stored again. */
  readonly read: CheckedCursor | null
  readonly state: StoreState
  readonly limits: Limits
}

async function buildPage(
  tx: StoreReader,
  {
    changes,
    outcomes,
    escrow,
    lost,
    digests,
    ranges,
    isDue = false,
    visibility,
    cursor,
    more,
    old,
    read,
    state,
    limits,
  }: PageParts,
): Promise<ReadPage> {
  const newest = newestPosition(cursor)
  // Most pages end where they began, or at what is complete.
  const known = [read, { newest: state.complete, tag: state.tag }].find((each) => each?.newest === newest)
  const tag = known ? known.tag : await tx.historyTag(newest)
  const { text: cursorText, lists } = formatCursor(cursor, { limits, tag })
  for (const hash of read?.stored ?? []) lists.delete(hash)
  const explicit = explicitScopes(visibility)
  const granted = explicit === '*' ? [] : explicit
  const had = new Set(old === '*' ? [] : old.filter((scope) => !visibility.implicit.includes(scope)))
  const scopes = {
    version: scopesHash(explicit),
    entered: granted.filter((scope) => old !== '*' && !had.has(scope)).sort(),
    revoked: [...had].filter((scope) => visibility.scopes !== '*' && !visibility.scopes.has(scope)).sort(),
  }
  const rest = JSON.stringify({
    escrow,
    lost: lost && formatRanges(lost),
    digests,
    ranges,
    scopes,
    cursor: cursorText,
    more,
  })
  const text = `{"changes":[${changes.join(',')}],"outcomes":${outcomes},${rest.slice(1)}`
  const repairs = isDue ? [] : (ranges ?? [])
  return {
    page: { text, changeCount: changes.length, repairs, scopes, cursor: cursorText, more },
    lists,
  }
}
