import {
  type CollectionSchema,
  emptyPayload,
  type Environment,
  type Hlc,
  type Json,
  limits,
  membersOf,
  type MutationOp,
  newUuid,
  type ParsedInsert,
  type Payload,
  type Schema,
  sortMembers,
  SyncError,
  utf8Length,
  type Values,
} from '@holdfast/core'

import type { SqlParam, SqlRow } from '../drivers/sqlite-driver.ts'
import type { LocalTransaction } from '../local/local-database.ts'
import { StampClock } from '../local/meta.ts'
import {
  forgetTombstone,
  keepDeletedShadow,
  keepShadow,
  keepTombstone,
  readRow,
  statementsOf,
} from '../local/records.ts'
import { quoteName, rowToValues, valuesToColumns, valueToColumn } from '../local/tables.ts'
import { payloadText } from '../outbox/entry.ts'
import { insertEntry } from '../outbox/outbox.ts'
import { referredCreates } from '../outbox/referred-creates.ts'

/** What every write needs to know of its surroundings. */
export interface WriteContext {
  readonly schema: Schema
  readonly env: Pick<Environment, 'now' | 'randomBytes'>
  /** UUID of this device, now. */
  readonly device: () => string
  /** W3C `traceparent` of what the app is doing, if it says. */
  readonly trace: () => string | null
}

/** What a write left behind; `mutation` and `seq` are null when it changed nothing. */
export interface Written {
  readonly record: string
  readonly mutation: string | null
  readonly seq: number | null
}

/** What a mutation stands on. */
interface Standing {
  readonly baseVersion: number
  readonly after: string | null
  readonly depends: readonly number[]
}

const fromNothing: Standing = { baseVersion: 0, after: null, depends: [] }

/** It stands on the creates of the records that it refers to as well. */
function behind(standing: Standing, creates: readonly number[]): Standing {
  return creates.length === 0 ? standing : { ...standing, depends: [...standing.depends, ...creates] }
}

/** Bytes of a mutation beside its payload as it travels: ids, stamps and names. */
const envelopeBytes = 500

/** The writes of one local transaction: each one row, its shadow if it had none, and its entry. Rules: WR-1 to WR-10. */
export class WriteSession {
  readonly #context: WriteContext
  readonly #tx: LocalTransaction
  readonly #clock: StampClock
  readonly #group: string | null
  #count = 0
  #bytes = 0
  #isTorn = false

  /** `group`: the id of the user transaction the writes belong to; null for writes on their own. */
  constructor(context: WriteContext, tx: LocalTransaction, group: string | null) {
    this.#context = context
    this.#tx = tx
    this.#group = group
    this.#clock = new StampClock(context.env, context.device())
  }

  /** Mutations written so far. */
  get count(): number {
    return this.#count
  }

  /**
   * Throws when a write failed half-way and the app caught that: then the transaction must not commit. A write that was
   * refused before it began is no harm.
   */
  assertWhole(): void {
    if (this.#isTorn)
      throw new SyncError('TRANSACTION_OVER', 'a write failed half-way, so nothing was stored')
  }

  /** Errors: RECORD_EXISTS, VALUE_TOO_LARGE, GROUP_TOO_LARGE. */
  async insert(collection: CollectionSchema, { id, values }: ParsedInsert): Promise<Written> {
    const record = id ?? newUuid(this.#context.env)
    const payload = this.#weigh(collection, { ...emptyPayload, changes: values })
    this.assertWhole()
    // An id made here is new by its 74 random bits; one that was given may be taken, or be that of a deleted record.
    const standing = id === undefined ? fromNothing : await this.#makeRoom(collection, record)
    if (!this.#clock.isReady) await this.#clock.ready(this.#tx)
    const { at, iso } = this.#clock.tick()
    const creates = await referredCreates(this.#tx, collection, values)
    this.#isTorn = true
    const meta: SqlParam[] = [iso, iso, null, standing.baseVersion, 'pending', '']
    await this.#tx.run(statementsOf(collection).insert, [
      record,
      ...valuesToColumns(collection, values),
      ...meta,
    ])
    return this.#record({
      collection,
      record,
      op: 'create',
      payload,
      at,
      standing: behind(standing, creates),
    })
  }

