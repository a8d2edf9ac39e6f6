import { type Client, systemEnvironment, type WriteVerdict } from '@holdfast/client'
import {
  type CollectionSchema,
  type CollectionsOf,
  type Environment,
  type InsertOf,
  newUuid,
  parseInsert,
  type RowOf,
  type Schema,
  SyncError,
} from '@holdfast/core'
import {
  BasicIndex,
  type CollectionConfig,
  type PendingMutation,
  type SyncConfig,
  type UtilsRecord,
} from '@tanstack/db'

import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type RowMap, rowMap } from './row-map.ts'
import { writeMutations } from './write-mutations.ts'

/** A collection of a schema, by name. */
export type CollectionName<S> = keyof CollectionsOf<S> & string

/** A row of that collection. */
export type CollectionRow<S, Name extends CollectionName<S>> = RowOf<CollectionsOf<S>[Name]> & object

/** What `holdfastCollectionOptions` takes. */
export interface HoldfastCollectionConfig<S extends Schema, Name extends CollectionName<S>> {
  /** An open client. The collection never closes it. */
  readonly client: Client<S>
  /** The schema the client was opened with. */
  readonly schema: S
  /** Which collection of it. */
  readonly collection: Name
  /** Id of the TanStack DB collection; `holdfast:` and the name unless said. */
  readonly id?: string
  /** ms without subscribers after which TanStack DB lets the rows go; five minutes unless said. */
  readonly gcTime?: number
  /** Where new ids come from; the real world unless said. */
  readonly env?: Pick<Environment, 'now' | 'randomBytes'>
}

/** What such a collection offers beside what every collection does. */
export interface HoldfastUtils extends UtilsRecord {
  /** The name of the Holdfast collection. */
  readonly collectionName: string
  /**
   * What the server said of each write of a transaction, in the order written, once it has ruled on all: `applied`, `merged`,
   * `conflict`, `rejected` and so on. Ask after the transaction has settled; empty for one that this client did not write.
   */
  readonly verdicts: (transaction: object) => Promise<readonly WriteVerdict[]>
  /** Writes those mutations of a transaction that are of Holdfast collections of this client; for `createTransaction`. */
  readonly acceptMutations: (transaction: PendingTransaction) => Promise<void>
}

/** A transaction as a `mutationFn` is given it. */
export interface PendingTransaction {
  readonly mutations: readonly PendingMutation[]
}

/** Options of a TanStack DB collection over a Holdfast one. */
export type HoldfastCollectionOptions<S extends Schema, Name extends CollectionName<S>> = Omit<
  CollectionConfig<
    CollectionRow<S, Name>,
    string,
    StandardSchemaV1<InsertOf<CollectionsOf<S>[Name]>, CollectionRow<S, Name>>,
    HoldfastUtils
  >,
  'utils' | 'schema'
> & {
  schema: StandardSchemaV1<InsertOf<CollectionsOf<S>[Name]>, CollectionRow<S, Name>>
  utils: HoldfastUtils
}

/**
 * A TanStack DB collection whose rows are those of a Holdfast collection on this device, own writes included. A write is
 * settled (`isPersisted`) when it is stored on this device; it is sent by the client, and what the server says of it is
 * in `utils.verdicts` and in `_state` of the row. What the device refuses is rolled back and rejects with its code.
 * Rules: TD-1 to TD-6.
 */
