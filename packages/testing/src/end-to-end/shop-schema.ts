import {
  attachment,
  boolean,
  collection,
  counter,
  decimal,
  defineSchema,
  integer,
  reference,
  set,
  text,
  timestamp,
  transitions,
} from '@holdfast/core'

/** A shop with every merge rule in it, for tests that run the whole way. */
export const shopSchema = defineSchema({
  version: 1,
  collections: {
    shelves: collection({ fields: { site: text(), name: text() }, scope: 'site:{site}' }),
    items: collection({
      fields: {
        site: text(),
        name: text(),
        price: decimal({ default: '0.00' }),
        stock: counter(),
        tags: set(text()),
        note: text({ merge: 'paragraphs', default: '' }),
        place: text({ merge: 'latest', default: '' }),
        best: integer({ merge: 'max', default: 0 }),
        fragile: boolean({ default: false }),
        checkedAt: timestamp({ optional: true }),
        state: text({
          merge: transitions({ draft: ['listed'], listed: ['sold', 'draft'], sold: [] }),
          default: 'draft',
        }),
        shelf: reference('shelves', { optional: true }),
        photo: attachment({ merge: 'latest' }),
      },
      scope: 'site:{site}',
      indexes: [['site', 'name']],
    }),
    codes: collection({
      fields: { site: text(), code: text(), label: text({ default: '' }) },
      scope: 'site:{site}',
      unique: [['site', 'code']],
    }),
  },
})
