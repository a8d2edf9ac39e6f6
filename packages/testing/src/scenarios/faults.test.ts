import { limits } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import type { Fault } from '../fake-server/faults.ts'
import { createShopWorld, itemsOf, type ShopWorld } from './shop-world.ts'

let world: ShopWorld
beforeEach(() => {
  world = createShopWorld()
})
afterEach(() => world.close())

const hourMs = 3_600_000

/** The answer to a push in which every mutation is to be tried again. */
async function answerBusy(request: Request, nowMs: number): Promise<Response> {
  const { mutations } = JSON.parse(await request.text()) as { mutations: { id: string }[] }
  const error = { code: 'STORE_BUSY', message: 'busy', retry: 'backoff' }
  const results = mutations.map(({ id }) => ({
    id,
    status: 'retry',
    version: null,
    serverUpdatedAt: null,
    error,
  }))
  return Response.json({ results, serverTime: new Date(nowMs).toISOString() })
}

/** Requests of a device that has something to send, hour by hour of a virtual day in which every request fails. */
async function requestsByHour(
  own: ShopWorld,
  respond: () => Promise<Response>,
  count = 24,
): Promise<number[]> {
  let requests = 0
  own.env.connect(() => {
    requests += 1
    return respond()
  })
  const db = await own.open({ auto: true })
  await db.items.insert({ name: 'Rope' })
  const hours: number[] = []
  for (let hour = 0; hour < count; hour++) {
    const before = requests
    await own.env.advance(hourMs)
    hours.push(requests - before)
  }
  return hours
}

/** Attempts in the busiest hour: one in each half of a cap on average, because a wait is drawn from the whole of it. */
const attemptsPerHour = 16

describe('a day of failures', () => {
  /** The busiest hour after the first; the first holds the short waits. */
  async function busiestHour(status: number, hours: number): Promise<number> {
    const day = createShopWorld({ seed: status })
    const requests = await requestsByHour(day, () => Promise.resolve(new Response('no', { status })), hours)
    await day.close()
    return Math.max(...requests.slice(1))
  }

  function boundOf(status: number): number {
    if (status === 407 || status === 511) return 2 * (hourMs / limits.probeIntervalMs)
    // A refused token costs two requests: one more with the new one.
    return status === 401 || status === 403 ? 2 * attemptsPerHour : attemptsPerHour
  }

  test('[SY-4] B24: every status from 400 to 599 is asked ever more seldom', async () => {
    const hammered: string[] = []
    for (let status = 400; status < 600; status++) {
      const worst = status === 407 || status === 511 ? 0 : await busiestHour(status, 3)
      if (worst > boundOf(status)) hammered.push(`${status}: ${worst} an hour`)
    }
    expect(hammered).toEqual([])
  })

  test.each([400, 401, 404, 408, 410, 413, 426, 429, 500, 503])(
    '[SY-4] B24: a whole day of %i is no busier',
    async (status) => {
      expect(await busiestHour(status, 24)).toBeLessThanOrEqual(boundOf(status))
    },
  )

  const answers: Record<string, () => Promise<Response>> = {
    'no DNS, no TLS, nothing at all': () => Promise.reject(new TypeError('fetch failed')),
    'a portal page': () =>
      Promise.resolve(new Response('<html>', { headers: { 'Content-Type': 'text/html' } })),
    'a redirect': () =>
      Promise.resolve(new Response(null, { status: 302, headers: { Location: 'https://portal' } })),
  }
  test.each(Object.keys(answers))(
    '[SY-4] B24: %s is probed, not hammered, and over within a minute',
    async (name) => {
      const hours = await requestsByHour(world, answers[name]!, name === 'a portal page' ? 24 : 4)
      // One probe in each interval of 15 s at the most, half an interval apart at the least.
      expect(Math.max(...hours)).toBeLessThanOrEqual(2 * (hourMs / limits.probeIntervalMs) + 10)
      world.env.connect(world.server.fetch)
      await world.env.advance(60_000)
      expect(world.server.decided).toHaveLength(1)
    },
  )

  const oddities: Record<string, () => Response> = {
    garbage: () => new Response('\u0000garbage'),
    'an empty 204': () => new Response(null, { status: 204 }),
    'the wrong shape': () => Response.json({ results: 'many' }),
    'half a body': () => new Response('{"results":[{"id":'),
  }
  test.each(Object.keys(oddities))(
    '[SY-3] B24: %s in place of an answer is waited for like a failing server',
    async (name) => {
      const hours = await requestsByHour(world, () => Promise.resolve(oddities[name]!()))
      expect(Math.max(...hours.slice(1))).toBeLessThanOrEqual(attemptsPerHour)
    },
  )

  test.each([500, 502, 503, 504, 429, 408])(
    '[SY-4] B24: a minute of %i is over within a minute after it heals',
    async (status) => {
      const db = await world.open({ auto: true })
      world.server.script({ fault: { kind: 'answer', status } })
      const id = await db.items.insert({ name: 'Rope' })
      await world.env.advance(60_000)
      world.server.heal()
      await world.env.advance(60_000)
      expect(world.server.record('items', id)).toMatchObject({ name: 'Rope' })
      expect(await db.outbox.list()).toEqual([])
    },
  )

  test('[SY-4] Retry-After is obeyed', async () => {
    const db = await world.open({ auto: true })
    await world.env.advance(1_000)
    world.server.script({
      on: 'push',
      times: 1,
      fault: { kind: 'answer', status: 503, headers: { 'Retry-After': '120' } },
    })
    await db.items.insert({ name: 'Rope' })
    await world.env.advance(119_000)
    expect(world.server.decided).toEqual([])
    expect(await db.status.get()).toMatchObject({ phase: 'waiting', reason: 'SERVER_FAILED', online: true })
    await world.env.advance(3_000)
    expect(world.server.decided).toHaveLength(1)
  })

  test('[SY-11] failures of whole requests never count against an entry', async () => {
    const db = await world.open({ auto: true })
    world.server.script({ fault: { kind: 'answer', status: 500 } })
    for (let n = 0; n < 60; n++) await db.items.insert({ name: `item ${n}` })
    await world.env.advance(6 * hourMs)
    expect((await db.outbox.list()).map((entry) => entry.attempts)).toEqual(
      Array.from({ length: 60 }, () => 0),
    )
    world.server.heal()
    await world.env.advance(hourMs)
    expect(world.server.rows('items').size).toBe(60)
  })
})

