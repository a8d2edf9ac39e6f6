import { type Client, openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { jsonEqual, type Schema, SyncError } from '@holdfast/core'
import { createServer, sqliteStore } from '@holdfast/server'
import { describe, expect, test } from 'vitest'

import type { Observation } from '../check/observation.ts'
import { shopSchema } from '../end-to-end/shop-schema.ts'
import type { Plan } from '../sim/plan.ts'
import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'
import { generatePlan } from './generate-plan.ts'
import { marksIn, mixSchema, scopesOfTenant } from './mix-schema.ts'
import { isUserAction, perform, type Person } from './person.ts'
import { SharedMemory } from './shared-memory.ts'

interface Crew {
  readonly env: VirtualEnvironment
  readonly people: readonly Person[]
  readonly seen: Observation[]
  /** Marks in the answers a tenant got. */
  readonly marks: Map<number, Set<string>>
  close(): Promise<void>
}

interface CrewOptions {
  readonly plan: Plan
  readonly schema: Schema
  readonly scopes: (tenant: number) => readonly string[]
  readonly isConnected: boolean
}

/** The devices of a plan, each with a client of its own, and a server if they are connected to one. */
async function givenCrew({ plan, schema, scopes, isConnected }: CrewOptions): Promise<Crew> {
  const env = createVirtualEnvironment({ seed: plan.seed })
  const tenantOf = (user: string): number => Number(user.split('-')[1])
  const server = await createServer({
    schema,
    store: sqliteStore(':memory:'),
    env,
    authenticate: (request) => ({ id: request.headers.get('Authorization')?.slice('Bearer '.length) ?? '' }),
    scopes: (user) => scopes(tenantOf(user.id)),
  })
  const marks = new Map<number, Set<string>>()
  env.connect(async (request) => {
    const tenant = tenantOf(request.headers.get('Authorization') ?? '')
    const response = await server.fetch(request)
    const known = marks.get(tenant) ?? new Set()
    for (const mark of marksIn(await response.clone().text())) known.add(mark)
    marks.set(tenant, known)
    return response
  })
  const world = new SharedMemory(schema)
  const seen: Observation[] = []
  const people: Person[] = []
  for (const [index, { user, tenant }] of plan.devices.entries()) {
    const name = `u${user}-${tenant}`
    const client: Client<Schema> = await openClient({
      schema,
      storage: sqliteStorage(':memory:'),
      env,
      sync: { auto: false },
      ...(isConnected ? { server: 'https://sim.example', auth: name } : {}),
    })
    const observe = (observation: Observation): void => void seen.push(observation)
    const nowMs = (): number => env.monotonicMs()
    people.push({
      disk: `d${index}`,
      user: name,
      tenant,
      scopes: scopes(tenant),
      client,
      schema,
      world,
      observe,
      nowMs,
    })
  }
  const close = async (): Promise<void> => {
    for (const { client } of people) await client.close()
    await server.close()
  }
  return { env, people, seen, marks, close }
}

/** Plays what people do in a plan; every so often one of them syncs. Gives the number of mutations that were written. */
async function play({ env, people }: Crew, plan: Plan, syncEvery: number): Promise<number> {
  let written = 0
  for (const [place, { device, action, draw }] of plan.steps.entries()) {
    const person = people[device]
    if (!person || !isUserAction(action) || action.kind === 'sync') continue
    written += await env.complete(perform(person, action, draw))
    if (place % syncEvery !== 0) continue
    await env.complete(person.client.sync.now())
    await env.advance(1_000)
  }
  return written
}

function kindsOf(seen: readonly Observation[]): Readonly<Record<string, number>> {
  const kinds: Record<string, number> = {}
  for (const { kind } of seen) kinds[kind] = (kinds[kind] ?? 0) + 1
  return kinds
}

/** What must hold of every list of observations that people make. */
function expectHonest(seen: readonly Observation[]): void {
  const calls = new Set<number>()
  for (const each of seen) {
    if (each.kind === 'call') calls.add(each.call)
    if (each.kind === 'call-ended') expect([each.call, calls.delete(each.call)]).toEqual([each.call, true])
    if (each.kind === 'own-read') expect([each, jsonEqual(each.wrote, each.read)]).toEqual([each, true])
    if (each.kind === 'status-read') expect(each.said).toEqual(each.truth)
  }
  expect(calls.size).toBe(0)
}

const mixPlans = [101, 103, 106].map((seed) => generatePlan(seed, { operations: 300, devices: 3 }))

describe('people', () => {
  test.each(mixPlans)(
    '[SIM-23] without a server people of seed $seed write, and read what they wrote',
    async (plan) => {
      const crew = await givenCrew({ plan, schema: mixSchema, scopes: scopesOfTenant, isConnected: false })
      const written = await play(crew, plan, Number.POSITIVE_INFINITY)
      expectHonest(crew.seen)
      expect(written).toBeGreaterThan(60)
      const entries = (await Promise.all(crew.people.map(({ client }) => client.outbox.list()))).flat()
      // Without a server nothing leaves the outbox, so that what was told to be written can be counted.
      expect(entries).toHaveLength(written)
      const told = new Set(crew.seen.flatMap((each) => (each.kind === 'call-ended' ? each.mutations : [])))
      expect([...told].every((id) => entries.some((entry) => entry.id === id))).toBe(true)
      await crew.close()
    },
  )

  test('[SIM-23] on a real server people work on the same records, collide, settle and repair', async () => {
    const kinds: Record<string, number> = {}
    const whats = new Set<string>()
    for (const plan of mixPlans) {
      const crew = await givenCrew({ plan, schema: mixSchema, scopes: scopesOfTenant, isConnected: true })
      expect(await play(crew, plan, 6)).toBeGreaterThan(100)
      expectHonest(crew.seen)
      for (const [kind, count] of Object.entries(kindsOf(crew.seen))) kinds[kind] = (kinds[kind] ?? 0) + count
      for (const each of crew.seen) if (each.kind === 'call') whats.add(each.what.split(' ')[0] ?? '')
      for (const [tenant, marks] of crew.marks) expect([...marks]).toEqual([`t${tenant}`])
      await crew.close()
    }
    for (const kind of ['own-read', 'group-read', 'status-read', 'verdict', 'discarded'])
      expect([kind, (kinds[kind] ?? 0) > 0]).toEqual([kind, true])
    expect([...whats]).toEqual(
      expect.arrayContaining([
        'claim-code',
        'count',
        'delete',
        'group',
        'import',
        'insert',
        'move',
        'pair',
        'recreate',
        'repair',
        'settle',
        'swap-codes',
        'tag',
        'untag',
        'update',
      ]),
    )
  })

  test('[SIM-23] a value that lost to another is found and brought back', async () => {
    const plan: Plan = { ...generatePlan(1, { devices: 2 }), steps: [] }
    const devices = [0, 1].map((user) => ({ ...plan.devices[0], user, tenant: 0 })) as Plan['devices']
    const crew = await givenCrew({
      plan: { ...plan, devices },
      schema: mixSchema,
      scopes: scopesOfTenant,
      isConnected: true,
    })
    const [ann, ben] = crew.people
    if (!ann || !ben) throw new Error('nobody there')
    const sync = async (...people: readonly Person[]): Promise<void> => {
      for (const { client } of people) await crew.env.complete(client.sync.now())
    }
    const id = await ann.client.collection('areas').insert({ site: 't0a', name: '§t0§yard' })
    ann.world.add(0, 'areas', id)
    await sync(ann, ben)
    await ann.client.collection('areas').update(id, { hazard: '§t0§gas' })
    await crew.env.advance(1_000)
    await ben.client.collection('areas').update(id, { hazard: '§t0§water' })
    await sync(ben, ann, ann)
    for (let draw = 0; draw < 40 && kindsOf(crew.seen)['call'] === undefined; draw++)
      await crew.env.complete(perform(ann, { kind: 'restore-value' }, draw))
    expect(await ann.client.collection('areas').get(id)).toMatchObject({ hazard: '§t0§gas' })
    expect(crew.seen.at(-1)).toMatchObject({ kind: 'call-ended', result: 'done' })
    await crew.close()
  })

  test('[SIM-23] people of an app with another schema do the same work', async () => {
    const plan = generatePlan(7, { operations: 150, devices: 3, schema: shopSchema })
    const scopes = (): readonly string[] => ['site:north', 'site:south']
    const crew = await givenCrew({ plan, schema: shopSchema, scopes, isConnected: true })
    expect(await play(crew, plan, 6)).toBeGreaterThan(100)
    expectHonest(crew.seen)
    await crew.close()
  })

  test('[SIM-24] the same steps do the same', async () => {
    const plan = generatePlan(11, { operations: 150, devices: 3 })
    const hashes: string[] = []
    for (let round = 0; round < 2; round++) {
      const crew = await givenCrew({ plan, schema: mixSchema, scopes: scopesOfTenant, isConnected: true })
      await play(crew, plan, 6)
      hashes.push(JSON.stringify(crew.seen))
      await crew.close()
    }
    expect(hashes[0]).toBe(hashes[1])
  })

  test('[SIM-24] a plan without some of its steps is still one', async () => {
    const whole = generatePlan(12, { operations: 200, devices: 3 })
    for (const keeps of [2, 3, 7]) {
      const plan = { ...whole, steps: whole.steps.filter((_, place) => place % keeps === 0) }
      const crew = await givenCrew({ plan, schema: mixSchema, scopes: scopesOfTenant, isConnected: true })
      await play(crew, plan, 3)
      expectHonest(crew.seen)
      await crew.close()
    }
  })

  test('[SIM-24] refusals are part of life: a closed app is none of a person’s defects', async () => {
    const plan = generatePlan(13, { operations: 100, devices: 1 })
    const crew = await givenCrew({ plan, schema: mixSchema, scopes: scopesOfTenant, isConnected: false })
    const [person] = crew.people
    if (!person) throw new Error('nobody there')
    await play(crew, plan, Number.POSITIVE_INFINITY)
    await person.client.close()
    crew.seen.length = 0
    for (const { action, draw } of plan.steps) {
      if (isUserAction(action) && action.kind !== 'sync') expect(await perform(person, action, draw)).toBe(0)
    }
    const ends = crew.seen.flatMap((each) =>
      each.kind === 'call-ended' ? [`${each.result} ${each.code}`] : [],
    )
    expect(new Set(ends)).toEqual(new Set(['refused CLIENT_CLOSED']))
    await crew.close()
  })

  test('[SIM-24] what is no part of life is thrown, after it was told', async () => {
    const plan = generatePlan(13, { operations: 20, devices: 1 })
    const crew = await givenCrew({ plan, schema: mixSchema, scopes: scopesOfTenant, isConnected: false })
    const [person] = crew.people
    if (!person) throw new Error('nobody there')
    const failure = new SyncError('STORE_CORRUPT', 'torn')
    const client = Object.create(person.client, {
      collection: {
        value: () => ({ insertMany: () => Promise.reject(failure), insert: () => Promise.reject(failure) }),
      },
      transaction: { value: () => Promise.reject(failure) },
    })
    const doomed = perform({ ...person, client }, { kind: 'import', collection: 'areas', count: 3 }, 77)
    await expect(doomed).rejects.toBe(failure)
    expect(crew.seen.at(-1)).toMatchObject({ kind: 'call-ended', result: 'refused', code: 'STORE_CORRUPT' })
    await crew.close()
  })

  test('[SIM-24] a call that never returns holds nobody up', async () => {
    const plan = generatePlan(13, { operations: 20, devices: 1 })
    const crew = await givenCrew({ plan, schema: mixSchema, scopes: scopesOfTenant, isConnected: false })
    const [person] = crew.people
    if (!person) throw new Error('nobody there')
    const client = Object.create(person.client, {
      collection: { value: () => ({ insert: () => new Promise(() => undefined) }) },
    })
    void perform({ ...person, client }, { kind: 'insert', collection: 'areas' }, 5)
    expect(await perform(person, { kind: 'insert', collection: 'areas' }, 5)).toBe(1)
    expect(kindsOf(crew.seen)).toMatchObject({ call: 2, 'call-ended': 1 })
    await crew.close()
  })
})
