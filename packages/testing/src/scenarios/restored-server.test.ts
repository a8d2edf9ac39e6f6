import { openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { createServer, type HoldfastServer, sqliteStore } from '@holdfast/server'
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { FaultScript } from '../fake-server/faults.ts'
import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'
import { itemsOf, type ShopClient, shopSchema } from './shop-world.ts'

let folder: string
let env: VirtualEnvironment
let server: HoldfastServer
let faults: FaultScript
let clients: ShopClient[]
let granted: string[]

const filePath = (): string => join(folder, 'server.sqlite')

async function startServer(): Promise<void> {
  server = await createServer({
    schema: shopSchema,
    store: sqliteStore({ path: filePath(), pollMs: 0 }),
    env,
    authenticate: (request) => ({ id: request.headers.get('Authorization')?.slice('Bearer '.length) ?? '' }),
    scopes: ({ id }) => (id === 'boss' ? '*' : granted),
  })
}

/** A copy of the server's file is put aside. */
async function backUp(): Promise<void> {
  await env.advance(1_000)
  await server.close()
  copyFileSync(filePath(), `${filePath()}.backup`)
  await startServer()
}

/** The copy takes the place of the file. */
async function restore(): Promise<void> {
  await env.advance(1_000)
  await server.close()
  copyFileSync(`${filePath()}.backup`, filePath())
  await startServer()
}

async function open(user: string, storage = sqliteStorage(':memory:')): Promise<ShopClient> {
  const db = await openClient({
    schema: shopSchema,
    storage,
    server: 'https://shop.example',
    auth: user,
    env,
    durability: 'fast',
    sync: { auto: false },
  })
  clients.push(db)
  return db
}

async function sync(...devices: readonly ShopClient[]): Promise<void> {
  for (const db of devices) await env.complete(db.sync.now())
}

/** Pushes, and loses the connection before the pull: what was answered is not settled. */
async function pushOnly(db: ShopClient): Promise<void> {
  faults.add({ on: 'pull', fault: { kind: 'cut', when: 'before' } })
  faults.add({ on: 'snapshot', fault: { kind: 'cut', when: 'before' } })
  await sync(db)
  faults.heal()
}

const stockOf = async (db: ShopClient): Promise<unknown> => (await itemsOf(db)).map(({ stock }) => stock)

let ann: ShopClient
let ben: ShopClient
let rope: string

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-restored-'))
  env = createVirtualEnvironment({ seed: 5 })
  faults = new FaultScript(env)
  clients = []
  granted = ['w:w1']
  await startServer()
  env.connect((request) =>
    faults.handle(request, new URL(request.url).pathname.split('/').at(-1) ?? '', (passed) =>
      server.fetch(passed),
    ),
  )
  ann = await open('ann')
  ben = await open('ben')
  rope = await ann.items.insert({ name: 'Rope', stock: 10 })
  await sync(ann, ben)
})

