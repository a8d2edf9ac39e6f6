import {
  type CollectionSchema,
  type CollectionsOf,
  type Field,
  type FieldsByCollection,
  type Schema,
  SyncError,
  type TablesOf,
} from '@holdfast/core'

import {
  canSafelySignOut,
  type ClientOptions,
  type ClientParts,
  closeParts,
  openParts,
} from './client-parts.ts'
import type { AttachmentsApi } from './attachments/attachments-api.ts'
import type { ConflictsApi } from './conflicts/conflicts-api.ts'
import { type Explanation, explainRecord } from './inspect/explain.ts'
import { type Inspection, inspectDevice, type InspectQuery } from './inspect/inspect-device.ts'
import type { StopWatching } from './live/live-queries.ts'
import { compileQuery, prepareQuery, type QueryBuilder, runQuery } from './live/run-query.ts'
import { createDeadLetters, type DeadLettersApi } from './outbox/dead-letters.ts'
import { createEscrowApi, type EscrowApi } from './outbox/escrow-api.ts'
import { createOutboxApi, type OutboxApi } from './outbox/outbox-api.ts'
import type { StatusApi } from './status/status-feed.ts'
import type { SyncApi, SyncParts } from './sync/create-sync.ts'
import { type CollectionHistory, collectionHistory } from './sync/collection-history.ts'
import type { RecordHistory } from './sync/record-history.ts'
import type { Identity } from './sync-context.ts'
import type { WriteVerdict } from './write/verdicts.ts'
import {
  type CollectionApi,
  collectionApi,
  runTransaction,
  type TransactionCollections,
  type WriterParts,
} from './write/writer.ts'

/** What every client has beside its collections. */
export interface ClientBase<S extends Schema> {
  /** Mutations that are not settled. */
  readonly outbox: OutboxApi
  /** Mutations that will never succeed by themselves. */
  readonly deadLetters: DeadLettersApi
  /** Edits that went to operators because the right to their record ended before they were sent. */
  readonly escrow: EscrowApi
  /** What waits for a person's decision. */
  readonly conflicts: ConflictsApi
  /** The bytes of attachments, which travel on their own. */
  readonly attachments: AttachmentsApi
  /** How things stand between this device and its server. */
  readonly status: StatusApi
  /** When to sync. */
  readonly sync: SyncApi
  /** A collection by name: the same as the member of that name. */
  collection<Name extends keyof CollectionsOf<S> & string>(
    name: Name,
  ): ClientCollection<CollectionsOf<S>[Name]>
  /**
   * Several writes that are one, here and everywhere. Reads of `tx` see its writes; when `fn` throws nothing was
   * written. Await nothing in it but `tx`. Errors: GROUP_TOO_LARGE, TRANSACTION_OVER, and whatever `fn` throws.
   */
  transaction<T>(fn: (tx: ClientTransaction<S>) => Promise<T>): Promise<T>
  /** Runs a query once. */
  query<Row>(build: QueryBuilder<TablesOf<S>, Row>): Promise<readonly Row[]>
  /**
   * Calls `onRows` with the rows at once, and again after each commit that changed them; rows that did not change are
   * the same objects. Errors of the query go to `onError`, or to the log. Returns the way to stop.
   */
  watch<Row>(
    build: QueryBuilder<TablesOf<S>, Row>,
    onRows: (rows: readonly Row[]) => void,
    onError?: (error: unknown) => void,
  ): StopWatching
  /** What the server said of a mutation, once it has. */
  verdict(mutation: string): Promise<WriteVerdict>
  /** Why a record is as it is. */
  explain(collection: keyof CollectionsOf<S> & string, record: string): Promise<Explanation>
  /** What stands in the database beside its rows: cursor, scopes, shadows, counts. For developers' tools. */
  inspect(query?: InspectQuery): Promise<Inspection>
  /** What happened to a record, as the server tells it. Errors: OFFLINE and the like, RECORD_NOT_FOUND. */
  history(collection: keyof CollectionsOf<S> & string, record: string): Promise<RecordHistory>
  /** True when nothing would be lost with the database: the server has ruled on every mutation, no dead letter is left, and no upload. */
  canSafelySignOut(): Promise<boolean>
  /** Whom and which device the database belongs to. */
  identity(): Identity
  /** Stops syncing and closes the database. What is unsent stays for the next time. */
  close(): Promise<void>
}

