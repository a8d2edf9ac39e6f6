import { sqliteStorage } from '@holdfast/client/node'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { faultyStorage } from '../faulty-storage.ts'
import type { Fault } from '../fake-server/faults.ts'
import { openFile } from './open-file.ts'
import { sharedStorage } from './shared-storage.ts'
import { createShopWorld, itemsOf, type ShopClient, type ShopWorld } from './shop-world.ts'

let world: ShopWorld
beforeEach(() => {
  world = createShopWorld()
})
afterEach(() => world.close())

async function givenItem(db: ShopClient, stock = 10): Promise<string> {
  const id = await db.items.insert({ name: 'Rope', stock })
  await world.sync(db)
  return id
}

describe('a cycle', () => {
  test('[SY-8] pushes, pulls and leaves nothing behind', async () => {
    const db = await world.open()
    const id = await db.items.insert({ name: 'Rope', stock: 3 })
    expect(await world.sync(db)).toEqual({ status: 'done', code: null })
    expect(world.server.record('items', id)).toMatchObject({ name: 'Rope', stock: 3 })
    expect(await itemsOf(db)).toEqual([
      { id, name: 'Rope', stock: 3, price: null, note: null, _state: 'clean' },
    ])
    expect(await db.outbox.list()).toEqual([])
  })

  test('[SY-15] brings what others wrote', async () => {
    const ann = await world.open()
    const bob = await world.open({ user: 'bob' })
    const id = await givenItem(ann, 3)
    await world.sync(bob)
    await bob.items.increment(id, { stock: -1 })
    await world.sync(bob)
    await world.sync(ann)
    expect(await itemsOf(ann)).toEqual([
      { id, name: 'Rope', stock: 2, price: null, note: null, _state: 'clean' },
    ])
    expect(await itemsOf(bob)).toEqual(await itemsOf(ann))
  })

  test('[SY-2] now() is answered by a cycle that began after it was called', async () => {
    const db = await world.open()
    world.server.script({ on: 'push', times: 1, fault: { kind: 'delay', ms: 1_000 } })
    await db.items.insert({ name: 'early' })
    const first = db.sync.now()
    await world.env.settle()
    const late = await db.items.insert({ name: 'late' })
    await world.env.complete(db.sync.now())
    expect(world.server.record('items', late)).toMatchObject({ name: 'late' })
    expect(await first).toEqual({ status: 'done', code: null })
  })

  test('[SY-2] a pause calls off what is under way, loses nothing, and resume goes on', async () => {
    const db = await world.open()
    const id = await db.items.insert({ name: 'Rope', stock: 3 })
    world.server.script({ on: 'push', times: 1, fault: { kind: 'silence', when: 'after' } })
    const waiting = db.sync.now()
    await world.env.settle()
    db.sync.pause()
    expect(await waiting).toEqual({ status: 'paused', code: null })
    expect(await db.status.get()).toMatchObject({ phase: 'paused', pausedBy: 'user', pendingCount: 1 })
    db.sync.resume()
    await world.sync(db)
    expect(world.server.decided).toHaveLength(1)
    expect(await itemsOf(db)).toMatchObject([{ id, stock: 3, _state: 'clean' }])
  })
})

