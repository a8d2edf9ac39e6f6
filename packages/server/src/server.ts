import {
  assert,
  collectionNamed,
  type Environment,
  isUuid,
  type Json,
  type Limits,
  limits as defaultLimits,
  parseFieldValue,
  parseRanges,
  type Schema,
  SyncError,
  type Values,
} from '@holdfast/core'
import { attachmentSight, attachmentsNamed } from './attachments/attachment-sight.ts'
import { type HistoryQuery, lostValuesOf, readHistory } from './audit/read-history.ts'
import { decideEscrow } from './escrow/decide-escrow.ts'
import { checkReviewer } from './escrow/escrow-sight.ts'
import { listEscrow } from './escrow/list-escrow.ts'
import { CommitFeed } from './feed/commit-feed.ts'
import {
  type AuthorizeRequest,
  type Caller,
  type Engine,
  type EngineStats,
  type Grants,
  type HistoryEntry,
  type ListOptions,
  type Logger,
  type Page,
  type User,
  type HostTransaction,
} from './engine.ts'
import { deviceInfo } from './devices/device-info.ts'
import { noteContact } from './devices/note-contact.ts'
import { pageRows } from './pull/page-rows.ts'
import { type PageRequest, type ReadPage, readPullPage, readSnapshotPage } from './pull/read-page.ts'
import { readChangesSince } from './pull/changes-since.ts'
import { applyWrites } from './push/plain-writes.ts'
import { pushBatch } from './push/push-batch.ts'
import type { PushContext } from './push/push-context.ts'
import { resolveConflict } from './push/resolve-conflict.ts'
import { VerdictCounts } from './push/verdict-counts.ts'
import { checkGrants, scopeList, sees, visibilityOf } from './scope/grants.ts'
import { safeLogger } from './safe-logger.ts'
import type { Store, StoredDevice, StoreReader } from './store/store.ts'
import { ConstraintError } from './store/store-errors.ts'
import { systemEnvironment } from './system-environment.ts'

export type { Logger } from './engine.ts'

/** What a server is made from. `authenticate` is for the transport; the engine never sees a token. */
export interface ServerOptions<U extends User = User> {
  readonly schema: Schema
  readonly store: Store
  /** null: no valid token (401). Never called inside a transaction. */
  readonly authenticate: (request: Request) => U | null | Promise<U | null>
  /** What the user may see now; asked once per request. */
  readonly scopes: (user: U) => Grants | Promise<Grants>
  /** Runs inside the push transaction, hence synchronous. A text or false refuses: NOT_AUTHORIZED. */
  readonly authorize?: (request: AuthorizeRequest<U>) => boolean | string
  /**
   * Who decides the conflicts of collections with `review: true` and edits in escrow, of those in their sight. Needed when
   * there are such collections; without it, who sees everything decides about escrow. Runs inside the push transaction, hence synchronous.
   */
  readonly mayReview?: (user: U) => boolean
  /** The oldest schema version that is still served; 1 unless said. */
  readonly oldestSchema?: number
  readonly env?: Environment
  readonly logger?: Logger
  readonly limits?: Partial<Limits>
}

const dayMs = 86_400_000

/** Opens the store, creates what the schema adds, and starts the engine. Errors: STORE_FOREIGN, STORE_NEWER, STORE_CORRUPT, STORE_BUSY, SCHEMA_INVALID. */
export async function createEngine<U extends User>(
  options: Omit<ServerOptions<U>, 'authenticate'>,
): Promise<Engine<U>> {
  const { schema, store, scopes, authorize, mayReview, oldestSchema = 1 } = options
  const inReview = [...schema.collections.values()].find(({ review }) => review)
  if (inReview && !mayReview)
    throw new SyncError(
      'SCHEMA_INVALID',
      `${inReview.name} has review: true, and no mayReview says who reviews`,
    )
  const env = options.env ?? systemEnvironment()
  const limits: Limits = { ...defaultLimits, ...options.limits }
  await store.open({ schema, env })
  const feed = new CommitFeed(store, safeLogger(options.logger))
  const counts = new VerdictCounts()
  const context: PushContext<U> = {
    store,
    schema,
    env,
    limits,
    authorize,
    mayReview,
    beforeCommit: (tx, author) => feed.beforeCommit(tx, author),
    count: (results, offers) => counts.add(results, offers),
  }
  const parts: EngineParts<U> = { context, feed, counts, oldestSchema }
  return {
    schemaVersion: schema.version,
    grantsOf: async (user) => checkGrants(await scopes(user)),
    ...writesOf(parts),
    ...readsOf(parts),
    concerns: ({ user, grants }, event) =>
      event.scopes === '*' || sees(visibilityOf(user, grants), event.scopes),
    subscribe: (listener) => feed.subscribe(listener),
    write: (work) => writeAsHost(store, work),
    stats: () => store.read((tx) => readStats(tx, counts)),
    close: () => store.close(),
  }
}

