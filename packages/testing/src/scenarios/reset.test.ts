import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { createShopWorld, givenItems, idOf, itemsOf, type ShopWorld } from './shop-world.ts'

let world: ShopWorld
beforeEach(() => {
  world = createShopWorld()
})
afterEach(() => world.close())

describe('a reset', () => {
  test('[AP-10] replaces everything but the outbox by a snapshot', async () => {
    const db = await world.open()
    givenItems(world, 10)
    await world.sync(db)
    await db.items.increment(idOf(1), { stock: 5 })
    const id = await db.items.insert({ name: 'unsent' })
    world.server.delete('items', idOf(2))
    world.server.changeEpoch()
    expect(await world.sync(db)).toEqual({ status: 'done', code: null })
    const rows = await itemsOf(db)
    expect(rows).toHaveLength(10)
    expect(rows.find((row) => row['id'] === idOf(2))).toBeUndefined()
    expect(rows.find((row) => row['id'] === idOf(1))).toMatchObject({ stock: 5, _state: 'clean' })
    expect(rows.find((row) => row['id'] === id)).toMatchObject({ name: 'unsent', _state: 'clean' })
    expect((await db.status.metrics()).counts.resets).toBe(1)
  })

  test('[AP-9] [AP-10] does not take a version of a lost history for what the server says is known', async () => {
    const { env, server } = world
    const db = await world.open()
    givenItems(world, 1)
    const [id = ''] = server.rows('items').keys()
    for (const note of ['a', 'b', 'c']) server.write('items', id, { note })
    await world.sync(db)
    const [before] = await itemsOf(db)
    server.changeEpoch()
    // The other copy of this device has written since: this one is told a version, lower than that of the lost history.
    type Answer = { changes: readonly object[] }
    env.connect(async (request) => {
      const { pathname } = new URL(request.url)
      const asked = request.method === 'POST' ? await request.clone().text() : ''
      const response = await server.fetch(request)
      if (!response.ok || !/snapshot|pull/.test(pathname)) return response
      const isPull = pathname.endsWith('/sync/pull')
      if (!isPull) server.write('items', id, { note: 'of now' })
      const named = isPull && !asked.includes('"whole":true') ? { op: 'have', data: undefined } : {}
      const page = (await response.json()) as Answer
      const changes = page.changes.map((each) => ({ ...each, version: isPull ? 2 : 1, ...named }))
      return Response.json({ ...page, changes })
    })
    await world.sync(db)
    expect(before).toMatchObject({ note: 'c' })
    expect(await itemsOf(db)).toMatchObject([{ note: 'of now' }])
  })

  test('[AP-10] a server that answers 410 to everything is waited for, not hammered', async () => {
    const db = await world.open()
    givenItems(world, 1)
    await world.sync(db)
    world.server.script({ fault: { kind: 'answer', status: 410 } })
    expect(await world.sync(db)).toEqual({ status: 'waiting', code: 'EPOCH_CHANGED' })
    expect(await itemsOf(db)).toHaveLength(1)
    world.server.heal()
    expect(await world.sync(db)).toEqual({ status: 'done', code: null })
  })

  test('[AP-10] what the restored server no longer knows is offered again', async () => {
    const db = await world.open()
    const id = await db.items.insert({ name: 'Rope', stock: 1 })
    world.server.script({ on: 'snapshot', fault: { kind: 'answer', status: 500 } })
    await world.sync(db)
    expect(await db.outbox.list()).toMatchObject([{ status: 'answered' }])
    world.server.forget()
    world.server.heal()
    for (let again = 0; again < 3; again++) await world.sync(db)
    expect(world.server.record('items', id)).toMatchObject({ stock: 1 })
    expect(await itemsOf(db)).toMatchObject([{ stock: 1, _state: 'clean' }])
  })
})
