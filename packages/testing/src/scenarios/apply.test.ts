import { copyFileSync } from 'node:fs'

import { sqliteStorage } from '@holdfast/client/node'
import { openClient } from '@holdfast/client'
import { collection, counter, defineSchema, newUuid, text } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { faultyStorage } from '../faulty-storage.ts'
import { openFile } from './open-file.ts'
import { createShopWorld, givenItems, idOf, item, itemsOf, shopSchema, type ShopWorld } from './shop-world.ts'

let world: ShopWorld
beforeEach(() => {
  world = createShopWorld()
})
afterEach(() => world.close())

/** What an app knew that has no items yet. */
const shelvesAlone = defineSchema({
  version: 1,
  collections: { shelves: collection({ fields: { label: text() } }) },
})

describe('rows that do not fit', () => {
  test('[AP-5] B09: one row of a hundred is put aside and listed; the rest is there, and the cursor moves on', async () => {
    const db = await world.open()
    givenItems(world, 100)
    world.server.write('items', idOf(50), { stock: 'many' })
    await world.sync(db)
    expect(await itemsOf(db)).toHaveLength(99)
    const { quarantined } = await db.status.get()
    expect(quarantined).toEqual([
      { collection: 'items', record: idOf(50), version: 101, reason: 'items.stock is no counter' },
    ])
    await world.sync(db)
    expect(world.server.requests).toMatchObject({ snapshot: 1, pull: 2 })
  })

  test('[AP-5] B09: a newer version that fits ends the quarantine, and so does the end of the record', async () => {
    const db = await world.open()
    givenItems(world, 2)
    world.server.write('items', idOf(0), { stock: 'many' })
    world.server.write('items', idOf(1), { stock: 'many' })
    await world.sync(db)
    expect((await db.status.get()).quarantined).toHaveLength(2)
    world.server.write('items', idOf(0), { stock: 7 })
    world.server.delete('items', idOf(1))
    await world.sync(db)
    expect((await db.status.get()).quarantined).toEqual([])
    expect(await itemsOf(db)).toMatchObject([{ name: 'item 0', stock: 7 }])
  })

  test('[AP-5] B09: a row that does not fit and moves within the scopes of the device stays put aside', async () => {
    world.server.grant('ann', 'w:w2')
    const db = await world.open()
    givenItems(world, 1)
    world.server.write('items', idOf(0), { stock: 'many' })
    await world.sync(db)
    world.server.write('items', idOf(0), { wh: 'w2' })
    await world.sync(db)
    expect((await db.status.get()).quarantined).toMatchObject([{ record: idOf(0), version: 3 }])
    world.server.write('items', idOf(0), { wh: 'w3' })
    await world.sync(db)
    expect((await db.status.get()).quarantined).toEqual([])
  })

  test('[AP-5] B09: the end of a record of a collection that the app does not know ends its quarantine', async () => {
    const path = world.path('unknown.sqlite')
    const common = { server: 'https://shop.example', auth: 'ann', env: world.env, sync: { auto: false } }
    const db = await openClient({ ...common, schema: shelvesAlone, storage: sqliteStorage(path) })
    givenItems(world, 3)
    await world.env.complete(db.sync.now())
    expect((await db.status.get()).quarantined).toHaveLength(3)
    world.server.delete('items', idOf(0))
    world.server.write('items', idOf(1), { wh: 'w3' })
    await world.env.complete(db.sync.now())
    expect((await db.status.get()).quarantined).toMatchObject([{ record: idOf(2) }])
    await db.close()
  })

  test.each(['w:w1', 'w:w2'])(
    '[AP-5] [AP-8] a row that does not fit lies in both of its scopes: without %s it is there after an update of the app',
    async (revoked) => {
      const { env, server } = world
      const path = world.path('both.sqlite')
      server.grant('ann', 'w:w2')
      const common = { server: 'https://shop.example', auth: 'ann', env, sync: { auto: false } }
      const before = await openClient({ ...common, schema: shelvesAlone, storage: sqliteStorage(path) })
      await env.complete(before.sync.now())
      givenItems(world, 1)
      env.connect(async (request) => {
        const page = (await (await server.fetch(request)).json()) as { changes: object[] }
        // The scopes of this world lie side by side.
        const changes = page.changes.flatMap((put) => [put, { ...put, scope: 'w:w2' }])
        return Response.json({ ...page, changes })
      })
      await env.complete(before.sync.now())
      env.connect(server.fetch)
      expect((await before.status.get()).quarantined).toHaveLength(1)
      server.revoke('ann', revoked)
      await env.complete(before.sync.now())
      expect((await before.status.get()).quarantined).toHaveLength(1)
      await before.close()
      const schema = { ...shopSchema, version: 2 }
      const after = await openClient({ ...common, schema, storage: sqliteStorage(path) })
      await env.settle()
      expect(await itemsOf(after)).toMatchObject([{ name: 'item 0', _state: 'clean' }])
      server.revoke('ann', revoked === 'w:w1' ? 'w:w2' : 'w:w1')
      await env.complete(after.sync.now())
      expect(await itemsOf(after)).toEqual([])
      await after.close()
    },
  )

  test('[AP-5] B09: after an update of the app its rows appear without asking the server', async () => {
    const path = world.path('upgrade.sqlite')
    const common = { server: 'https://shop.example', auth: 'ann', env: world.env, sync: { auto: false } }
    const before = await openClient({ ...common, schema: shelvesAlone, storage: sqliteStorage(path) })
    givenItems(world, 3)
    await world.env.complete(before.sync.now())
    expect((await before.status.get()).quarantined).toHaveLength(3)
    await before.close()
    world.env.connect(() => Promise.reject(new TypeError('fetch failed')))
    const schema = { ...shopSchema, version: 2 }
    const after = await openClient({ ...common, schema, storage: sqliteStorage(path) })
    await world.env.settle()
    const rows = await after.query((q) =>
      q.selectFrom('items').select(['name', '_state', '_version']).orderBy('name'),
    )
    expect(rows).toMatchObject([
      { name: 'item 0', _state: 'clean', _version: 1 },
      { name: 'item 1' },
      { name: 'item 2' },
    ])
    expect((await after.status.get()).quarantined).toEqual([])
    await after.close()
  })
})

