import {
  type CollectionSchema,
  type RecordState,
  SyncError,
  touchedFields,
  type Values,
} from '@holdfast/core'

import { openConflicts } from '../conflicts/open-conflicts.ts'
import type { LocalReader } from '../local/local-database.ts'
import { readRow, readShadow, type Shadow } from '../local/records.ts'
import { rowToValues } from '../local/tables.ts'
import type { Entry } from '../outbox/entry.ts'
import { entriesOfRecord } from '../outbox/outbox.ts'

/** Why a record is as it is: what the server has, what this device adds, and what each mutation waits for. */
export interface Explanation {
  readonly collection: string
  readonly record: string
  /** null when the app sees no such record. */
  readonly state: RecordState | null
  /** What the app sees; null when it sees none. */
  readonly view: Values | null
  /** The server's copy, as last received. */
  readonly shadow: Shadow
  readonly mutations: readonly ExplainedMutation[]
}

/** One unsettled mutation in plain words. */
export interface ExplainedMutation {
  readonly entry: Entry
  /** One sentence for a person. */
  readonly why: string
}

/** Explains one record. Errors: FIELD_UNKNOWN for a collection the schema does not have. Rules: OB-18. */
export async function explainRecord(
  tx: LocalReader,
  collection: CollectionSchema | undefined,
  record: string,
): Promise<Explanation> {
  if (collection === undefined) throw new SyncError('FIELD_UNKNOWN', 'the schema has no such collection')
  const row = await readRow(tx, collection, record)
  const entries = await entriesOfRecord(tx, collection.name, record)
  const open = await openConflicts(
    tx,
    entries.flatMap(({ heldBy }) => heldBy ?? []),
  )
  return {
    collection: collection.name,
    record,
    // Only record states are written to that column.
    state: row === undefined ? null : (row._state as RecordState),
    view: row === undefined ? null : rowToValues(collection, row),
    shadow: await readShadow(tx, collection, record),
    mutations: entries.map((entry, index) => {
      const waitsFor = open.get(entry.heldBy ?? '') ?? entry.heldBy
      return { entry, why: reasonOf(entry, entries.slice(0, index), waitsFor) }
    }),
  }
}

function reasonOf(entry: Entry, earlier: readonly Entry[], waitsFor: string | null): string {
  const what = `${entry.op} of ${touchedFields(entry.payload).join(', ') || 'the record'}`
  switch (entry.status) {
    case 'answered':
      return `The server has ${entry.verdict ?? 'applied'} this ${what} as version ${entry.version ?? 'unknown'}; the next pull brings it.`
    case 'conflicted':
      return `This ${what} is in conflict ${waitsFor ?? ''}; a person must decide.`
    case 'held':
      return `The server waits with this ${what} until ${waitsFor ?? 'something else'} closes.`
    case 'dead':
      return `This ${what} was refused with ${entry.error?.code ?? 'no reason'}: it is a dead letter until it is repaired or discarded.`
    case 'sending':
      return `This ${what} is on its way; no answer has come yet.`
    case 'pending':
      return pendingReason(entry, earlier, what)
  }
}

function pendingReason(entry: Entry, earlier: readonly Entry[], what: string): string {
  const stuck = earlier.findLast(
    ({ status }) => status === 'dead' || status === 'conflicted' || status === 'held',
  )
  if (stuck !== undefined) return `This ${what} comes behind mutation ${stuck.id}, which is ${stuck.status}.`
  if (entry.attempts > 0) {
    return `This ${what} was tried ${entry.attempts} times, last with ${entry.error?.code ?? 'no reason'}; it is sent again.`
  }
  return `This ${what} was not sent yet.`
}
