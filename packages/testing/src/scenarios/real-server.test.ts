import { type Client, openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { createServer, type HoldfastServer, sqliteStore } from '@holdfast/server'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { type Fault, FaultScript } from '../fake-server/faults.ts'
import { SeededRandom } from '../seeded-random.ts'
import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'
import { openFile } from './open-file.ts'
import { itemsOf, type ShopClient, type ShopSchema, shopSchema } from './shop-world.ts'

let folder: string
let env: VirtualEnvironment
let server: HoldfastServer
let faults: FaultScript
let clients: ShopClient[]
const grants = new Map<string, readonly string[] | '*'>()

async function givenWorld(seed: number): Promise<void> {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-real-'))
  env = createVirtualEnvironment({ seed })
  faults = new FaultScript(env)
  clients = []
  grants.clear()
  server = await createServer({
    schema: shopSchema,
    store: sqliteStore(join(folder, 'server.sqlite')),
    env,
    authenticate: (request) => ({ id: request.headers.get('Authorization')?.slice('Bearer '.length) ?? '' }),
    scopes: (user) => grants.get(user.id) ?? ['w:w1'],
  })
  env.connect((request) => faults.handle(request, kindOf(request), (passed) => server.fetch(passed)))
}

async function closeWorld(): Promise<void> {
  for (const db of clients) await db.close()
  await server.close()
  rmSync(folder, { recursive: true, force: true })
}

function kindOf(request: Request): string {
  return new URL(request.url).pathname.split('/').at(-1) ?? ''
}

async function open(user: string, scopes?: readonly string[]): Promise<Client<ShopSchema>> {
  const db = await openClient({
    schema: shopSchema,
    storage: sqliteStorage(join(folder, `${user}-${clients.length}.sqlite`)),
    server: 'https://shop.example',
    auth: user,
    env,
    durability: 'fast',
    sync: { auto: false, ...(scopes && { scopes }) },
  })
  clients.push(db)
  return db
}

const sync = (db: ShopClient): Promise<unknown> => env.complete(db.sync.now())

describe('against the real server', () => {
  beforeEach(() => givenWorld(1))
  afterEach(closeWorld)

  test('[RB-2] a row whose counter others brought to its edge can be read with what was added meanwhile', async () => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    const id = await ann.items.insert({ name: 'Rope', stock: 5 })
    await sync(ann)
    await sync(bob)
    await bob.items.increment(id, { stock: 10 })
    await ann.items.update(id, { stock: Number.MAX_SAFE_INTEGER - 3 })
    await sync(ann)
    await sync(bob)
    expect(await itemsOf(bob)).toMatchObject([{ stock: Number.MAX_SAFE_INTEGER }])
    const [letter] = await bob.deadLetters.list()
    expect(letter?.error.code).toBe('VALUE_TOO_LARGE')
    await bob.deadLetters.discard(letter?.id ?? '')
    expect(await itemsOf(bob)).toMatchObject([{ stock: Number.MAX_SAFE_INTEGER - 3 }])
  })

  test('[WR-14] a form that was filled before others wrote meets what they wrote', async () => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    const id = await ann.items.insert({ name: 'Rope', price: '1.00', stock: 10, tags: ['a'] })
    await sync(ann)
    await sync(bob)
    const form = await ann.items.get(id)
    await bob.items.update(id, { price: '2.00', name: 'Long rope', stock: 4 })
    await sync(bob)
    await sync(ann)
    // She typed a price and took one; the rest stands in the form as it was.
    await ann.items.update(id, { name: 'Rope', price: '3.00', stock: 9, tags: ['a'] }, form)
    expect(await ann.conflicts.foretold()).toMatchObject([{ record: id }])
    await sync(ann)
    await sync(bob)
    expect(await bob.conflicts.list()).toMatchObject([
      { parts: [{ fields: ['price'], mine: { price: '3.00' }, theirs: { price: '2.00' } }] },
    ])
    const [conflict] = await bob.conflicts.list()
    await bob.conflicts.keepTheirs(conflict?.id ?? '')
    await sync(bob)
    expect(await itemsOf(bob)).toMatchObject([{ name: 'Long rope', price: '2.00', stock: 3 }])
  })

  test('[FO-7] members that were replaced by as many others, again and again, get through', async () => {
    const ann = await open('ann')
    const tags = (letter: string): string[] => Array.from({ length: 600 }, (_, n) => `${letter}${n}`)
    const id = await ann.items.insert({ name: 'Rope', tags: tags('a') })
    await sync(ann)
    for (const letter of ['b', 'c', 'd']) await ann.items.update(id, { tags: tags(letter) })
    await sync(ann)
    expect(await ann.deadLetters.list()).toEqual([])
    expect(await ann.items.get(id)).toMatchObject({ tags: tags('d').toSorted(), _state: 'clean' })
  })

  test('[CF-7] values that lost are listed per record and brought back by one call', async () => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    const id = await ann.items.insert({ name: 'Rope', note: 'first' })
    await sync(ann)
    await sync(bob)
    await ann.items.update(id, { note: 'by ann' })
    await env.advance(1_000)
    await bob.items.update(id, { note: 'by bob, later' })
    await sync(bob)
    await sync(ann)
    await sync(ann)
    expect(await itemsOf(ann)).toMatchObject([{ note: 'by bob, later' }])
    const lost = await ann.items.lostValues(id)
    expect(lost).toMatchObject([{ field: 'note', value: 'by ann', rule: 'latest', user: 'ann' }])
    expect((await ann.items.history(id)).map(({ op, user }) => `${op} by ${user}`)).toContain('create by ann')
    await ann.items.restore(id, lost[0]!)
    await sync(ann)
    await sync(bob)
    expect(await itemsOf(bob)).toMatchObject([{ note: 'by ann', _state: 'clean' }])
    await expect(ann.items.history('00000000-0000-7000-8000-000000000000')).rejects.toMatchObject({
      code: 'RECORD_NOT_FOUND',
    })
  })

  test('[SY-10] a refused mutation becomes a dead letter with its reason, and nothing else waits for it', async () => {
    const ann = await open('ann')
    await ann.items.insert({ name: 'elsewhere', wh: 'w2' })
    const id = await ann.items.insert({ name: 'here' })
    await sync(ann)
    expect(await ann.deadLetters.list()).toMatchObject([{ error: { code: 'SCOPE_DENIED' } }])
    expect(await itemsOf(ann)).toMatchObject([
      { name: 'elsewhere', _state: 'failed' },
      { id, name: 'here', _state: 'clean' },
    ])
    expect(await ann.status.get()).toMatchObject({ deadLetterCount: 1, pendingCount: 0 })
  })

  test('[SY-16] outcomes are acknowledged with the next request, and repeated no more', async () => {
    const ann = await open('ann')
    const bodies: string[] = []
    env.connect(async (request) => {
      const response = await server.fetch(request)
      if (kindOf(request) === 'pull') bodies.push(await response.clone().text())
      return response
    })
    await sync(ann)
    await ann.items.insert({ name: 'Rope' })
    for (let round = 0; round < 3; round++) await sync(ann)
    const outcomes = bodies.map((body) => (JSON.parse(body) as { outcomes: object[] }).outcomes.length)
    expect(outcomes).toEqual([0, 1, 0, 0])
  })

  test('[AP-8] B37: a row moved out of sight is erased on the device that moved it and on the others', async () => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    const id = await ann.items.insert({ name: 'moves away' })
    await sync(ann)
    await sync(bob)
    await ann.items.update(id, { wh: 'w2' })
    for (const db of [ann, ann, bob]) await sync(db)
    for (const db of [ann, bob]) expect(await itemsOf(db)).toEqual([])
    for (const table of ['items', '_shadow', '_deleted', '_staging']) {
      expect(await openFile(join(folder, 'ann-0.sqlite'), `SELECT * FROM ${table}`)).toEqual([])
    }
  })

  test('[VAL-1] [AP-9] two records of one id in two collections do not stand in for each other', async () => {
    const ann = await open('ann')
    const id = await ann.shelves.insert({ label: 'old' })
    await ann.items.insert({ id, name: 'old' })
    await sync(ann)
    await ann.shelves.update(id, { label: 'new' })
    await ann.items.update(id, { name: 'new' })
    env.connect(async (request) => {
      // The shelf is as the server has it by then; of the item an edit is on its way.
      if (kindOf(request) === 'pull') await ann.items.update(id, { note: 'later' })
      return server.fetch(request)
    })
    await sync(ann)
    env.connect((request) => server.fetch(request))
    await sync(ann)
    expect(await ann.outbox.list()).toEqual([])
    expect(await itemsOf(ann)).toMatchObject([{ name: 'new', note: 'later', _state: 'clean' }])
  })

  test('[OB-6] a record waits for the one it refers to, also where that has the same id', async () => {
    const ann = await open('ann')
    const id = await ann.shelves.insert({ label: 'not allowed', wh: 'w2' })
    await sync(ann)
    await ann.items.insert({ id, name: 'on it', shelf: id })
    await sync(ann)
    expect(await ann.deadLetters.list()).toMatchObject([{ error: { code: 'SCOPE_DENIED' } }])
    expect(await ann.outbox.list()).toMatchObject([
      { collection: 'shelves' },
      { collection: 'items', status: 'pending' },
    ])
  })

  test('[ES-11] who may see everything from now on keeps what was not sent yet', async () => {
    const ann = await open('ann')
    await ann.items.insert({ name: 'there' })
    await sync(ann)
    grants.set('ann', '*')
    await ann.items.insert({ name: 'mine' })
    faults.add({ on: 'push', fault: { kind: 'answer', status: 500 } })
    await sync(ann)
    await sync(ann)
    faults.heal()
    await env.advance(900_000)
    await sync(ann)
    expect(await ann.escrow.list()).toEqual([])
    expect(await itemsOf(ann)).toMatchObject([
      { name: 'mine', _state: 'clean' },
      { name: 'there', _state: 'clean' },
    ])
  })

  test('[ES-11] an unsent record stays when one of its id in another collection leaves', async () => {
    const ann = await open('ann')
    const id = await ann.shelves.insert({ label: 'moves away' })
    await sync(ann)
    await ann.items.insert({ id, name: 'mine' })
    faults.add({ on: 'push', fault: { kind: 'answer', status: 500 } })
    await server.write((tx) => tx.all("UPDATE shelves SET wh = 'w2' WHERE id = ?", id))
    await sync(ann)
    faults.heal()
    await env.advance(900_000)
    await sync(ann)
    expect(await ann.escrow.list()).toEqual([])
    expect(await itemsOf(ann)).toMatchObject([{ name: 'mine', _state: 'clean' }])
  })

  /** Another program deletes the record, then brings it back where ann and bob do not see it; each is told of by itself. */
  async function madeAnewOutOfSight(id: string, ann: ShopClient): Promise<void> {
    for (const set of ["deleted_at = '2026-11-20T10:00:00.000Z'", "deleted_at = NULL, wh = 'w3'"]) {
      await server.write((tx) => tx.all(`UPDATE items SET ${set} WHERE id = ?`, id))
      await sync(ann)
      await sync(ann)
    }
  }

  test('[AP-8] of a record that was deleted, and brought back out of sight, nothing is left', async () => {
    const ann = await open('ann')
    const id = await ann.items.insert({ name: 'comes back elsewhere' })
    await sync(ann)
    await madeAnewOutOfSight(id, ann)
    expect(await itemsOf(ann)).toEqual([])
    for (const table of ['_shadow', '_deleted']) {
      expect(await openFile(join(folder, 'ann-0.sqlite'), `SELECT * FROM ${table}`)).toEqual([])
    }
  })

  test('[AP-8] [ES-11] an unsent edit of a record that was deleted, and brought back out of sight, goes to escrow', async () => {
    const ann = await open('ann')
    const id = await ann.items.insert({ name: 'comes back elsewhere' })
    await sync(ann)
    await ann.items.increment(id, { stock: 1 })
    faults.add({ on: 'push', fault: { kind: 'answer', status: 500 } })
    await madeAnewOutOfSight(id, ann)
    faults.heal()
    await env.advance(900_000)
    await sync(ann)
    expect(await ann.deadLetters.list()).toEqual([])
    expect(await ann.escrow.list()).toMatchObject([{ record: id, status: 'waiting' }])
  })

  test('[AP-8] grants that come and go are followed with the next pull', async () => {
    grants.set('bob', ['w:w1', 'w:w2'])
    const [ann, bob] = [await open('ann'), await open('bob')]
    await bob.items.insert({ name: 'in two', wh: 'w2' })
    await bob.items.insert({ name: 'in one' })
    await sync(bob)
    await sync(ann)
    expect(await itemsOf(ann)).toMatchObject([{ name: 'in one' }])
    grants.set('ann', ['w:w1', 'w:w2'])
    await sync(ann)
    expect(await itemsOf(ann)).toMatchObject([{ name: 'in one' }, { name: 'in two' }])
    grants.set('ann', ['w:w2'])
    await sync(ann)
    expect(await itemsOf(ann)).toMatchObject([{ name: 'in two' }])
  })

  test('[PL-11] a device that syncs some of its scopes has these alone, from its first sync on', async () => {
    grants.set('ann', ['w:w1', 'w:w2'])
    const [all, some, none] = [await open('ann'), await open('ann', ['w:w1']), await open('ann', [])]
    await all.items.insert({ name: 'in one' })
    await all.items.insert({ name: 'in two', wh: 'w2' })
    for (const db of [all, some, none]) expect(await sync(db)).toMatchObject({ status: 'done' })
    expect(await itemsOf(some)).toMatchObject([{ name: 'in one' }])
    expect(await itemsOf(none)).toEqual([])
    grants.set('ann', ['w:w2', 'w:w3'])
    await sync(some)
    expect(await itemsOf(some)).toEqual([])
    grants.set('ann', ['w:w1', 'w:w2'])
    await sync(some)
    expect(await itemsOf(some)).toMatchObject([{ name: 'in one' }])
  })

  test('[SCH-7] [PL-11] a scope is as long for the engine as for the database, whatever its characters', async () => {
    const wh = '🏭'.repeat(120)
    grants.set('ann', [`w:${wh}`])
    const ann = await open('ann', [`w:${wh}`, `w:${'x'.repeat(1_000)}`])
    const id = '00000000-0000-7000-8000-000000000001'
    await server.write((tx) =>
      tx.all(`INSERT INTO items (id, name, wh) VALUES ('${id}', 'of the host', '${wh}')`),
    )
    expect(await sync(ann)).toMatchObject({ status: 'done' })
    await ann.items.update(id, { name: 'of ann' })
    await sync(ann)
    expect(await ann.deadLetters.list()).toEqual([])
    expect(await itemsOf(ann)).toMatchObject([{ name: 'of ann', _state: 'clean' }])
  })

  test('[AP-3] a server whose grants are others with every page is waited for', async () => {
    const ann = await open('ann')
    let pages = 0
    env.connect((request) => {
      grants.set('ann', [`w:w${++pages % 2}`])
      return server.fetch(request)
    })
    expect(await sync(ann)).toMatchObject({ status: 'waiting', code: 'RESPONSE_INVALID' })
    expect(pages).toBeLessThan(20)
    env.connect((request) => server.fetch(request))
    await env.advance(60_000)
    expect(await sync(ann)).toMatchObject({ status: 'done' })
  })

  test('[AP-8] a conflict that moves within the scopes with its records stays listed, its leave on an earlier page', async () => {
    grants.set('bob', ['w:w1', 'w:w2'])
    const [ann, bob] = [await open('ann'), await open('bob')]
    const ids = [await ann.items.insert({ name: 'left' }), await ann.items.insert({ name: 'right' })]
    for (const db of [ann, bob]) await sync(db)
    await bob.items.update(ids[0] ?? '', { name: 'of bob' })
    await sync(bob)
    await ann.transaction(async (tx) => {
      for (const id of ids) await tx.items.update(id, { name: 'of ann' })
    })
    for (const db of [ann, bob]) await sync(db)
    const mover = await open('bob')
    for (const [index, id] of ids.entries()) {
      await sync(mover)
      await mover.items.update(id, { wh: 'w2' })
      await sync(mover)
      if (index === 0) expect(await mover.conflicts.list()).toEqual([])
    }
    const pages: string[] = []
    env.connect(async (request) => {
      if (kindOf(request) !== 'pull') return server.fetch(request)
      const body = JSON.stringify({ ...((await request.json()) as object), limit: 1 })
      const response = await server.fetch(
        new Request(request.url, { method: 'POST', headers: request.headers, body }),
      )
      pages.push(await response.clone().text())
      return response
    })
    await sync(bob)
    expect(pages.filter((page) => page.includes('_conflicts'))).toHaveLength(2)
    expect(await bob.conflicts.list()).toMatchObject([{ status: 'open' }])
  })

  test('[CF-8] two transactions over the same two records: whoever keeps theirs keeps both of theirs', async () => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    const ids = [await ann.items.insert({ name: 'left' }), await ann.items.insert({ name: 'right' })]
    await sync(ann)
    await sync(bob)
    for (const db of [ann, bob]) {
      const name = db === ann ? 'of ann' : 'of bob'
      await db.transaction(async (tx) => {
        for (const id of ids) await tx.items.update(id, { name })
      })
    }
    await sync(ann)
    await sync(bob)
    const [conflict] = await bob.conflicts.list()
    expect(conflict?.parts.map(({ fields, isInDispute }) => [fields, isInDispute])).toEqual([
      [['name'], true],
      [['name'], true],
    ])
    await bob.conflicts.keepTheirs(conflict?.id ?? '')
    await sync(bob)
    await sync(ann)
    for (const db of [ann, bob])
      expect((await itemsOf(db)).map(({ name }) => name)).toEqual(['of ann', 'of ann'])
  })

  test('[CF-13] a conflict whose other half can no longer be written is discarded as a whole', async () => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    const shelf = await ann.shelves.insert({ label: 'S' })
    const one = await ann.items.insert({ name: 'one', price: '1.00' })
    const two = await ann.items.insert({ name: 'two' })
    await sync(ann)
    await sync(bob)
    await bob.items.update(one, { price: '2.00' })
    await sync(bob)
    await ann.transaction(async (tx) => {
      await tx.items.update(one, { price: '3.00' })
      await tx.items.update(two, { name: 'deux', shelf })
    })
    await sync(ann)
    await bob.shelves.delete(shelf)
    await sync(bob)
    await sync(ann)
    const [conflict] = await ann.conflicts.list()
    await ann.conflicts.keepTheirs(conflict?.id ?? '')
    await sync(ann)
    expect(await ann.deadLetters.list()).toMatchObject([{ error: { code: 'REFERENCE_MISSING' } }])
    expect(await ann.conflicts.list()).toHaveLength(1)
    await ann.conflicts.discard(conflict?.id ?? '')
    for (const letter of await ann.deadLetters.list()) await ann.deadLetters.discard(letter.id)
    for (const db of [ann, ann, bob]) await sync(db)
    expect(await ann.conflicts.list()).toEqual([])
    expect(await ann.outbox.list()).toEqual([])
    const expected = [
      { name: 'one', price: '2.00', _state: 'clean' },
      { name: 'two', _state: 'clean' },
    ]
    for (const db of [ann, bob]) expect(await itemsOf(db)).toMatchObject(expected)
  })

  /** Runs `settle` on the device as soon as the push that met a conflict is answered, before any pull. */
  async function settleAtOnce(db: ShopClient, settle: (conflict: string) => Promise<unknown>): Promise<void> {
    const heal = faults.add({ on: 'pull', fault: { kind: 'cut', when: 'before' } })
    await sync(db)
    const [conflict] = await db.conflicts.list()
    await settle(conflict?.id ?? '')
    heal()
  }

  test('[CF-1] keeping theirs as soon as the push is answered keeps theirs', async () => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    const id = await ann.items.insert({ name: 'Rope', price: '1.00', stock: 5 })
    for (const db of [ann, bob]) await sync(db)
    await bob.items.update(id, { price: '2.00' })
    await sync(bob)
    await ann.items.update(id, { price: '3.00', stock: 7 })
    await settleAtOnce(ann, (conflict) => ann.conflicts.keepTheirs(conflict))
    for (const db of [ann, bob]) await sync(db)
    for (const db of [ann, bob])
      expect(await itemsOf(db)).toMatchObject([{ price: '2.00', stock: 7, _state: 'clean' }])
  })

  test('[CF-1] [CF-9] other values for a deleted record, chosen as soon as the push is answered, stand', async () => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    const id = await ann.items.insert({ name: 'Rope', tags: ['old', 'wet'] })
    for (const db of [ann, bob]) await sync(db)
    await bob.items.update(id, { tags: ['long', 'old', 'wet'] })
    await bob.items.delete(id)
    await sync(bob)
    await ann.items.update(id, { tags: ['wet'] })
    await settleAtOnce(ann, (conflict) => ann.conflicts.merge(conflict, { tags: ['wet'] }))
    for (const db of [ann, bob]) await sync(db)
    for (const db of [ann, bob])
      expect(await db.items.get(id)).toMatchObject({ tags: ['wet'], _state: 'clean' })
  })

  test('[CF-1] a conflict of a transaction is the same before the pull as after it', async () => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    const [one, two] = [await ann.items.insert({ name: 'one' }), await ann.items.insert({ name: 'two' })]
    for (const db of [ann, bob]) await sync(db)
    await bob.items.update(two, { name: 'deux' })
    await sync(bob)
    await ann.transaction(async (tx) => {
      await tx.items.increment(one, { stock: 1 })
      await tx.items.update(two, { name: 'zwei' })
      await tx.items.update(two, { name: 'dos', note: 'n' })
    })
    const listed: unknown[] = []
    await settleAtOnce(ann, async () => listed.push(...(await ann.conflicts.list())))
    await sync(ann)
    const told = (await ann.conflicts.list()).map(({ createdAt: _, ...rest }) => rest)
    expect(listed).toMatchObject(told)
    expect(told).toMatchObject([{ record: two, parts: [{ record: one }, { record: two, fields: ['name'] }] }])
  })

  /** Ann's price for an item met bob's. */
  async function givenConflict(ann: ShopClient, bob: ShopClient): Promise<{ id: string; conflict: string }> {
    const id = await ann.items.insert({ name: 'Rope', price: '1.00' })
    for (const db of [ann, bob]) await sync(db)
    await bob.items.update(id, { price: '2.00' })
    await sync(bob)
    await ann.items.update(id, { price: '3.00' })
    await sync(ann)
    const [conflict] = await ann.conflicts.list()
    return { id, conflict: conflict?.id ?? '' }
  }

  test('[OB-6] a decision waits for the create of the record that it refers to', async () => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    const { id, conflict } = await givenConflict(ann, bob)
    // Out of ann's scopes: refused, and put right later.
    const shelf = await ann.shelves.insert({ label: 'S', wh: 'w9' })
    await sync(ann)
    await ann.conflicts.merge(conflict, { price: '2.50', shelf })
    await sync(ann)
    expect(await ann.deadLetters.list()).toMatchObject([{ error: { code: 'SCOPE_DENIED' } }])
    await ann.deadLetters.editAndRetry((await ann.deadLetters.list())[0]?.id ?? '', { wh: 'w1' })
    for (const db of [ann, bob]) await sync(db)
    for (const db of [ann, bob]) expect(await db.items.get(id)).toMatchObject({ price: '2.50', shelf })
    expect(await ann.outbox.list()).toEqual([])
  })

  test.each(['a transaction that waited', 'an edit that waited', 'a refused edit'])(
    '[OB-24] nobody is asked about their own deletion, where %s before it was overtaken',
    async (what) => {
      const ann = await open('ann')
      const [id = '', other = ''] = await ann.items.insertMany([{ name: 'Rope' }, { name: 'Line' }])
      await sync(ann)
      // Out of ann's scopes: refused, and put right later.
      const shelf = await ann.shelves.insert({ label: 'S', wh: 'w9' })
      if (what === 'a refused edit') await ann.items.update(id, { shelf })
      await sync(ann)
      await ann.transaction(async (tx) => {
        if (what !== 'a refused edit') await tx.items.update(id, { shelf })
        if (what === 'a transaction that waited') await tx.items.update(other, { note: 'moved' })
      })
      await ann.items.update(id, { price: '2.00' })
      await ann.items.delete(id)
      await sync(ann)
      const [letter, another] = await ann.deadLetters.list()
      await ann.deadLetters.editAndRetry(letter?.id ?? '', { wh: 'w1' })
      if (another) await ann.deadLetters.editAndRetry(another.id, { shelf: null })
      for (let cycle = 0; cycle < 2; cycle++) await sync(ann)
      expect(await ann.conflicts.list()).toEqual([])
      expect(await ann.outbox.list()).toEqual([])
      expect(await ann.items.get(id)).toBeUndefined()
    },
  )

  test.each([
    ['is folded with it', false],
    ['goes behind it', true],
  ])(
    '[OB-24] an edit that is tried again does not fall with a later one, where what was written on that %s',
    async (_, isGroup) => {
      const ann = await open('ann')
      const [id = '', other = ''] = await ann.items.insertMany([{ name: 'Rope' }, { name: 'Line' }])
      await sync(ann)
      await ann.items.update(id, { price: '1.00', shelf: other })
      await ann.transaction(async (tx) => {
        await tx.items.update(id, { price: '2.00' })
        await tx.items.update(other, { note: 'with it' })
      })
      await sync(ann)
      const codes = (await ann.deadLetters.list()).map(({ error }) => error.code)
      expect(codes).toEqual(['REFERENCE_MISSING', 'DEPENDENCY_FAILED'])
      await ann.transaction(async (tx) => {
        await tx.items.update(id, { note: 'later' })
        if (isGroup) await tx.items.increment(other, { stock: 1 })
      })
      await ann.deadLetters.editAndRetry((await ann.deadLetters.list())[0]?.id ?? '', { shelf: null })
      await sync(ann)
      expect(await ann.deadLetters.list()).toMatchObject([{ error: { code: 'DEPENDENCY_FAILED' } }])
      await ann.deadLetters.discard((await ann.deadLetters.list())[0]?.id ?? '')
      await sync(ann)
      expect(await ann.items.get(id)).toMatchObject({ price: '1.00', note: 'later', _state: 'clean' })
    },
  )

  test.each([
    ['nobody is asked about their own deletion, where a change by somebody else was', 'read', 0],
    ['a person is asked about their deletion, where a change by somebody else was not', 'unread', 1],
  ])('[OB-24] %s read between it and a refused edit that is tried again', async (_, what, asked) => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    const [id = '', other = ''] = await ann.items.insertMany([{ name: 'Rope' }, { name: 'Line' }])
    await sync(ann)
    await ann.items.update(id, { name: 'Cord', shelf: other })
    for (const db of [ann, bob]) await sync(db)
    await bob.items.update(id, { note: 'of bob' })
    for (const db of what === 'read' ? [bob, ann] : []) await sync(db)
    const heal = faults.add({ on: 'pull', fault: { kind: 'cut', when: 'before' } })
    await ann.items.update(id, { price: '2.00' })
    await sync(ann)
    heal()
    await ann.items.delete(id)
    await sync(bob)
    const [letter] = await ann.deadLetters.list()
    await ann.deadLetters.editAndRetry(letter!.id, { shelf: null })
    await sync(ann)
    expect(await ann.conflicts.list()).toHaveLength(asked)
    expect(await ann.items.get(id)).toBeUndefined()
  })

  test('[OB-24] [OB-16] nobody is asked about their own deletion, where refused edits between it and one that was tried again are discarded', async () => {
    const ann = await open('ann')
    const [id = '', other = ''] = await ann.items.insertMany([{ name: 'Rope' }, { name: 'Line' }])
    await sync(ann)
    await ann.items.update(id, { price: '1.00', shelf: other })
    for (const price of ['2.00', '3.00'])
      await ann.transaction(async (tx) => {
        await tx.items.update(id, { price })
        await tx.items.update(other, { note: price })
      })
    await sync(ann)
    await ann.items.delete(id)
    const [first, ...behind] = await ann.deadLetters.list()
    expect(behind).toHaveLength(2)
    await ann.deadLetters.editAndRetry(first!.id, { shelf: null })
    await sync(ann)
    for (const letter of behind) await ann.deadLetters.discard(letter.id)
    await sync(ann)
    expect(await ann.conflicts.list()).toEqual([])
    expect(await ann.outbox.list()).toEqual([])
    expect(await ann.items.get(id)).toBeUndefined()
  })

  test('[WR-14] a dead letter that is mended in the form it was shown in leaves what others have written in the fields nobody touched', async () => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    const [id = '', other = ''] = await ann.items.insertMany([
      { name: 'Rope', price: '1.00', stock: 5, note: 'first' },
      { name: 'Line' },
    ])
    for (const db of [ann, bob]) await sync(db)
    await ann.items.update(id, { price: '2.00', shelf: other })
    await sync(ann)
    const [letter] = await ann.deadLetters.list()
    const shown = await ann.items.get(id)
    await bob.items.update(id, { name: 'Cord', note: 'of bob', stock: 9 })
    for (const db of [bob, ann]) await sync(db)
    const { name, price, stock, note } = shown!
    await ann.deadLetters.editAndRetry(letter!.id, { name, price, stock, note, shelf: null }, shown)
    expect((await ann.outbox.list())[0]?.payload.changes).toEqual({ price: '2.00' })
    for (const db of [ann, bob]) await sync(db)
    const expected = { name: 'Cord', note: 'of bob', stock: 9, price: '2.00', shelf: null, _state: 'clean' }
    for (const db of [ann, bob]) expect(await db.items.get(id)).toMatchObject(expected)
    expect(await ann.conflicts.list()).toEqual([])
  })

  test.each([0, 2])(
    '[WR-14] a count in a form of a dead letter, with %i more, stays what it was shown as where others have deleted the record',
    async (more) => {
      const [ann, bob] = [await open('ann'), await open('bob')]
      const [id = '', other = ''] = await ann.items.insertMany([{ name: 'Rope', stock: 5 }, { name: 'Line' }])
      for (const db of [ann, bob]) await sync(db)
      await ann.items.update(id, { note: 'of ann', shelf: other })
      await sync(ann)
      const [letter] = await ann.deadLetters.list()
      const shown = await ann.items.get(id)
      await bob.items.delete(id)
      for (const db of [bob, ann]) await sync(db)
      await ann.deadLetters.editAndRetry(letter!.id, { stock: 5 + more, shelf: null }, shown)
      expect(await ann.items.get(id)).toMatchObject({ name: 'Rope', stock: 5 + more, note: 'of ann' })
      await sync(ann)
      const [conflict] = await ann.conflicts.list()
      await ann.conflicts.keepMine(conflict!.id)
      for (const db of [ann, bob]) await sync(db)
      for (const db of [ann, bob])
        expect(await db.items.get(id)).toMatchObject({ name: 'Rope', stock: 5 + more, note: 'of ann' })
    },
  )

  test('[OB-6] [CF-4] a decision does not wait for a create that waits for it', async () => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    const { id, conflict } = await givenConflict(ann, bob)
    let shelf = ''
    await ann.transaction(async (tx) => {
      shelf = await tx.shelves.insert({ label: 'S' })
      await tx.items.update(id, { price: '4.00' })
    })
    await sync(ann)
    await ann.conflicts.merge(conflict, { price: '2.50', shelf })
    await sync(ann)
    expect(await ann.deadLetters.list()).toMatchObject([{ error: { code: 'REFERENCE_MISSING' } }])
    await ann.deadLetters.discard((await ann.deadLetters.list())[0]?.id ?? '')
    await ann.conflicts.keepMine(conflict)
    for (const db of [ann, bob]) await sync(db)
    expect(await ann.outbox.list()).toEqual([])
    expect(await bob.shelves.get(shelf)).toMatchObject({ label: 'S' })
  })

  test('[CF-3] a conflict of a whole transaction is settled as a whole', async () => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    const one = await ann.items.insert({ name: 'one', price: '1.00' })
    const two = await ann.items.insert({ name: 'two', stock: 0 })
    await sync(ann)
    await sync(bob)
    await bob.items.update(one, { price: '2.00' })
    await sync(bob)
    await ann.transaction(async (tx) => {
      await tx.items.update(one, { price: '3.00' })
      await tx.items.increment(two, { stock: 7 })
    })
    await sync(ann)
    const [conflict] = await ann.conflicts.list()
    expect(conflict?.parts.map((part) => part.record).toSorted()).toEqual([one, two].toSorted())
    await ann.conflicts.keepMine(conflict?.id ?? '')
    for (const db of [ann, ann, bob]) await sync(db)
    const expected = [
      { id: one, price: '3.00', _state: 'clean' },
      { id: two, stock: 7, _state: 'clean' },
    ]
    expect(await itemsOf(ann)).toMatchObject(expected)
    expect(await itemsOf(bob)).toMatchObject(expected)
    expect(await ann.outbox.list()).toEqual([])
  })
})