describe('an answer that is lost', () => {
  const faults: Record<string, Fault> = {
    'before the server saw it': { kind: 'cut', when: 'before' },
    'after the server decided': { kind: 'cut', when: 'after' },
    'in the middle of the body': { kind: 'truncate', bytes: 40 },
    'behind a silence': { kind: 'silence', when: 'after' },
    'because the request came twice': { kind: 'duplicate' },
  }

  test.each(Object.keys(faults))(
    '[SY-9] B17: %s, for every push of fifty, every effect is there once',
    async (name) => {
      const db = await world.open()
      const id = await db.items.insert({ name: 'Rope', stock: 0 })
      let decided = 0
      world.server.script({
        on: ({ kind, index }) => kind === 'push' && index % 2 === 0,
        fault: faults[name]!,
      })
      for (let step = 1; step <= 50; step++) {
        await db.items.increment(id, { stock: 1 })
        while (world.server.decided.length === decided || (await db.outbox.list()).length > 0)
          await world.sync(db)
        decided = world.server.decided.length
        expect(world.server.record('items', id)).toMatchObject({ stock: step })
      }
      expect(world.server.decided).toHaveLength(50)
      expect(await itemsOf(db)).toMatchObject([{ stock: 50, _state: 'clean' }])
    },
  )

  test('[SY-9] B17: a repeat has the same bytes, so the server answers as it did the first time', async () => {
    const db = await world.open()
    const bodies: string[] = []
    const spy = async (request: Request): Promise<Response> => {
      if (request.url.endsWith('/push')) bodies.push(await request.clone().text())
      return world.server.fetch(request)
    }
    world.env.connect(spy)
    world.server.script({ on: 'push', times: 2, fault: { kind: 'silence', when: 'after' } })
    const id = await db.items.insert({ name: 'Rope' })
    await db.items.insert({ name: 'Chain' })
    for (let again = 0; again < 3; again++) await world.sync(db)
    const sent = bodies.flatMap((body) => {
      const { mutations } = JSON.parse(body) as { mutations: object[] }
      return mutations.map((mutation) => JSON.stringify(mutation))
    })
    expect(sent.filter((text) => text.includes(id)).length).toBeGreaterThanOrEqual(2)
    expect(new Set(sent).size).toBe(2)
    expect(world.server.decided).toHaveLength(2)
    expect(await itemsOf(db)).toMatchObject([{ _state: 'clean' }, { _state: 'clean' }])
  })

  test('[SY-16] a push whose answer was lost is settled by the next pull, and never doubled', async () => {
    const db = await world.open()
    const id = await givenItem(db)
    await db.items.increment(id, { stock: 5 })
    world.server.script({ on: 'push', times: 1, fault: { kind: 'cut', when: 'after' } })
    expect(await world.sync(db)).toMatchObject({ status: 'offline' })
    await db.items.increment(id, { stock: 1 })
    expect(await itemsOf(db)).toMatchObject([{ stock: 16 }])
    world.server.script({ on: 'push', times: 1, fault: { kind: 'answer', status: 500 } })
    await world.sync(db)
    expect(await itemsOf(db)).toMatchObject([{ stock: 16 }])
    await world.sync(db)
    expect(world.server.record('items', id)).toMatchObject({ stock: 16 })
    expect(await itemsOf(db)).toMatchObject([{ stock: 16, _state: 'clean' }])
  })
})

describe('an edit in the middle of a push', () => {
  test.each([0, 1, 2, 3, 4, 5])(
    '[SY-8] B27: %i edits at every step, answer lost or not, the last one wins',
    async (edits) => {
      for (const kind of ['none', 'before', 'after'] as const) {
        const own = createShopWorld()
        const db = await own.open()
        const id = await db.items.insert({ name: 'Rope', note: 'n' })
        own.server.script({ on: 'push', times: 1, fault: { kind: 'delay', ms: 1_000 } })
        if (kind !== 'none') own.server.script({ on: 'push', times: 1, fault: { kind: 'cut', when: kind } })
        const cycle = db.sync.now()
        await own.env.settle()
        for (let edit = 1; edit <= edits; edit++)
          await db.items.update(id, { note: `edit ${edit}`, price: `${edit}.00` })
        await own.env.complete(cycle)
        for (let again = 0; again < 3; again++) await own.sync(db)
        const expected =
          edits === 0 ? { note: 'n', price: null } : { note: `edit ${edits}`, price: `${edits}.00` }
        expect(own.server.record('items', id)).toMatchObject(expected)
        expect(await itemsOf(db)).toMatchObject([{ ...expected, _state: 'clean' }])
        expect(await db.conflicts.list({ status: 'all' })).toEqual([])
        await own.close()
      }
    },
  )

  test('[AP-6] B29: an answer with fields the server set does not undo later edits', async () => {
    const path = world.path('b29.sqlite')
    const db = await world.open({ storage: sqliteStorage(path) })
    const bob = await world.open({ user: 'bob' })
    const id = await givenItem(db)
    await world.sync(bob)
    await bob.items.update(id, { price: '5.00' })
    await world.sync(bob)
    await db.items.update(id, { name: 'one' })
    world.server.script({ on: 'pull', times: 1, fault: { kind: 'cut', when: 'before' } })
    const cycle = db.sync.now()
    await db.items.update(id, { note: 'two' })
    await db.items.increment(id, { stock: 3 })
    await world.env.complete(cycle)
    expect(await itemsOf(db)).toMatchObject([{ name: 'one', note: 'two', stock: 13 }])
    await db.close()
    const again = await world.open({ storage: sqliteStorage(path) })
    await again.items.increment(id, { stock: 1 })
    await world.sync(again)
    await world.sync(again)
    const expected = { name: 'one', note: 'two', stock: 14, price: '5.00' }
    expect(await itemsOf(again)).toMatchObject([{ ...expected, _state: 'clean' }])
    expect(world.server.record('items', id)).toMatchObject(expected)
  })

  test('[SY-19] B10: a poke in the middle of a push loses no field that the server set, at any moment', async () => {
    for (let moment = 0; moment < 6; moment++) {
      const own = createShopWorld()
      const db = await own.open({ auto: true })
      await own.env.advance(1)
      const id = await db.items.insert({ name: 'Rope' })
      await own.env.advance(1_000)
      own.server.script({ on: 'push', times: 1, fault: { kind: 'delay', ms: 300 } })
      own.server.script({ on: 'pull', times: 2, fault: { kind: 'delay', ms: 300 } })
      await db.items.update(id, { price: '1.00' })
      await own.env.advance(100 * moment)
      own.server.write('items', id, { note: 'set by the server' })
      own.server.poke()
      await own.env.advance(5_000)
      expect(await itemsOf(db)).toMatchObject([{ price: '1.00', note: 'set by the server', _state: 'clean' }])
      await own.close()
    }
  })
})

