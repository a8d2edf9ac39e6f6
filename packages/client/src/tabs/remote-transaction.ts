import { type Schema, SyncError } from '@holdfast/core'

import type { ClientParts } from '../client-parts.ts'
import type { StoredQuery } from '../live/run-query.ts'
import type { LocalTransaction, TransactionRunner } from '../local/local-database.ts'
import { runTransaction } from '../write/writer.ts'
import { invoke, type StoredRows, withoutFunctions, type WritesByCollection } from './perform-call.ts'
import type { LeaderMessage, Step } from './tab-messages.ts'
import { errorToWire } from './wire-error.ts'

/**
 * A transaction that a tab holds open: its function runs in the tab, its steps here, one after the other. It is undone
 * when the tab says so, when the tab is gone, and when it takes longer than a transaction may. Rules: BR-6.
 */
export class RemoteTransaction {
  readonly #call: number
  readonly #tell: (message: LeaderMessage) => void
  readonly #end: PromiseWithResolvers<void> = Promise.withResolvers()
  #steps: Promise<void> = Promise.resolve()
  #perform: ((what: Step) => Promise<unknown>) | undefined

  constructor(call: number, tell: (message: LeaderMessage) => void) {
    this.#call = call
    this.#tell = tell
    // Whoever waits for the transaction sees it; it may have been settled by then.
    this.#end.promise.catch(() => undefined)
  }

  /** Runs it to its end. Errors: TRANSACTION_OVER, GROUP_TOO_LARGE. */
  run(parts: ClientParts<Schema>, runner: TransactionRunner, trace: string | null): Promise<void> {
    const context = { ...parts.writer.context, trace: () => trace }
    const writer = { ...parts.writer, context, database: runner }
    return runTransaction(parts.declared, writer, async (collections, tx) => {
      this.#perform = (what) => perform(collections, tx, what)
      this.#tell({ kind: 'ready', call: this.#call })
      try {
        await this.#end.promise
      } finally {
        this.#perform = undefined
      }
    })
  }

  /** One step; answered under its number. */
  step(step: number, what: Step): void {
    const call = this.#call
    this.#steps = this.#steps.then(async () => {
      try {
        if (this.#perform === undefined)
          throw new SyncError('TRANSACTION_OVER', 'a transaction was used after its end')
        this.#tell({ kind: 'stepResult', call, step, value: await this.#perform(what) })
      } catch (error) {
        this.#tell({ kind: 'stepError', call, step, error: errorToWire(error) })
      }
    })
  }

  /** The function of the tab is through: to be committed after the steps before, or undone. */
  finish(isDone: boolean): void {
    void this.#steps.then(() => {
      if (isDone) this.#end.resolve()
      else this.#end.reject(new SyncError('TRANSACTION_OVER', 'the transaction was given up'))
    })
  }
}

async function perform(collections: WritesByCollection, tx: LocalTransaction, what: Step): Promise<unknown> {
  const { path, args } = what
  if (path[0] === 'query') return query(tx, args[0] as StoredQuery)
  const [name = '', method] = path
  const writes = Object.hasOwn(collections, name) ? collections[name] : undefined
  return withoutFunctions(await invoke(writes, method, args))
}

async function query(tx: LocalTransaction, { sql, params }: StoredQuery): Promise<StoredRows> {
  const { columns } = await tx.describe(sql)
  return { rows: await tx.all(sql, params), columns }
}
