import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { createShopWorld, itemsOf, type ShopWorld } from './shop-world.ts'

let world: ShopWorld
beforeEach(() => {
  world = createShopWorld()
})
afterEach(() => world.close())

/** A server that queues: pushes are kept until `decide`, and every request is written down. */
function givenQueue(own: ShopWorld) {
  const waiting = new Map<string, Request>()
  const answers = new Map<string, string>()
  const asked: string[] = []
  const bodies: string[] = []
  let count = 0
  const json = (body: string, status = 200): Response =>
    new Response(body, { status, headers: { 'content-type': 'application/json', 'holdfast-account': 'ann' } })
  own.env.connect(async (request) => {
    const path = new URL(request.url).pathname
    if (path === '/sync/stream') return own.server.fetch(request)
    asked.push(`${request.method} ${path}`)
    if (path === '/sync/push') {
      const receipt = `r${++count}`
      waiting.set(receipt, request.clone())
      bodies.push(await request.text())
      return json(JSON.stringify({ receipt }), 202)
    }
    const receipt = /^\/sync\/receipts\/(.*)$/.exec(path)?.[1]
    if (receipt === undefined) return own.server.fetch(request)
    const answer = answers.get(receipt)
    if (answer !== undefined) return json(answer)
    if (waiting.has(receipt)) return json(JSON.stringify({ receipt }), 202)
    const error = { code: 'NOT_FOUND', message: 'no such receipt', retry: 'never', requestId: 'x' }
    return json(JSON.stringify({ error }), 404)
  })
  return {
    asked,
    bodies,
    /** Decides what waits; with `answer` that instead. `told`: whether the receipts say so. */
    decide: async ({ answer, isTold = true }: { answer?: string; isTold?: boolean } = {}): Promise<void> => {
      for (const [receipt, request] of waiting) {
        const text = answer ?? (await (await own.server.fetch(request)).text())
        if (isTold) answers.set(receipt, text)
        waiting.delete(receipt)
      }
    },
    /** Receipts, and what waits for them, are gone. */
    forget: (): void => {
      waiting.clear()
      answers.clear()
    },
  }
}

describe('a server that queues pushes', () => {
  test('[SY-23] what was taken stays offered, and nothing more is sent before it is decided', async () => {
    const queue = givenQueue(world)
    const db = await world.open()
    const id = await db.items.insert({ name: 'Rope' })
    expect(await world.sync(db)).toEqual({ status: 'done', code: null })
    await db.items.update(id, { name: 'Long rope' })
    await world.sync(db)
    expect(queue.asked.filter((each) => !/pull|snapshot/.test(each))).toEqual([
      'POST /sync/push',
      'GET /sync/receipts/r1',
    ])
    expect((await db.outbox.list()).map(({ status }) => status)).toEqual(['sending', 'pending'])
    await queue.decide()
    await world.sync(db)
    expect(queue.bodies.length).toBe(2)
    await queue.decide()
    await world.sync(db)
    expect(await db.outbox.list()).toEqual([])
    expect(await itemsOf(db)).toMatchObject([{ name: 'Long rope', _state: 'clean' }])
    expect(world.server.record('items', id)).toMatchObject({ name: 'Long rope' })
  })

  test('[SY-23] without a word of the receipt the pull settles it, and the next push goes at once', async () => {
    const queue = givenQueue(world)
    const db = await world.open()
    const id = await db.items.insert({ name: 'Rope', stock: 1 })
    await world.sync(db)
    await queue.decide({ isTold: false })
    await world.sync(db)
    await db.items.increment(id, { stock: 1 })
    await world.sync(db)
    await queue.decide()
    await world.sync(db)
    expect(await db.outbox.list()).toEqual([])
    expect(world.server.record('items', id)).toMatchObject({ stock: 2 })
  })

  test('[SY-23] left alone, a device asks for the receipt, ever more seldom', async () => {
    const queue = givenQueue(world)
    const db = await world.open({ auto: true })
    await db.items.insert({ name: 'Rope' })
    await world.env.advance(600_000)
    const questions = queue.asked.filter((each) => each.startsWith('GET /sync/receipts')).length
    expect(questions).toBeGreaterThan(8)
    expect(questions).toBeLessThan(30)
    expect(queue.bodies.length).toBe(1)
    await queue.decide()
    await world.env.advance(60_000)
    expect(await db.outbox.list()).toEqual([])
  })

  test('[SY-24] an unknown receipt means that the same bytes are offered again, and they count once', async () => {
    const queue = givenQueue(world)
    const db = await world.open()
    const id = await db.items.insert({ name: 'Rope', stock: 3 })
    await world.sync(db)
    queue.forget()
    await world.sync(db)
    const [first, second] = queue.bodies.map((body) => (JSON.parse(body) as { mutations: unknown }).mutations)
    expect(second).toEqual(first)
    await queue.decide()
    await world.sync(db)
    expect(world.server.record('items', id)).toMatchObject({ stock: 3 })
    expect(await db.outbox.list()).toEqual([])
  })

  test('[SY-24] a device whose process ended offers the same bytes again', async () => {
    const queue = givenQueue(world)
    const { sqliteStorage } = await import('@holdfast/client/node')
    const path = world.path('device.db')
    const before = await world.open({ storage: sqliteStorage(path) })
    const id = await before.items.insert({ name: 'Rope', stock: 3 })
    await world.sync(before)
    await before.close()
    const db = await world.open({ storage: sqliteStorage(path) })
    await world.sync(db)
    expect(queue.bodies.length).toBe(2)
    await queue.decide()
    await world.sync(db)
    expect(world.server.record('items', id)).toMatchObject({ stock: 3 })
    expect(await db.outbox.list()).toEqual([])
  })

  test('[SY-23] a batch that was refused as a whole is halved to find the one, as if it had been told at once', async () => {
    const queue = givenQueue(world)
    const db = await world.open()
    for (const name of ['a', 'b', 'c', 'd']) await db.items.insert({ name })
    await world.sync(db)
    const error = { code: 'REQUEST_INVALID', message: 'no', retry: 'never' }
    await queue.decide({ answer: JSON.stringify({ error }) })
    await world.sync(db)
    const sizes = queue.bodies.map((body) => (JSON.parse(body) as { mutations: unknown[] }).mutations.length)
    expect(sizes).toEqual([4, 2])
  })
})
