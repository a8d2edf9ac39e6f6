import { sqliteStorage } from '@holdfast/client/node'
import { openClient } from '@holdfast/client'
import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { faultyStorage } from '../faulty-storage.ts'
import { openFile } from './open-file.ts'
import { createShopWorld, givenItems, idOf, item, itemsOf, shopSchema, type ShopWorld } from './shop-world.ts'

let world: ShopWorld
beforeEach(() => {
  world = createShopWorld()
})
afterEach(() => world.close())

/** A world whose server says `have`, with a device of somebody who sees two scopes. */
async function givenTwoScopes() {
  const own = createShopWorld({ haves: true })
  const { env, server } = own
  server.grant('ann', 'w:w2')
  return { own, env, server, db: await own.open() }
}

describe('a row that is not ours to keep', () => {
  const secret = 'canary-in-the-coal-mine'

  /** Everything that a file holds of items, as text. */
  async function copiesIn(path: string): Promise<string> {
    const tables = ['_shadow', '_deleted', 'items'].map((table) => openFile(path, `SELECT * FROM ${table}`))
    return JSON.stringify(await Promise.all(tables))
  }

  test('[AP-8] B37: the device that moved it away erases it everywhere, down to the bytes of its file', async () => {
    const path = world.path('moved.sqlite')
    const db = await world.open({ storage: sqliteStorage(path) })
    const bob = await world.open({ user: 'bob' })
    const id = await db.items.insert({ name: secret, note: secret })
    await db.items.insert({ name: 'stays' })
    await world.sync(db)
    await world.sync(bob)
    await db.items.update(id, { wh: 'w2' })
    await world.sync(db)
    await world.sync(db)
    await world.sync(bob)
    expect(await itemsOf(db)).toMatchObject([{ name: 'stays' }])
    expect(await itemsOf(bob)).toMatchObject([{ name: 'stays' }])
    expect(await db.outbox.list()).toEqual([])
    for (const table of ['_shadow', '_deleted', '_staging', '_quarantine']) {
      expect(await openFile(path, `SELECT * FROM ${table}`)).toEqual([])
    }
    await db.close()
    expect(readFileSync(path).includes(secret)).toBe(false)
  })

  test.each(['leave', 'put'])(
    '[AP-8] a row that moves within the scopes stays, the %s on a page of its own before',
    async (first) => {
      const { env, server } = world
      server.grant('ann', 'w:w2')
      const db = await world.open()
      givenItems(world, 2)
      await world.sync(db)
      server.write('items', idOf(0), { wh: 'w2' })
      let rest: object | undefined
      env.connect(async (request) => {
        if (!request.url.endsWith('/sync/pull')) return server.fetch(request)
        if (rest !== undefined) return Response.json(rest)
        // What the server says and where it lets a page end are two things.
        const page = (await (await server.fetch(request)).json()) as { changes: { op: string }[] }
        const changes = page.changes.toSorted((left) => (left.op === first ? -1 : 1))
        rest = { ...page, changes: changes.slice(1) }
        return Response.json({ ...page, changes: changes.slice(0, 1), more: true })
      })
      expect(await world.sync(db)).toMatchObject({ status: 'done' })
      expect(rest).toMatchObject({ changes: [{ record: idOf(0) }] })
      expect(await itemsOf(db)).toMatchObject([{ name: 'item 0' }, { name: 'item 1' }])
      server.revoke('ann', 'w:w1')
      env.connect(server.fetch)
      await world.sync(db)
      expect(await itemsOf(db)).toMatchObject([{ name: 'item 0' }])
    },
  )

  test.each([
    ['w:w1', 'w:w2', 'untouched'],
    ['w:w2', 'w:w1', 'untouched'],
    ['w:w1', 'w:w2', 'edited'],
    ['w:w2', 'w:w1', 'edited'],
  ])(
    '[AP-8] an own row that lies in two scopes stays when %s is revoked, and goes with %s, %s',
    async (revoked, other, state) => {
      const { own, env, server, db } = await givenTwoScopes()
      await own.sync(db)
      const id = await db.items.insert({ name: 'shared' })
      env.connect(async (request) => {
        if (!request.url.endsWith('/sync/pull')) return server.fetch(request)
        // The scopes of this world lie side by side.
        const page = (await (await server.fetch(request)).json()) as { changes: { op: string }[] }
        const changes = page.changes.flatMap((have) => [have, { ...have, scope: 'w:w2' }])
        return Response.json({ ...page, changes })
      })
      await own.sync(db)
      expect(await itemsOf(db)).toMatchObject([{ name: 'shared', _state: 'clean' }])
      // The pull that says that the scope is gone says of the edit that the row as it stands is the server's.
      if (state === 'edited') await db.items.increment(id, { stock: 1 })
      env.connect(async (request) => {
        if (!request.url.endsWith('/sync/pull')) return server.fetch(request)
        server.revoke('ann', revoked)
        const page = (await (await server.fetch(request)).json()) as { changes: { op: string }[] }
        const changes = page.changes.map((have) => ({ ...have, scope: other }))
        return Response.json({ ...page, changes })
      })
      await own.sync(db)
      expect(await itemsOf(db)).toMatchObject([{ name: 'shared', _state: 'clean' }])
      env.connect(server.fetch)
      server.revoke('ann', other)
      await own.sync(db)
      expect(await itemsOf(db)).toEqual([])
      await own.close()
    },
  )

  test.each(['leave', 'have'])(
    '[AP-8] a deleted row that its author brings back in another scope is there, the %s told first',
    async (first) => {
      const { own, env, server, db } = await givenTwoScopes()
      server.write('items', idOf(0), { ...item, name: 'old' })
      await own.sync(db)
      await db.items.delete(idOf(0))
      const told: string[][] = []
      env.connect(async (request) => {
        if (!request.url.endsWith('/sync/pull')) return server.fetch(request)
        const page = (await (await server.fetch(request)).json()) as { changes: { op: string }[] }
        const back = page.changes.filter(({ op }) => op === 'have')
        const left = back.map((have) => ({ ...have, op: 'leave', scope: 'w:w1' }))
        const changes = [...page.changes, ...left].toSorted(({ op }) => (op === first ? -1 : 1))
        told.push(changes.map(({ op }) => op))
        // Brought back while the device does not know yet which version the deletion got.
        if (told.length === 1) await db.items.insert({ id: idOf(0), name: 'new', wh: 'w2' })
        return Response.json({ ...page, changes })
      })
      await own.sync(db)
      await own.sync(db)
      expect(told).toMatchObject([['delete'], { length: 2, 0: first }, ...told.slice(2)])
      expect(await db.outbox.list()).toEqual([])
      expect(await itemsOf(db)).toMatchObject([{ name: 'new', _state: 'clean' }])
      await own.close()
    },
  )

  test.each([
    ['its author', 'told of the deletion first', true, true],
    ['its author', 'told of the deletion last', true, false],
    ['somebody else', 'told of the deletion first', false, true],
    ['somebody else', 'told of the deletion last', false, false],
  ])(
    '[AP-8] a record deleted in one scope and brought back in another by %s is in the other alone, %s',
    async (_, __, isOwn, isFirst) => {
      const { own, env, server, db } = await givenTwoScopes()
      server.write('items', idOf(0), { ...item, name: 'old' })
      await own.sync(db)
      if (isOwn) await db.items.delete(idOf(0))
      else server.delete('items', idOf(0))
      let pulls = 0
      env.connect(async (request) => {
        if (!request.url.endsWith('/sync/pull')) return server.fetch(request)
        // The device is told of both at once.
        if (isOwn && pulls++ === 0) {
          await db.items.insert({ id: idOf(0), name: 'new', wh: 'w2' })
          return new Response('', { status: 503 })
        }
        const page = (await (await server.fetch(request)).json()) as {
          changes: { op: string; version: number }[]
        }
        const back = page.changes.filter(({ op }) => op === 'have' || op === 'put')
        const gone = back.map((each) => ({ ...each, op: 'delete', scope: 'w:w1', version: each.version - 1 }))
        return Response.json({ ...page, changes: isFirst ? [...gone, ...back] : [...back, ...gone] })
      })
      if (!isOwn) server.write('items', idOf(0), { ...item, name: 'new', wh: 'w2' })
      await own.sync(db)
      await own.sync(db)
      expect(await db.outbox.list()).toEqual([])
      expect(await itemsOf(db)).toMatchObject([{ name: 'new', _state: 'clean' }])
      env.connect((request) => server.fetch(request))
      server.revoke('ann', 'w:w2')
      await own.sync(db)
      expect(await itemsOf(db)).toEqual([])
      await own.close()
    },
  )

  test('[AP-8] [AP-9] a record that has to be asked for whole is not put back into a scope it has left since', async () => {
    const { own, env, server, db } = await givenTwoScopes()
    server.write('items', idOf(0), { ...item, name: 'old' })
    await own.sync(db)
    server.write('items', idOf(0), { name: 'new' })
    let pages = 0
    env.connect(async (request) => {
      if (!request.url.endsWith('/sync/pull')) return server.fetch(request)
      const isWhole = (await request.clone().text()).includes('"whole":true')
      const page = (await (await server.fetch(request)).json()) as { changes: { op: string }[] }
      // The device is said to have made both versions, and cannot build them.
      const changes = page.changes.map((each) =>
        each.op === 'put' && !isWhole ? { ...each, op: 'have' } : each,
      )
      pages += 1
      if (pages === 1) server.write('items', idOf(0), { wh: 'w2' })
      return Response.json({ ...page, changes, more: pages === 1 })
    })
    await own.sync(db)
    expect(pages).toBe(3)
    expect(await itemsOf(db)).toMatchObject([{ name: 'new', _state: 'clean' }])
    env.connect((request) => server.fetch(request))
    server.revoke('ann', 'w:w2')
    await own.sync(db)
    expect(await itemsOf(db)).toEqual([])
    await own.close()
  })

  type Told = readonly { readonly op: string; readonly version: number }[]
  type Telling = (all: Told) => readonly object[]
  const puts = (all: Told): Told => all.filter(({ op }) => op === 'put')

  /** The next pull is told in two pages, of what these make of its changes. Gives how many pages were asked for. */
  function tellInTwoPages(first: Telling, last: Telling = (all) => all): () => number {
    let pulls = 0
    world.env.connect(async (request) => {
      if (!request.url.endsWith('/sync/pull')) return world.server.fetch(request)
      const { since } = (await request.clone().json()) as { since: string }
      const page = (await (await world.server.fetch(request)).json()) as { changes: Told }
      if (pulls++ > 0) return Response.json({ ...page, changes: last(page.changes) })
      return Response.json({ ...page, changes: first(page.changes), more: true, cursor: since })
    })
    return () => pulls
  }

  test('[AP-8] a record deleted in one scope and brought back in another, as two pages of one pull tell, is in the other alone', async () => {
    const { env, server } = world
    server.grant('ann', 'w:w2')
    const db = await world.open()
    server.write('items', idOf(0), { ...item, name: 'old' })
    await world.sync(db)
    server.delete('items', idOf(0))
    server.write('items', idOf(0), { ...item, name: 'new', wh: 'w2' })
    // The deletion came a page before, and was collected since: nothing else says that the record has left.
    const gone = { op: 'delete', scope: 'w:w1' }
    const pulls = tellInTwoPages(
      (all) => puts(all).map((each) => ({ ...each, ...gone, version: each.version - 1 })),
      puts,
    )
    await world.sync(db)
    expect(pulls()).toBe(2)
    expect(await itemsOf(db)).toMatchObject([{ name: 'new', _state: 'clean' }])
    env.connect((request) => server.fetch(request))
    server.revoke('ann', 'w:w2')
    await world.sync(db)
    expect(await itemsOf(db)).toEqual([])
  })

  test('[AP-8] [CS-2] a row that left for another scope, put there and said to be there already, lies in it once', async () => {
    const { env, server } = world
    server.grant('ann', 'w:w2')
    const path = world.path('moved.sqlite')
    const db = await world.open({ storage: sqliteStorage(path) })
    server.write('items', idOf(0), item)
    await world.sync(db)
    server.write('items', idOf(0), { wh: 'w2' })
    // The version of now has come before.
    const [held] = await openFile(path, 'SELECT _version AS version FROM items')
    const asHeld = (all: Told): Told => puts(all).map((each) => ({ ...each, ...held }))
    tellInTwoPages(
      (all) => [
        ...asHeld(all).map((each) => ({ ...each, op: 'leave', scope: 'w:w1', data: undefined })),
        ...asHeld(all).map((each) => ({ ...each, op: 'have', data: undefined })),
      ],
      asHeld,
    )
    await world.sync(db)
    env.connect((request) => server.fetch(request))
    const where = "SELECT i._scopes = ',' || s.n || ',' AS once FROM items i, _scopes s WHERE s.name = 'w:w2'"
    expect(await openFile(path, where)).toEqual([{ once: 1 }])
  })

  test('[AP-8] an own row that left a scope and came back to it, as three pages of one pull tell, is there', async () => {
    const { own, env, server, db } = await givenTwoScopes()
    await own.sync(db)
    const told: string[] = []
    let pulls = 0
    env.connect(async (request) => {
      if (!request.url.endsWith('/sync/pull')) return server.fetch(request)
      // The pull goes on with the next cycle, behind what was pushed meanwhile.
      if (told.length < 5 && pulls++ % 2 === 1) return new Response('', { status: 503 })
      const page = (await (await server.fetch(request)).json()) as {
        changes: { op: string; scope: string }[]
      }
      told.push(...page.changes.map(({ op, scope }) => `${op} ${scope}`))
      return Response.json({ ...page, more: told.length < 5 })
    })
    const id = await db.items.insert({ name: 'mine' })
    for (const wh of ['w2', 'w1']) {
      await own.sync(db)
      await db.items.update(id, { wh })
    }
    await own.sync(db)
    expect(told.toSorted()).toEqual(['have w:w1', 'have w:w1', 'have w:w2', 'leave w:w1', 'leave w:w2'])
    expect(await itemsOf(db)).toMatchObject([{ name: 'mine', _state: 'clean' }])
    expect(await db.outbox.list()).toEqual([])
    await own.close()
  })

  test('[AP-8] a row that was deleted in another scope stays deleted, told of its leave after that', async () => {
    const { env, server } = world
    const path = world.path('ended.sqlite')
    server.grant('ann', 'w:w2')
    const db = await world.open({ storage: sqliteStorage(path) })
    givenItems(world, 1)
    await world.sync(db)
    server.write('items', idOf(0), { wh: 'w2' })
    server.delete('items', idOf(0))
    env.connect(async (request) => {
      if (!request.url.endsWith('/sync/pull')) return server.fetch(request)
      const page = (await (await server.fetch(request)).json()) as { changes: { op: string }[] }
      return Response.json({
        ...page,
        changes: page.changes.toSorted(({ op }) => (op === 'delete' ? -1 : 1)),
      })
    })
    await world.sync(db)
    expect(await openFile(path, 'SELECT version FROM _deleted')).toEqual([{ version: 3 }])
  })

  test('[AP-8] B39: what was granted comes whole, what was revoked goes, and other scopes are left alone', async () => {
    const db = await world.open()
    givenItems(world, 20, 'w1')
    givenItems(world, 20, 'w2', 100)
    await world.sync(db)
    expect(await itemsOf(db)).toHaveLength(20)
    world.server.grant('ann', 'w:w2')
    await world.sync(db)
    expect(await itemsOf(db)).toHaveLength(40)
    world.server.revoke('ann', 'w:w2')
    await world.sync(db)
    expect(await itemsOf(db)).toHaveLength(20)
    world.server.write('items', idOf(100), { name: 'changed meanwhile' })
    world.server.grant('ann', 'w:w2')
    await world.sync(db)
    const rows = await itemsOf(db)
    expect(rows).toHaveLength(40)
    expect(rows[0]).toMatchObject({ name: 'changed meanwhile' })
    expect(world.server.requests['snapshot']).toBe(3)
  })

  test('[AP-8] B39: a row that moved into a scope that was just granted stays, though the same pull tells of its leave', async () => {
    const db = await world.open()
    givenItems(world, 2)
    await world.sync(db)
    world.server.write('items', idOf(0), { wh: 'w2' })
    world.server.grant('ann', 'w:w2')
    await world.sync(db)
    expect(await itemsOf(db)).toMatchObject([{ name: 'item 0' }, { name: 'item 1' }])
  })

  test('[AP-8] [ES-11] B37: a revoked scope takes rows with unsent edits along; the edits go to escrow', async () => {
    const path = world.path('revoked.sqlite')
    const db = await world.open({ storage: sqliteStorage(path) })
    givenItems(world, 1)
    world.server.write('items', idOf(0), { note: secret })
    await world.sync(db)
    await db.items.increment(idOf(0), { stock: 1 })
    world.server.revoke('ann', 'w:w1')
    world.server.script({ on: 'push', fault: { kind: 'answer', status: 500 } })
    await world.sync(db)
    await world.sync(db)
    expect(await openFile(path, 'SELECT * FROM _shadow')).toEqual([])
    expect(JSON.stringify(await openFile(path, 'SELECT * FROM items'))).not.toContain(secret)
    expect(await db.outbox.list()).toMatchObject([{ record: idOf(0), payload: { increments: { stock: 1 } } }])
    world.server.heal()
    await world.env.advance(60_000)
    await world.sync(db)
    expect(await db.outbox.list()).toEqual([])
    expect(await db.escrow.list()).toMatchObject([{ record: idOf(0), status: 'waiting' }])
  })

  test('[AP-8] B37: a record that moved on and was deleted leaves no values of the scope it came from', async () => {
    const path = world.path('moved-deleted.sqlite')
    world.server.grant('ann', 'w:w2')
    const db = await world.open({ storage: sqliteStorage(path) })
    givenItems(world, 1)
    world.server.write('items', idOf(0), { note: secret })
    await world.sync(db)
    world.server.script({ on: 'push', fault: { kind: 'answer', status: 500 } })
    await db.items.increment(idOf(0), { stock: 1 })
    world.server.write('items', idOf(0), { wh: 'w2', note: '' })
    world.server.delete('items', idOf(0))
    world.server.revoke('ann', 'w:w1')
    await world.sync(db)
    await world.sync(db)
    expect(await copiesIn(path)).not.toContain(secret)
  })

  test('[AP-8] B37: a revoked scope takes the values of a deleted record along that an unsent edit waits on', async () => {
    const path = world.path('revoked-deleted.sqlite')
    const db = await world.open({ storage: sqliteStorage(path) })
    givenItems(world, 1)
    world.server.write('items', idOf(0), { note: secret })
    await world.sync(db)
    world.server.script({ on: 'push', fault: { kind: 'answer', status: 500 } })
    await db.items.increment(idOf(0), { stock: 1 })
    world.server.delete('items', idOf(0))
    await world.sync(db)
    await world.sync(db)
    expect(await openFile(path, 'SELECT deleted FROM _shadow')).toEqual([{ deleted: 1 }])
    world.server.revoke('ann', 'w:w1')
    await world.sync(db)
    await world.sync(db)
    expect(await copiesIn(path)).not.toContain(secret)
    expect(await db.outbox.list()).toMatchObject([{ record: idOf(0), payload: { increments: { stock: 1 } } }])
  })

  /** Of rows that grow and shrink, SQLite leaves older copies in the pages that it builds anew. */
  async function givenCopies(path: string): Promise<void> {
    for (let n = 0; n < 360; n++) {
      const at = (n * 37) % 120
      const note = (at % 2 === 0 ? secret : 'open to everybody here').repeat(1 + ((n * 7) % 23))
      await openFile(path, `UPDATE items SET note = '${note}' WHERE id = '${idOf(at)}'`)
    }
  }

  test('[AP-8] B37: when a scope goes the file is rewritten, as soon as there is room for that', async () => {
    const path = world.path('rewritten.sqlite')
    let isFull = false
    let rewrites = 0
    const storage = faultyStorage(sqliteStorage(path), (sql) => {
      if (sql !== 'VACUUM') return 'run'
      rewrites += 1
      return isFull ? 'fail' : 'run'
    })
    const db = await world.open({ storage })
    world.server.grant('ann', 'w:w2')
    for (let n = 0; n < 120; n++) givenItems(world, 1, n % 2 === 0 ? 'w2' : 'w1', n)
    await world.sync(db)
    await givenCopies(path)
    isFull = true
    world.server.revoke('ann', 'w:w2')
    expect(await world.sync(db)).toMatchObject({ status: 'done' })
    expect(await itemsOf(db)).toHaveLength(60)
    expect([rewrites, readFileSync(path).includes(secret)]).toEqual([1, true])
    isFull = false
    await world.sync(db)
    expect(rewrites).toBe(1)
    await world.env.advance(3_600_000)
    await world.sync(db)
    expect([rewrites, readFileSync(path).includes(secret)]).toEqual([2, false])
    await world.sync(db)
    expect(rewrites).toBe(2)
  })

  test('[AP-8] a snapshot that replaces nothing but a tombstone has the file rewritten as well', async () => {
    let rewrites = 0
    const storage = faultyStorage(sqliteStorage(world.path('tombstone.sqlite')), (sql) => {
      if (sql === 'VACUUM') rewrites += 1
      return 'run'
    })
    const db = await world.open({ storage })
    givenItems(world, 1)
    await world.sync(db)
    world.server.delete('items', idOf(0))
    await world.sync(db)
    expect([await itemsOf(db), rewrites]).toEqual([[], 0])
    world.server.revoke('ann', 'w:w1')
    world.server.forget()
    await world.sync(db)
    expect(rewrites).toBe(1)
  })

  test('[AP-8] a clock that was a year ahead does not put the rewriting of the file off', async () => {
    const clock = { aheadMs: 365 * 86_400_000 }
    const path = world.path('ahead.sqlite')
    let rewrites = 0
    const storage = faultyStorage(sqliteStorage(path), (sql) =>
      sql === 'VACUUM' && ++rewrites === 1 ? 'fail' : 'run',
    )
    const env = { ...world.env, now: () => world.env.now() + clock.aheadMs }
    const common = { schema: shopSchema, server: 'https://shop.example', auth: 'ann', sync: { auto: false } }
    const db = await openClient({ ...common, env, storage })
    givenItems(world, 3)
    await world.sync(db)
    world.server.revoke('ann', 'w:w1')
    await world.sync(db)
    expect(rewrites).toBe(1)
    clock.aheadMs = 0
    await world.sync(db)
    expect(rewrites).toBe(2)
    await db.close()
  })
})