describe('auth', () => {
  test('[SY-19] a stream that was refused for its token stands again soon after somebody has signed in', async () => {
    const { env, server } = world
    let isOut = true
    let opened = 0
    const refusal = { error: { code: 'AUTH_REQUIRED', message: 'signed out', retry: 'after_auth' } }
    env.connect(async (request) => {
      if (!request.url.endsWith('/sync/stream')) return server.fetch(request)
      if (isOut) return Response.json(refusal, { status: 401 })
      opened += 1
      return server.fetch(request)
    })
    const db = await world.open({ auto: true })
    await env.advance(5_000)
    isOut = false
    await env.advance(10_000)
    expect(opened).toBe(1)
    server.write('items', '00000000-0000-7000-8000-000000000001', { name: 'Hook', wh: 'w1' })
    server.poke()
    await env.advance(1_000)
    expect(await itemsOf(db)).toMatchObject([{ name: 'Hook' }])
  })

  test('[SY-6] B25: a token that expires at any request costs no mutation', async () => {
    for (let expiry = 0; expiry < 4; expiry++) {
      const own = createShopWorld()
      let token = 'first'
      own.server.accept('first', 'ann')
      const db = await own.open({ auth: ({ reason }) => (reason === 'expired' ? (token = 'second') : token) })
      const id = await db.items.insert({ name: 'Rope', stock: 1 })
      let requests = 0
      own.env.connect((request) => {
        if (requests++ === expiry) {
          own.server.expire('first')
          own.server.accept('second', 'ann')
        }
        return own.server.fetch(request)
      })
      expect(await own.sync(db)).toEqual({ status: 'done', code: null })
      await db.items.increment(id, { stock: 1 })
      expect(await own.sync(db)).toEqual({ status: 'done', code: null })
      expect(own.server.record('items', id)).toMatchObject({ stock: 2 })
      expect(own.server.decided).toHaveLength(2)
      await own.close()
    }
  })

  test('[SY-6] a token that stays refused pauses visibly, and resume asks for a new one', async () => {
    let token: string | null = 'old'
    let asked = 0
    world.server.expire('old')
    const db = await world.open({
      auth: () => {
        asked += 1
        return token
      },
    })
    await db.items.insert({ name: 'Rope' })
    expect(await world.sync(db)).toEqual({ status: 'paused', code: 'AUTH_REQUIRED' })
    expect(asked).toBe(2)
    expect(await db.status.get()).toMatchObject({
      phase: 'paused',
      pausedBy: 'auth',
      reason: 'AUTH_REQUIRED',
      pendingCount: 1,
    })
    token = 'ann'
    db.sync.resume()
    expect(await world.sync(db)).toEqual({ status: 'done', code: null })
    expect(await db.outbox.list()).toEqual([])
  })

  test('[SY-6] nobody signed in means no request at all', async () => {
    const db = await world.open({ auth: () => null })
    await db.items.insert({ name: 'Rope' })
    expect(await world.sync(db)).toEqual({ status: 'paused', code: 'AUTH_REQUIRED' })
    expect(world.server.requests).toEqual({})
  })

  test('[SY-14] another account on the same database is refused on both sides, and nothing is sent or erased', async () => {
    const path = world.path('account.sqlite')
    const ann = await world.open({ storage: sqliteStorage(path) })
    await givenItem(ann)
    await ann.close()
    const bob = await world.open({ storage: sqliteStorage(path), user: 'bob' })
    await bob.items.insert({ name: 'by bob' })
    expect(await world.sync(bob)).toEqual({ status: 'paused', code: 'ACCOUNT_MISMATCH' })
    expect(world.server.decided).toHaveLength(1)
    expect(await itemsOf(bob)).toMatchObject([{ name: 'Rope' }, { name: 'by bob' }])
  })
})

