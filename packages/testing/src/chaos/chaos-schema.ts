import { collection, counter, defineSchema, set, text } from '@holdfast/core'

/** What the devices of a chaos run write: counters, sets and disputed texts in one record, notes, and pairs that are whole. */
export const chaosSchema = defineSchema({
  version: 1,
  collections: {
    items: collection({ fields: { label: text(), stock: counter(), tags: set(text()) } }),
    notes: collection({ fields: { body: text() } }),
    /** Written two at a time, with the same pair and value, by one process only. */
    pairs: collection({ fields: { pair: text(), value: text({ merge: 'latest' }) } }),
  },
})
