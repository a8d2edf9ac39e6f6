import type { CollectionSchema, CollectionsOf, Field, Schema, TablesOf } from '@holdfast/core'
import { SyncError } from '@holdfast/core'

import type { AttachmentsApi } from '../attachments/attachments-api.ts'
import type { Client, ClientBase, ClientCollection, ClientTransaction } from '../client.ts'
import { withSystemCollections } from '../client-parts.ts'
import type { ConflictsApi } from '../conflicts/conflicts-api.ts'
import { RowView } from '../live/row-view.ts'
import { compileQuery, decoderOf, type QueryBuilder, storedQuery } from '../live/run-query.ts'
import type { StatusApi } from '../status/status-feed.ts'
import type { SyncStatus } from '../status/sync-status.ts'
import { collectionHistory } from '../sync/collection-history.ts'
import type { SyncApi } from '../sync/create-sync.ts'
import type { RecordHistory } from '../sync/record-history.ts'
import type { Logger } from '../sync-context.ts'
import type { CollectionWrites, Receipt } from '../write/collection-writes.ts'
import type { CollectionApi } from '../write/writer.ts'
import type { LeaderLink } from './leader-link.ts'
import type { StoredRows } from './perform-call.ts'
import type { Topic } from './tab-messages.ts'
import { applyDiff } from './rows-diff.ts'
import { runInTab } from './tab-transaction.ts'

type Fields = Readonly<Record<string, Field>>

/** What a client of a tab is made from. */
export interface ProxyParts<S extends Schema> {
  readonly schema: S
  readonly link: LeaderLink
  readonly trace: () => string | null
  readonly logger: Logger
}

/** The client of a tab: the same interface, whose every call is a message to whoever leads. Rules: BR-4. */
export function proxyClient<S extends Schema>(parts: ProxyParts<S>, close: () => Promise<void>): Client<S> {
  const { schema, link } = parts
  const full = withSystemCollections(schema)
  // A member of the leader's client by the same name answers with what the interface says.
  const call = (path: readonly string[], ...args: readonly unknown[]): Promise<never> =>
    link.call(path, args, { trace: parts.trace() }) as Promise<never>
  const apis = new Map<string, ClientCollection<Fields>>()
  for (const collection of schema.collections.values())
    apis.set(collection.name, proxyCollection(collection, link, parts.trace))
  const base: ClientBase<S> = {
    ...proxyOutbox(link, call),
    conflicts: proxyConflicts(link, call),
    attachments: proxyAttachments(link, call),
    status: proxyStatus(link, call),
    sync: proxySync(call),
    collection(name) {
      const api = apis.get(name)
      if (api === undefined)
        throw new SyncError('FIELD_UNKNOWN', `the schema has no collection ${name}`, { at: name })
      // The types of the collection of that name are those the schema infers for it.
      return api as unknown as ClientCollection<CollectionsOf<S>[typeof name]>
    },
    transaction: (fn) =>
      runInTab(link, parts.trace(), (step) => {
        const query = async <Row>(build: QueryBuilder<TablesOf<S>, Row>): Promise<readonly Row[]> =>
          decoded<Row>(full, await step(['query'], [storedQuery(compileQuery(build))]))
        const collections: Record<string, CollectionWrites<Fields>> = {}
        for (const { name } of schema.collections.values())
          collections[name] = proxyWrites(
            (method, args) => step([name, method], args),
            (mutation) => call(['client', 'verdict'], mutation),
          )
        // The collections are those of the schema, by name.
        return fn({ ...collections, query } as unknown as ClientTransaction<S>)
      }),
    query: async <Row>(build: QueryBuilder<TablesOf<S>, Row>) =>
      decoded<Row>(full, await call(['client', 'query'], storedQuery(compileQuery(build)))),
    watch: (build, onRows, onError) => watchQuery(parts, { build, onRows, onError }),
    verdict: (mutation) => call(['client', 'verdict'], mutation),
    explain: (collection, record) => call(['client', 'explain'], collection, record),
    inspect: (query) => call(['client', 'inspect'], query),
    history: (collection, record) => call(['client', 'history'], collection, record),
    canSafelySignOut: () => call(['client', 'canSafelySignOut']),
    identity: () => link.identity,
    close,
  }
  // One member for each collection; defineSchema refuses collections named like a member of the client.
  return Object.assign(base, Object.fromEntries(apis)) as unknown as Client<S>
}

