import type { Client } from '@holdfast/client'
import {
  collection,
  counter,
  defineSchema,
  type Field,
  integer,
  reference,
  type Schema,
  set,
  text,
} from '@holdfast/core'

/** A small app with one collection for each thing a lane is about; small, because a lane opens it a hundred thousand times. */
export type LaneSchema = Schema<{
  readonly items: ItemFields
  readonly lines: {
    readonly site: Field<string, true>
    readonly item: Field<string, true>
    readonly amount: Field<number, false>
  }
  readonly codes: KeyFields
  readonly labels: KeyFields
  readonly seats: KeyFields
  readonly kept: ItemFields
  readonly gone: ItemFields
}>

interface ItemFields extends Readonly<Record<string, Field>> {
  readonly site: Field<string, true>
  readonly name: Field<string, false>
  readonly place: Field<string, false>
  readonly stock: Field<number, false>
  readonly tags: Field<readonly string[], false>
  readonly notes: Field<string, false>
  readonly best: Field<number, false>
}

interface KeyFields extends Readonly<Record<string, Field>> {
  readonly site: Field<string, true>
  readonly code: Field<string, true>
}

const itemFields = {
  site: text(),
  /** Asked about. */
  name: text({ default: '' }),
  place: text({ merge: 'latest', default: '' }),
  stock: counter(),
  tags: set(text()),
  notes: text({ merge: 'paragraphs', default: '' }),
  best: integer({ merge: 'max', default: 0 }),
}

const keyFields = { site: text(), code: text() }
const scope = 'site:{site}'

function collectionsWith(items: typeof itemFields) {
  return {
    items: collection({ fields: items, scope }),
    lines: collection({
      fields: { site: text(), item: reference('items'), amount: integer({ default: 1 }) },
      scope,
    }),
    codes: collection({ fields: keyFields, scope, unique: [['site', 'code']] }),
    labels: collection({
      fields: keyFields,
      scope,
      unique: [{ fields: ['site', 'code'], onConflict: 'rename', ignoreCase: true }],
    }),
    seats: collection({
      fields: keyFields,
      scope,
      unique: [{ fields: ['site', 'code'], onConflict: 'ask' }],
    }),
    kept: collection({ fields: itemFields, scope, onDelete: 'edit' }),
    gone: collection({ fields: itemFields, scope, onDelete: 'delete' }),
  }
}

const collections = collectionsWith(itemFields)

/** The schema of the lanes. */
export const laneSchema: LaneSchema = defineSchema({ version: 2, collections })

const { gone: _, ...earlierCollections } = collections

/** The version of the app before: it knows nothing of one collection. */
export const earlierSchema: Schema = defineSchema({ version: 1, collections: earlierCollections })

const { tags: __, notes: ___, best: ____, ...plainerItemFields } = itemFields

/** The version of the app before: of items it knows less. */
export const plainerSchema: Schema = defineSchema({
  version: 1,
  collections: { ...collections, items: collection({ fields: plainerItemFields, scope }) },
})

const laterItemFields = { ...itemFields, colour: text({ default: 'grey' }) }

/** The next version of the app: items have a field more. */
export const laterSchema: Schema = defineSchema({
  version: 3,
  collections: collectionsWith(laterItemFields),
})

/** The app on a device. */
export type LaneClient = Client<LaneSchema>

/** Scopes of a tenant whose users see everything that lanes write. */
export const sites: readonly string[] = ['site:t0a', 'site:t0b']
