import {
  type CollectionSchema,
  type Field,
  type IncrementOf,
  type InsertOf,
  type MembersOf,
  parseInsert,
  parseUpdate,
  type RowOf,
  SyncError,
  type UpdateOf,
} from '@holdfast/core'

import type { LocalReader } from '../local/local-database.ts'
import { readRow } from '../local/records.ts'
import { rowToRecord } from '../local/tables.ts'
import { additionPayload, incrementPayload, removalPayload, updatePayload } from './payload-of-call.ts'
import { seenIn } from './seen-values.ts'
import type { WriteVerdict } from './verdicts.ts'
import type { Written, WriteSession } from './write-session.ts'

/** The fields of a collection, by name. */
export type Fields = Readonly<Record<string, Field>>

/** What a write gives back, once it is durable; inside a transaction, once the transaction is. */
export interface Receipt {
  /** The mutation's id, or null when the write changed nothing and so nothing was written. */
  readonly mutation: string | null
  /**
   * What the server said of it, once it has: `nothing` at once for a write that changed nothing. Await it outside of
   * the transaction it belongs to.
   */
  verdict(): Promise<WriteVerdict>
}

/**
 * The writes and reads of one collection, the same alone and inside a transaction.
 * Every call is checked before anything is stored, and leaves nothing when it throws.
 */
export interface CollectionWrites<F extends Fields> {
  /**
   * Stores a new record and gives its id. Errors: FIELD_UNKNOWN, FIELD_SERVER_OWNED, VALUE_INVALID, VALUE_TOO_LARGE,
   * RECORD_EXISTS.
   */
  insert(values: InsertOf<F>): Promise<string>
  /**
   * Changes fields. A counter set to a value travels as the difference, a set as what came and went; fields that are
   * equal already are left out. `seen` is the record as it was when somebody began to change it, such as the row that a form
   * was filled with: then what is equal to that is left out, and what others have written since is met, not overwritten.
   * Errors: RECORD_NOT_FOUND, TRANSITION_REFUSED and those of insert.
   */
  update(id: string, changes: UpdateOf<F>, seen?: Partial<RowOf<F>>): Promise<Receipt>
  /** Adds amounts to counters. Errors: RECORD_NOT_FOUND, VALUE_INVALID. */
  increment(id: string, amounts: IncrementOf<F>): Promise<Receipt>
  /** Adds members to sets. Errors: RECORD_NOT_FOUND, VALUE_INVALID, VALUE_TOO_LARGE. */
  add(id: string, members: MembersOf<F>): Promise<Receipt>
  /** Removes members from sets. Errors: RECORD_NOT_FOUND, VALUE_INVALID. */
  remove(id: string, members: MembersOf<F>): Promise<Receipt>
  /** Deletes a record. Errors: RECORD_NOT_FOUND. */
  delete(id: string): Promise<Receipt>
  /** The record as it is now, own writes included; undefined when there is none. */
  get(id: string): Promise<RowOf<F> | undefined>
}

/** A write: what it does to the session of the transaction it is run in. */
export type Write = (session: WriteSession) => Promise<Written>

/** Runs writes and reads in whatever transaction they belong to. */
export interface WriteRunner {
  run(write: Write): Promise<Written>
  receipt(written: Written): Receipt
  read: LocalReader['all']
}

/** The writes of a collection, in the transactions that `runner` provides. */
export function collectionWrites<F extends Fields>(
  collection: CollectionSchema,
  runner: WriteRunner,
): CollectionWrites<F> {
  const change = async (
    id: string,
    payloadFor: Parameters<WriteSession['change']>[2],
    seenVersion?: number,
  ): Promise<Receipt> =>
    runner.receipt(await runner.run((session) => session.change(collection, id, payloadFor, seenVersion)))
  return {
    async insert(values) {
      const parsed = parseInsert(collection, values)
      return (await runner.run((session) => session.insert(collection, parsed))).record
    },
    async update(id, changes, row) {
      const wanted = parseUpdate(collection, changes)
      // A form of one record that is saved into another would find everything changed there.
      if (row?.id !== undefined && row.id !== id) {
        const message = `what was seen is the ${collection.name} ${row.id}, not ${id}`
        throw new SyncError('VALUE_INVALID', message, { at: collection.name })
      }
      const { values: seen, version } = seenIn(collection, wanted, row)
      return change(id, (values) => updatePayload(collection, values, wanted, seen), version)
    },
    increment: (id, amounts) => change(id, (values) => incrementPayload(collection, values, amounts)),
    add: (id, members) => change(id, (values) => additionPayload(collection, values, members)),
    remove: (id, members) => change(id, (values) => removalPayload(collection, values, members)),
    async delete(id) {
      return runner.receipt(await runner.run((session) => session.delete(collection, id)))
    },
    async get(id) {
      const row = await readRow({ all: runner.read }, collection, id)
      // The table has the columns of the schema that F was inferred from.
      return row === undefined ? undefined : (rowToRecord(collection, row) as unknown as RowOf<F>)
    },
  }
}