type Call = (path: readonly string[], ...args: readonly unknown[]) => Promise<never>

function proxyCollection(
  { name }: CollectionSchema,
  link: LeaderLink,
  trace: () => string | null,
): ClientCollection<Fields> {
  const run = (method: string, args: readonly unknown[]): Promise<unknown> =>
    link.call(['collection', name, method], args, { trace: trace() })
  const verdictOf = (mutation: string): Promise<never> =>
    link.call(['client', 'verdict'], [mutation]) as Promise<never>
  const api: CollectionApi<Fields> = {
    ...proxyWrites(run, verdictOf),
    // The leader's member of that name answers with what the interface says.
    insertMany: (rows) => run('insertMany', [rows]) as Promise<readonly string[]>,
    verdict: (id) => run('verdict', [id]) as Promise<never>,
  }
  const ask = (id: string): Promise<RecordHistory> =>
    link.call(['client', 'history'], [name, id]) as Promise<RecordHistory>
  return { ...api, ...collectionHistory<Fields>({ ask, update: (id, values) => api.update(id, values) }) }
}

function proxyWrites(
  run: (method: string, args: readonly unknown[]) => Promise<unknown>,
  verdictOf: (mutation: string) => ReturnType<Receipt['verdict']>,
): CollectionWrites<Fields> {
  const change = async (method: string, args: readonly unknown[]): Promise<Receipt> => {
    // Changes answer with the mutation they made, if they made one.
    const { mutation } = (await run(method, args)) as Pick<Receipt, 'mutation'>
    const nothing = { status: 'nothing', version: null } as const
    return { mutation, verdict: () => (mutation === null ? Promise.resolve(nothing) : verdictOf(mutation)) }
  }
  return {
    insert: (values) => run('insert', [values]) as Promise<string>,
    update: (id, changes, seen) => change('update', [id, changes, seen]),
    increment: (id, amounts) => change('increment', [id, amounts]),
    add: (id, members) => change('add', [id, members]),
    remove: (id, members) => change('remove', [id, members]),
    delete: (id) => change('delete', [id]),
    get: (id) => run('get', [id]) as Promise<never>,
  }
}

function proxyOutbox(
  link: LeaderLink,
  call: Call,
): Pick<ClientBase<Schema>, 'outbox' | 'deadLetters' | 'escrow'> {
  return {
    outbox: {
      list: (query) => call(['outbox', 'list'], query),
      watch: (listener, query) => followList(link, { of: 'outbox', query }, listener),
      retry: (mutation) => call(['outbox', 'retry'], mutation),
    },
    deadLetters: {
      list: () => call(['deadLetters', 'list']),
      watch: (listener) => followList(link, { of: 'deadLetters' }, listener),
      get: (id) => call(['deadLetters', 'get'], id),
      retry: (id) => call(['deadLetters', 'retry'], id),
      editAndRetry: (id, changes, seen) => call(['deadLetters', 'editAndRetry'], id, changes, seen),
      discard: (id) => call(['deadLetters', 'discard'], id),
      export: (id) => call(['deadLetters', 'export'], id),
    },
    escrow: {
      list: () => call(['escrow', 'list']),
      dismiss: (id) => call(['escrow', 'dismiss'], id),
    },
  }
}

function proxyConflicts(link: LeaderLink, call: Call): ConflictsApi {
  return {
    list: (query) => call(['conflicts', 'list'], query),
    get: (id) => call(['conflicts', 'get'], id),
    watch: (listener, query) => followList(link, { of: 'conflicts', query }, listener),
    keepMine: (id) => call(['conflicts', 'keepMine'], id),
    keepTheirs: (id) => call(['conflicts', 'keepTheirs'], id),
    merge: (id, values) => call(['conflicts', 'merge'], id, values),
    keepBoth: (id) => call(['conflicts', 'keepBoth'], id),
    discard: (id) => call(['conflicts', 'discard'], id),
    foretold: () => call(['conflicts', 'foretold']),
  }
}