/** The writes and reads of one transaction. */
export type ClientTransaction<S extends Schema> = TransactionCollections<S> & {
  /** Runs a query; it sees the writes of the transaction. */
  query<Row>(build: QueryBuilder<TablesOf<S>, Row>): Promise<readonly Row[]>
}

/** A device's database, with one member for each collection. */
export type Client<S extends Schema> = ClientBase<S> & {
  readonly [Name in keyof CollectionsOf<S>]: ClientCollection<CollectionsOf<S>[Name]>
}

/** One collection of a client: its writes and reads, and what the server tells of its records. */
export type ClientCollection<F extends Readonly<Record<string, Field>>> = CollectionApi<F> & CollectionHistory

/**
 * Opens a device's database and begins to sync it. Everything but `sync.now` and `history` works without a network.
 * Errors: STORE_FOREIGN, STORE_NEWER, STORE_CORRUPT, STORE_LOCKED, ACCOUNT_MISMATCH, SCHEMA_INVALID.
 */
export async function openClient<S extends Schema<FieldsByCollection>>(
  options: ClientOptions<S>,
): Promise<Client<S>> {
  const parts = await openParts(options)
  const client = assemble<S>(parts)
  parts.syncParts.start()
  return client
}

function assemble<S extends Schema>(parts: ClientParts<S>): Client<S> {
  const { declared, schema, database, writer, live, syncParts } = parts
  const { verdicts } = writer
  const apis = new Map<string, ClientCollection<Readonly<Record<string, Field>>>>()
  for (const collection of declared.collections.values())
    apis.set(collection.name, clientCollection(collection, writer, syncParts))
  const base: ClientBase<S> = {
    outbox: createOutboxApi(database),
    deadLetters: createDeadLetters(database, writer.context),
    escrow: createEscrowApi(database),
    conflicts: syncParts.conflicts,
    attachments: syncParts.attachments,
    status: syncParts.status,
    sync: syncParts.sync,
    collection(name) {
      const api = apis.get(name)
      if (api === undefined)
        throw new SyncError('FIELD_UNKNOWN', `the schema has no collection ${name}`, { at: name })
      // The types of the collection of that name are those the schema infers for it.
      return api as unknown as ClientCollection<CollectionsOf<S>[typeof name]>
    },
    transaction: (fn) =>
      runTransaction(declared, writer, (collections, tx) => {
        const query = async <Row>(build: QueryBuilder<TablesOf<S>, Row>): Promise<readonly Row[]> => {
          const prepared = await prepareQuery(schema, compileQuery(build), (sql) => tx.describe(sql))
          // Kysely inferred Row from the query that gives the rows.
          return (await runQuery(tx, prepared)) as readonly Row[]
        }
        // The collections are those of the schema, by name.
        return fn({ ...collections, query } as unknown as ClientTransaction<S>)
      }),
    query: (build) => live.run(build),
    watch: (build, onRows, onError) => live.watch(build, { onRows, onError }),
    verdict: (mutation) => verdicts.of(mutation),
    explain: (collection, record) =>
      database.read((tx) => explainRecord(tx, declared.collections.get(collection), record)),
    inspect: (query) =>
      database.read((tx) => inspectDevice(tx, { schema: declared, identity: syncParts.identity() }, query)),
    history: (collection, record) => syncParts.history(collection, record),
    canSafelySignOut: () => canSafelySignOut(database),
    identity: () => syncParts.identity(),
    close: () => closeParts(parts),
  }
  // One member for each collection; defineSchema refuses collections named like a member of the client.
  return Object.assign(base, Object.fromEntries(apis)) as unknown as Client<S>
}

function clientCollection(
  collection: CollectionSchema,
  writer: WriterParts,
  syncParts: SyncParts,
): ClientCollection<Readonly<Record<string, Field>>> {
  const api = collectionApi<Readonly<Record<string, Field>>>(collection, writer)
  const ask = (id: string): Promise<RecordHistory> => syncParts.history(collection.name, id)
  return { ...api, ...collectionHistory({ ask, update: (id, values) => api.update(id, values) }) }
}