afterEach(async () => {
  for (const db of clients) await db.close()
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('a server that was put back from a backup', () => {
  test('[SY-25] [SY-3] what was settled is returned also where the answer that tells of it is cut short', async () => {
    await backUp()
    await ann.items.increment(rope, { stock: -3 })
    await sync(ann)
    await restore()
    await ben.items.update(rope, { note: 'after it' })
    await sync(ben)
    let cut = 0
    env.connect(async (request) => {
      const response = await server.fetch(request)
      if (response.status !== 410 || cut++ > 0) return response
      const body = await response.text()
      return new Response(body.slice(0, body.length / 2), response)
    })
    await sync(ann, ben)
    expect(cut).toBeGreaterThan(0)
    for (const db of [ann, ben]) expect(await stockOf(db)).toEqual([7])
  })

  /** Five mutations of ann, answered and not yet settled. */
  async function givenFiveAnswered(): Promise<void> {
    await ann.items.increment(rope, { stock: -3 })
    await ann.items.insert({ name: 'Hook', stock: 1 })
    await ann.items.insert({ name: 'Lamp', stock: 2 })
    const shelf = await ann.shelves.insert({ label: 'top' })
    await ann.items.insert({ name: 'Sail', stock: 3, shelf })
    await pushOnly(ann)
    expect((await ann.outbox.list()).map(({ status }) => status)).toEqual(Array(5).fill('answered'))
  }

  async function expectEverythingOnce(): Promise<void> {
    const expected = [
      { name: 'Hook', stock: 1, _state: 'clean' },
      { name: 'Lamp', stock: 2, _state: 'clean' },
      { name: 'Rope', stock: 7, _state: 'clean' },
      { name: 'Sail', stock: 3, _state: 'clean' },
    ]
    for (const db of [ann, ben]) {
      expect(await itemsOf(db)).toMatchObject(expected)
      expect(await db.outbox.list()).toEqual([])
      expect(await db.conflicts.list()).toEqual([])
      expect(await db.deadLetters.list()).toEqual([])
    }
  }

  test('[SY-21] B14: is offered again what it had answered and lost, once', async () => {
    await backUp()
    await givenFiveAnswered()
    await restore()
    await sync(ann, ann, ben, ann)
    await expectEverythingOnce()
  })

  test('[SY-21] B14: also when it has moved on by then, so that old versions are those of other records', async () => {
    await backUp()
    await givenFiveAnswered()
    await restore()
    for (let n = 0; n < 9; n++) {
      await ben.items.increment(rope, { stock: 1 })
      await ben.items.increment(rope, { stock: -1 })
      await sync(ben)
    }
    await sync(ann, ann, ben, ann)
    await expectEverythingOnce()
  })

  test('[SY-21, PU-34] B14: what was written on top of it waits until it is there again', async () => {
    await backUp()
    await givenFiveAnswered()
    const hook = (await itemsOf(ann)).find(({ name }) => name === 'Hook')
    await ann.items.update(String(hook?.['id']), { name: 'Hooks' })
    const [shelf] = await ann.query((q) => q.selectFrom('shelves').select('id'))
    await ann.items.insert({ name: 'Tarp', shelf: shelf?.id })
    await restore()
    await sync(ann, ann, ann, ben)
    expect((await itemsOf(ben)).map(({ name }) => name)).toEqual(['Hooks', 'Lamp', 'Rope', 'Sail', 'Tarp'])
    expect(await ann.outbox.list()).toEqual([])
    expect(await ann.deadLetters.list()).toEqual([])
  })

  test('[SY-21] B14: what it knows after all is settled by the reset, and the rest is offered', async () => {
    await ann.items.increment(rope, { stock: -3 })
    await pushOnly(ann)
    await backUp()
    await ann.items.increment(rope, { stock: -2 })
    await sync(ben)
    await pushOnly(ann)
    await ben.items.insert({ name: 'Buoy' })
    await sync(ben)
    await restore()
    await sync(ben, ann, ann, ben, ann)
    for (const db of [ann, ben]) {
      expect(await itemsOf(db)).toMatchObject([
        { name: 'Buoy', stock: 0 },
        { name: 'Rope', stock: 5 },
      ])
      expect(await db.outbox.list()).toEqual([])
    }
  })

  test('[SY-21, PL-23] B14: what it had answered twice and lost is offered again, also when the device pulls first', async () => {
    await backUp()
    await ann.items.increment(rope, { stock: -3 })
    faults.add({ on: 'push', fault: { kind: 'duplicate' } })
    await pushOnly(ann)
    expect(await ann.outbox.list()).toMatchObject([{ status: 'answered' }])
    await restore()
    await sync(ann, ann, ben, ann)
    for (const db of [ann, ben]) {
      expect(await stockOf(db)).toEqual([7])
      expect(await db.outbox.list()).toEqual([])
    }
  })

  test('[SY-21] B14: a conflict that it lost is judged again', async () => {
    await backUp()
    await ben.items.update(rope, { price: '2.00' })
    await sync(ben)
    await ann.items.update(rope, { price: '3.00' })
    await pushOnly(ann)
    expect(await ann.conflicts.list()).toHaveLength(1)
    await restore()
    await env.advance(1_000)
    await sync(ann, ann)
    expect(await ann.conflicts.list()).toEqual([])
    expect(await ann.outbox.list()).toEqual([])
    await sync(ben, ben, ann)
    expect(await itemsOf(ann)).toMatchObject([{ price: '3.00' }])
    const [conflict] = await ben.conflicts.list()
    expect(conflict?.parts).toMatchObject([{ mine: { price: '2.00' }, theirs: { price: '3.00' } }])
  })
})

describe('what was settled before a backup was restored', () => {
  const dayMs = 86_400_000

  async function expectAtRest(...devices: readonly ShopClient[]): Promise<void> {
    for (const db of devices) {
      expect(await itemsOf(db)).toEqual(await itemsOf(ann))
      expect(await db.outbox.list()).toEqual([])
      expect(await db.conflicts.list()).toEqual([])
      expect(await db.deadLetters.list()).toEqual([])
    }
  }

  /** What another connection reads of a device's file. */
  function inFile(path: string, sql: string): readonly unknown[] {
    const file = new DatabaseSync(path)
    try {
      return file.prepare(sql).all()
    } finally {
      file.close()
    }
  }

  test('[SY-25] B14: is returned under its keys, and every effect is there once', async () => {
    await backUp()
    await ann.items.increment(rope, { stock: -3 })
    await ann.items.update(rope, { price: '2.00', note: 'coiled', tags: ['red'] })
    await sync(ann)
    const hook = await ann.items.insert({ name: 'Hook', stock: 1 })
    await ann.items.update(hook, { name: 'Hooks' })
    await ann.transaction(async (tx) => {
      const shelf = await tx.shelves.insert({ label: 'top' })
      await tx.items.insert({ name: 'Sail', shelf })
    })
    await sync(ann)
    await ann.items.increment(hook, { stock: 4 })
    await sync(ann, ben, ben)
    expect(await ann.outbox.list()).toEqual([])
    const expected = [
      { name: 'Hooks', stock: 5 },
      { name: 'Rope', stock: 7, price: '2.00', note: 'coiled' },
      { name: 'Sail' },
    ]
    await restore()
    await ann.items.increment(rope, { stock: -1 })
    await sync(ann)
    expect(await itemsOf(ann)).toMatchObject([expected[0], { ...expected[1], stock: 6 }, expected[2]])
    await sync(ann, ben, ben, ann)
    expect(await itemsOf(ann)).toMatchObject([expected[0], { ...expected[1], stock: 6 }, expected[2]])
    await expectAtRest(ann, ben)
    expect(await ben.items.get(rope)).toMatchObject({ tags: ['red'] })
    const { history } = await env.complete(ann.history('items', hook))
    expect(history.map(({ op }) => op)).toEqual(['update', 'create'])
  })

  test('[SY-25] B14: its author sees it until it is settled again, and what it knows after all is not done twice', async () => {
    await ann.items.increment(rope, { stock: -3 })
    await sync(ann)
    await backUp()
    const hook = await ann.items.insert({ name: 'Hook', stock: 1 })
    await ann.items.increment(rope, { stock: -2 })
    await sync(ann)
    await restore()
    faults.add({ on: 'push', fault: { kind: 'cut', when: 'before' } })
    await sync(ann)
    faults.heal()
    expect(await itemsOf(ann)).toMatchObject([
      { name: 'Hook', stock: 1 },
      { name: 'Rope', stock: 5 },
    ])
    await sync(ann, ann, ben)
    expect(await itemsOf(ben)).toMatchObject([{ id: hook }, { stock: 5 }])
    await expectAtRest(ann, ben)
  })

  test.each([
    ['the first of two authors', ['ann', 'ben']],
    ['the last of two authors', ['ben', 'ann']],
  ])(
    '[PU-42] B14: of one field the value that was written last stands, returned by %s first',
    async (_, order) => {
      await backUp()
      await ann.items.update(rope, { price: '2.00', note: 'mine' })
      await sync(ann, ben)
      await ben.items.update(rope, { price: '3.00', note: 'seen' })
      await sync(ben, ann)
      await restore()
      const devices = order.map((name) => (name === 'ann' ? ann : ben))
      for (const db of devices) await sync(db, db)
      await sync(ann, ben)
      expect(await itemsOf(ann)).toMatchObject([{ price: '3.00', note: 'seen' }])
      await expectAtRest(ann, ben)
      const { lost } = await env.complete(ann.history('items', rope))
      const expected = [
        { field: 'price', value: '2.00', rule: 'restored', user: 'ann' },
        { field: 'note', value: 'mine', rule: 'restored', user: 'ann' },
        { field: 'price', value: null, rule: 'restored' },
        { field: 'note', value: null, rule: 'restored' },
      ]
      expect(lost).toMatchObject(order[0] === 'ben' ? expected : [])
    },
  )

  test('[PU-42] B14: a value that came back to what it was in the backup stands against an older one', async () => {
    await ann.items.update(rope, { price: '1.00' })
    await sync(ann, ben)
    await backUp()
    await ann.items.update(rope, { price: '2.00' })
    await sync(ann, ben)
    await ben.items.update(rope, { price: '1.00' })
    await sync(ben, ann)
    await restore()
    await sync(ben, ben, ann, ann, ben)
    expect(await itemsOf(ben)).toMatchObject([{ price: '1.00' }])
    await expectAtRest(ann, ben)
  })

  test('[PU-42] B14: what was written after the restore is for a person to decide', async () => {
    await backUp()
    await ann.items.update(rope, { price: '2.00', name: 'Ropes' })
    await sync(ann)
    await restore()
    await env.advance(1_000)
    await sync(ben)
    await ben.items.update(rope, { price: '9.00' })
    await sync(ben, ann, ann, ben)
    const [conflict] = await ann.conflicts.list()
    expect(conflict?.parts).toMatchObject([
      { fields: ['price'], mine: { price: '2.00' }, theirs: { price: '9.00' } },
    ])
    expect(await itemsOf(ben)).toMatchObject([{ price: '9.00' }])
  })

  test('[PU-42] B33: a delete is returned, whoever is first, unless the record was written after the restore', async () => {
    const buoy = await ann.items.insert({ name: 'Buoy' })
    await sync(ann, ben)
    await backUp()
    await ann.items.delete(rope)
    await ann.items.delete(buoy)
    await sync(ann, ben)
    await restore()
    await env.advance(1_000)
    await sync(ben)
    expect(await itemsOf(ben)).toHaveLength(2)
    await ben.items.update(buoy, { name: 'Big buoy' })
    await sync(ben, ann, ann, ben)
    expect(await itemsOf(ben)).toMatchObject([{ id: buoy }])
    const [conflict] = await ann.conflicts.list()
    expect(conflict).toMatchObject({ kind: 'delete', record: buoy })
    expect(await ann.deadLetters.list()).toEqual([])
  })

  /** What ben did to a record that only ann may return waits for days, and has its effect once she has returned it. */
  async function expectToWait(hook: string, isDelete: boolean): Promise<void> {
    for (let day = 0; day < 5; day++) {
      await env.advance(dayMs)
      await sync(ben)
    }
    expect(await ben.deadLetters.list()).toEqual([])
    expect(await ben.outbox.list()).toHaveLength(1)
    await sync(ann, ann)
    await env.advance(dayMs / 4)
    await sync(ben, ann)
    expect(await itemsOf(ann)).toMatchObject([
      ...(isDelete ? [] : [{ id: hook, price: '4.00' }]),
      { id: rope },
    ])
    await expectAtRest(ann, ben)
  }

  test.each([
    ['edit', false],
    ['delete', true],
  ])('[PU-41] B14, B33: an %s of a record waits until its author returns it', async (_, isDelete) => {
    await backUp()
    const hook = await ann.items.insert({ name: 'Hook' })
    await sync(ann, ben)
    if (isDelete) await ben.items.delete(hook)
    else await ben.items.update(hook, { price: '4.00' })
    await sync(ben, ann)
    await restore()
    await sync(ben)
    await expectToWait(hook, isDelete)
  })

  /** A record that only ann may return, with edits of ben that stand on it. Gives its id. */
  async function givenLostGround(edits = 1): Promise<string> {
    await backUp()
    const hook = await ann.items.insert({ name: 'Hook' })
    await sync(ann, ben)
    for (let n = 1; n <= edits; n++) {
      await ben.items.update(hook, { price: `${n}.00` })
      await sync(ben)
    }
    await restore()
    return hook
  }

  test.each([
    ['', 0],
    [', also where the clock was a year ahead when it was returned', 365 * dayMs],
  ])(
    '[SY-26] B14: what nobody returns the ground of is a dead letter once the time is over%s',
    async (_, aheadMs) => {
      const hook = await givenLostGround(2)
      env.jumpClock(aheadMs)
      await sync(ben)
      env.jumpClock(-aheadMs)
      for (let hour = 0; hour < 24 * 12; hour += 4) {
        await env.advance(dayMs / 6)
        await sync(ben)
      }
      const letter = { mutations: [{ record: hook }] }
      expect(await ben.deadLetters.list()).toMatchObject([letter, letter])
    },
  )

  test('[SY-11] B14: what stands on it waits no longer than it does', async () => {
    const hook = await givenLostGround()
    await ben.items.update(hook, { note: 'from the store' })
    await sync(ben)
    for (let hour = 0; hour < 24; hour++) {
      await env.advance(dayMs / 24)
      await sync(ben)
    }
    const [returned, later] = await ben.outbox.list()
    expect(later).toMatchObject({ record: hook, status: 'pending' })
    await sync(ann)
    while ((await ben.outbox.list()).some(({ id }) => id === returned?.id)) {
      await env.advance(1_000)
      await sync(ben)
    }
    expect(await ben.outbox.list()).toEqual([])
    await sync(ann)
    await expectAtRest(ann, ben)
  })

  test('[SY-25] [PL-24] B14, B21: returns what has the number of an edit that a copy of the device made since', async () => {
    const path = join(folder, 'phone.sqlite')
    const phone = await open('ann', sqliteStorage(path))
    await phone.items.insert({ name: 'Hook' })
    await sync(phone)
    await phone.close()
    copyFileSync(path, `${path}.copy`)
    await backUp()
    const first = await open('ann', sqliteStorage(path))
    await first.items.insert({ name: 'Lamp' })
    await first.items.increment(rope, { stock: 5 })
    await sync(first)
    await restore()
    const second = await open('ann', sqliteStorage(`${path}.copy`))
    await second.items.insert({ name: 'Sail' })
    await second.items.increment(rope, { stock: 100 })
    await sync(second)
    await sync(first, first, second)
    for (const db of [first, second]) {
      expect(await itemsOf(db)).toMatchObject([
        { name: 'Hook' },
        { name: 'Lamp' },
        { name: 'Rope', stock: 115 },
        { name: 'Sail' },
      ])
      expect(await db.outbox.list()).toEqual([])
    }
  })

  test('[SY-25] B14: how an edit in escrow ended is asked once more', async () => {
    const decide = async (decision: object): Promise<void> => {
      const headers = { Authorization: 'Bearer boss', 'Content-Type': 'application/json' }
      const listed = await server.fetch(new Request('https://shop.example/escrow', { headers }))
      const { escrow } = (await listed.json()) as { escrow: { id: string }[] }
      const url = `https://shop.example/escrow/${escrow[0]?.id}`
      const body = JSON.stringify(decision)
      expect((await server.fetch(new Request(url, { method: 'POST', headers, body }))).status).toBe(200)
    }
    await ann.items.update(rope, { note: 'mine' })
    granted = ['w:w2']
    await sync(ann, ann, ann)
    await backUp()
    await decide({ kind: 'refuse', reason: 'sold' })
    await ann.items.insert({ name: 'Hook', wh: 'w2' })
    await sync(ann, ann)
    expect(await ann.escrow.list()).toMatchObject([{ record: rope, status: 'refused', reason: 'sold' }])
    await restore()
    await decide({ kind: 'accept' })
    await sync(ann, ann)
    expect(await ann.escrow.list()).toMatchObject([{ record: rope, status: 'accepted', reason: null }])
  })

  test('[SY-25] B14: also when the server is put back twice', async () => {
    await backUp()
    await ann.items.increment(rope, { stock: 1 })
    await ann.items.update(rope, { price: '2.00' })
    await sync(ann, ben)
    await ben.items.update(rope, { price: '3.00' })
    await sync(ben)
    await restore()
    await sync(ann, ann, ben, ben)
    await env.advance(1_000)
    await ann.items.update(rope, { note: 'after' })
    await sync(ann, ann, ben)
    await restore()
    await sync(ben, ben, ann, ann, ben)
    expect(await itemsOf(ben)).toMatchObject([{ stock: 11, price: '3.00', note: 'after' }])
    await expectAtRest(ann, ben)
  })

  test('[ME-17] B14, B33: a delete that was not sent meets what was written after the restore, also under a version of then', async () => {
    await backUp()
    await ann.items.update(rope, { price: '2.00' })
    await sync(ann, ben)
    await ben.items.delete(rope)
    await restore()
    const cid = await open('cid')
    await sync(cid)
    await cid.items.update(rope, { price: '9.00' })
    await sync(cid)
    await sync(ben, ben)
    expect(await ben.conflicts.list()).toMatchObject([{ kind: 'delete', record: rope }])
    await sync(cid)
    expect(await itemsOf(cid)).toMatchObject([{ price: '9.00' }])
  })

  test('[ME-16] B14, B33: and applies where nobody wrote since, though what its author saw is lost', async () => {
    await backUp()
    await ann.items.update(rope, { price: '2.00' })
    await sync(ann, ben)
    await ben.items.delete(rope)
    await restore()
    await sync(ben, ben)
    expect(await ben.conflicts.list()).toEqual([])
    expect(await ben.outbox.list()).toEqual([])
    expect(await itemsOf(ben)).toEqual([])
  })

  test.each([
    ['edit', false],
    ['delete', true],
  ])(
    '[SY-26] [PU-41] B14: the %s that was not sent when the server was put back waits as well',
    async (_, isDelete) => {
      await backUp()
      const hook = await ann.items.insert({ name: 'Hook', stock: 1 })
      await sync(ann, ben)
      if (isDelete) await ben.items.delete(hook)
      else await ben.items.update(hook, { price: '4.00' })
      await restore()
      await sync(ben, ben)
      await expectToWait(hook, isDelete)
    },
  )

  test('[SY-25] [PU-41] B14: also where it met a conflict in between, whose record is yet to be returned', async () => {
    const hook = await givenLostGround()
    await sync(ann, ann)
    await env.advance(1_000)
    await ann.items.update(hook, { price: '9.00' })
    await sync(ann, ben, ben)
    expect(await ben.conflicts.list()).toMatchObject([{ record: hook }])
    await restore()
    await sync(ben, ben)
    expect(await ben.deadLetters.list()).toEqual([])
    await sync(ann, ann)
    await env.advance(dayMs / 4)
    await sync(ben, ben, ann)
    expect(await itemsOf(ann)).toMatchObject([{ id: hook, price: '9.00' }, { id: rope }])
    expect(await ben.deadLetters.list()).toEqual([])
    // Nobody has decided yet: it is in front of a person again.
    expect(await ben.conflicts.list()).toMatchObject([{ record: hook, status: 'open' }])
  })

  test('[SY-25] B14: a device that was away returns what it has when it comes back, and its new work behind it', async () => {
    await backUp()
    await ann.items.increment(rope, { stock: 1 })
    await ann.items.update(rope, { price: '2.00' })
    const hook = await ann.items.insert({ name: 'Hook', stock: 1 })
    await sync(ann)
    await ann.items.update(rope, { price: '2.50' })
    await ann.items.increment(hook, { stock: 1 })
    await restore()
    await ben.items.increment(rope, { stock: 1 })
    await sync(ben, ben)
    await env.advance(2 * dayMs)
    await sync(ann, ann, ben)
    expect(await itemsOf(ben)).toMatchObject([
      { name: 'Hook', stock: 2 },
      { stock: 12, price: '2.50' },
    ])
    await expectAtRest(ann, ben)
  })

  test('[SY-25] what was settled longer ago than the time is not kept', async () => {
    await backUp()
    await ann.items.increment(rope, { stock: 1 })
    await sync(ann)
    await env.advance(8 * dayMs)
    await ann.items.increment(rope, { stock: 1 })
    await sync(ann)
    await restore()
    await sync(ann, ann, ben)
    expect(await stockOf(ben)).toEqual([11])
  })

  test('[SY-25] nothing is kept of records that the device may not have any more', async () => {
    granted = ['w:w1', 'w:w2']
    const path = join(folder, 'cid.db')
    const cid = await open('cid', sqliteStorage(path))
    await sync(cid)
    await cid.items.insert({ name: 'Canary', wh: 'w2' })
    const gone = await cid.items.insert({ name: 'Canary that is gone', wh: 'w2' })
    await cid.items.insert({ name: 'Kept' })
    await sync(cid)
    await cid.items.delete(gone)
    await sync(cid)
    expect(inFile(path, 'SELECT payload FROM _retained')).toHaveLength(4)
    granted = ['w:w1']
    await sync(cid, cid)
    const kept = inFile(path, 'SELECT op, payload FROM _retained ORDER BY n')
    expect(kept).toMatchObject([
      { op: 'create', payload: '{}' },
      { op: 'create', payload: '{}' },
      { op: 'create' },
      { op: 'delete', payload: '{}' },
    ])
    expect(JSON.stringify(kept)).not.toContain('Canary')
    expect(readFileSync(path).includes('Canary')).toBe(false)
  })

  test('[SY-25] B14: an edit of a record that the device may not have any more is gone, and a note says so', async () => {
    granted = ['w:w1', 'w:w2']
    const far = await ben.items.insert({ name: 'Far', wh: 'w2' })
    const lamp = await ben.items.insert({ name: 'Lamp', stock: 1 })
    await sync(ben, ann, ben)
    await backUp()
    await ann.transaction(async (tx) => {
      await tx.items.increment(lamp, { stock: 1 })
      await tx.items.update(far, { note: 'in one with the lamp' })
    })
    await ann.items.update(rope, { wh: 'w3' })
    await ann.items.insert({ name: 'Hook' })
    await sync(ann, ann)
    granted = ['w:w1']
    await sync(ann, ann)
    expect(await ann.escrow.list()).toEqual([])
    await restore()
    await sync(ann, ann, ann)
    expect(await itemsOf(ann)).toMatchObject([
      { name: 'Hook' },
      { name: 'Lamp', stock: 2 },
      { name: 'Rope', stock: 10 },
    ])
    expect(await ann.outbox.list()).toEqual([])
    const notes = await ann.escrow.list()
    expect(notes).toMatchObject([
      { record: far, op: 'update', status: 'unknown' },
      { record: rope, op: 'update', status: 'unknown' },
    ])
    for (const { id } of notes) await ann.escrow.dismiss(id)
    await restore()
    await sync(ann, ann, ann)
    expect(await ann.escrow.list()).toEqual([])
  })

  test('[SY-25] B14: no note is written of what the server knows after all', async () => {
    await ann.items.update(rope, { wh: 'w3' })
    await sync(ann, ann)
    await backUp()
    await ann.items.insert({ name: 'Hook' })
    await sync(ann, ann)
    await restore()
    await sync(ann, ann, ann)
    expect(await ann.escrow.list()).toEqual([])
    expect(await itemsOf(ann)).toMatchObject([{ name: 'Hook' }])
  })
})