test('[AP-12] after an update of the app rows have what the server has in their new fields', async () => {
  const path = world.path('grown.sqlite')
  const common = { server: 'https://shop.example', auth: 'ann', env: world.env, sync: { auto: false } }
  const fields = { name: text(), stock: counter(), wh: text({ default: 'w1' }) }
  const old = defineSchema({ version: 1, collections: { items: collection({ fields, scope: 'w:{wh}' }) } })
  const before = await openClient({ ...common, schema: old, storage: sqliteStorage(path) })
  givenItems(world, 2)
  world.server.write('items', idOf(0), { note: 'of a newer app' })
  await world.env.complete(before.sync.now())
  await before.items.update(idOf(0), { name: 'mine' })
  await before.close()
  const grown = defineSchema({
    version: 1,
    collections: {
      items: collection({
        fields: { ...fields, note: text({ optional: true, merge: 'latest' }) },
        scope: 'w:{wh}',
      }),
    },
  })
  const after = await openClient({ ...common, schema: grown, storage: sqliteStorage(path) })
  const rowsNow = (): Promise<readonly object[]> =>
    after.query((q) => q.selectFrom('items').select(['name', 'note', '_state']).orderBy('name'))
  expect(await rowsNow()).toMatchObject([{ name: 'item 1' }, { name: 'mine', note: null, _state: 'pending' }])
  await world.env.complete(after.sync.now())
  expect(await rowsNow()).toMatchObject([
    { name: 'item 1', note: null },
    { name: 'mine', note: 'of a newer app', _state: 'clean' },
  ])
  expect(world.server.requests['snapshot']).toBe(2)
  await after.close()
  const again = await openClient({ ...common, schema: grown, storage: sqliteStorage(path) })
  await world.env.complete(again.sync.now())
  expect(world.server.requests['snapshot']).toBe(2)
  await again.close()
})