/** Something a person does on a device; what is refused on the spot is no concern of this test. */
async function act(db: ShopClient, random: SeededRandom): Promise<void> {
  const rows = await db.query((q) => q.selectFrom('items').select('id').orderBy('id'))
  const id = rows[random.below(Math.max(1, rows.length))]?.id
  const word = `word ${random.below(1_000)}`
  const roll = random.below(10)
  if (id === undefined || roll === 0) await db.items.insert({ name: word, stock: random.below(9) })
  else if (roll <= 3) await db.items.increment(id, { stock: random.below(9) - 4 })
  else if (roll <= 5) await db.items.update(id, { note: word })
  else if (roll === 6) await db.items.update(id, { price: `${random.below(100)}.00` })
  else if (roll === 7) await db.items.add(id, { tags: [word] })
  else if (roll === 8) await db.items.delete(id)
  else
    await db.transaction(async (tx) => {
      await tx.items.update(id, { name: word })
      await tx.shelves.insert({ label: word })
    })
}

const faultKinds: readonly Fault[] = [
  { kind: 'cut', when: 'before' },
  { kind: 'cut', when: 'after' },
  { kind: 'answer', status: 500 },
  { kind: 'truncate', bytes: 60 },
  { kind: 'duplicate' },
]

describe('three devices on a bad network', () => {
  afterEach(closeWorld)

  test.each([1, 2, 3, 4, 5, 6])(
    '[SY-9] end up equal, with every conflict settled and every outbox empty (seed %i)',
    async (seed) => {
      await givenWorld(seed)
      const random = new SeededRandom(seed * 7_919)
      const devices = [await open('ann'), await open('bob'), await open('cleo')]
      const pick = (): ShopClient => devices[random.below(3)]!
      const isUnlucky = (): boolean => random.below(100) < 30
      let fault: Fault = faultKinds[0]!
      faults.add({
        on: () => {
          fault = faultKinds[random.below(faultKinds.length)]!
          return isUnlucky()
        },
        get fault() {
          return fault
        },
      })
      for (let step = 0; step < 150; step++) {
        await act(pick(), random)
        if (random.below(3) === 0) await sync(pick())
        await env.advance(random.below(5_000))
      }
      faults.heal()
      for (let round = 0; round < 15; round++) {
        await env.advance(900_000)
        for (const db of devices) await sync(db)
        const person = devices[round % 3]!
        for (const { id } of await person.conflicts.list()) {
          const decision = random.below(2) === 0 ? 'keepMine' : 'keepTheirs'
          await person.conflicts[decision](id).catch(() => undefined)
        }
        for (const db of devices)
          for (const letter of await db.deadLetters.list()) await db.deadLetters.discard(letter.id)
      }
      for (const db of [...devices, ...devices]) await sync(db)
      const views = await Promise.all(devices.map((db) => itemsOf(db)))
      expect(views[1]).toEqual(views[0])
      expect(views[2]).toEqual(views[0])
      expect(views[0]?.length).toBeGreaterThan(0)
      for (const db of devices) {
        expect(await db.outbox.list()).toEqual([])
        expect(await db.conflicts.list()).toEqual([])
        expect(
          await db.query((q) => q.selectFrom('items').select('id').where('_state', '<>', 'clean')),
        ).toEqual([])
      }
    },
  )
})
