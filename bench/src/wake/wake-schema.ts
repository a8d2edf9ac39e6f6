import { collection, defineSchema, type Schema, text } from '@holdfast/core'

/** Every commit is in a scope of its own, so that it can be told apart. */
export const wakeSchema: Schema = defineSchema({
  version: 1,
  collections: {
    items: collection({ fields: { place: text(), name: text() }, scope: 'place:{place}' }),
  },
})