describe('pages', () => {
  test('[AP-2] changes in any order across pages give the newest version', async () => {
    const db = await world.open()
    await world.sync(db)
    world.server.disorder(true)
    givenItems(world, 3_000)
    const id = idOf(7)
    for (let n = 0; n < 5; n++) world.server.write('items', id, { note: `note ${n}` })
    world.server.delete('items', idOf(8))
    await world.sync(db)
    const rows = await itemsOf(db)
    expect(rows).toHaveLength(2_999)
    expect(rows.find((row) => row['id'] === id)).toMatchObject({ note: 'note 4', _state: 'clean' })
    expect(world.server.requests['pull']).toBe(4)
  })

  test('[AP-2] B12: pages that come again after a restart change nothing and tell nobody', async () => {
    const path = world.path('again.sqlite')
    const db = await world.open({ storage: sqliteStorage(path) })
    givenItems(world, 30)
    await world.sync(db)
    const [early] = await openFile(path, "SELECT value FROM _meta WHERE key = 'cursor'")
    givenItems(world, 10, 'w1', 30)
    world.server.delete('items', idOf(3))
    await world.sync(db)
    const rows = await itemsOf(db)
    await db.close()
    await openFile(path, `UPDATE _meta SET value = '${String(early?.['value'])}' WHERE key = 'cursor'`)
    const again = await world.open({ storage: sqliteStorage(path) })
    let told = 0
    again.watch(
      (q) => q.selectFrom('items').selectAll(),
      () => told++,
    )
    await world.env.settle()
    await world.sync(again)
    expect(await itemsOf(again)).toEqual(rows)
    expect(told).toBe(1)
  })

  test('[AP-1] B41: a child before its parent, a parent out of sight and a cycle are all shown', async () => {
    const db = await world.open()
    const shelf = newUuid(world.env)
    world.server.write('items', idOf(1), { ...item, name: 'child', shelf })
    givenItems(world, 2_500, 'w1', 100)
    world.server.write('shelves', shelf, { label: 'parent', wh: 'w1' })
    world.server.write('shelves', idOf(9), { label: 'out of sight', wh: 'w9' })
    world.server.write('items', idOf(2), { ...item, name: 'orphan', shelf: idOf(9) })
    await world.sync(db)
    const joined = await db.query((q) =>
      q
        .selectFrom('items')
        .leftJoin('shelves', 'shelves.id', 'items.shelf')
        .select(['items.name', 'shelves.label'])
        .where('items.shelf', 'is not', null)
        .orderBy('items.name'),
    )
    expect(joined).toEqual([
      { name: 'child', label: 'parent' },
      { name: 'orphan', label: null },
    ])
  })

  test('[AP-3] a pull that was cut off goes on with the page after the last one it has', async () => {
    const path = world.path('resume.sqlite')
    const db = await world.open({ storage: sqliteStorage(path) })
    givenItems(world, 12_000)
    world.server.script({
      on: ({ kind, index }) => kind === 'snapshot' && index === 2,
      fault: { kind: 'cut', when: 'before' },
    })
    expect(await world.sync(db)).toMatchObject({ status: 'offline' })
    expect(await itemsOf(db)).toEqual([])
    await db.close()
    const again = await world.open({ storage: sqliteStorage(path) })
    await world.sync(again)
    expect(await itemsOf(again)).toHaveLength(12_000)
    expect(world.server.requests['snapshot']).toBe(4)
  })

  test('[AP-3] pages chosen for other grants are dropped', async () => {
    const db = await world.open()
    givenItems(world, 6_000)
    world.server.script({
      on: ({ kind, index }) => kind === 'snapshot' && index === 1,
      fault: { kind: 'cut', when: 'before' },
    })
    await world.sync(db)
    world.server.revoke('ann', 'w:w1')
    world.server.grant('ann', 'w:w2')
    givenItems(world, 3, 'w2', 7_000)
    await world.sync(db)
    expect(await itemsOf(db)).toHaveLength(3)
  })

  test('[AP-9] own writes that come back without their data are built, and asked for whole where an answer was lost', async () => {
    const own = createShopWorld({ haves: true })
    const db = await own.open()
    const bob = await own.open({ user: 'bob' })
    const id = await db.items.insert({ name: 'Rope', stock: 1, tags: ['a'] })
    await own.sync(db)
    await db.items.update(id, { note: 'n' })
    await db.items.increment(id, { stock: 4 })
    await db.items.add(id, { tags: ['b'] })
    await own.sync(db)
    const expected = { name: 'Rope', stock: 5, note: 'n', _state: 'clean' }
    expect(await itemsOf(db)).toMatchObject([expected])
    own.server.script({ on: 'push', times: 1, fault: { kind: 'cut', when: 'after' } })
    await db.items.update(id, { note: 'm' })
    await own.sync(db)
    const asked: string[] = []
    own.env.connect(async (request) => {
      asked.push(await request.clone().text())
      return own.server.fetch(request)
    })
    await own.sync(db)
    // The second pull is for what had waited for the outcome.
    expect(asked.map((text) => text.includes('"whole":true'))).toEqual([true, false])
    expect(await itemsOf(db)).toMatchObject([{ ...expected, note: 'm' }])
    await own.sync(bob)
    expect(await itemsOf(bob)).toMatchObject([{ ...expected, note: 'm' }])
    await own.close()
  })

  test('[AP-9] [PL-9] D3: of what it has forgotten a device that was put back to a backup asks for the pages once more, whole', async () => {
    const own = createShopWorld({ haves: true })
    const path = own.path('phone.sqlite')
    const before = await own.open({ storage: sqliteStorage(path) })
    const id = await before.items.insert({ name: 'Rope', stock: 1 })
    await own.sync(before)
    await before.close()
    copyFileSync(path, `${path}.backup`)
    const db = await own.open({ storage: sqliteStorage(path) })
    for (let n = 0; n < 300; n++) await db.items.insert({ name: `Hook ${n}` })
    await db.items.increment(id, { stock: 7 })
    await own.sync(db)
    await db.close()
    copyFileSync(`${path}.backup`, path)
    const again = await own.open({ storage: sqliteStorage(path) })
    const { pull = 0 } = own.server.requests
    await own.sync(again)
    expect(own.server.requests).toMatchObject({ pull: pull + 2 })
    expect(own.server.requests['records']).toBeUndefined()
    const rows = await itemsOf(again)
    expect(rows).toHaveLength(301)
    expect(rows.at(-1)).toMatchObject({ name: 'Rope', stock: 8, _state: 'clean' })
    await own.close()
  })

  test('[AP-9] the cursor stays where it is when a server names rows that the device lacks, and gives them to nobody', async () => {
    const { env, server } = world
    const db = await world.open()
    await world.sync(db)
    givenItems(world, 2)
    env.connect(async (request) => {
      const answer = await server.fetch(request)
      if (!request.url.endsWith('/sync/pull')) return answer
      const page = (await answer.json()) as { changes: { op: string; data?: unknown }[] }
      const changes = page.changes.map(({ data: _, ...change }) => ({ ...change, op: 'have' }))
      return Response.json({ ...page, changes })
    })
    expect(await world.sync(db)).toEqual({ status: 'waiting', code: 'RESPONSE_INVALID' })
    expect(await itemsOf(db)).toEqual([])
    env.connect(server.fetch)
    await world.sync(db)
    expect(await itemsOf(db)).toHaveLength(2)
  })
})

