import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { openShop, type Shop } from './serve-shop.ts'
import { openDevice, type ShopClient } from './shop-device.ts'

let folder = ''
let shop: Shop
const opened: ShopClient[] = []
const grants = new Map<string, readonly string[] | '*'>()

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-escrow-'))
  grants.clear()
  grants.set('ann', ['site:north', 'site:south'])
  grants.set('bob', ['site:north', 'site:south'])
  shop = await openShop({ path: join(folder, 'server.db'), scopes: (user) => grants.get(user) ?? '*' })
})

afterEach(async () => {
  for (const db of opened.splice(0)) await db.close()
  await shop.close()
  rmSync(folder, { recursive: true, force: true })
})

async function givenDevice(name: string): Promise<ShopClient> {
  const db = await openDevice({ path: join(folder, `${name}.db`), url: shop.url, auth: name })
  opened.push(db)
  return db
}

/** Ann has seen an item of the north, and is offline from here on. */
async function givenItem(ann: ShopClient, values: { readonly site?: string } = {}): Promise<string> {
  const id = await ann.items.insert({ site: 'north', name: 'Lamp', price: '10.00', stock: 10, ...values })
  await ann.sync.now()
  return id
}

/** What a pull finds out is acted on in the cycle behind it. */
async function sync(db: ShopClient): Promise<void> {
  for (let cycle = 0; cycle < 3; cycle++) await db.sync.now().catch(() => undefined)
}

/** Whatever waits for its next attempt may go. */
async function retryAll(db: ShopClient): Promise<void> {
  for (const { id } of await db.outbox.list()) await db.outbox.retry(id)
  await sync(db)
}

/** What is sent gets nowhere. */
async function syncInVain(db: ShopClient): Promise<void> {
  shop.tamper = {
    before: ({ url }) => (url.endsWith('/push') ? new Response('', { status: 503 }) : undefined),
  }
  await sync(db)
  shop.tamper = {}
}

interface Answer {
  readonly status: number
  readonly body: { readonly [member: string]: unknown }
}

async function ask(path: string, body?: object): Promise<Answer> {
  const response = await fetch(`${shop.url}${path}`, {
    headers: { authorization: 'Bearer boss', 'content-type': 'application/json' },
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
  })
  return { status: response.status, body: (await response.json()) as Answer['body'] }
}

interface Waiting {
  readonly id: string
  readonly mutations: readonly { readonly collection: string; readonly op: string }[]
}

async function waiting(): Promise<readonly Waiting[]> {
  return (await ask('/escrow')).body['escrow'] as readonly Waiting[]
}

async function onServer(id: string): Promise<Answer['body']> {
  return (await ask(`/records/items/${id}`)).body
}

/** An answer that was fetched in between, as it is without its encoding. */
async function plainly(answer: Response): Promise<Response> {
  const headers = new Headers(answer.headers)
  for (const name of ['content-encoding', 'content-length', 'transfer-encoding']) headers.delete(name)
  return new Response(await answer.text(), { status: answer.status, headers })
}

/** Whether a text can be read out of any of a device's files. */
function isInFiles(device: string, text: string): boolean {
  const files = readdirSync(folder).filter((name) => name.startsWith(`${device}.db`))
  return files.some((name) => readFileSync(join(folder, name)).includes(text))
}

test('[ES-11] [ES-14] an unsent edit of a row whose grant is gone goes to escrow and leaves the device', async () => {
  const ann = await givenDevice('ann')
  const id = await givenItem(ann)
  await ann.items.update(id, { name: 'a name that nobody else writes' })
  await ann.items.increment(id, { stock: -2 })
  grants.set('ann', ['site:south'])

  await sync(ann)

  expect(await ann.items.get(id)).toBeUndefined()
  expect(await ann.outbox.list()).toEqual([])
  expect(await ann.deadLetters.list()).toEqual([])
  const edits = await ann.escrow.list()
  expect(edits.map(({ record, status }) => [record, status])).toEqual([
    [id, 'waiting'],
    [id, 'waiting'],
  ])
  expect(await ann.status.get()).toMatchObject({ escrowCount: 2, pendingCount: 0, deadLetterCount: 0 })
  expect(isInFiles('ann', 'a name that nobody else writes')).toBe(false)
  for (const edit of await waiting())
    expect((await ask(`/escrow/${edit.id}`, { kind: 'accept' })).status).toBe(200)
  expect(await onServer(id)).toMatchObject({ name: 'a name that nobody else writes', stock: 8 })
})

