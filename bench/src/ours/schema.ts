import { collection, counter, decimal, defineSchema, set, text, timestamp } from '@holdfast/core'

/** The inventory item with the rules such an app would give it. Everybody sees every row, as with the limit. */
export const schema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: {
        sku: text(),
        name: text(),
        description: text(),
        stock: counter(),
        price: decimal(),
        tags: set(text()),
        warehouse: text(),
        counted: timestamp(),
      },
      indexes: [['warehouse', 'name']],
    }),
  },
})