export function holdfastCollectionOptions<S extends Schema, Name extends CollectionName<S>>(
  config: HoldfastCollectionConfig<S, Name>,
): HoldfastCollectionOptions<S, Name> {
  const { client, schema, collection: name, env = systemEnvironment, gcTime } = config
  const collection = schema.collections.get(name)
  if (collection === undefined)
    throw new SyncError('FIELD_UNKNOWN', `the schema has no collection ${name}`, { at: name })
  // A client of any schema has these members; the names of its collections are known at run time.
  const anyClient = client as unknown as Client<Schema>
  const shown = rowMap()
  const accept = (transaction: PendingTransaction): Promise<void> => acceptMutations(anyClient, transaction)
  const utils: HoldfastUtils = {
    collectionName: name,
    acceptMutations: accept,
    verdicts: async (transaction) => Promise.all(verdictsBy.get(transaction) ?? []),
  }
  sources.set(utils, { client: anyClient, collection, shown })
  const options = {
    id: config.id ?? `holdfast:${name}`,
    ...(gcTime === undefined ? {} : { gcTime }),
    getKey: (row: { readonly id: string }) => row.id,
    schema: insertSchema(collection, env),
    // Without an index a join scans every row at every change.
    autoIndex: 'eager',
    defaultIndexType: BasicIndex,
    sync: syncOf(anyClient, name, shown),
    onInsert: ({ transaction }: { readonly transaction: PendingTransaction }) => accept(transaction),
    onUpdate: ({ transaction }: { readonly transaction: PendingTransaction }) => accept(transaction),
    onDelete: ({ transaction }: { readonly transaction: PendingTransaction }) => accept(transaction),
    utils,
  }
  // Rows, inserts and keys are those of the collection of that name.
  return options as unknown as HoldfastCollectionOptions<S, Name>
}

/** What a TanStack DB collection is over. */
interface Source {
  readonly client: Client<Schema>
  readonly collection: CollectionSchema
  readonly shown: RowMap
}

/** By the utils of the collection, which TanStack DB passes on as they are. */
const sources = new WeakMap<object, Source>()

const verdictsBy = new WeakMap<object, readonly Promise<WriteVerdict>[]>()

/** Writes the mutations as one transaction of the device, and shows what came of them as soon as TanStack DB lets go of its own. */
async function acceptMutations(client: Client<Schema>, transaction: PendingTransaction): Promise<void> {
  const mutations = transaction.mutations.flatMap((mutation) => {
    // The utils of any collection are an object; their type says nothing more.
    const source = sources.get(mutation.collection.utils as object)
    return source?.client === client ? [{ ...mutation, ...source }] : []
  })
  const written = await writeMutations(client, mutations)
  // Asked for now: what has left the outbox is only known to whoever asked before.
  const verdicts = written.map((write) => write.verdict())
  for (const verdict of verdicts) verdict.catch(() => undefined)
  verdictsBy.set(transaction, verdicts)
  for (const { key, collection, shown } of mutations) {
    const id = String(key)
    // What is stored stays stored where it cannot be read now; then the watch brings it.
    await client
      .collection(collection.name)
      .get(id)
      .then(
        (row) => shown.put(id, row),
        () => undefined,
      )
  }
}

/** Rows as they are on the device now, then whatever changes. */
function syncOf(client: Client<Schema>, name: string, shown: RowMap): SyncConfig<Row, string> {
  return {
    rowUpdateMode: 'full',
    sync: ({ begin, write, commit, markReady, markError }) => {
      shown.begin((changes) => {
        if (changes.length === 0) return
        begin()
        for (const { type, row } of changes) write({ type, value: row })
        const receipt = commit()
        // Abandoned with the collection, when that is cleaned up first.
        if (receipt !== true) receipt.catch(() => undefined)
      })
      const stop = client.watch(
        // A collection is a table of that name whatever the schema.
        (q) => q.selectFrom(name as never).selectAll() as never,
        (rows: readonly Row[]) => {
          shown.replace(rows)
          markReady()
        },
        markError,
      )
      return () => {
        stop()
        shown.end()
      }
    },
  }
}

type Row = { readonly id: string }

/** Gives an insert its id and every field its value; a row that is there already is judged when it is written. */
function insertSchema(
  collection: CollectionSchema,
  env: Pick<Environment, 'now' | 'randomBytes'>,
): StandardSchemaV1<unknown, Row> {
  return {
    '~standard': {
      version: 1,
      vendor: 'holdfast',
      validate: (input) => {
        if (typeof input === 'object' && input !== null && '_version' in input && 'id' in input)
          return { value: input as Row }
        try {
          const { id, values } = parseInsert(collection, input)
          const now = new Date(env.now()).toISOString()
          const meta = {
            _created_at: now,
            _updated_at: now,
            _server_updated_at: null,
            _version: 0,
            _state: 'pending',
          }
          return { value: { id: id ?? newUuid(env), ...values, ...meta } }
        } catch (error) {
          if (!(error instanceof SyncError)) throw error
          return { issues: [{ message: `${error.code}: ${error.message}` }] }
        }
      },
    },
  }
}