/** A constraint that refuses a row is told by code, its name in the message. */
async function writeAsHost<Result>(
  store: Store,
  work: (tx: HostTransaction) => Promise<Result>,
): Promise<Result> {
  try {
    return await store.hostWrite(work)
  } catch (error) {
    if (!(error instanceof ConstraintError)) throw error
    throw new SyncError('CONSTRAINT_FAILED', error.message, { cause: error.cause })
  }
}

interface EngineParts<U extends User> {
  readonly context: PushContext<U>
  readonly feed: CommitFeed
  readonly counts: VerdictCounts
  readonly oldestSchema: number
}

function checkSchema<U extends User>(
  { context, oldestSchema }: EngineParts<U>,
  { schemaVersion }: Caller<U>,
): void {
  if (schemaVersion > context.schema.version) {
    throw new SyncError('SCHEMA_AHEAD', 'the server has not this schema version yet')
  }
  if (schemaVersion < oldestSchema) {
    throw new SyncError('SCHEMA_TOO_OLD', `the oldest schema version served is ${oldestSchema}`)
  }
}

type Writes<U extends User> = Pick<
  Engine<U>,
  'push' | 'apply' | 'resolve' | 'decideEscrow' | 'collectTombstones'
>

function writesOf<U extends User>(parts: EngineParts<U>): Writes<U> {
  const { context } = parts
  return {
    push: async (caller, request) => {
      checkSchema(parts, caller)
      return pushBatch(context, caller, request)
    },
    apply: (caller, writes, options) => applyWrites(context, caller, writes, options),
    resolve: (caller, conflict, resolution) => resolveConflict(context, caller, conflict, resolution),
    decideEscrow: (caller, id, decision) => decideEscrow(context, caller, { id, decision }),
    collectTombstones: async ({ olderThanMs, nowMs = context.env.now() }) => {
      const { limits, store } = context
      const ago = (ms: number): string => new Date(nowMs - ms).toISOString()
      const forget = {
        outcomes: ago(limits.outcomeDays * dayMs),
        keys: ago(limits.idempotencyKeyDays * dayMs),
      }
      return store.write(async (tx) => {
        const collected = await tx.collect(ago(olderThanMs), forget)
        await tx.forgetEscrow(forget.outcomes)
        return { collected, horizon: (await tx.state()).horizon }
      })
    },
  }
}

type Reads<U extends User> = Pick<
  Engine<U>,
  | 'pull'
  | 'snapshot'
  | 'record'
  | 'list'
  | 'history'
  | 'lostValues'
  | 'attachment'
  | 'attachmentsNamed'
  | 'escrow'
  | 'changesSince'
  | 'devices'
>

function readsOf<U extends User>(parts: EngineParts<U>): Reads<U> {
  const { store, schema, env, limits, mayReview } = parts.context
  const historyOf = (caller: Caller<U>, query: HistoryQuery): Promise<readonly HistoryEntry[] | null> =>
    store.read((tx) => readHistory(tx, visibilityOf(caller.user, caller.grants), query))
  return {
    pull: (caller, options) => readPage(parts, readPullPage, { caller, options, limits }),
    snapshot: (caller, options) => readPage(parts, readSnapshotPage, { caller, options, limits }),
    record: (caller, collection, id, { deleted = false } = {}) =>
      store.read((tx) => readRecord(tx, { schema, caller, collection, id, deleted })),
    list: (caller, collection, list = {}) =>
      store.read((tx) => listRecords(tx, { schema, caller, collection, list, limits })),
    history: (caller, collection, id, page) => historyOf(caller, { collection, id, ...page }),
    lostValues: async (caller, collection, id) => {
      const entries = await historyOf(caller, { collection, id })
      return entries && lostValuesOf(entries)
    },
    attachment: ({ user, grants }, key) =>
      store.read((tx) =>
        attachmentSight(tx, { schema, visibility: visibilityOf(user, grants), user: user.id }, key),
      ),
    attachmentsNamed: (keys) => store.read((tx) => attachmentsNamed(tx, schema, keys)),
    escrow: async (caller, query = {}) => {
      checkReviewer(mayReview, caller)
      return store.read((tx) => listEscrow(tx, { schema, limits, caller }, query))
    },
    changesSince: (caller, collection, time) =>
      readChangesSince(store, { caller, collection, time, env, limits }),
    devices: async (user) => (await store.read((tx) => tx.devices(user))).map(deviceInfo),
  }
}

