import { openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { createServer, type HoldfastServer, sqliteStore } from '@holdfast/server'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'
import { openFile } from './open-file.ts'
import { type ShopClient, shopSchema } from './shop-world.ts'

let folder: string
let env: VirtualEnvironment
let server: HoldfastServer
let clients: ShopClient[]
const grants = new Map<string, readonly string[]>()

const serverPath = (): string => join(folder, 'server.sqlite')

async function startServer(): Promise<void> {
  server = await createServer({
    schema: shopSchema,
    store: sqliteStore({ path: serverPath(), pollMs: 0 }),
    env,
    authenticate: (request) => ({ id: request.headers.get('Authorization')?.slice('Bearer '.length) ?? '' }),
    scopes: (user) => grants.get(user.id) ?? ['w:w1'],
  })
}

async function backUp(): Promise<void> {
  await server.close()
  copyFileSync(serverPath(), `${serverPath()}.backup`)
  await startServer()
}

async function restore(): Promise<void> {
  await server.close()
  copyFileSync(`${serverPath()}.backup`, serverPath())
  await startServer()
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-superseded-'))
  env = createVirtualEnvironment({ seed: 1 })
  clients = []
  grants.clear()
  await startServer()
  env.connect((request) => server.fetch(request))
})
afterEach(async () => {
  for (const db of clients) await db.close()
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

async function open(user: string): Promise<ShopClient> {
  const db = await openClient({
    schema: shopSchema,
    storage: sqliteStorage(join(folder, `${user}.sqlite`)),
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

interface Story {
  readonly ann: ShopClient
  readonly bob: ShopClient
  readonly cleo: ShopClient
  /** Of the record whose price is in dispute. */
  readonly item: string
  /** Of the record whose tag ann added and took out again. */
  readonly tagged: string
  /** The conflicts, of which the second superseded the first. */
  readonly first: string
  readonly second: string
}

/**
 * Ann's edit of a price and a tag is in dispute, and she takes the tag out again, which waits: on the device, or where
 * edit and removal were sent in one batch, because the server holds it. Bob's decision for her values meets a new price
 * of cleo's, and becomes a conflict that supersedes the first.
 */
async function givenSuperseded(
  waits: 'on the device' | 'held by the server',
  { afterFirst }: { readonly afterFirst?: () => Promise<void> } = {},
): Promise<Story> {
  const [ann, bob, cleo] = [await open('ann'), await open('bob'), await open('cleo')]
  const item = await ann.items.insert({ name: 'Rope', price: '1.00' })
  const tagged = waits === 'on the device' ? item : await ann.items.insert({ name: 'Sail' })
  await sync(ann, bob, cleo)
  await cleo.items.update(item, { price: '2.00' })
  await sync(cleo)
  if (waits === 'on the device') {
    await ann.items.update(item, { price: '3.00', tags: ['sale'] })
    await sync(ann)
  } else {
    await ann.transaction(async (tx) => {
      await tx.items.update(item, { price: '3.00' })
      await tx.items.add(tagged, { tags: ['sale'] })
    })
  }
  await ann.items.remove(tagged, { tags: ['sale'] })
  await sync(ann, bob)
  const first = await disputeOf(ann)
  await afterFirst?.()
  const second = await supersede(bob, { cleo, item, price: '4.00' })
  return { ann, bob, cleo, item, tagged, first, second }
}

async function disputeOf(db: ShopClient): Promise<string> {
  const [conflict, ...others] = await db.conflicts.list()
  expect(others).toEqual([])
  return conflict?.id ?? ''
}

/** Somebody decides for mine without having seen cleo's newest price. Returns the conflict that comes of it. */
async function supersede(
  by: ShopClient,
  { cleo, item, price }: Pick<Story, 'cleo' | 'item'> & { readonly price: string },
): Promise<string> {
  const before = await disputeOf(by)
  await sync(cleo)
  await cleo.items.update(item, { price })
  await by.conflicts.keepMine(before)
  await sync(cleo, by)
  const after = await disputeOf(by)
  expect(after).not.toBe(before)
  return after
}

async function waitingOf(db: ShopClient): Promise<readonly (readonly unknown[])[]> {
  return (await db.outbox.list()).map(({ status, heldBy }) => [status, heldBy])
}

/** As the server has it. */
async function tagsOf(id: string): Promise<unknown> {
  const rows = await openFile(serverPath(), `SELECT tags FROM items WHERE id = '${id}'`)
  return rows[0]?.['tags']
}

async function rowOf(db: ShopClient, id: string): Promise<unknown> {
  const rows = await db.query((q) =>
    q.selectFrom('items').select(['price', 'tags', '_state']).where('id', '=', id),
  )
  return rows[0]
}

async function expectSettled({ ann, bob, cleo, item, tagged }: Story, price: string): Promise<void> {
  expect(await tagsOf(tagged)).toBe('[]')
  for (const db of [ann, bob, cleo]) {
    expect(await rowOf(db, item)).toMatchObject({ price, _state: 'clean' })
    expect(await rowOf(db, tagged)).toMatchObject({ tags: [], _state: 'clean' })
    expect(await db.outbox.list()).toEqual([])
    expect(await db.conflicts.list()).toEqual([])
  }
}

const decisions: Readonly<Record<string, [string, (db: ShopClient, id: string) => Promise<unknown>]>> = {
  keepMine: ['3.00', (db, id) => db.conflicts.keepMine(id)],
  keepTheirs: ['4.00', (db, id) => db.conflicts.keepTheirs(id)],
  merge: ['3.50', (db, id) => db.conflicts.merge(id, { price: '3.50' })],
}

describe('what waits behind a conflict that was superseded', () => {
  test.each(
    (['on the device', 'held by the server'] as const).flatMap((waits) =>
      Object.keys(decisions).map((decision) => [waits, decision] as const),
    ),
  )('[CF-12] [PU-36] %s, comes after the decision that ends the dispute: %s', async (waits, decision) => {
    const story = await givenSuperseded(waits)
    const { ann, bob, cleo, item, tagged, first, second } = story
    await sync(ann, ann)
    expect(await waitingOf(ann)).toEqual(
      waits === 'on the device'
        ? [
            ['conflicted', first],
            ['pending', null],
          ]
        : [
            ['conflicted', first],
            ['conflicted', first],
            ['held', second],
          ],
    )
    expect(await rowOf(ann, item)).toMatchObject({ price: '3.00', _state: 'conflicted' })
    expect(await rowOf(ann, tagged)).toMatchObject({ tags: [], _state: 'conflicted' })
    const [price, decide] = decisions[decision]!
    await decide(bob, second)
    await sync(bob, ann, ann, bob, cleo)
    await expectSettled(story, price)
  })

  test('[CF-12] [PU-36] superseded twice while its author was away, it waits behind the last, and goes with that', async () => {
    const story = await givenSuperseded('held by the server')
    const { ann, bob, cleo, item, tagged, first } = story
    const third = await supersede(bob, { cleo, item, price: '5.00' })
    await sync(ann, ann)
    expect((await waitingOf(ann)).at(-1)).toEqual(['held', third])
    const explained = await ann.explain('items', tagged)
    expect(explained.mutations.map(({ why }) => why)).toEqual([
      `This update of tags is in conflict ${third}; a person must decide.`,
      `The server waits with this update of tags until ${third} closes.`,
    ])
    expect((await ann.conflicts.get(first))?.status).toBe('resolved')
    await ann.conflicts.keepMine(third)
    await sync(ann, ann, bob, cleo)
    await expectSettled(story, '3.00')
  })

  test('[OB-6] [CF-12] a decision does not wait for a create that waits for it, also where one before it was superseded', async () => {
    const [ann, cleo] = [await open('ann'), await open('cleo')]
    const item = await ann.items.insert({ name: 'Rope', price: '1.00' })
    await sync(ann, cleo)
    const shelf = await cleo.shelves.insert({ label: 'of cleo' })
    await cleo.items.update(item, { price: '2.00' })
    await sync(cleo)
    await ann.transaction(async (tx) => {
      await tx.shelves.insert({ id: shelf, label: 'of ann' })
      await tx.items.update(item, { price: '3.00', shelf })
    })
    await sync(ann)
    const second = await supersede(ann, { cleo, item, price: '4.00' })
    await ann.conflicts.keepMine(second)
    await sync(ann, ann, cleo)
    expect(await ann.outbox.list()).toEqual([])
    expect(await cleo.shelves.get(shelf)).toMatchObject({ label: 'of ann' })
    expect(await cleo.items.get(item)).toMatchObject({ price: '3.00', shelf, _state: 'clean' })
  })

  test('[CF-12] the dispute was superseded and settled while its author was away: what waited goes at once', async () => {
    const story = await givenSuperseded('held by the server')
    const { ann, bob, cleo, second } = story
    await bob.conflicts.keepMine(second)
    await sync(bob, ann, ann, bob, cleo)
    await expectSettled(story, '3.00')
  })

  test('[CF-12] [PU-36] of what its author writes later, what touches the dispute waits and the rest goes', async () => {
    const story = await givenSuperseded('held by the server')
    const { ann, bob, cleo, tagged, second } = story
    await sync(ann)
    await ann.items.add(tagged, { tags: ['new'] })
    await ann.items.update(tagged, { note: 'free to go' })
    await sync(ann, ann, bob)
    expect(await tagsOf(tagged)).toBe('[]')
    expect(
      (await bob.query((q) => q.selectFrom('items').select('note').where('id', '=', tagged)))[0],
    ).toEqual({
      note: 'free to go',
    })
    await bob.conflicts.keepMine(second)
    await sync(bob, ann, ann, bob, cleo)
    expect(await tagsOf(tagged)).toBe('["new"]')
    expect(await ann.outbox.list()).toEqual([])
  })

  test.each([
    ['never saw', 0],
    ['sees no longer', 2],
  ])(
    '[CF-12] [PU-36] a successor that its author %s: the server holds what is offered until that is settled',
    async (_, rounds) => {
      for (const user of ['bob', 'cleo']) grants.set(user, ['w:w1', 'w:w2'])
      const story = await givenSuperseded('held by the server')
      const { ann, bob, cleo, item, tagged, second } = story
      for (let round = 0; round < rounds; round++) await sync(ann)
      await cleo.items.update(item, { wh: 'w2' })
      await sync(cleo)
      for (let round = 0; round < 3; round++) await sync(ann)
      expect(await ann.conflicts.get(second)).toBeUndefined()
      expect(await waitingOf(ann)).toEqual([['pending', null]])
      expect(await tagsOf(tagged)).toBe('[]')
      await bob.conflicts.keepMine(second)
      await sync(bob)
      expect(await tagsOf(tagged)).toBe('["sale"]')
      await sync(ann, ann, bob)
      expect(await tagsOf(tagged)).toBe('[]')
      for (const db of [ann, bob]) expect(await db.outbox.list()).toEqual([])
    },
  )

  test('[CF-12] the server is put back to before: what waited waits behind the first conflict again', async () => {
    const story = await givenSuperseded('held by the server', { afterFirst: backUp })
    const { ann, tagged, first, second } = story
    await sync(ann)
    expect((await waitingOf(ann)).at(-1)).toEqual(['held', second])
    await restore()
    await sync(ann, ann)
    expect(await waitingOf(ann)).toEqual([
      ['conflicted', first],
      ['conflicted', first],
      ['held', first],
    ])
    await ann.conflicts.keepMine(first)
    await sync(ann, ann)
    expect(await tagsOf(tagged)).toBe('[]')
    expect(await ann.outbox.list()).toEqual([])
  })
})
