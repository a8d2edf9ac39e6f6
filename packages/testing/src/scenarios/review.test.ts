import { type Client, openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { collection, counter, defineSchema, text } from '@holdfast/core'
import { createEngine, createServer, type HoldfastServer, sqliteStore } from '@holdfast/server'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'

const schema = defineSchema({
  version: 1,
  collections: {
    doses: collection({ fields: { drug: text(), amount: text(), given: counter() }, review: true }),
    notes: collection({ fields: { body: text() } }),
  },
})

let env: VirtualEnvironment
let server: HoldfastServer
let ann: Client<typeof schema>
let ben: Client<typeof schema>

beforeEach(async () => {
  env = createVirtualEnvironment({ seed: 3 })
  server = await createServer({
    schema,
    store: sqliteStore(':memory:'),
    env,
    authenticate: (request) => ({ id: request.headers.get('Authorization')?.slice('Bearer '.length) ?? '' }),
    scopes: () => [],
    mayReview: ({ id }) => id === 'chief',
  })
  env.connect((request) => server.fetch(request))
  ann = await open('ann')
  ben = await open('ben')
})

afterEach(async () => {
  for (const db of [ann, ben]) await db.close()
  await server.close()
})

function open(auth: string): Promise<Client<typeof schema>> {
  const storage = sqliteStorage(':memory:')
  const options = { schema, storage, auth, env, durability: 'fast', sync: { auto: false } } as const
  return openClient({ ...options, server: 'https://ward.example' })
}

async function sync(...devices: readonly Client<typeof schema>[]): Promise<void> {
  for (const db of devices) await env.complete(db.sync.now())
}

async function ask(user: string, path: string, body?: object): Promise<{ status: number; body: unknown }> {
  const response = await server.fetch(
    new Request(`https://ward.example${path}`, {
      headers: { authorization: `Bearer ${user}`, 'content-type': 'application/json' },
      ...(body && { method: 'POST', body: JSON.stringify(body) }),
    }),
  )
  return { status: response.status, body: await response.json() }
}

const doseOf = async (db: Client<typeof schema>): Promise<unknown> =>
  (await db.query((q) => q.selectFrom('doses').select(['amount', 'given', '_state'])))[0]

/** Ann and Ben change one dose; Ann's comes second and is in dispute, and Ann edits on behind it. */
async function givenDispute(): Promise<string> {
  const dose = await ann.doses.insert({ drug: 'Ibuprofen', amount: '200' })
  await sync(ann, ben)
  await ben.doses.update(dose, { amount: '400' })
  await sync(ben)
  await ann.doses.update(dose, { amount: '600' })
  await ann.doses.increment(dose, { given: 1 })
  await sync(ann, ben)
  const [conflict] = await ann.conflicts.list()
  return conflict?.id ?? ''
}

test('[PU-39] [CF-14] a conflict in review says so, and nobody but a reviewer decides it', async () => {
  const conflict = await givenDispute()
  for (const db of [ann, ben])
    expect(await db.conflicts.list()).toMatchObject([{ id: conflict, inReview: true, status: 'open' }])
  await ben.conflicts.keepTheirs(conflict)
  await sync(ben)
  expect(await ben.deadLetters.list()).toMatchObject([{ error: { code: 'NOT_AUTHORIZED' } }])
  const refused = await ask('ben', `/conflicts/${conflict}/resolve`, { kind: 'theirs' })
  expect(refused).toMatchObject({ status: 403, body: { error: { code: 'NOT_AUTHORIZED' } } })
  expect(await ask('ben', '/conflicts')).toMatchObject({
    body: { conflicts: [{ id: conflict, status: 'open' }] },
  })
})

test('[PU-39] [CF-14] [PH-28] what a reviewer decides over HTTP comes to every device, and held edits go on', async () => {
  const conflict = await givenDispute()
  expect(await doseOf(ann)).toEqual({ amount: '600', given: 1, _state: 'conflicted' })
  expect(await ask('chief', '/conflicts?collection=doses')).toMatchObject({
    body: { conflicts: [{ id: conflict }] },
  })
  expect(await ask('chief', '/conflicts?collection=notes')).toMatchObject({ body: { conflicts: [] } })
  const merged = await ask('chief', `/conflicts/${conflict}/resolve`, {
    kind: 'merge',
    values: { amount: '500' },
  })
  expect(merged.status).toBe(200)
  await sync(ann, ben, ann, ben)
  for (const db of [ann, ben]) expect(await doseOf(db)).toEqual({ amount: '500', given: 1, _state: 'clean' })
  for (const db of [ann, ben]) expect(await db.conflicts.list()).toEqual([])
})

test('[PU-39] conflicts of other collections are decided by whoever sees them', async () => {
  const note = await ann.notes.insert({ body: 'one' })
  await sync(ann, ben)
  await ben.notes.update(note, { body: 'of ben' })
  await sync(ben)
  await ann.notes.update(note, { body: 'of ann' })
  await sync(ann)
  const [conflict] = await ann.conflicts.list()
  expect(conflict).toMatchObject({ inReview: false })
  await ann.conflicts.keepMine(conflict?.id ?? '')
  await sync(ann, ben)
  expect(await ben.notes.get(note)).toMatchObject({ body: 'of ann' })
})

test('[PU-39] a schema with a collection in review and nobody who reviews is refused', async () => {
  const store = sqliteStore(':memory:')
  await expect(createEngine({ schema, store, scopes: () => [] })).rejects.toMatchObject({
    code: 'SCHEMA_INVALID',
  })
})
