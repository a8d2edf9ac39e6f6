import { type Client, openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import {
  collection,
  counter,
  defineSchema,
  type Field,
  integer,
  reference,
  type Schema,
  text,
} from '@holdfast/core'
import { createServer, type HoldfastServer, sqliteStore } from '@holdfast/server'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'

type LockerSchema = Schema<{
  readonly lockers: {
    readonly code: Field<string, true>
    readonly number: Field<number | null, false>
    readonly uses: Field<number, false>
  }
  readonly keys: {
    readonly number: Field<number, true>
    readonly label: Field<string, false>
    readonly locker: Field<string | null, false>
  }
  readonly rooms: {
    readonly code: Field<string, true>
    readonly label: Field<string, false>
    readonly site: Field<string, false>
  }
}>

/** Two people may not have the same locker, nor the same key, nor the same room. */
const schema: LockerSchema = defineSchema({
  version: 1,
  collections: {
    lockers: collection({
      fields: { code: text(), number: integer({ optional: true }), uses: counter() },
      unique: [{ fields: ['code'], onConflict: 'ask' }],
    }),
    keys: collection({
      fields: {
        number: integer(),
        label: text({ default: '' }),
        locker: reference('lockers', { optional: true }),
      },
      unique: [{ fields: ['number'], onConflict: 'ask' }],
    }),
    rooms: collection({
      fields: { code: text(), label: text({ default: '' }), site: text({ default: 'north' }) },
      scope: 'site:{site}',
      unique: [{ fields: ['code'], onConflict: 'ask' }],
    }),
  },
})

let env: VirtualEnvironment
let server: HoldfastServer
let ann: Client<LockerSchema>
let bob: Client<LockerSchema>

async function open(user: string): Promise<Client<LockerSchema>> {
  const storage = sqliteStorage(':memory:')
  return openClient({
    schema,
    storage,
    server: 'https://any.example',
    auth: user,
    env,
    sync: { auto: false },
  })
}

beforeEach(async () => {
  env = createVirtualEnvironment({ seed: 1 })
  server = await createServer({
    schema,
    store: sqliteStore(':memory:'),
    env,
    authenticate: (request) => ({ id: request.headers.get('Authorization')?.slice('Bearer '.length) ?? '' }),
    scopes: () => ['global', 'site:north'],
  })
  env.connect((request) => server.fetch(request))
  ann = await open('ann')
  bob = await open('bob')
})

afterEach(async () => {
  await ann.close()
  await bob.close()
  await server.close()
})

async function rounds(): Promise<void> {
  for (let round = 0; round < 3; round++) for (const db of [ann, bob]) await env.complete(db.sync.now())
}

/** The one conflict bob sees, once both have synced, ann first. */
async function conflictOfBob(): Promise<string> {
  await rounds()
  const [conflict, ...others] = await bob.conflicts.list()
  expect([conflict?.kind, others]).toEqual(['unique', []])
  return conflict?.id ?? ''
}

async function lockers(db: Client<LockerSchema>): Promise<readonly unknown[]> {
  return db.query((q) => q.selectFrom('lockers').select(['code', 'number', 'uses']).orderBy('code'))
}

async function expectRest(): Promise<void> {
  await rounds()
  for (const db of [ann, bob]) {
    expect(await db.conflicts.list()).toEqual([])
    expect(await db.outbox.list()).toEqual([])
  }
  expect(await lockers(bob)).toEqual(await lockers(ann))
}

test('[CF-5] of two new records with one key both are kept, mine with a number behind its text', async () => {
  await ann.lockers.insert({ code: 'A1', uses: 3 })
  await ann.lockers.insert({ code: 'A1 (2)' })
  await bob.lockers.insert({ code: 'A1', uses: 5 })
  const conflict = await conflictOfBob()
  expect((await bob.conflicts.keepBoth(conflict)).copies).toHaveLength(1)
  await expectRest()
  expect(await lockers(ann)).toMatchObject([
    { code: 'A1', uses: 3 },
    { code: 'A1 (2)' },
    { code: 'A1 (3)', uses: 5 },
  ])
})

test('[CF-5] keepBoth is refused where two records must differ in what has no text', async () => {
  await ann.keys.insert({ number: 7 })
  await bob.keys.insert({ number: 7 })
  const conflict = await conflictOfBob()
  await expect(bob.conflicts.keepBoth(conflict)).rejects.toMatchObject({ code: 'VALUE_INVALID' })
  await bob.conflicts.merge(conflict, { number: 8 })
  await expectRest()
  const numbers = await ann.query((q) => q.selectFrom('keys').select('number').orderBy('number'))
  expect(numbers).toEqual([{ number: 7 }, { number: 8 }])
})

test('[CF-5] of a transaction only what is in dispute is doubled; the rest takes effect', async () => {
  await ann.lockers.insert({ code: 'A1' })
  const other = await bob.lockers.insert({ code: 'B1' })
  await rounds()
  await bob.transaction(async (tx) => {
    await tx.lockers.update(other, { number: 4 })
    await tx.lockers.insert({ code: 'A1', number: 9 })
  })
  await bob.conflicts.keepBoth(await conflictOfBob())
  await expectRest()
  expect(await lockers(ann)).toMatchObject([
    { code: 'A1', number: null },
    { code: 'A1 (2)', number: 9 },
    { code: 'B1', number: 4 },
  ])
})

test.each([
  ['keepTheirs', 'B1', 6],
  ['merge', 'B2', 6],
] as const)(
  '[CF-10] over a key that another record has, %s counts from the record itself',
  async (how, code, uses) => {
    await ann.lockers.insert({ code: 'A1', uses: 100 })
    const own = await bob.lockers.insert({ code: 'B1', uses: 5 })
    await rounds()
    await bob.transaction(async (tx) => {
      await tx.lockers.update(own, { code: 'A1' })
      await tx.lockers.increment(own, { uses: 1 })
    })
    const conflict = await conflictOfBob()
    if (how === 'merge') await bob.conflicts.merge(conflict, { code })
    else await bob.conflicts.keepTheirs(conflict)
    await expectRest()
    expect(await lockers(ann)).toMatchObject([
      { code: 'A1', uses: 100 },
      { code, uses },
    ])
  },
)

test('[CF-11] keeping theirs ends a dispute over a record that is gone or out of sight by now', async () => {
  await ann.lockers.insert({ code: 'A1' })
  const gone = await ann.lockers.insert({ code: 'C1' })
  await rounds()
  await bob.transaction(async (tx) => {
    await tx.lockers.update(gone, { number: 4 })
    await tx.lockers.insert({ code: 'A1' })
  })
  const conflict = await conflictOfBob()
  await ann.lockers.delete(gone)
  await rounds()
  await bob.conflicts.keepTheirs(conflict)
  await expectRest()
  expect(await lockers(ann)).toMatchObject([{ code: 'A1' }])
})

for (const how of ['mine', 'theirs'] as const) {
  test(`[PU-17] [PU-15] what refers to a record in dispute waits with it, and comes to its end when ${how} is kept`, async () => {
    await ann.lockers.insert({ code: 'A1' })
    const locker = await bob.lockers.insert({ code: 'A1' })
    await bob.keys.insert({ number: 1, locker })
    const group = await bob.transaction(async (tx) => {
      const other = await tx.keys.insert({ number: 2, locker })
      await tx.keys.insert({ number: 3 })
      return other
    })
    const conflict = await conflictOfBob()
    const statuses = async (): Promise<unknown> => (await bob.outbox.list()).map(({ status }) => status)
    expect(await statuses()).toEqual(['conflicted', 'held', 'held', 'held'])
    expect(await bob.deadLetters.list()).toEqual([])
    if (how === 'mine') {
      await bob.conflicts.merge(conflict, { code: 'A2' })
      await expectRest()
      expect((await ann.keys.get(group))?.locker).toBe(locker)
    } else {
      await bob.conflicts.keepTheirs(conflict)
      await rounds()
      // There is no such locker any more: a person must say what the keys are to.
      expect(await bob.deadLetters.list()).toMatchObject([
        { error: { code: 'REFERENCE_MISSING' } },
        { error: { code: 'REFERENCE_MISSING' } },
      ])
      expect(await ann.keys.get(group)).toBeUndefined()
    }
  })
}

test('[PU-17] what a settlement does not make is missing where it refers to that, and not waited for', async () => {
  await ann.lockers.insert({ code: 'A1' })
  const key = await bob.keys.insert({ number: 1 })
  await rounds()
  await bob.transaction(async (tx) => {
    const locker = await tx.lockers.insert({ code: 'A1' })
    await tx.keys.update(key, { locker })
  })
  const conflict = await conflictOfBob()
  await bob.conflicts.keepTheirs(conflict)
  await rounds()
  const [letter, ...others] = await bob.deadLetters.list()
  expect([letter?.error.code, others]).toEqual(['REFERENCE_MISSING', []])
  await bob.deadLetters.discard(letter?.id ?? '')
  await bob.conflicts.discard(conflict)
  await expectRest()
  expect((await ann.keys.get(key))?.locker).toBeNull()
})

test('[ES-11] what was edited after a create in dispute that others settled is refused, and not taken for what left with another', async () => {
  await ann.rooms.insert({ code: 'A1' })
  const leaving = await ann.rooms.insert({ code: 'B1' })
  const own = await bob.rooms.insert({ code: 'A1' })
  const conflict = await conflictOfBob()
  env.connect((request) =>
    request.url.endsWith('/push') && request.headers.get('Authorization') === 'Bearer bob'
      ? Promise.resolve(new Response('', { status: 503 }))
      : server.fetch(request),
  )
  await bob.rooms.update(own, { label: 'by the window' })
  await ann.conflicts.keepTheirs(conflict)
  await ann.rooms.update(leaving, { site: 'south' })
  await rounds()
  env.connect((request) => server.fetch(request))
  await env.advance(900_000)
  await rounds()

  expect(await bob.escrow.list()).toEqual([])
  expect(await bob.deadLetters.list()).toMatchObject([
    {
      error: { code: 'RECORD_NOT_FOUND' },
      mutations: [{ payload: { changes: { label: 'by the window' } } }],
    },
  ])
})
