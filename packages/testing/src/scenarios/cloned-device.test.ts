import { openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { createServer, type HoldfastServer, sqliteStore } from '@holdfast/server'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { FaultScript } from '../fake-server/faults.ts'
import { SeededRandom } from '../seeded-random.ts'
import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'
import { itemsOf, type ShopClient, shopSchema } from './shop-world.ts'

let folder: string
let env: VirtualEnvironment
let server: HoldfastServer
let faults: FaultScript
let clients: ShopClient[]
let isClosed: boolean

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-clones-'))
  env = createVirtualEnvironment({ seed: 11 })
  faults = new FaultScript(env)
  clients = []
  isClosed = false
  server = await createServer({
    schema: shopSchema,
    store: sqliteStore(join(folder, 'server.sqlite')),
    env,
    authenticate: (request) => ({ id: request.headers.get('Authorization')?.slice('Bearer '.length) ?? '' }),
    scopes: () => ['w:w1'],
    authorize: () => !isClosed,
  })
  env.connect((request) =>
    faults.handle(request, new URL(request.url).pathname.split('/').at(-1) ?? '', (passed) =>
      server.fetch(passed),
    ),
  )
})

afterEach(async () => {
  for (const db of clients) await db.close()
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

async function open(name: string, auto = false): Promise<ShopClient> {
  const db = await openClient({
    schema: shopSchema,
    storage: sqliteStorage(join(folder, name)),
    server: 'https://shop.example',
    auth: 'ann',
    env,
    durability: 'fast',
    sync: { auto },
  })
  clients.push(db)
  return db
}

async function sync(...devices: readonly ShopClient[]): Promise<void> {
  for (const db of devices) await env.complete(db.sync.now())
}

const loseAnswers = (): unknown => faults.add({ on: 'push', fault: { kind: 'cut', when: 'after' } })

interface Clones {
  readonly rope: string
  readonly one: ShopClient
  readonly other: ShopClient
}

/** A device with ten mutations on their way, and its copy: ten increments and edits that fold, inserts, a transaction. */
async function givenClones(): Promise<Clones> {
  const phone = await open('one.sqlite')
  const rope = await phone.items.insert({ name: 'Rope', stock: 100 })
  await sync(phone)
  await phone.items.increment(rope, { stock: 1 })
  await phone.items.insert({ name: 'Hook', stock: 1 })
  await phone.items.increment(rope, { stock: 2 })
  await phone.items.add(rope, { tags: ['shared'] })
  const lamp = await phone.items.insert({ name: 'Lamp', stock: 1 })
  await phone.items.increment(lamp, { stock: 4 })
  await phone.transaction(async (tx) => {
    await tx.items.increment(rope, { stock: 8 })
    await tx.items.insert({ name: 'Sail', stock: 1 })
  })
  await phone.items.update(rope, { note: 'shared' })
  await phone.items.increment(rope, { stock: 16 })
  expect(await phone.outbox.list()).toHaveLength(10)
  return { rope, ...(await copied(phone)) }
}

/** The device that is kept in `one.sqlite`, and its copy. */
async function copied(phone: ShopClient): Promise<Pick<Clones, 'one' | 'other'>> {
  await phone.close()
  copyFileSync(join(folder, 'one.sqlite'), join(folder, 'other.sqlite'))
  return { one: await open('one.sqlite'), other: await open('other.sqlite') }
}

/** Work that only one of the two has: it folds with what both have, where that was not sent yet. */
async function workOn(
  db: ShopClient,
  rope: string,
  { name, amount }: { name: string; amount: number },
): Promise<void> {
  await db.items.increment(rope, { stock: amount })
  await db.items.insert({ name, stock: 1 })
  await db.items.add(rope, { tags: [name] })
}

async function expectEachOnce(
  { rope, one, other }: Clones,
  stock: number,
  own: readonly string[],
): Promise<void> {
  for (let round = 0; round < 4; round++) {
    await env.advance(900_000)
    await sync(one, other)
  }
  for (const db of [one, other]) {
    const left = (await db.outbox.list()).map(({ seq, status, error }) => ({ seq, status, error }))
    expect(left).toEqual([])
    expect(await db.deadLetters.list()).toEqual([])
    expect(await db.conflicts.list()).toEqual([])
    const rows = await itemsOf(db)
    expect(rows.map(({ name, stock: each }) => [name, each])).toEqual(
      [['Hook', 1], ['Lamp', 5], ['Rope', stock], ['Sail', 1], ...own.map((name) => [name, 1])].toSorted(
        ([left], [right]) => (String(left) < String(right) ? -1 : 1),
      ),
    )
    const [row] = await db.query((q) => q.selectFrom('items').select('tags').where('id', '=', rope))
    expect(row?.tags).toEqual([...own, 'shared'].toSorted())
  }
}

test('[SY-12] B21: of ten mutations both copies hold, each takes effect once, and what either adds survives', async () => {
  const clones = await givenClones()
  await workOn(clones.one, clones.rope, { name: 'a', amount: 100 })
  await workOn(clones.other, clones.rope, { name: 'b', amount: 1_000 })
  await expectEachOnce(clones, 127 + 1_100, ['a', 'b'])
  expect(clones.one.identity().device).not.toBe(clones.other.identity().device)
})

test('[SY-12] B21: also when one copy sent them before it added to them, and the other after', async () => {
  const clones = await givenClones()
  await sync(clones.one)
  await workOn(clones.one, clones.rope, { name: 'a', amount: 100 })
  await sync(clones.one)
  await workOn(clones.other, clones.rope, { name: 'b', amount: 1_000 })
  await expectEachOnce(clones, 127 + 1_100, ['a', 'b'])
})

test('[SY-12] B21: also when the first answer is lost and the outcome was acknowledged by the other copy', async () => {
  const clones = await givenClones()
  loseAnswers()
  await sync(clones.one)
  faults.heal()
  await sync(clones.other, clones.other)
  await workOn(clones.one, clones.rope, { name: 'a', amount: 100 })
  await workOn(clones.other, clones.rope, { name: 'b', amount: 1_000 })
  await expectEachOnce(clones, 127 + 1_100, ['a', 'b'])
})

test('[SY-12] B21: also when a copy that waits for its new name is copied once more', async () => {
  const { rope, one, other } = await givenClones()
  await sync(one)
  await one.items.increment(rope, { stock: 100 })
  await sync(one)
  await workOn(other, rope, { name: 'b', amount: 1_000 })
  faults.add({ on: 'pull', fault: { kind: 'cut', when: 'before' } })
  await sync(other)
  faults.heal()
  // What it wrote was refused for its numbers; it goes out under a new name once what was known is settled.
  expect(other.identity().device).toBe(one.identity().device)
  await other.close()
  copyFileSync(join(folder, 'other.sqlite'), join(folder, 'third.sqlite'))
  const [again, third] = [await open('other.sqlite'), await open('third.sqlite')]
  await expectEachOnce({ rope, one: again, other: third }, 127 + 1_100, ['b'])
  expect(third.identity().device).not.toBe(one.identity().device)
})

test('[SY-12] [PU-44] B21: what stands on a record that waits for a new name waits with it', async () => {
  const phone = await open('one.sqlite')
  const rope = await phone.items.insert({ name: 'Rope', stock: 1 })
  await sync(phone)
  const { one, other } = await copied(phone)
  await one.items.increment(rope, { stock: 2 })
  await one.items.insert({ name: 'Hook', stock: 1 })
  const sail = await other.transaction(async (tx) => {
    await tx.items.increment(rope, { stock: 4 })
    return tx.items.insert({ name: 'Sail', stock: 1 })
  })
  await other.items.increment(sail, { stock: 8 })
  await sync(one)
  for (let round = 0; round < 4; round++) {
    await sync(other, one)
    await env.advance(900_000)
  }
  for (const db of [one, other]) {
    expect(await db.deadLetters.list()).toEqual([])
    expect(await db.outbox.list()).toEqual([])
    expect((await itemsOf(db)).map(({ name, stock }) => [name, stock])).toEqual([
      ['Hook', 1],
      ['Rope', 7],
      ['Sail', 9],
    ])
  }
})

test('[SY-12] [PU-44] [OB-7] B21: so does what refers to it, with the whole of its transaction', async () => {
  const phone = await open('one.sqlite')
  const rope = await phone.items.insert({ name: 'Rope', stock: 1 })
  await sync(phone)
  const { one, other } = await copied(phone)
  await one.items.increment(rope, { stock: 2 })
  const shelf = await other.shelves.insert({ label: 'S' })
  await other.transaction(async (tx) => {
    await tx.items.insert({ name: 'Sail', stock: 1, shelf })
    await tx.items.insert({ name: 'Mast', stock: 1 })
  })
  await other.items.insert({ name: 'Hook', stock: 1, shelf })
  await sync(one)
  const seen = new Set<boolean>()
  for (let round = 0; round < 4; round++) {
    await sync(other, one)
    const names = (await itemsOf(one)).map(({ name }) => name)
    seen.add(names.includes('Sail') === names.includes('Mast'))
    await env.advance(900_000)
  }
  expect([...seen]).toEqual([true])
  for (const db of [one, other]) {
    expect(await db.deadLetters.list()).toEqual([])
    expect(await db.outbox.list()).toEqual([])
    expect((await itemsOf(db)).map(({ name }) => name)).toEqual(['Hook', 'Mast', 'Rope', 'Sail'])
  }
})

test('[SY-12] B21: a copy that only pulls loses nothing to the outcomes of the other', async () => {
  const clones = await givenClones()
  await workOn(clones.one, clones.rope, { name: 'a', amount: 100 })
  await workOn(clones.other, clones.rope, { name: 'b', amount: 1_000 })
  await sync(clones.one)
  faults.add({ on: 'push', fault: { kind: 'cut', when: 'before' } })
  await sync(clones.other)
  await env.advance(900_000)
  await sync(clones.other)
  faults.heal()
  await expectEachOnce(clones, 127 + 1_100, ['a', 'b'])
})

test.each([
  ['the copy with the delete', true],
  ['the other', false],
])(
  '[SY-12, OB-9] B21: a record that both have not sent, and one of them deleted, is gone: first sends %s',
  async (_who, isDeleterFirst) => {
    const phone = await open('one.sqlite')
    await phone.items.insert({ name: 'Rope', stock: 1 })
    const hook = await phone.items.insert({ name: 'Hook', stock: 1 })
    const { one, other } = await copied(phone)
    await one.items.delete(hook)
    await sync(...(isDeleterFirst ? [one, other] : [other, one]))
    await sync(one, other)
    for (const db of [one, other]) {
      expect((await itemsOf(db)).map(({ name }) => name)).toEqual(['Rope'])
      expect(await db.outbox.list()).toEqual([])
      expect(await db.deadLetters.list()).toEqual([])
    }
  },
)

test.each(Array.from({ length: 24 }, (_, seed) => seed + 1))(
  '[SY-12] B21: in any order of work, pushes and lost answers (seed %i)',
  async (seed) => {
    const random = new SeededRandom(seed * 104_729)
    const clones = await givenClones()
    const names: string[] = []
    let total = 127
    for (let step = 0; step < 8; step++) {
      const db = random.below(2) === 0 ? clones.one : clones.other
      const roll = random.below(10)
      if (roll < 4) {
        const name = `own ${names.length}`
        const amount = 1_000 * (names.length + 1)
        await workOn(db, clones.rope, { name, amount })
        names.push(name)
        total += amount
      } else if (roll < 7) await sync(db)
      else {
        if (roll === 7) faults.add({ on: 'pull', fault: { kind: 'cut', when: 'before' } })
        else loseAnswers()
        await sync(db)
        faults.heal()
      }
      await env.advance(20_000)
    }
    await expectEachOnce(clones, total, names)
  },
)

describe('[OB-15] [SY-12] B21: what was refused, and is tried again on both copies,', () => {
  /** Two copies of a device on which a sale, and one that was written with a new item, were refused. */
  async function givenRefused(): Promise<Clones> {
    const phone = await open('one.sqlite')
    const rope = await phone.items.insert({ name: 'Rope', stock: 100 })
    await sync(phone)
    isClosed = true
    await phone.items.increment(rope, { stock: 1 })
    await phone.transaction(async (tx) => {
      await tx.items.increment(rope, { stock: 2 })
      await tx.items.insert({ name: 'Hook', stock: 1 })
    })
    await sync(phone)
    isClosed = false
    return { rope, ...(await copied(phone)) }
  }

  async function retryAll(db: ShopClient): Promise<void> {
    for (const { id } of await db.deadLetters.list()) await db.deadLetters.retry(id)
  }

  async function stocks(...devices: readonly ShopClient[]): Promise<unknown> {
    for (let round = 0; round < 3; round++) {
      await env.advance(900_000)
      await sync(...devices)
    }
    for (const db of devices) expect(await db.outbox.list()).toEqual([])
    const rows = await Promise.all(devices.map(itemsOf))
    return rows.map((items) => items.map(({ name, stock }) => [name, stock]))
  }

  test('counts once', async () => {
    const { rope, one, other } = await givenRefused()
    await retryAll(one)
    await sync(one)
    await workOn(other, rope, { name: 'Sail', amount: 1_000 })
    await retryAll(other)
    const all = [
      ['Hook', 1],
      ['Rope', 1_103],
      ['Sail', 1],
    ]
    expect(await stocks(one, other)).toEqual([all, all])
  })

  test('counts once where it was refused a second time, and was edited then in the same way', async () => {
    const { one, other } = await givenRefused()
    isClosed = true
    for (const db of [one, other]) {
      await retryAll(db)
      await sync(db)
      const [letter] = await db.deadLetters.list()
      await db.deadLetters.editAndRetry(letter?.id ?? '', { stock: 108, note: 'counted' })
    }
    isClosed = false
    for (const db of [one, other]) await retryAll(db)
    const all = [
      ['Hook', 1],
      ['Rope', 110],
    ]
    expect(await stocks(one, other)).toEqual([all, all])
  })

  test('counts as each of them said where they say different things', async () => {
    const { one, other } = await givenRefused()
    for (const [db, stock] of [
      [one, 110],
      [other, 120],
    ] as const) {
      const [letter] = await db.deadLetters.list()
      await db.deadLetters.editAndRetry(letter?.id ?? '', { stock })
    }
    await retryAll(one)
    await retryAll(other)
    const all = [
      ['Hook', 1],
      ['Rope', 132],
    ]
    expect(await stocks(one, other)).toEqual([all, all])
  })
})

test('[SY-19] a copy that took a new identity hears of what the other one pushes', async () => {
  const { rope, one, other } = await givenClones()
  await workOn(one, rope, { name: 'of one', amount: 32 })
  await sync(one, one)
  await other.close()
  const copy = await open('other.sqlite', true)
  await workOn(copy, rope, { name: 'of the copy', amount: 64 })
  await env.advance(10_000)
  expect(await copy.outbox.list()).toEqual([])
  await one.items.insert({ name: 'Later', stock: 1 })
  await sync(one)
  await env.advance(2_000)
  expect((await itemsOf(copy)).map(({ name }) => name)).toContain('Later')
})
