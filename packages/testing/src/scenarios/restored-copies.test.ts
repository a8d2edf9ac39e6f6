import { openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { createServer, type HoldfastServer, sqliteStore } from '@holdfast/server'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { FaultScript } from '../fake-server/faults.ts'
import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'
import { itemsOf, type ShopClient, shopSchema } from './shop-world.ts'

let folder: string
let env: VirtualEnvironment
let server: HoldfastServer
let faults: FaultScript
let clients: Map<string, ShopClient>

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

async function putAside(from: string, to: string): Promise<void> {
  await env.advance(1_000)
  await server.close()
  copyFileSync(from, to)
  await startServer()
}

const backUp = (): Promise<void> => putAside(filePath(), `${filePath()}.backup`)
const restore = (): Promise<void> => putAside(`${filePath()}.backup`, filePath())

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-restored-copies-'))
  env = createVirtualEnvironment({ seed: 11 })
  faults = new FaultScript(env)
  clients = new Map()
  await startServer()
  env.connect((request) =>
    faults.handle(request, new URL(request.url).pathname.split('/').at(-1) ?? '', (passed) =>
      server.fetch(passed),
    ),
  )
})

afterEach(async () => {
  for (const db of clients.values()) await db.close()
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

async function open(name: string, user = 'ann'): Promise<ShopClient> {
  const db = await openClient({
    schema: shopSchema,
    storage: sqliteStorage(join(folder, name)),
    server: 'https://shop.example',
    auth: user,
    env,
    durability: 'fast',
    sync: { auto: false },
  })
  clients.set(name, db)
  return db
}

async function sync(...devices: readonly ShopClient[]): Promise<void> {
  for (const db of devices) await env.complete(db.sync.now())
}

/** The file of one device, and a copy of it under another name. */
async function copy(name: string, to: string): Promise<void> {
  await clients.get(name)?.close()
  copyFileSync(join(folder, name), join(folder, to))
  await open(name)
  await open(to)
}

test('[SY-12] [SY-25] B14, B21: what a copy had sent of a fold is returned without the rest of it', async () => {
  const ann = await open('a')
  const ben = await open('ben', 'ben')
  const rope = await ann.items.insert({ name: 'Rope' })
  await sync(ann, ben)
  await ann.items.update(rope, { note: 'coiled' })
  await copy('a', 'b')
  const [one, other] = [clients.get('a')!, clients.get('b')!]
  await backUp()
  await ben.items.update(rope, { price: '9.00' })
  await sync(ben)
  await sync(one)
  await other.items.update(rope, { price: '4.00' })
  await sync(other, other)
  const [conflict] = await other.conflicts.list()
  await other.conflicts.keepTheirs(String(conflict?.id))
  await sync(other, other, ben)
  await restore()
  for (let round = 0; round < 3; round++) await sync(other, other, one, ben)
  for (const db of [ben, one, other]) {
    expect(await itemsOf(db)).toMatchObject([{ price: '9.00', note: 'coiled' }])
    expect(await db.outbox.list()).toEqual([])
    expect(await db.conflicts.list()).toEqual([])
  }
})
