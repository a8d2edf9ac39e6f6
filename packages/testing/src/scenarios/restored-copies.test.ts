import { openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { createServer, type HoldfastServer, sqliteStore } from '@holdfast/server'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { FaultScript } from '../fake-server/faults.ts'
import { SeededRandom } from '../seeded-random.ts'
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

const names = (): readonly string[] => [...clients.keys()]

/** Pushes, and loses the connection before the pull: what was answered is not settled. */
async function pushOnly(db: ShopClient): Promise<void> {
  faults.add({ on: 'pull', fault: { kind: 'cut', when: 'before' } })
  faults.add({ on: 'snapshot', fault: { kind: 'cut', when: 'before' } })
  await sync(db)
  faults.heal()
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

test('[SY-12] [SY-21] B14, B21: what was told to be known is returned where the server is put back before the next pull', async () => {
  await open('a')
  const rope = await clients.get('a')!.items.insert({ name: 'Rope', stock: 1 })
  await sync(clients.get('a')!)
  await clients.get('a')!.items.increment(rope, { stock: 2 })
  await clients.get('a')!.items.increment(rope, { stock: 4 })
  await copy('a', 'b')
  const [one, other] = [clients.get('a')!, clients.get('b')!]
  await backUp()
  await sync(one)
  await other.items.increment(rope, { stock: 8 })
  await pushOnly(other)
  expect(await other.outbox.list()).toMatchObject([
    { status: 'answered', heldBy: 'known' },
    { status: 'answered', heldBy: 'known' },
    {},
  ])
  await restore()
  await sync(other, other)
  expect(await itemsOf(other)).toMatchObject([{ stock: 15 }])
  expect(await other.outbox.list()).toEqual([])
})

test('[SY-21] [PL-23] B14, B21: so is what was answered twice, where a copy has used its number on the server since', async () => {
  await open('a')
  const rope = await clients.get('a')!.items.insert({ name: 'Rope', stock: 1 })
  await sync(clients.get('a')!)
  await copy('a', 'b')
  const [one, other] = [clients.get('a')!, clients.get('b')!]
  await backUp()
  await one.items.increment(rope, { stock: 2 })
  faults.add({ on: 'push', fault: { kind: 'duplicate' } })
  await pushOnly(one)
  expect(await one.outbox.list()).toMatchObject([{ status: 'answered', heldBy: 'repeated' }])
  await restore()
  await other.items.increment(rope, { stock: 4 })
  await sync(other)
  await sync(one, one, other)
  for (const db of [one, other]) {
    expect(await itemsOf(db)).toMatchObject([{ stock: 7 }])
    expect(await db.outbox.list()).toEqual([])
  }
})

test('[AP-9] B14, B21: a version that a lost history gave is not taken for that of a copy, which has the same number', async () => {
  const first = await open('a')
  await sync(first)
  const rope = await first.items.insert({ name: 'Rope', stock: 1 })
  await copy('a', 'b')
  const [one, other] = [clients.get('a')!, clients.get('b')!]
  await backUp()
  await pushOnly(other)
  expect(await other.outbox.list()).toMatchObject([{ status: 'answered', exact: true }])
  await restore()
  await one.items.increment(rope, { stock: 3 })
  await sync(one)
  await sync(other)
  for (const db of [one, other]) expect(await itemsOf(db)).toMatchObject([{ stock: 4 }])
})

test.each(Array.from({ length: 16 }, (_, n) => n + 1))(
  '[SY-12] [SY-25] B14, B21: copies of a device and a server that is put back, in any order (seed %i)',
  async (seed) => {
    const random = new SeededRandom(seed * 104_729)
    const log: string[] = []
    const first = await open('a')
    const ben = await open('ben', 'ben')
    const rope = await first.items.insert({ name: 'Rope', stock: 0 })
    await sync(first, ben)
    let total = 0
    const made: string[] = ['Rope']
    const own = new Map<string, number>([['Rope', 0]])
    const idOf = new Map<string, string>([['Rope', rope]])
    await backUp()
    for (let step = 0; step < 14; step++) {
      const name = names()[random.below(clients.size)] ?? 'a'
      const db = clients.get(name) ?? first
      const roll = random.below(20)
      if (roll < 4) {
        const amount = 1 + random.below(9)
        log.push(`${name} +${amount}`)
        await db.items.increment(rope, { stock: amount })
        total += amount
        const item = `n${made.length}`
        if (roll < 2) {
          idOf.set(item, await db.items.insert({ name: item, stock: 1 }))
          made.push(item)
          own.set(item, 1)
          log.push(`${name} insert ${item}`)
        }
      } else if (roll < 7) {
        const seen = await itemsOf(db)
        const item = seen[random.below(seen.length)]
        if (item) {
          const amount = 1 + random.below(9)
          const label = String(item['name'])
          log.push(`${name} ${label} +${amount}`)
          await db.items.increment(String(item['id']), { stock: amount })
          if (label === 'Rope') total += amount
          else own.set(label, (own.get(label) ?? 0) + amount)
        }
      } else if (roll < 8) {
        const item = `n${made.length}`
        const amount = 1 + random.below(9)
        log.push(`${name} tx ${item} +${amount}`)
        await db.transaction(async (tx) => {
          await tx.items.increment(rope, { stock: amount })
          idOf.set(item, await tx.items.insert({ name: item, stock: 2 }))
        })
        total += amount
        made.push(item)
        own.set(item, 2)
      } else if (roll < 12) {
        log.push(`${name} sync`)
        await sync(db)
      } else if (roll < 14) {
        log.push(`${name} push only`)
        faults.add({ on: 'pull', fault: { kind: 'cut', when: 'before' } })
        faults.add({ on: 'snapshot', fault: { kind: 'cut', when: 'before' } })
        await sync(db)
        faults.heal()
      } else if (roll < 16) {
        log.push(`${name} push, answer lost`)
        faults.add({ on: 'push', fault: { kind: 'cut', when: 'after' } })
        if (roll < 15) faults.add({ on: 'pull', fault: { kind: 'cut', when: 'before' } })
        await sync(db)
        faults.heal()
      } else if (roll < 17) {
        log.push('back up')
        await backUp()
      } else if (roll < 19) {
        log.push('restore')
        await restore()
      } else if (clients.size < 4 && name !== 'ben') {
        const to = `c${clients.size}`
        log.push(`copy ${name} ${to}`)
        await copy(name, to)
      }
      await env.advance(1_000 + random.below(20) * 1_000)
    }
    for (let round = 0; round < 8; round++) {
      await env.advance(900_000)
      await sync(...clients.values())
    }
    own.set('Rope', total)
    const expected = [...own].toSorted(([left], [right]) => (left < right ? -1 : 1))
    const story = log.join('; ')
    for (const [name, db] of clients) {
      const left = (await db.outbox.list()).map(({ seq, status, error }) => ({ seq, status, error }))
      const rows = (await itemsOf(db)).map((row) => [row['name'], row['stock']])
      const letters = (await db.deadLetters.list()).map(({ error }) => error)
      expect({ name, left, letters, rows, story }).toEqual({
        name,
        left: [],
        letters: [],
        rows: expected,
        story,
      })
    }
  },
)