test('[ES-14] what a copy of the device has sent to escrow leaves this one too, with what stands on it', async () => {
  const original = await givenDevice('ann')
  const lamp = await givenItem(original)
  const desk = await original.items.insert({ site: 'north', name: 'Desk', stock: 1 })
  await original.items.increment(lamp, { stock: -1 })
  await original.close()
  copyFileSync(join(folder, 'ann.db'), join(folder, 'copy.db'))
  const copy = await openDevice({ path: join(folder, 'copy.db'), url: shop.url, auth: 'ann' })
  opened.push(copy)
  await syncInVain(copy)
  grants.set('ann', ['site:south'])
  for (let round = 0; round < 4; round++) await retryAll(copy)
  expect([await copy.escrow.list(), await copy.deadLetters.list()]).toMatchObject([
    [{ op: 'create' }, { op: 'update' }],
    [],
  ])
  grants.set('ann', ['site:north', 'site:south'])
  const ann = await givenDevice('ann')
  await ann.items.update(desk, { price: '5.00' })
  await ann.items.update(lamp, { name: 'Mine' })

  await sync(ann)

  expect([await ann.deadLetters.list(), await ann.outbox.list()]).toEqual([[], []])
  expect((await ann.escrow.list()).map(({ record, op }) => [record, op])).toEqual([
    [desk, 'create'],
    [lamp, 'update'],
    [desk, 'update'],
  ])
  expect(await ann.items.get(desk)).toBeUndefined()
  expect(await ann.items.get(lamp)).toMatchObject({ name: 'Mine', stock: 10, _state: 'clean' })
  for (const edit of await waiting())
    expect((await ask(`/escrow/${edit.id}`, { kind: 'accept' })).status).toBe(200)
  expect(await onServer(desk)).toMatchObject({ price: '5.00', stock: 1 })
  expect(await onServer(lamp)).toMatchObject({ name: 'Mine', stock: 9 })
})

test('[ES-14] its author is told how an edit ended, and may forget it', async () => {
  const ann = await givenDevice('ann')
  const id = await givenItem(ann)
  await ann.items.update(id, { price: '11.00' })
  grants.set('ann', ['site:south'])
  await sync(ann)
  const [edit] = await waiting()
  await ask(`/escrow/${edit?.id}`, { kind: 'refuse', reason: 'sold already' })

  await sync(ann)

  const [told] = await ann.escrow.list()
  expect(told).toMatchObject({ record: id, op: 'update', status: 'refused', reason: 'sold already' })
  expect(await ann.status.get()).toMatchObject({ escrowCount: 0 })
  await ann.escrow.dismiss(told?.id ?? '')
  expect(await ann.escrow.list()).toEqual([])
  await expect(ann.escrow.dismiss(told?.id ?? '')).rejects.toMatchObject({ code: 'RECORD_NOT_FOUND' })
  expect(await onServer(id)).toMatchObject({ price: '10.00' })
})

test('[ES-11] [ES-15] what was made in a scope that is gone goes to escrow with its later edits', async () => {
  const ann = await givenDevice('ann')
  await givenItem(ann, { site: 'south' })
  await givenItem(ann)
  const id = await ann.items.insert({ site: 'north', name: 'Desk' })
  const other = await ann.items.insert({ site: 'south', name: 'Chair' })
  grants.set('ann', ['site:south'])

  await sync(ann)

  expect((await ann.items.get(other))?._state).toBe('clean')
  expect(await ann.items.get(id)).toBeUndefined()
  const [edit, ...others] = await waiting()
  expect(others).toEqual([])
  expect(edit?.mutations).toMatchObject([{ collection: 'items', op: 'create' }])
  await ask(`/escrow/${edit?.id}`, { kind: 'accept' })
  expect(await onServer(id)).toMatchObject({ name: 'Desk', site: 'north' })
  // Its author does not get it back.
  await sync(ann)
  expect(await ann.items.get(id)).toBeUndefined()
  expect(await ann.escrow.list()).toMatchObject([{ record: id, status: 'accepted' }])
})

test('[ES-11] a later edit of what the server took, and the device never had from it, goes to escrow when its scope is gone', async () => {
  const ann = await givenDevice('ann')
  await ann.sync.now()
  shop.tamper = {
    before: ({ url }) => (url.includes('/pull') ? new Response('', { status: 503 }) : undefined),
  }
  const id = await ann.items.insert({ site: 'north', name: 'Lamp' })
  await sync(ann)
  expect(await onServer(id)).toMatchObject({ name: 'Lamp' })
  await ann.items.update(id, { name: 'Lantern' })
  grants.set('ann', ['site:south'])

  await syncInVain(ann)
  await retryAll(ann)

  expect(await ann.items.get(id)).toBeUndefined()
  expect(await ann.deadLetters.list()).toEqual([])
  expect(await ann.escrow.list()).toMatchObject([{ record: id, status: 'waiting' }])
})

