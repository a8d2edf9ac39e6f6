import { collection, counter, decimal, defineSchema, integer, set, text } from '@holdfast/core'

/**
 * The stock of a film library: one row per disc title in each branch. Everything that Holdfast has to know is here;
 * the same object is given to the server and to every device.
 */
export const schema = defineSchema({
  version: 1,
  collections: {
    films: collection({
      fields: {
        title: text(),
        // No rule given means "ask": when two people change the same one, a person decides.
        description: text({ default: '' }),
        price: decimal(),
        director: text({ optional: true }),
        genre: text({ optional: true }),
        year: integer({ optional: true }),
        stock: counter(), // every change is added
        tags: set(text()), // additions and removals of everybody count
        notes: text({ default: '', merge: 'paragraphs' }), // edits to different paragraphs both stay
        shelf: text({ merge: 'latest' }), // the last write stays, the other one is kept in the history
        branch: text(),
      },
      scope: 'branch:{branch}', // who may see a row, from its own columns
      indexes: [['title']],
    }),
  },
})
