import {
  attachment,
  collection,
  counter,
  decimal,
  defineSchema,
  integer,
  reference,
  set,
  text,
  timestamp,
} from '@holdfast/core'

/** A warehouse: what lies on its shelves, and what was moved. The same object is given to the server and to every device. */
export const schema = defineSchema({
  version: 2,
  collections: {
    items: collection({
      fields: {
        name: text(), // two people change it: a person decides, as nothing else is said
        sku: text(),
        category: text(),
        price: decimal(),
        stock: counter(), // every count and pick of everybody is added
        minimum: integer({ default: 0, merge: 'latest' }),
        tags: set(text()), // additions and removals of everybody count
        notes: text({ default: '', merge: 'paragraphs' }), // edits to different paragraphs both stay
        location: text({ merge: 'latest' }), // the last one stays, the other is in the history
        photo: attachment({ merge: 'latest' }), // its hash and size; the bytes travel on their own
      },
      indexes: [['name'], ['location']],
    }),
    movements: collection({
      fields: {
        item: reference('items'),
        kind: text(),
        amount: integer(),
        person: text(),
        at: timestamp(),
      },
      indexes: [['at']],
    }),
  },
})