test('[ES-11] [ES-13] a transaction goes to escrow whole, and later edits of rows that stay go on without it', async () => {
  const ann = await givenDevice('ann')
  const [north, south] = [await givenItem(ann), await givenItem(ann, { site: 'south' })]
  await ann.transaction(async (tx) => {
    await tx.items.update(north, { price: '20.00' })
    await tx.items.update(south, { price: '20.00', name: 'Moved lamp' })
  })
  await ann.items.update(south, { price: '30.00' })
  grants.set('ann', ['site:south'])

  await sync(ann)

  expect(await ann.items.get(south)).toMatchObject({ price: '30.00', name: 'Lamp', _state: 'clean' })
  expect(await onServer(south)).toMatchObject({ price: '30.00', name: 'Lamp' })
  const [edit] = await waiting()
  expect(edit?.mutations).toHaveLength(2)
  const accepted = await ask(`/escrow/${edit?.id}`, { kind: 'accept' })
  expect(accepted.body['mutations']).toMatchObject([{ verdict: 'conflict' }, { verdict: 'conflict' }])
  await sync(ann)
  expect(await ann.conflicts.list()).toEqual([])
  expect((await ask('/conflicts')).body['conflicts']).toMatchObject([{ author: 'boss', status: 'open' }])
})

test('[ES-11] a row that was moved out of sight by somebody else takes unsent edits to escrow', async () => {
  const [ann, bob] = [await givenDevice('ann'), await givenDevice('bob')]
  const id = await givenItem(ann)
  await sync(bob)
  await bob.items.update(id, { site: 'east' })
  await sync(bob)
  await ann.items.update(id, { price: '12.00' })

  await sync(ann)

  expect(await ann.items.get(id)).toBeUndefined()
  expect(await ann.escrow.list()).toMatchObject([{ record: id, status: 'waiting' }])
  expect(await ann.deadLetters.list()).toEqual([])
})

test('[ES-12] an edit that was offered before goes as the same mutation, and an answer that is lost changes nothing', async () => {
  const ann = await givenDevice('ann')
  const id = await givenItem(ann)
  await ann.items.increment(id, { stock: -1 })
  await ann.items.increment(id, { stock: -2 })
  await syncInVain(ann)
  const [first] = await ann.outbox.list()
  grants.set('ann', ['site:south'])
  let lost = 0
  const told: string[] = []
  shop.tamper = {
    after: ({ url }, response) => {
      told.push(`${new URL(url).pathname} ${response.status}`)
      if (!url.endsWith('/push') || lost++ > 1) return response
      return new Response('', { status: 502 })
    },
  }

  for (let round = 0; round < 4; round++) await retryAll(ann)

  expect(lost, `${told.join(', ')}; ${JSON.stringify(await ann.outbox.list())}`).toBeGreaterThan(1)
  const edits = await waiting()
  expect(edits).toHaveLength((await ann.escrow.list()).length)
  expect(first?.offer).not.toBeNull()
  for (const edit of edits) await ask(`/escrow/${edit.id}`, { kind: 'accept' })
  expect(await onServer(id)).toMatchObject({ stock: 7 })
})

test('[ES-16] a grant that comes back brings the row; what is in escrow stays there, and new edits do not wait for it', async () => {
  const ann = await givenDevice('ann')
  const id = await givenItem(ann)
  await ann.items.update(id, { price: '11.00' })
  grants.set('ann', ['site:south'])
  await sync(ann)
  grants.set('ann', ['site:north', 'site:south'])

  await sync(ann)
  await ann.items.update(id, { name: 'Lantern' })
  await sync(ann)

  expect(await ann.items.get(id)).toMatchObject({ name: 'Lantern', price: '10.00', _state: 'clean' })
  expect(await ann.escrow.list()).toMatchObject([{ status: 'waiting' }])
  const [edit] = await waiting()
  await ask(`/escrow/${edit?.id}`, { kind: 'accept' })
  await sync(ann)
  expect(await ann.items.get(id)).toMatchObject({ name: 'Lantern', price: '11.00' })
  expect(await ann.escrow.list()).toMatchObject([{ status: 'accepted' }])
})

test('[ES-16] grants that went and came while a device was offline are nothing to it', async () => {
  const ann = await givenDevice('ann')
  const id = await givenItem(ann)
  await ann.items.update(id, { price: '11.00' })
  grants.set('ann', ['site:south'])
  grants.set('ann', ['site:south', 'site:north'])

  await sync(ann)

  expect(await ann.items.get(id)).toMatchObject({ price: '11.00', _state: 'clean' })
  expect(await ann.escrow.list()).toEqual([])
  expect(await waiting()).toEqual([])
})

