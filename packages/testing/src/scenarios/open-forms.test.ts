import { type Client, openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { collection, defineSchema, text } from '@holdfast/core'
import { createServer, type HoldfastServer, sqliteStore } from '@holdfast/server'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'

const fields = { name: text(), note: text(), place: text() }
const schema = defineSchema({
  version: 1,
  collections: { items: collection({ fields }), deeds: collection({ fields, strict: true }) },
})
type App = Client<typeof schema>

let env: VirtualEnvironment
let server: HoldfastServer
let clients: App[]

beforeEach(async () => {
  env = createVirtualEnvironment({ seed: 1 })
  clients = []
  env.connect((request) => server.fetch(request))
  server = await createServer({
    schema,
    store: sqliteStore(':memory:'),
    env,
    authenticate: (request) => ({ id: request.headers.get('Authorization')?.slice('Bearer '.length) ?? '' }),
    scopes: () => [],
  })
})

afterEach(async () => {
  for (const db of clients) await db.close()
  await server.close()
})

async function open(user: string): Promise<App> {
  const storage = sqliteStorage(':memory:')
  const db = await openClient({
    schema,
    storage,
    server: 'https://shop.example',
    auth: user,
    env,
    sync: { auto: false },
  })
  clients.push(db)
  return db
}

/** What Ann and Ben have, and the row as Ann's form shows it, before Ben changed its note. */
async function givenOpenForm(name: 'items' | 'deeds') {
  const [ann, ben] = [await open('ann'), await open('ben')]
  const id = await ann[name].insert({ name: 'beam', note: 'dry', place: 'dock' })
  for (const db of [ann, ben]) await env.complete(db.sync.now())
  const seen = await ann[name].get(id)
  await ben[name].update(id, { note: 'wet' })
  for (const db of [ben, ann]) await env.complete(db.sync.now())
  expect(await ann[name].get(id)).toMatchObject({ note: 'wet' })
  return { ann, id, seen }
}

test('[WR-14] what others wrote since a form was opened is met, also behind an edit of one’s own', async () => {
  const { ann, id, seen } = await givenOpenForm('items')
  await ann.items.update(id, { place: 'hall' })
  await ann.items.update(id, { note: 'gone' }, seen)
  await env.complete(ann.sync.now())
  await env.complete(ann.sync.now())
  expect(await ann.conflicts.list()).toMatchObject([{ parts: [{ fields: ['note'] }] }])
})

test('[WR-14] in a strict collection, too, any change of the record is', async () => {
  const { ann, id, seen } = await givenOpenForm('deeds')
  await ann.deeds.update(id, { place: 'hall' })
  await ann.deeds.update(id, { name: 'girder' }, seen)
  await env.complete(ann.sync.now())
  await env.complete(ann.sync.now())
  expect(await ann.conflicts.list()).toHaveLength(1)
})
