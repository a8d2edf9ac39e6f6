import { collection, counter, defineSchema, set, text } from '@holdfast/core'

/** Yours goes here; devices are given the same. */
export const schema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: {
        warehouse: text(),
        name: text(),
        stock: counter(),
        tags: set(text()),
        shelf: text({ merge: 'latest', default: '' }),
      },
      scope: 'warehouse:{warehouse}',
    }),
  },
})
