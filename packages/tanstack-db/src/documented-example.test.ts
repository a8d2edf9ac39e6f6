import { openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { collection, defineSchema, reference, text } from '@holdfast/core'
import { createCollection, createLiveQueryCollection, eq } from '@tanstack/db'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

import { holdfastCollectionOptions } from './index.ts'

const schema = defineSchema({
  version: 1,
  collections: {
    shelves: collection({ fields: { label: text() } }),
    items: collection({ fields: { name: text(), shelf: reference('shelves', { optional: true }) } }),
  },
})
const db = await openClient({ schema, storage: sqliteStorage(':memory:') })

// begin join
const items = createCollection(holdfastCollectionOptions({ client: db, schema, collection: 'items' }))
const shelves = createCollection(holdfastCollectionOptions({ client: db, schema, collection: 'shelves' }))

const lying = createLiveQueryCollection((q) =>
  q
    .from({ item: items })
    .join({ shelf: shelves }, ({ item, shelf }) => eq(item.shelf, shelf.id), 'inner')
    .select(({ item, shelf }) => ({ name: item.name, label: shelf.label })),
)
// end join

test('[TD-1] the page shows a join that runs', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/react.md'), 'utf8')
  const [, example = 'nothing'] =
    /^\/\/ begin join\n([\s\S]*?)^\/\/ end join$/m.exec(readFileSync(import.meta.filename, 'utf8')) ?? []
  expect(page).toContain(example)
  const shelf = await db.shelves.insert({ label: 'A' })
  await db.items.insert({ name: 'Rope', shelf })
  await lying.preload()
  expect(lying.toArray.map(({ name, label }) => `${name} on ${label}`)).toEqual(['Rope on A'])
  await db.close()
})
