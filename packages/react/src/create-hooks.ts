import type { Client, ConflictQuery, EntryQuery, QueryBuilder, SyncStatus } from '@holdfast/client'
import type { AttachmentValue, CollectionsOf, RowOf, Schema, TablesOf } from '@holdfast/core'
import { createElement, type ReactElement } from 'react'

import { useAnyClient } from './holdfast-context.ts'
import { type AttachmentOwner, type AttachmentResult, useAttachment } from './hooks/use-attachment.ts'
import {
  type ConflictsResult,
  type ForetoldResult,
  useConflicts,
  useForetold,
} from './hooks/use-conflicts.ts'
import { type DeadLettersResult, useDeadLetters } from './hooks/use-dead-letters.ts'
import {
  type LiveQueryOptions,
  type LiveQueryResult,
  useLiveQuery,
  useSuspenseLiveQuery,
} from './hooks/use-live-query.ts'
import { type MutationHandle, useMutation } from './hooks/use-mutation.ts'
import { type OutboxResult, useOutbox } from './hooks/use-outbox.ts'
import { type RecordResult, useRecord, useSuspenseRecord } from './hooks/use-record.ts'
import { useSyncStatus } from './hooks/use-sync-status.ts'
import { type UploadsResult, useUploads } from './hooks/use-uploads.ts'
import { type HoldfastProviderProps, Provider } from './provider.tsx'

/** A row of a collection of the schema. */
type RowIn<S, Name extends keyof CollectionsOf<S>> = RowOf<CollectionsOf<S>[Name]>

/** The hooks of one schema. Each needs a `HoldfastProvider` above: CLIENT_MISSING is thrown otherwise. */
export interface Hooks<S extends Schema> {
  /** Gives the client, labels and locale to everything below. A client that fails to open is thrown to the error boundary. */
  readonly HoldfastProvider: (props: HoldfastProviderProps<S>) => ReactElement
  /** The client. Suspends while it is being opened. Errors: CLIENT_MISSING when there is none, as on a server. */
  readonly useClient: () => Client<S>
  /**
   * Rows that follow every write: `useLiveQuery((q) => q.selectFrom('items').where('stock', '<', limit).selectAll())`.
   * The query is known by its SQL and values, so there is no list of dependencies and the function need not be
   * memoised. Null asks for nothing and stays pending. Rules: RE-1, RE-2.
   */
  readonly useLiveQuery: <Row>(
    build: QueryBuilder<TablesOf<S>, Row> | null,
    options?: LiveQueryOptions,
  ) => LiveQueryResult<Row>
  /** The same for Suspense: always rows; waits in the boundary above, and throws errors to it. Rules: RE-4. */
  readonly useSuspenseLiveQuery: <Row>(build: QueryBuilder<TablesOf<S>, Row>) => readonly Row[]
  /** One record by its id; null asks for nothing. */
  readonly useRecord: <Name extends keyof CollectionsOf<S> & string>(
    collection: Name,
    id: string | null,
  ) => RecordResult<RowIn<S, Name>>
  /** The same for Suspense; undefined when there is no such record. */
  readonly useSuspenseRecord: <Name extends keyof CollectionsOf<S> & string>(
    collection: Name,
    id: string,
  ) => RowIn<S, Name> | undefined
  /**
   * A way to write and the verdict on it: `useMutation((db, id: string) => db.items.increment(id, { stock: -1 }))`. Every
   * write made through the `db` it is given is followed up to the server's verdict. Rules: RE-5.
   */
  readonly useMutation: <Args extends readonly unknown[], Result>(
    fn: (db: Client<S>, ...args: Args) => Promise<Result>,
  ) => MutationHandle<Args, Result>
  /** How things stand between this device and its server; undefined until it is known. */
  readonly useSyncStatus: () => SyncStatus | undefined
  /** The conflicts this device sees; open ones unless said. */
  readonly useConflicts: (query?: ConflictQuery) => ConflictsResult
  /** Mutations that will meet a conflict or be refused, as far as the device can tell. */
  readonly useForetold: () => ForetoldResult
  /** What the server refused or tried in vain. */
  readonly useDeadLetters: () => DeadLettersResult
  /** What is in the outbox: the first 100 entries unless `limit` says otherwise. */
  readonly useOutbox: (query?: EntryQuery) => OutboxResult
  /**
   * The bytes of an attachment as an address for an image or a link: `<img src={photo.url ?? undefined} />`. They are fetched
   * when they are not on this device; while they cannot be had, `error` says why and they are asked for again. Rules: RE-16.
   */
  readonly useAttachment: (
    owner: AttachmentOwner<keyof CollectionsOf<S> & string>,
    attachment: AttachmentValue | null,
  ) => AttachmentResult
  /** Attachments of this device that the server does not have yet, oldest first. */
  readonly useUploads: () => UploadsResult
}

/**
 * The provider and hooks of a schema, with its types. Make them once, beside the schema, and import them from there:
 * `export const { HoldfastProvider, useLiveQuery, useMutation } = createHooks(schema)`.
 */
export function createHooks<S extends Schema>(schema: S): Hooks<S> {
  const hooks: Hooks<Schema> = {
    HoldfastProvider: (props) => createElement(Provider, { ...props, schema }),
    useClient: useAnyClient,
    useLiveQuery,
    useSuspenseLiveQuery,
    useRecord,
    useSuspenseRecord,
    useMutation,
    useSyncStatus,
    useConflicts,
    useForetold,
    useDeadLetters,
    useOutbox,
    useAttachment,
    useUploads,
  }
  // The hooks work with any schema; the provider gives them a client of this one.
  return hooks
}