describe('a network that swallows', () => {
  const directions: Record<string, Fault> = {
    'the way out': { kind: 'silence', when: 'before' },
    'the way back': { kind: 'silence', when: 'after' },
  }
  test.each(Object.keys(directions))(
    '[SY-5] B31: %s for ten seconds at any step, and the outbox is empty a minute later',
    async (name) => {
      for (let step = 0; step < 6; step++) {
        const own = createShopWorld({ seed: step + 1 })
        let requests = 0
        let isBlack = false
        own.server.script({ on: () => isBlack, fault: directions[name]! })
        own.env.connect((request) => {
          isBlack = requests++ >= step && own.env.monotonicMs() < 15_000
          return own.server.fetch(request)
        })
        const db = await own.open({ auto: true })
        await own.env.advance(5_000)
        const id = await db.items.insert({ name: 'Rope', stock: 1 })
        await own.env.advance(2_000)
        await db.items.increment(id, { stock: 1 })
        await own.env.advance(8_000)
        await own.env.advance(60_000)
        expect(own.server.record('items', id)).toMatchObject({ stock: 2 })
        expect(await db.outbox.list()).toEqual([])
        await own.close()
      }
    },
  )

  test('[SY-5] B31: once the network is back, what it swallowed is sent again within seconds', async () => {
    const db = await world.open({ auto: true })
    await world.env.advance(1_000)
    world.server.script({ fault: { kind: 'cut', when: 'before' } })
    const id = await db.items.insert({ name: 'Rope' })
    // Hours of failures, and then a request of which nothing is ever heard.
    await world.env.advance(7_200_000)
    world.server.heal()
    world.server.script({ on: 'pull', times: 1, fault: { kind: 'silence', when: 'before' } })
    const before = world.server.requests['pull']
    while (world.server.requests['pull'] === before) await world.env.advance(500)
    db.sync.setOnline(true)
    await world.env.advance(12_000)
    expect(world.server.record('items', id)).toMatchObject({ name: 'Rope' })
    expect(await db.status.get()).toMatchObject({ phase: 'idle', pendingCount: 0 })
  })

  test('[SY-5] an answer that drips is read for as long as bytes come, but not for ever', async () => {
    const db = await world.open()
    const { env } = world
    env.connect(() => {
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          const drip = (): void => {
            controller.enqueue(new Uint8Array([32]))
            env.setTimer(drip, 30_000)
          }
          drip()
        },
      })
      return Promise.resolve(new Response(body))
    })
    const startedMs = env.monotonicMs()
    expect(await world.sync(db)).toEqual({ status: 'waiting', code: 'TIMEOUT' })
    expect(env.monotonicMs() - startedMs).toBe(limits.responseTimeoutMs)
  })

  test('[SY-5] an endless answer is cut off', async () => {
    const db = await world.open()
    const chunk = new Uint8Array(1_048_576).fill(32)
    world.env.connect(() =>
      Promise.resolve(new Response(new ReadableStream({ pull: (controller) => controller.enqueue(chunk) }))),
    )
    expect(await world.sync(db)).toEqual({ status: 'waiting', code: 'RESPONSE_INVALID' })
  })
})