  /**
   * Writes what `payloadFor` makes of the record's values; its author saw them in that version, or as they stand. Errors:
   * RECORD_NOT_FOUND and those of `payloadFor`.
   */
  async change(
    collection: CollectionSchema,
    record: string,
    payloadFor: (values: Values) => Payload,
    seenVersion: number = Number.POSITIVE_INFINITY,
  ): Promise<Written> {
    const { row, values } = await this.#readLive(collection, record)
    const payload = payloadFor(values)
    const changed = applyPayload(values, payload)
    if (changed.size === 0) return { record, mutation: null, seq: null }
    const text = this.#weigh(collection, payload)
    const now = await this.#standOn(collection, row, values)
    const standing = { ...now, baseVersion: Math.min(now.baseVersion, seenVersion) }
    const creates = await referredCreates(this.#tx, collection, payload.changes)
    const { at, iso } = await this.#clock.next(this.#tx)
    await this.#updateRow({ collection, row, changed, iso })
    return this.#record({
      collection,
      record,
      op: 'update',
      payload: text,
      at,
      standing: behind(standing, creates),
    })
  }

  /** Errors: RECORD_NOT_FOUND. */
  async delete(collection: CollectionSchema, record: string): Promise<Written> {
    const { row, values } = await this.#readLive(collection, record)
    const payload = this.#weigh(collection, emptyPayload)
    const standing = await this.#standOn(collection, row, values)
    const { at, iso } = await this.#clock.next(this.#tx)
    await this.#tx.run(statementsOf(collection).remove, [record])
    await keepTombstone(this.#tx, {
      collection,
      record,
      version: standing.baseVersion,
      deletedAt: iso,
      values,
    })
    return this.#record({ collection, record, op: 'delete', payload, at, standing })
  }

  async #readLive(
    collection: CollectionSchema,
    record: string,
  ): Promise<{ readonly row: SqlRow; readonly values: Values }> {
    this.assertWhole()
    const row = await readRow(this.#tx, collection, record)
    if (row === undefined) {
      throw new SyncError('RECORD_NOT_FOUND', `there is no ${collection.name} ${record}`, {
        at: collection.name,
      })
    }
    return { row, values: rowToValues(collection, row) }
  }

  /** Where a record that must not exist is created: over its tombstone, or over nothing. */
  async #makeRoom(collection: CollectionSchema, record: string): Promise<Standing> {
    if ((await readRow(this.#tx, collection, record)) !== undefined) {
      throw new SyncError('RECORD_EXISTS', `there is a ${collection.name} ${record} already`, {
        at: collection.name,
      })
    }
    const [tombstone] = await this.#tx.all(
      'SELECT version FROM _deleted WHERE collection = ? AND record = ?',
      [collection.name, record],
    )
    if (tombstone === undefined) return fromNothing
    this.#isTorn = true
    await keepDeletedShadow(this.#tx, collection, record)
    await forgetTombstone(this.#tx, collection, record)
    return this.#standOnLast(collection, record, Number(tombstone.version))
  }

  /** What a change of a live record stands on. A clean row becomes its own shadow first. */
  async #standOn(collection: CollectionSchema, row: SqlRow, values: Values): Promise<Standing> {
    const version = Number(row._version)
    this.#isTorn = true
    if (row._state !== 'clean') return this.#standOnLast(collection, String(row.id), version)
    await keepShadow(this.#tx, collection, row, values)
    return { ...fromNothing, baseVersion: version }
  }

  /** The last entry of the record; where it was sent folded, the server knows it by the id of its lead. */
  async #standOnLast(collection: CollectionSchema, record: string, baseVersion: number): Promise<Standing> {
    const [last] = await this.#tx.all(
      `SELECT last.seq, coalesce(lead.id, last.id) AS id FROM _outbox AS last LEFT JOIN _outbox AS lead ON lead.seq = last.offer
       WHERE last.record = ? AND last.collection = ? AND NOT last.escrow ORDER BY last.seq DESC LIMIT 1`,
      [record, collection.name],
    )
    if (last === undefined) return { ...fromNothing, baseVersion }
    return { baseVersion, after: String(last.id), depends: [Number(last.seq)] }
  }

  async #updateRow({
    collection,
    row,
    changed,
    iso,
  }: {
    collection: CollectionSchema
    row: SqlRow
    changed: ReadonlyMap<string, Json>
    iso: string
  }): Promise<void> {
    const columns: string[] = []
    const params: SqlParam[] = []
    for (const field of collection.fields) {
      const value = changed.get(field.name)
      if (value === undefined) continue
      columns.push(`${quoteName(field.name)} = ?`)
      params.push(valueToColumn(field.kind, value))
    }
    const state = row._state === 'clean' ? 'pending' : (row._state ?? 'pending')
    await this.#tx.run(
      `UPDATE ${quoteName(collection.name)} SET ${columns.join(', ')}, _updated_at = ?, _state = ? WHERE id = ?`,
      [...params, iso, state, row.id ?? null],
    )
  }

  async #record(write: {
    readonly collection: CollectionSchema
    readonly record: string
    readonly op: MutationOp
    /** As stored. */
    readonly payload: string
    readonly at: Hlc
    readonly standing: Standing
  }): Promise<Written> {
    const { collection, record, op, payload, at, standing } = write
    const { schema, env, trace } = this.#context
    const mutation = newUuid(env)
    const seq = await insertEntry(this.#tx, {
      id: mutation,
      collection: collection.name,
      record,
      op,
      payload,
      baseVersion: standing.baseVersion,
      after: standing.after,
      at,
      resolves: null,
      group: this.#group,
      schema: schema.version,
      trace: trace(),
      createdAt: at.slice(0, 24),
      depends: standing.depends,
    })
    this.#tx.touch(collection.name, record)
    this.#count++
    this.#isTorn = false
    return { record, mutation, seq }
  }

  /** The text of a payload, once its size is found right. From here on the write must not fail, or the whole is torn. */
  #weigh(collection: CollectionSchema, payload: Payload): string {
    const { text, bytes } = weigh(collection, payload)
    if (
      this.#group !== null &&
      (this.#count + 1 > limits.groupMutations || this.#bytes + bytes > limits.groupBytes)
    ) {
      throw new SyncError(
        'GROUP_TOO_LARGE',
        `a transaction holds at most ${limits.groupMutations} writes and ${limits.groupBytes} bytes`,
      )
    }
    this.#bytes += bytes
    return text
  }
}

/** The text of a payload, and the bytes of its mutation as it travels. Errors: VALUE_TOO_LARGE. */
export function weigh(
  collection: CollectionSchema,
  payload: Payload,
): { readonly text: string; readonly bytes: number } {
  const text = payloadText(payload)
  const bytes = utf8Length(text) + envelopeBytes
  if (bytes <= limits.mutationBytes) return { text, bytes }
  const message = `a write to ${collection.name} is over ${limits.mutationBytes} bytes`
  throw new SyncError('VALUE_TOO_LARGE', message, { at: collection.name })
}

/** The values that differ after a payload, by field. */
function applyPayload(values: Values, payload: Payload): ReadonlyMap<string, Json> {
  const changed = new Map(Object.entries(payload.changes))
  for (const [name, amount] of Object.entries(payload.increments))
    changed.set(name, Number(values[name]) + amount)
  for (const name of new Set([...Object.keys(payload.additions), ...Object.keys(payload.removals)])) {
    const removed = new Set(payload.removals[name])
    const kept = membersOf(values[name]).filter((member) => !removed.has(member))
    changed.set(name, sortMembers([...kept, ...(payload.additions[name] ?? [])]))
  }
  return changed
}