function proxyAttachments(link: LeaderLink, call: Call): AttachmentsApi {
  return {
    // Only a tab may be able to read what a person chose there, and not for long.
    add: async (bytes, about) =>
      call(
        ['attachments', 'add'],
        'arrayBuffer' in bytes ? new Uint8Array(await bytes.arrayBuffer()) : bytes,
        about,
      ),
    read: (of, attachment) => call(['attachments', 'read'], of, attachment),
    has: (attachment) => call(['attachments', 'has'], attachment),
    list: () => call(['attachments', 'list']),
    watch: (listener) => followList(link, { of: 'uploads' }, listener),
    retry: () => call(['attachments', 'retry']),
  }
}

/** Follows a list; the leader tells the whole of it. */
function followList<Item>(
  link: LeaderLink,
  topic: Topic,
  listener: (items: readonly Item[]) => void,
): () => void {
  return link.follow({
    ask: (id) => ({ kind: 'follow', id, topic }),
    // What the leader tells of a topic is a list of its items.
    onTold: (value) => listener(value as readonly Item[]),
  })
}

function proxyStatus(link: LeaderLink, call: Call): StatusApi {
  return {
    get: () => call(['status', 'get']),
    metrics: () => call(['status', 'metrics']),
    subscribe: (listener) =>
      link.follow({
        ask: (id) => ({ kind: 'follow', id, topic: { of: 'status' } }),
        // What the leader tells of the status is one.
        onTold: (value) => listener(value as SyncStatus),
      }),
  }
}

function proxySync(call: Call): SyncApi {
  // Nobody waits for these; one that is lost with its leader is said again to the next.
  const say = (method: string, ...args: readonly unknown[]): void =>
    void call(['sync', method], ...args).catch(() => undefined)
  return {
    now: () => call(['sync', 'now']),
    verify: () => call(['sync', 'verify']),
    pause: (cause = 'user') => say('pause', cause),
    resume: () => say('resume'),
    setOnline: (isOnline) => say('setOnline', isOnline),
    setConditions: (conditions) => say('setConditions', conditions),
    trigger: () => say('trigger'),
  }
}

interface Watch<S extends Schema, Row> {
  readonly build: QueryBuilder<TablesOf<S>, Row>
  readonly onRows: (rows: readonly Row[]) => void
  readonly onError: ((error: unknown) => void) | undefined
}

/** Rows come as differences; those that did not change stay the same objects, also when another tab takes the lead. */
function watchQuery<S extends Schema, Row>(
  { schema, link, logger }: ProxyParts<S>,
  { build, onRows, onError }: Watch<S, Row>,
): () => void {
  const full = withSystemCollections(schema)
  const view = new RowView()
  const told = onError ?? ((error): void => logger.log('error', 'watch failed', { error: String(error) }))
  let hasFailed = false
  const report = (error: unknown): void => {
    hasFailed = true
    told(error)
  }
  let decode = decoderOf(full, [])
  let received: typeof view.stored = []
  const query = compiledOrError(build)
  if (query instanceof Error) {
    void Promise.resolve().then(() => report(query))
    return () => undefined
  }
  return link.follow({
    ask: (id) => ({ kind: 'watch', id, query }),
    onRows: ({ diff, columns }) => {
      if (columns !== undefined) decode = decoderOf(full, columns)
      received = applyDiff(received, diff)
      // Whoever was told of a failure wants to know when it is over, although the rows are those from before.
      const isNews = view.take(received, decode) || hasFailed
      hasFailed = false
      if (!isNews) return
      try {
        // Kysely inferred Row from the query that gives the rows.
        onRows(view.rows as readonly Row[])
      } catch (error) {
        report(error)
      }
    },
    onError: report,
    onRestart: () => {
      received = []
    },
  })
}

function compiledOrError(build: QueryBuilder<never, unknown>): ReturnType<typeof storedQuery> | Error {
  try {
    return storedQuery(compileQuery(build))
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function decoded<Row>(schema: Schema, answer: unknown): readonly Row[] {
  // What a query is answered with.
  const { rows, columns } = answer as StoredRows
  // Kysely inferred Row from the query that gave these rows.
  return rows.map(decoderOf(schema, columns)) as Row[]
}