describe('one bad mutation', () => {
  test.each([400, 413])(
    '[SY-13] a body refused with %i is halved until the one is alone; the others get through',
    async (status) => {
      const db = await world.open({ auto: true })
      await world.env.advance(1_000)
      const { env, server } = world
      env.connect(async (request) => {
        const isBad = request.url.endsWith('/push') && (await request.clone().text()).includes('poison')
        return isBad ? new Response('no', { status }) : server.fetch(request)
      })
      await db.transaction(async (tx) => {
        await tx.items.insert({ name: 'a' })
        await tx.items.insert({ name: 'b' })
      })
      for (let n = 0; n < 20; n++) await db.items.insert({ name: n === 7 ? 'poison' : `item ${n}` })
      await env.advance(60_000)
      expect(server.rows('items').size).toBe(21)
      expect(await db.outbox.list()).toMatchObject([
        { status: 'pending', payload: { changes: { name: 'poison' } } },
      ])
      await env.advance(24 * hourMs)
      expect(await db.deadLetters.list()).toMatchObject([{ error: { code: 'ATTEMPTS_EXHAUSTED' } }])
      expect(await db.status.get()).toMatchObject({ deadLetterCount: 1, pendingCount: 0 })
      expect((await db.status.metrics()).retry_exhausted_count).toBe(1)
    },
  )

  test('[SY-13] one that makes the server fail holds back nothing but itself', async () => {
    const db = await world.open({ auto: true })
    await world.env.advance(1_000)
    const { env, server } = world
    env.connect(async (request) => {
      const isBad = request.url.endsWith('/push') && (await request.clone().text()).includes('poison')
      return isBad ? new Response('crash', { status: 500 }) : server.fetch(request)
    })
    await db.items.insert({ name: 'poison' })
    for (let n = 0; n < 20; n++) await db.items.insert({ name: `item ${n}` })
    await env.advance(120_000)
    expect(server.rows('items').size).toBe(20)
    expect(await db.outbox.list()).toMatchObject([{ payload: { changes: { name: 'poison' } } }])
  })

  /** A server that decides on everything but what is named poison, of which it answers `said`, if anything. */
  function givenForgetfulServer({ env, server }: ShopWorld, said: object | null, isQueued: boolean): void {
    const receipts: Response[] = []
    env.connect(async (request) => {
      const [, receipt] = /receipts\/r(\d+)$/.exec(request.url) ?? []
      const decided = receipts[Number(receipt)]
      if (decided !== undefined) return decided.clone()
      if (!request.url.endsWith('/push')) return server.fetch(request)
      const body = (await request.clone().json()) as {
        mutations: { id: string; changes: { name: string } }[]
      }
      const [poison] = body.mutations.filter(({ changes }) => changes.name === 'poison')
      const mutations = body.mutations.filter((mutation) => mutation !== poison)
      const { headers, method, url } = request
      const answer = await server.fetch(
        new Request(url, { method, headers, body: JSON.stringify({ ...body, mutations }) }),
      )
      const { results, ...rest } = (await answer.json()) as { results: object[] }
      const odd = poison && said ? [{ id: poison.id, version: null, serverUpdatedAt: null, ...said }] : []
      const whole = Response.json({ ...rest, results: [...results, ...odd] }, { headers: answer.headers })
      if (!isQueued) return whole
      return Response.json(
        { receipt: `r${receipts.push(whole) - 1}` },
        { status: 202, headers: answer.headers },
      )
    })
  }

  test.each([
    ['leaves out', null],
    ['says to be in a conflict of no name', { status: 'conflict' }],
    ['says nothing known of', { status: 'perhaps' }],
  ])('[SY-13] one that every answer %s holds back nothing but itself', async (_name, said) => {
    for (const isQueued of [false, true]) {
      const own = createShopWorld()
      const db = await own.open({ auto: true })
      await own.env.advance(1_000)
      givenForgetfulServer(own, said, isQueued)
      for (let n = 0; n < 20; n++) await db.items.insert({ name: n === 7 ? 'poison' : `item ${n}` })
      await own.env.advance(180_000)
      expect(own.server.rows('items').size).toBe(19)
      const [entry, ...others] = await db.outbox.list()
      expect(others).toEqual([])
      expect(entry).toMatchObject({ payload: { changes: { name: 'poison' } }, verdict: null })
      expect(entry?.attempts).toBeGreaterThan(0)
      await own.close()
    }
  })

  test('[SY-11] an entry the server asks to retry counts its attempts, and twenty make it a dead letter', async () => {
    const db = await world.open({ auto: true })
    await world.env.advance(1_000)
    const { env, server } = world
    env.connect(async (request) => {
      if (!request.url.endsWith('/push')) return server.fetch(request)
      return answerBusy(request, env.now())
    })
    await db.items.insert({ name: 'Rope' })
    await env.advance(2_000)
    expect(await db.outbox.list()).toMatchObject([{ attempts: expect.any(Number), status: 'pending' }])
    await env.advance(24 * hourMs)
    expect(await db.deadLetters.list()).toMatchObject([{ error: { code: 'ATTEMPTS_EXHAUSTED' } }])
    expect(await itemsOf(db)).toMatchObject([{ name: 'Rope', _state: 'failed' }])
  })

  test('[SY-11] an entry goes again when its wait is over, not when the engine would have looked anyhow', async () => {
    const { env, server } = world
    const db = await world.open({ auto: true })
    await env.advance(1_000)
    let answers = 0
    env.connect(async (request) => {
      if (!request.url.endsWith('/push') || answers++ > 0) return server.fetch(request)
      return answerBusy(request, env.now())
    })
    await db.items.insert({ name: 'Rope' })
    await env.advance(2_000)
    expect(answers).toBe(2)
    expect(await db.outbox.list()).toEqual([])
  })

  test('[SY-11] a wait for the next attempt does not last for as long as the clock was wrong', async () => {
    const { env, server } = world
    const db = await world.open()
    let isBusy = true
    env.connect(async (request) => {
      if (!request.url.endsWith('/push') || !isBusy) return server.fetch(request)
      return answerBusy(request, env.now())
    })
    env.jumpClock(24 * hourMs)
    await db.items.insert({ name: 'Rope' })
    await world.sync(db)
    expect(await db.outbox.list()).toMatchObject([{ attempts: 1, status: 'pending' }])
    isBusy = false
    env.jumpClock(-24 * hourMs)
    await env.advance(60_000)
    await world.sync(db)
    expect(await db.outbox.list()).toEqual([])
    expect(server.rows('items').size).toBe(1)
  })

  test('[SY-11] nor where the clock was put right while the request was under way that plans the next wait', async () => {
    const { env, server } = world
    const db = await world.open()
    let isBusy = true
    let aheadMs = 24 * hourMs
    env.connect(async (request) => {
      if (!request.url.endsWith('/push') || !isBusy) return server.fetch(request)
      const answer = await answerBusy(request, env.now())
      if ((await db.outbox.list()).length === 1) return answer
      env.jumpClock(-aheadMs)
      aheadMs = 0
      return answer
    })
    env.jumpClock(aheadMs)
    await db.items.insert({ name: 'Rope' })
    await world.sync(db)
    await db.items.insert({ name: 'Hook' })
    await world.sync(db)
    expect(await db.outbox.list()).toHaveLength(2)
    isBusy = false
    await env.advance(60_000)
    await world.sync(db)
    expect(await db.outbox.list()).toEqual([])
    expect(server.rows('items').size).toBe(2)
  })
})

describe('an app that is too old', () => {
  test('[SY-3] pauses with the reason, keeps its outbox and asks no more', async () => {
    const db = await world.open({ auto: true })
    await db.items.insert({ name: 'Rope' })
    world.server.script({ fault: { kind: 'answer', status: 426 } })
    await world.env.advance(24 * hourMs)
    expect(await db.status.get()).toMatchObject({
      phase: 'paused',
      pausedBy: 'update',
      reason: 'SCHEMA_TOO_OLD',
      pendingCount: 1,
    })
    expect(Object.values(world.server.requests).reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(2)
  })
})
