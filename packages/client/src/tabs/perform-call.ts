import { SyncError, type Schema } from '@holdfast/core'

import { canSafelySignOut, type ClientParts } from '../client-parts.ts'
import { explainRecord } from '../inspect/explain.ts'
import { inspectDevice, type InspectQuery } from '../inspect/inspect-device.ts'
import type { StoredQuery } from '../live/run-query.ts'
import type { TransactionRunner } from '../local/local-database.ts'
import { createDeadLetters } from '../outbox/dead-letters.ts'
import { createEscrowApi } from '../outbox/escrow-api.ts'
import { createOutboxApi } from '../outbox/outbox-api.ts'
import { type CollectionApi, collectionApi } from '../write/writer.ts'
import type { CollectionWrites, Fields } from '../write/collection-writes.ts'
import type { SqlRow, StatementDescription } from '../drivers/sqlite-driver.ts'
import type { CallMessage } from './tab-messages.ts'

/** Rows as they are stored, and where each value comes from; whoever asked decodes them. */
export interface StoredRows {
  readonly rows: readonly SqlRow[]
  readonly columns: StatementDescription['columns']
}

type Method = (this: unknown, ...args: unknown[]) => unknown

/**
 * Performs a call of a tab: `path` leads to a member of the client as `openClient` makes it, whose transactions are run
 * by `runner`. Whatever the arguments are, the member checks them. Errors: those of the member; CLIENT_DEFECT for a
 * path that leads nowhere.
 */
export function performCall(
  parts: ClientParts<Schema>,
  runner: TransactionRunner,
  { path, args, trace }: Pick<CallMessage, 'path' | 'args' | 'trace'>,
): Promise<unknown> {
  const [area = '', ...rest] = path
  if (area === 'collection') return performOnCollection(parts, runner, { path: rest, args, trace })
  if (area === 'transaction') throw new SyncError('CLIENT_DEFECT', 'a transaction is no single call')
  const apis: Readonly<Record<string, () => object>> = {
    outbox: () => createOutboxApi(runner),
    deadLetters: () => createDeadLetters(runner, parts.writer.context),
    escrow: () => createEscrowApi(runner),
    conflicts: () => parts.syncParts.conflictsOn(runner),
    attachments: () => parts.syncParts.attachmentsOn(runner),
    status: () => parts.syncParts.status,
    sync: () => parts.syncParts.sync,
    client: () => clientMethods(parts, runner),
  }
  return invoke(apis[area]?.(), rest[0], args)
}

/** Calls a method by name; what is asked for by a message may not be there. */
export async function invoke(
  target: object | undefined,
  name: string | undefined,
  args: readonly unknown[],
): Promise<unknown> {
  // Own members only, so that no message reaches what every object inherits.
  const own =
    name !== undefined && target !== undefined && (Object.hasOwn(target, name) || isMethod(target, name))
  // Members of these objects that are functions take what a tab may send; each checks it.
  const method = own ? (target as Readonly<Record<string, unknown>>)[name] : undefined
  if (typeof method !== 'function')
    throw new SyncError('CLIENT_DEFECT', `there is nothing to call at ${name}`)
  return (method as Method).apply(target, [...args])
}

/** A method of the object's own class, as the status feed has them. */
function isMethod(target: object, name: string): boolean {
  const prototype: unknown = Object.getPrototypeOf(target)
  const isOfClass = typeof prototype === 'object' && prototype !== null && prototype !== Object.prototype
  return isOfClass && name !== 'constructor' && Object.hasOwn(prototype, name)
}

function performOnCollection(
  parts: ClientParts<Schema>,
  runner: TransactionRunner,
  { path, args, trace }: Pick<CallMessage, 'path' | 'args' | 'trace'>,
): Promise<unknown> {
  const [name = '', method] = path
  const collection = parts.declared.collections.get(name)
  if (collection === undefined)
    throw new SyncError('FIELD_UNKNOWN', `the schema has no collection ${name}`, { at: name })
  const context = { ...parts.writer.context, trace: () => trace }
  const api: CollectionApi<Fields> = collectionApi(collection, { ...parts.writer, context, database: runner })
  return invoke(api, method, args).then(withoutFunctions)
}

/** Methods of the client itself that are more than a passing on. */
function clientMethods(parts: ClientParts<Schema>, runner: TransactionRunner): object {
  const { declared, database, syncParts, writer } = parts
  return {
    query: async ({ sql, params }: StoredQuery): Promise<StoredRows> => {
      const { columns } = await database.describe(sql)
      return { rows: await database.all(sql, params), columns }
    },
    verdict: (mutation: string) => writer.verdicts.of(mutation),
    explain: (collection: string, record: string) =>
      database.read((tx) => explainRecord(tx, declared.collections.get(collection), record)),
    inspect: (query?: InspectQuery) =>
      database.read((tx) => inspectDevice(tx, { schema: declared, identity: syncParts.identity() }, query)),
    history: (collection: string, record: string) => syncParts.history(collection, record),
    canSafelySignOut: () => canSafelySignOut(runner),
  }
}

/** A receipt holds a function, which cannot cross; the tab makes its own. */
export function withoutFunctions(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('mutation' in value)) return value
  return { mutation: value.mutation }
}

/** The writes of a transaction by collection. */
export type WritesByCollection = Readonly<Record<string, CollectionWrites<Fields>>>