test('[ES-17] an edit for escrow counts as unsent until the server has it', async () => {
  const ann = await givenDevice('ann')
  const id = await givenItem(ann)
  await ann.items.update(id, { price: '11.00' })
  grants.set('ann', ['site:south'])
  const pushes = { count: 0 }
  // The first is refused; the one for escrow does not get through.
  shop.tamper = {
    before: ({ url }) => {
      if (!url.endsWith('/push')) return undefined
      pushes.count += 1
      return pushes.count > 1 ? new Response('', { status: 503 }) : undefined
    },
  }
  await sync(ann)
  expect(pushes.count).toBeGreaterThan(1)

  expect(await ann.canSafelySignOut()).toBe(false)
  expect(await ann.status.get()).toMatchObject({ escrowCount: 1, pendingCount: 1 })
  expect(await ann.escrow.list()).toMatchObject([{ record: id, status: 'unsent', sentAt: null }])
  expect(await ann.items.get(id)).toBeUndefined()

  shop.tamper = {}
  await retryAll(ann)
  expect(await ann.canSafelySignOut()).toBe(true)
  expect(await ann.escrow.list()).toMatchObject([{ record: id, status: 'waiting' }])
})

test('[SC-3] [PL-15] a grant that ends in the middle of a first snapshot leaves nothing of it', async () => {
  const bob = await givenDevice('bob')
  for (let n = 0; n < 250; n++) await bob.items.insert({ site: n % 2 ? 'north' : 'south', name: `Item ${n}` })
  await sync(bob)
  const ann = await givenDevice('ann')
  let pages = 0
  shop.tamper = {
    before: async (request) => {
      if (!request.url.endsWith('/snapshot')) return undefined
      const asked = (await request.clone().json()) as { readonly limit: number }
      if (asked.limit === 100) return undefined
      const { method, headers } = request
      headers.delete('content-length')
      const body = JSON.stringify({ ...asked, limit: 100 })
      return plainly(await fetch(request.url, { method, headers, body }))
    },
    after: ({ url }, response) => {
      if (url.includes('/snapshot') && ++pages === 2) grants.set('ann', ['site:south'])
      return response
    },
  }

  await sync(ann)

  expect(pages).toBeGreaterThan(2)
  const sites = await ann.query((q) => q.selectFrom('items').select('site').distinct())
  expect(sites).toEqual([{ site: 'south' }])
  expect(await ann.query((q) => q.selectFrom('items').select('id'))).toHaveLength(125)
})

test('[SC-3] [AP-3] a grant that ends between two pages of a pull takes what was put aside with it', async () => {
  const [ann, bob] = [await givenDevice('ann'), await givenDevice('bob')]
  const id = await givenItem(ann)
  await sync(bob)
  for (let n = 0; n < 250; n++) await bob.items.insert({ site: n % 2 ? 'north' : 'south', name: `Item ${n}` })
  await bob.items.update(id, { price: '15.00' })
  await sync(bob)
  await ann.items.update(id, { name: 'Unsent' })
  let pages = 0
  shop.tamper = {
    // The edit stays unsent until the device has heard that the grant is gone.
    before: async (request) => {
      if (request.url.endsWith('/push') && pages < 3) return new Response('', { status: 413 })
      return undefined
    },
    after: ({ url }, response) => {
      if (url.endsWith('/pull') && ++pages === 1) grants.set('ann', ['site:south'])
      return response
    },
  }

  await sync(ann)
  await retryAll(ann)

  const sites = await ann.query((q) => q.selectFrom('items').select('site').distinct())
  expect(sites).toEqual([{ site: 'south' }])
  expect(await ann.escrow.list()).toMatchObject([{ record: id, status: 'waiting' }])
  expect(await waiting()).toHaveLength(1)
})

test('[ES-11] a grant that ended while a device was behind the horizon takes unsent edits to escrow', async () => {
  const [ann, bob] = [await givenDevice('ann'), await givenDevice('bob')]
  const [north, south] = [await givenItem(ann), await givenItem(ann, { site: 'south' })]
  await givenItem(ann, { site: 'south' })
  await sync(bob)
  await ann.items.update(north, { price: '12.00' })
  await ann.items.update(south, { price: '12.00' })
  await bob.items.delete(south)
  await sync(bob)
  await shop.sync.engine.collectTombstones({ olderThanMs: -60_000 })
  grants.set('ann', ['site:south'])
  const resets = shop.requests.filter((request) => request.endsWith('/sync/snapshot')).length

  await sync(ann)

  expect(shop.requests.filter((request) => request.endsWith('/sync/snapshot')).length).toBeGreaterThan(resets)
  expect(await ann.escrow.list()).toMatchObject([{ record: north, status: 'waiting' }])
  // What somebody deleted in a scope that is still granted is in dispute, as ever.
  expect(await ann.conflicts.list()).toMatchObject([{ record: south }])
})