describe('one engine at a time', () => {
  test('[SY-7] B26: two processes on one file sync one after the other, in order and once', async () => {
    const path = world.path('two.sqlite')
    const storage = sharedStorage(sqliteStorage(path))
    const first = await world.open({ storage })
    const second = await world.open({ storage })
    const id = await givenItem(first, 0)
    world.server.script({ on: 'push', times: 1, fault: { kind: 'delay', ms: 2_000 } })
    await first.items.increment(id, { stock: 1 })
    const cycle = first.sync.now()
    await world.env.settle()
    await second.items.increment(id, { stock: 2 })
    expect(await world.env.complete(second.sync.now())).toMatchObject({ status: 'standby' })
    await world.env.complete(cycle)
    await world.sync(second)
    await world.sync(second)
    expect(world.server.record('items', id)).toMatchObject({ stock: 3 })
    expect(await itemsOf(first)).toMatchObject([{ stock: 3, _state: 'clean' }])
  })

  test('[SY-7] B26: a holder that overslept cannot write; the other engine goes on', async () => {
    const path = world.path('asleep.sqlite')
    let isAsleep = false
    const storage = sharedStorage(sqliteStorage(path))
    const sleepy = await world.open({ storage })
    const other = await world.open({ storage })
    const id = await givenItem(sleepy, 0)
    await sleepy.items.increment(id, { stock: 1 })
    let wake: () => void = () => undefined
    const { env, server } = world
    env.connect(async (request) => {
      const response = await server.fetch(request)
      if (!isAsleep && request.url.endsWith('/push')) {
        isAsleep = true
        await new Promise<void>((resolve) => (wake = resolve))
      }
      return response
    })
    const cycle = sleepy.sync.now()
    await env.settle()
    // The sleeper's timers do not run either: its lease is made to look expired.
    await openFile(path, 'UPDATE _lease SET expires_at = 0')
    await other.items.increment(id, { stock: 2 })
    expect(await env.complete(other.sync.now())).toMatchObject({ status: 'done' })
    wake()
    expect(await env.complete(cycle)).toEqual({ status: 'standby', code: 'LEASE_LOST' })
    await world.sync(other)
    expect(server.record('items', id)).toMatchObject({ stock: 3 })
    expect(await itemsOf(other)).toMatchObject([{ stock: 3, _state: 'clean' }])
  })

  test('[SY-7] a cycle that is asked for when the one before has given the lease back takes it anew', async () => {
    const opened: ShopClient[] = []
    const leases: unknown[] = []
    const storage = faultyStorage(sqliteStorage(':memory:'), (sql) => {
      // In the transaction of the flip: what is written now commits after it, before or after the engine has come to rest.
      if (leases.length < 3 && sql.includes('SET expires_at = 0'))
        void opened[0]?.items.insert({ name: `item ${leases.push(sql)}` })
      return 'run'
    })
    const db = await world.open({ storage, auto: true })
    opened.push(db)
    await db.items.insert({ name: 'Rope' })
    await world.env.advance(1_000)
    expect(leases.length).toBeGreaterThan(0)
    await world.env.advance(120_000)
    expect(world.server.rows('items').size).toBe(1 + leases.length)
    expect(await db.outbox.list()).toEqual([])
  })

  test('[SY-7] the lease of a process that died is waited for, and no longer', async () => {
    const path = world.path('dead.sqlite')
    const storage = faultyStorage(sqliteStorage(path), (sql) =>
      sql.includes("SET status = 'sending'") ? 'kill' : 'run',
    )
    const doomed = await world.open({ storage })
    await doomed.items.insert({ name: 'Rope' })
    void doomed.sync.now()
    await world.env.settle()
    const next = await world.open({ storage: sqliteStorage(path) })
    expect(await world.env.complete(next.sync.now())).toMatchObject({ status: 'standby' })
    await world.env.advance(10_001)
    expect(await world.env.complete(next.sync.now())).toEqual({ status: 'done', code: null })
    expect([...world.server.rows('items').values()]).toMatchObject([{ name: 'Rope' }])
  })
})
