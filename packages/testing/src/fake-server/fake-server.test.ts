import { sqliteStorage } from '@holdfast/client/node'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { faultyStorage } from '../faulty-storage.ts'
import { createShopWorld, itemsOf, type ShopWorld } from '../scenarios/shop-world.ts'
import type { Fault } from './faults.ts'

let world: ShopWorld
beforeEach(() => {
  world = createShopWorld()
})
afterEach(() => world.close())

const device = '01a1f866-0d00-7000-8000-000000000001'

function ask(path: string, body?: object): Promise<Response> {
  const headers = { Authorization: 'Bearer ann', 'Holdfast-Device': device }
  const init = body === undefined ? { headers } : { headers, method: 'POST', body: JSON.stringify(body) }
  return world.env.complete(world.server.fetch(new Request(`https://shop.example${path}`, init)))
}

describe('the fake server', () => {
  test('[ENV-3] decides a mutation once and repeats its answer', async () => {
    const [id, record] = ['01a1f866-0d00-7000-8000-00000000000a', '01a1f866-0d00-7000-8000-00000000000b']
    const at = `2026-11-20T10:00:00.000Z-0000-${device}`
    const mutation = {
      id,
      seq: 1,
      collection: 'items',
      record,
      op: 'create',
      baseVersion: 0,
      changes: { name: 'Rope' },
      at,
      schema: 1,
    }
    const first = await (await ask('/sync/push', { ack: '', mutations: [mutation] })).json()
    const second = await (await ask('/sync/push', { ack: '', mutations: [mutation] })).json()
    expect(first).toMatchObject({ results: [{ id, status: 'applied', version: 1 }] })
    expect(second).toMatchObject({ results: [{ id, status: 'applied', version: 1, duplicate: true }] })
    const other = { ...mutation, changes: { name: 'Chain' } }
    expect(await (await ask('/sync/push', { ack: '', mutations: [other] })).json()).toMatchObject({
      results: [{ status: 'rejected', error: { code: 'KEY_REUSED' } }],
    })
    expect(world.server.decided).toEqual([id])
  })

  test('[ENV-3] shows nothing outside the scopes of the one who asks, and takes no token it does not know', async () => {
    world.server.write('items', device, { name: 'theirs', stock: 0, tags: [], wh: 'w9' })
    const page = await (await ask('/sync/snapshot')).json()
    expect(page).toMatchObject({ changes: [], more: false, scopes: { entered: [], revoked: [] } })
    expect((await ask(`/records/items/${device}`)).status).toBe(404)
    world.server.expire('ann')
    expect((await ask('/sync/snapshot')).status).toBe(401)
  })

  test('[ENV-3] refuses a transaction as a whole when one of its parts fails', async () => {
    const db = await world.open()
    await db.transaction(async (tx) => {
      await tx.items.insert({ name: 'fine' })
      await tx.items.update(await tx.items.insert({ name: 'also fine' }), { note: 'x' })
    })
    await world.sync(db)
    expect(world.server.rows('items').size).toBe(2)
    const [first] = [...world.server.rows('items').keys()]
    const bob = await world.open({ user: 'bob' })
    await world.sync(bob)
    world.server.delete('items', first ?? '')
    await bob.transaction(async (tx) => {
      await tx.items.update(first ?? '', { note: 'gone meanwhile' })
      await tx.items.insert({ name: 'waits with it' })
    })
    await world.sync(bob)
    expect([...world.server.rows('items').values()].map(({ name }) => name)).not.toContain('waits with it')
    expect(await bob.conflicts.list()).toHaveLength(1)
  })
})

describe('a scripted fault', () => {
  const faults: Record<string, [Fault, string]> = {
    delay: [{ kind: 'delay', ms: 5_000 }, 'answer 200 after 5000 ms, seen'],
    'cut before': [{ kind: 'cut', when: 'before' }, 'failure, unseen'],
    'cut after': [{ kind: 'cut', when: 'after' }, 'failure, seen'],
    answer: [{ kind: 'answer', status: 503 }, 'answer 503 after 0 ms, unseen'],
    truncate: [{ kind: 'truncate', bytes: 10 }, 'answer 200 after 0 ms, seen'],
    duplicate: [{ kind: 'duplicate' }, 'answer 200 after 0 ms, seen'],
  }
  test.each(Object.keys(faults))('[ENV-4] %s strikes the next request of its kind, once', async (name) => {
    const [fault, expected] = faults[name]!
    world.server.script({ on: 'push', times: 1, fault })
    const mutation = { id: device, seq: 1, collection: 'items', record: device, op: 'create', baseVersion: 0 }
    const body = {
      ack: '',
      mutations: [
        { ...mutation, changes: { name: 'x' }, at: `2026-11-20T10:00:00.000Z-0000-${device}`, schema: 1 },
      ],
    }
    const startedMs = world.env.monotonicMs()
    const outcome = await ask('/sync/push', body).then(
      ({ status }) => `answer ${status} after ${world.env.monotonicMs() - startedMs} ms`,
      () => 'failure',
    )
    expect(`${outcome}, ${world.server.decided.length > 0 ? 'seen' : 'unseen'}`).toBe(expected)
    expect((await ask('/sync/push', body)).status).toBe(200)
    expect(world.server.decided).toHaveLength(1)
  })

  test('[ENV-4] that is chosen by a question strikes where it says, and heal ends all', async () => {
    world.server.script({
      on: ({ kind, index }) => kind === 'snapshot' && index === 1,
      fault: { kind: 'answer', status: 500 },
    })
    world.server.script({ on: 'pull', fault: { kind: 'cut', when: 'before' } })
    expect((await ask('/sync/snapshot')).status).toBe(200)
    expect((await ask('/sync/snapshot')).status).toBe(500)
    await expect(ask('/sync/pull', {})).rejects.toThrow(TypeError)
    world.server.heal()
    expect((await ask('/sync/pull', {})).status).toBe(200)
  })

  test('[ENV-4] can send an old answer in place of the right one; a device is not fooled', async () => {
    const db = await world.open()
    const id = await db.items.insert({ name: 'Rope', stock: 1 })
    await world.sync(db)
    await db.items.increment(id, { stock: 1 })
    world.server.script({ on: 'push', times: 1, fault: { kind: 'stale-answer' } })
    expect(await world.sync(db)).toMatchObject({ code: 'RESPONSE_INVALID' })
    await world.sync(db)
    await world.sync(db)
    expect(world.server.record('items', id)).toMatchObject({ stock: 2 })
    expect(await itemsOf(db)).toMatchObject([{ stock: 2, _state: 'clean' }])
  })
})

test('[ENV-5] storage fails at the statement a test names, and what was not committed is undone', async () => {
  let isFull = false
  const storage = faultyStorage(sqliteStorage(':memory:'), (sql) =>
    isFull && sql === 'COMMIT' ? 'fail' : 'run',
  )
  const db = await world.open({ storage })
  isFull = true
  await expect(db.items.insert({ name: 'Rope' })).rejects.toMatchObject({ code: 'STORE_FULL' })
  isFull = false
  expect(await itemsOf(db)).toEqual([])
  await db.items.insert({ name: 'Chain' })
  expect(await itemsOf(db)).toMatchObject([{ name: 'Chain' }])
})