/** A page, once its acknowledgement and the scope lists its cursor names are stored. */
async function readPage<U extends User, Options extends { readonly ack?: string }>(
  parts: EngineParts<U>,
  read: (tx: StoreReader, request: PageRequest<U, Options>) => Promise<ReadPage>,
  request: Omit<PageRequest<U, Options>, 'met'>,
): Promise<Page> {
  checkSchema(parts, request.caller)
  const { store, env } = parts.context
  const { caller, options } = request
  const ack = parseRanges(options.ack ?? '')
  let noting: Promise<void> | undefined
  const met = (known: StoredDevice | null): void => {
    noting = noteContact(store, env, { caller, ack, known })
    noting.catch(() => undefined)
  }
  const { page, lists } = await store.read((tx) => read(tx, { ...request, met }))
  await noting
  if (lists.size > 0) {
    await store.write(async (tx) => {
      for (const [hash, scopes] of lists) await tx.saveScopeSet(hash, scopes)
    })
  }
  return page
}

interface RecordQuery {
  readonly schema: Schema
  readonly caller: Pick<Caller, 'user' | 'grants'>
  readonly collection: string
  readonly id: string
  readonly deleted: boolean
}

async function readRecord(
  tx: StoreReader,
  { schema, caller, collection, id, deleted }: RecordQuery,
): Promise<string | null> {
  if (!collectionNamed(schema, collection))
    throw new SyncError('NOT_FOUND', `there is no collection "${collection}"`)
  const scopes = await tx.scopesOf(collection, id)
  if (scopes.length === 0 || !sees(visibilityOf(caller.user, caller.grants), scopes)) return null
  const text = await tx.recordText(collection, id)
  if (text === null || collection === '_conflicts' || deleted) return text
  const [record] = await tx.records(collection, [id])
  return record?.deletedAt === null ? text : null
}

interface ListQuery {
  readonly schema: Schema
  readonly caller: Pick<Caller, 'user' | 'grants'>
  readonly collection: string
  readonly list: ListOptions
  readonly limits: Limits
}

async function listRecords(
  tx: StoreReader,
  { schema, caller, collection, list, limits }: ListQuery,
): Promise<{ readonly text: string; readonly next: string | null }> {
  const known = collectionNamed(schema, collection)
  if (!known) throw new SyncError('NOT_FOUND', `there is no collection "${collection}"`)
  const { after = '' } = list
  if (after !== '' && !isUuid(after))
    throw new SyncError('REQUEST_INVALID', 'after is the `next` of the page before')
  const limit = pageRows(list.limit, limits)
  const filters: Record<string, Json> = {}
  for (const [name, value] of Object.entries(list.filters ?? {})) {
    const field = known.fieldsByName.get(name)
    if (!field)
      throw new SyncError('FIELD_UNKNOWN', `${collection}.${name} is not a field of the schema`, { at: name })
    filters[name] =
      value === null
        ? null
        : parseFieldValue(
            { ...field, validate: undefined, merge: { rule: 'ask' } },
            value,
            `${collection}.${name}`,
          )
  }
  const scopes = scopeList(visibilityOf(caller.user, caller.grants))
  const rows = await tx.list({
    collection,
    scopes,
    after,
    filters: filters satisfies Values,
    limit: limit + 1,
  })
  const page = rows.slice(0, limit)
  return {
    text: `[${page.map(({ text }) => text).join(',')}]`,
    next: rows.length > limit ? (page.at(-1)?.id ?? null) : null,
  }
}

async function readStats(tx: StoreReader, counts: VerdictCounts): Promise<EngineStats> {
  const { epoch, head, horizon } = await tx.state()
  assert(head >= horizon, 'the horizon lies in the past')
  return {
    epoch,
    head,
    horizon,
    ...(await tx.counts()),
    ...counts.read(),
  }
}
