import type { Field, Json, UpdateOf } from '@holdfast/core'

import type { HistoryEntry, LostValue, RecordHistory } from './record-history.ts'

/** What happened to the records of a collection, as the server tells it. Errors: OFFLINE and the like, RECORD_NOT_FOUND. */
export interface CollectionHistory {
  /** The timeline, newest first: who, when, what, and why it came out so. */
  history(id: string): Promise<readonly HistoryEntry[]>
  /** Values that lost to another, of fields that the app has, newest first. */
  lostValues(id: string): Promise<readonly LostValue[]>
  /** Brings a value back by an ordinary update: it is checked, sent and merged like any other, also without a network. */
  restore(id: string, lost: { readonly field: string; readonly value: Json }): Promise<unknown>
}

/** Makes the history of one collection from the way to ask and the way to update. */
export function collectionHistory<F extends Readonly<Record<string, Field>>>(parts: {
  readonly ask: (id: string) => Promise<RecordHistory>
  readonly update: (id: string, values: UpdateOf<F>) => Promise<unknown>
}): CollectionHistory {
  return {
    history: async (id) => (await parts.ask(id)).history,
    lostValues: async (id) => (await parts.ask(id)).lost,
    // The update reads field and value at run time and refuses what does not fit.
    restore: (id, { field, value }) => parts.update(id, { [field]: value } as UpdateOf<F>),
  }
}
