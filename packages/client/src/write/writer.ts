import {
  type CollectionSchema,
  type CollectionsOf,
  emptyPayload,
  type Environment,
  type InsertOf,
  newUuid,
  parseInsert,
  type Schema,
  SyncError,
} from '@holdfast/core'

import type { LocalTransaction, TransactionRunner } from '../local/local-database.ts'
import { quoteName } from '../local/tables.ts'
import {
  type CollectionWrites,
  collectionWrites,
  type Fields,
  type Receipt,
  type Write,
} from './collection-writes.ts'
import type { Verdicts, WriteVerdict } from './verdicts.ts'
import { weigh, type WriteContext, type Written, WriteSession } from './write-session.ts'

/** One collection of a client. */
export interface CollectionApi<F extends Fields> extends CollectionWrites<F> {
  /**
   * Stores many records, each a mutation of its own, and gives their ids in order. All are checked before the first is
   * stored; they commit in blocks of 1,000, so a failing disk may leave whole blocks. Errors: as insert.
   */
  insertMany(rows: readonly InsertOf<F>[]): Promise<readonly string[]>
  /** What the server said of the last unsettled write to a record, once it has ruled on all of them. */
  verdict(id: string): Promise<WriteVerdict>
}

/** Collections by name, each with its types. */
export type CollectionApis<S> = {
  readonly [Name in keyof CollectionsOf<S>]: CollectionApi<CollectionsOf<S>[Name]>
}

/** The collections as they are inside a transaction. */
export type TransactionCollections<S> = {
  readonly [Name in keyof CollectionsOf<S>]: CollectionWrites<CollectionsOf<S>[Name]>
}

/** What the write side is made from. */
export interface WriterParts {
  readonly context: WriteContext
  readonly database: TransactionRunner
  readonly verdicts: Verdicts
  readonly env: Environment
}

/** Rows that `insertMany` stores in one commit: large enough that the commit does not count, small enough not to be felt. */
const blockRows = 1_000

/** How long the function given to `transaction` may take, ms: nothing else is written or read meanwhile. */
const transactionMs = 5_000

/** One collection whose writes are each a transaction of their own. Rules: WR-1 to WR-8, WR-11. */
export function collectionApi<F extends Fields>(
  collection: CollectionSchema,
  parts: WriterParts,
): CollectionApi<F> {
  const { context, database, verdicts } = parts
  const run = (write: Write): Promise<Written> =>
    database.write((tx) => write(new WriteSession(context, tx, null)), { share: true })
  return {
    ...collectionWrites<F>(collection, {
      run,
      receipt: (written) => receiptOf(written, verdicts),
      read: (sql, params) => database.all(sql, params),
    }),
    async insertMany(rows) {
      const parsed = rows.map((row) => parseInsert(collection, row))
      for (const { values } of parsed) weigh(collection, { ...emptyPayload, changes: values })
      const named = parsed.flatMap(({ id }) => id ?? [])
      const ids: string[] = []
      for (let start = 0; start < parsed.length; start += blockRows) {
        const block = await database.write(async (tx) => {
          // In the first block itself: whoever makes the call again meets what that stored, and has its answer.
          if (start === 0) await assertFree(tx, collection, named)
          const session = new WriteSession(context, tx, null)
          const written: string[] = []
          for (const row of parsed.slice(start, start + blockRows)) {
            written.push((await session.insert(collection, row)).record)
          }
          return written
        })
        ids.push(...block)
      }
      return ids
    },
    verdict: (id) => verdicts.ofRecord(collection.name, id),
  }
}

/** Errors: RECORD_EXISTS when one of the ids is there, or named twice. */
async function assertFree(
  tx: LocalTransaction,
  { name }: CollectionSchema,
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return
  const [taken] = await tx.all(
    `SELECT value AS id FROM json_each(?) GROUP BY value HAVING count(*) > 1 OR value IN (SELECT id FROM ${quoteName(name)}) LIMIT 1`,
    [JSON.stringify(ids)],
  )
  if (taken !== undefined) {
    const message = `there is a ${name} ${taken.id} already, or it is to be stored twice`
    throw new SyncError('RECORD_EXISTS', message, { at: name })
  }
}

/**
 * Several writes that are one: here, on the server and on every other device. `fn` is given the collections; its reads
 * see its writes, and when it throws nothing was written. Nothing else may be awaited in it: calls on the client itself
 * would wait for this very transaction, so after five seconds it is undone. Errors: GROUP_TOO_LARGE,
 * TRANSACTION_OVER, and whatever `fn` throws. Rules: WR-7, WR-8, WR-10.
 */
export function runTransaction<T>(
  schema: Schema,
  parts: WriterParts,
  fn: (collections: Readonly<Record<string, CollectionWrites<Fields>>>, tx: LocalTransaction) => Promise<T>,
): Promise<T> {
  const { context, database, env, verdicts } = parts
  return database.write(async (tx) => {
    const group = newUuid(env)
    const session = new WriteSession(context, tx, group)
    // One after the other, also when they are not awaited one by one: two changes of a record must see each other.
    let last: Promise<unknown> = Promise.resolve()
    let isOver = false
    const run = (write: Write): Promise<Written> => {
      if (isOver)
        return Promise.reject(new SyncError('TRANSACTION_OVER', 'a transaction was used after its end'))
      const next = last.then(() => write(session))
      last = next.catch(() => undefined)
      return next
    }
    const receipt = (written: Written): Receipt => receiptOf(written, verdicts)
    const read: LocalTransaction['all'] = (sql, params) => tx.all(sql, params)
    const collections: Record<string, CollectionWrites<Fields>> = {}
    for (const collection of schema.collections.values()) {
      collections[collection.name] = collectionWrites<Fields>(collection, { run, receipt, read })
    }
    const value = await withinTime(env, fn(collections, tx))
    for (let seen: Promise<unknown> | undefined; seen !== last; await seen) seen = last
    // Whatever comes now would be stored in halves: its first statements inside the transaction, the others after it.
    isOver = true
    session.assertWhole()
    // A single write needs no company: on its own it may be folded with its neighbours.
    if (session.count === 1) await tx.run('UPDATE _outbox SET group_id = NULL WHERE group_id = ?', [group])
    return value
  })
}

async function withinTime<T>(env: Environment, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const cancel = env.setTimer(() => {
    const message = `the function given to transaction() took over ${transactionMs} ms; await nothing in it but its own tx`
    reject(new SyncError('TRANSACTION_OVER', message))
  }, transactionMs)
  try {
    return await Promise.race([work, promise])
  } finally {
    cancel()
    // When the time was over first, what the function still does fails, and nobody is there to see it.
    work.catch(() => undefined)
  }
}

function receiptOf({ mutation, seq }: Written, verdicts: Verdicts): Receipt {
  return {
    mutation,
    verdict: () =>
      mutation === null
        ? Promise.resolve({ status: 'nothing', version: null })
        : verdicts.of(mutation, seq ?? undefined),
  }
}