describe('the flip', () => {
  /** A device with rows, an answered entry, a pending one and a pull that changes, deletes and moves rows. */
  async function givenFlip(
    own: ShopWorld,
    fate: (sql: string, index: number) => 'run' | 'fail' | 'kill',
    path: string,
  ) {
    for (let n = 0; n < 6; n++) own.server.write('items', idOf(n), { ...item, name: `item ${n}` })
    let isArmed = false
    const storage = faultyStorage(sqliteStorage(path), (sql, index) => (isArmed ? fate(sql, index) : 'run'))
    const db = await own.open({ storage })
    await own.sync(db)
    await db.items.increment(idOf(1), { stock: 5 })
    own.server.script({ on: 'pull', times: 1, fault: { kind: 'cut', when: 'before' } })
    await own.sync(db)
    await db.items.update(idOf(2), { note: 'pending' })
    own.server.script({ on: 'push', times: 1, fault: { kind: 'cut', when: 'before' } })
    own.server.write('items', idOf(0), { name: 'item 0 changed' })
    own.server.write('items', idOf(2), { stock: 3 })
    own.server.delete('items', idOf(3))
    own.server.write('items', idOf(4), { wh: 'w2' })
    own.server.write('items', idOf(9), { ...item, name: 'item 9' })
    return {
      db,
      arm: (isOn: boolean) => {
        isArmed = isOn
        storage.reset()
      },
      storage,
    }
  }

  const before = { names: 'item 0,item 1,item 2,item 3,item 4,item 5', stock: [5, 0] }
  const after = { names: 'item 0 changed,item 1,item 2,item 5,item 9', stock: [5, 3] }

  async function stateOf(path: string) {
    const rows = await openFile(path, 'SELECT id, name, stock, note FROM items ORDER BY name')
    const find = (n: number) => rows.find((row) => row['id'] === idOf(n))
    expect(find(2)).toMatchObject({ note: 'pending' })
    return { names: rows.map((row) => row['name']).join(), stock: [find(1)?.['stock'], find(2)?.['stock']] }
  }

  test.each(['fail', 'kill'] as const)(
    '[AP-1] B44: a %s at any statement leaves exactly the old state or exactly the new, and the next cycle completes',
    async (fate) => {
      let statements = 0
      let isThrough = false
      for (let nth = 0; !isThrough; nth++) {
        const own = createShopWorld()
        const path = own.path('flip.sqlite')
        const { db, arm, storage } = await givenFlip(own, (_, index) => (index === nth ? fate : 'run'), path)
        arm(true)
        const cycle = db.sync.now()
        await own.env.advance(60_000)
        isThrough = storage.statementCount <= nth
        if (isThrough) arm(false)
        const state = await stateOf(path)
        expect([before, after]).toContainEqual(state)
        if (fate === 'kill') void cycle
        const again = fate === 'kill' && !isThrough ? await own.open({ storage: sqliteStorage(path) }) : db
        await own.env.advance(20_000)
        for (let more = 0; more < 3; more++) await own.sync(again)
        expect(await stateOf(path)).toEqual(after)
        expect(await again.outbox.list()).toEqual([])
        expect(own.server.record('items', idOf(1))).toMatchObject({ stock: 5 })
        expect(own.server.record('items', idOf(2))).toMatchObject({ note: 'pending', stock: 3 })
        statements = nth
        await own.close()
      }
      expect(statements).toBeGreaterThan(40)
    },
    120_000,
  )

  test('[AP-1] B47: told to stop at any statement, the transaction ends at once and the next start completes', async () => {
    for (let nth = 0; nth < 60; nth += 3) {
      const own = createShopWorld()
      const path = own.path('suspend.sqlite')
      let stop: () => void = () => undefined
      const given = await givenFlip(
        own,
        (_, index) => {
          if (index === nth) stop()
          return 'run'
        },
        path,
      )
      stop = () => given.db.sync.pause()
      given.arm(true)
      const cycle = given.db.sync.now()
      await own.env.settle()
      await cycle
      // No lock is held: another connection can write.
      await openFile(path, 'CREATE TABLE IF NOT EXISTS probe (n)')
      expect([before, after]).toContainEqual(await stateOf(path))
      given.db.sync.resume()
      for (let more = 0; more < 3; more++) await own.sync(given.db)
      expect(await stateOf(path)).toEqual(after)
      await own.close()
    }
  })
})
