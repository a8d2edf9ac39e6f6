import { openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { createServer, type HoldfastServer, sqliteStore } from '@holdfast/server'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
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

const filePath = (): string => join(folder, 'server.sqlite')

async function startServer(): Promise<void> {
  server = await createServer({
    schema: shopSchema,
    store: sqliteStore({ path: filePath(), pollMs: 0 }),
    env,
    authenticate: (request) => ({ id: request.headers.get('Authorization')?.slice('Bearer '.length) ?? '' }),
    scopes: () => ['w:w1'],
  })
}

/** A copy of the server's file is put aside. */
async function backUp(): Promise<void> {
  await server.close()
  copyFileSync(filePath(), `${filePath()}.backup`)
  await startServer()
}

/** The copy takes the place of the file. */
async function restore(): Promise<void> {
  await server.close()
  copyFileSync(`${filePath()}.backup`, filePath())
  await startServer()
}

async function open(user: string): Promise<ShopClient> {
  const db = await openClient({
    schema: shopSchema,
    storage: sqliteStorage(':memory:'),
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

describe('a server that was put back from a backup', () => {
  let ann: ShopClient
  let ben: ShopClient
  let rope: string

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'holdfast-restored-'))
    env = createVirtualEnvironment({ seed: 5 })
    faults = new FaultScript(env)
    clients = []
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
    await ben.items.insert({ name: 'lost with the history' })
    await sync(ben)
    await restore()
    await sync(ben, ann, ann, ben)
    for (const db of [ann, ben]) {
      expect(await stockOf(db)).toEqual([5])
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
    await sync(ann, ann)
    expect(await ann.conflicts.list()).toEqual([])
    expect(await ann.outbox.list()).toEqual([])
    await sync(ben, ben)
    expect(await itemsOf(ben)).toMatchObject([{ price: '3.00' }])
  })
})
