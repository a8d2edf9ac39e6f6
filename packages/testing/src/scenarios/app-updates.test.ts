import { type Client, openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { collection, counter, defineSchema, type Schema, text } from '@holdfast/core'
import { copyFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { openFile } from './open-file.ts'
import { createShopWorld, givenItems, idOf, type ShopWorld } from './shop-world.ts'

let world: ShopWorld
let path: string
let db: Client<Schema> | undefined

beforeEach(() => {
  world = createShopWorld()
  path = world.path('device.sqlite')
})

afterEach(async () => {
  await db?.close()
  db = undefined
  await world.close()
})

const fields = { name: text(), stock: counter(), wh: text({ default: 'w1' }) }
const items = collection({ fields, scope: 'w:{wh}' })
const itemsWithNotes = collection({
  fields: { ...fields, note: text({ optional: true, merge: 'latest' }) },
  scope: 'w:{wh}',
})
const shelves = collection({ fields: { label: text(), wh: text({ default: 'w1' }) }, scope: 'w:{wh}' })

/** The device as the next version of its app opens it. */
async function update(version: number, collections: Parameters<typeof defineSchema>[0]['collections']) {
  await db?.close()
  const schema: Schema = defineSchema({ version, collections })
  const common = { server: 'https://shop.example', auth: 'ann', env: world.env, sync: { auto: false } }
  db = await openClient({ ...common, schema, storage: sqliteStorage(path) })
  await world.env.settle()
  return db
}

const sync = (device: Client<Schema>): Promise<unknown> => world.env.complete(device.sync.now())
const rowsOf = (table: string): Promise<readonly object[]> => openFile(path, `SELECT * FROM ${table}`)

test('[LO-15] [AP-8] of a collection that the app does not have any more no row is kept', async () => {
  const first = await update(1, { items, shelves })
  givenItems(world, 2)
  await sync(first)
  await first['items']?.update(idOf(0), { name: 'not sent yet' })
  await first['items']?.delete(idOf(1))
  await update(2, { shelves })
  for (const table of ['items', '_shadow', '_deleted']) expect(await rowsOf(table)).toEqual([])
  expect(await rowsOf('_outbox')).toHaveLength(2)
  await sync(db!)
  expect(await rowsOf('_outbox')).toEqual([])
  expect(world.server.record('items', idOf(0))).toMatchObject({ name: 'not sent yet' })
})

test('[AP-12] what an app has again, and the one before it had not, is what the server has', async () => {
  givenItems(world, 3)
  await sync(await update(1, { items: itemsWithNotes, shelves }))
  await sync(await update(2, { items, shelves }))
  world.server.write('items', idOf(0), { note: 'of somebody with the field' })
  await sync(db!)
  const again = await update(3, { items: itemsWithNotes, shelves })
  await sync(again)
  expect(await rowsOf('items')).toMatchObject([{ note: 'of somebody with the field' }, {}, {}])
  await sync(await update(4, { shelves }))
  world.server.delete('items', idOf(1))
  world.server.write('items', idOf(2), { wh: 'w2' })
  await sync(db!)
  await sync(await update(5, { items: itemsWithNotes, shelves }))
  expect(await rowsOf('items')).toMatchObject([{ id: idOf(0), note: 'of somebody with the field' }])
})

test('[AP-12] of two updates before the next pull the second does not take away what the first asks for', async () => {
  givenItems(world, 1)
  world.server.write('items', idOf(0), { note: 'of somebody with the field' })
  await sync(await update(1, { items }))
  await update(2, { items: itemsWithNotes })
  await sync(await update(3, { items: itemsWithNotes, shelves }))
  expect(await rowsOf('items')).toMatchObject([{ note: 'of somebody with the field' }])
})

test('[AP-12] [AP-3] a right that changes while everything is fetched anew, and a break behind that, do not take it away', async () => {
  const { env, server } = world
  givenItems(world, 1)
  server.write('items', idOf(0), { note: 'of somebody with the field' })
  await sync(await update(1, { items }))
  const device = await update(2, { items: itemsWithNotes })
  let requests = 0
  env.connect(async (request) => {
    if (++requests === 2) server.grant('ann', 'w:w2')
    return requests === 3 ? new Response('', { status: 500 }) : server.fetch(request)
  })
  await sync(device)
  expect(requests).toBe(3)
  await env.advance(900_000)
  await sync(device)
  expect(await rowsOf('items')).toMatchObject([{ note: 'of somebody with the field' }])
})

test('[AP-5] an app that knows a collection shows its rows, also where its schema has no new number', async () => {
  givenItems(world, 1)
  await sync(await update(1, { shelves }))
  expect(await rowsOf('_quarantine')).toHaveLength(1)
  await update(1, { items, shelves })
  expect(await rowsOf('items')).toMatchObject([{ name: 'item 0', _state: 'clean' }])
  expect(await rowsOf('_quarantine')).toEqual([])
})

test('[AP-9] [AP-5] what a newer app made, and a backup with an older one is told of, is there for the next newer one', async () => {
  await world.close()
  world = createShopWorld({ haves: true })
  path = world.path('device.sqlite')
  await sync(await update(1, { items }))
  await db?.close()
  copyFileSync(path, `${path}.backup`)
  const newer = await update(2, { items, shelves })
  await newer['shelves']?.insert({ label: 'of the newer app' })
  await sync(newer)
  await db?.close()
  copyFileSync(`${path}.backup`, path)
  await sync(await update(1, { items }))
  await sync(await update(2, { items, shelves }))
  expect(await rowsOf('shelves')).toMatchObject([{ label: 'of the newer app', _state: 'clean' }])
})
