import {
  collection,
  type CollectionDeclaration,
  counter,
  defineSchema,
  type Field,
  type SchemaOf,
  set,
  text,
} from '@holdfast/core'

type Text = Field<string, true>

/** The collections of a chaos run. */
export interface ChaosCollections {
  readonly items: CollectionDeclaration<{
    label: Text
    stock: Field<number, false>
    tags: Field<readonly string[], false>
  }>
  readonly notes: CollectionDeclaration<{ body: Text }>
  /** Written two at a time, with the same pair and value, by one process only. */
  readonly pairs: CollectionDeclaration<{ pair: Text; value: Text }>
}

/** What the devices of a chaos run write: counts, sets and disputed texts in one record, notes, and pairs. */
export const chaosSchema: SchemaOf<ChaosCollections> = defineSchema({
  version: 1,
  collections: {
    items: collection({ fields: { label: text(), stock: counter(), tags: set(text()) } }),
    notes: collection({ fields: { body: text() } }),
    pairs: collection({ fields: { pair: text(), value: text({ merge: 'latest' }) } }),
  },
})
