import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { openShop, type Shop } from './serve-shop.ts'
import { openDevice, rowsOfDevice, type ShopClient } from './shop-device.ts'

let folder = ''
let shop: Shop
const opened: ShopClient[] = []
const children: ChildProcess[] = []

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-checklist-'))
  shop = await openShop({ path: join(folder, 'server.db') })
})

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const db of opened.splice(0)) await db.close()
  await shop.close()
  rmSync(folder, { recursive: true, force: true })
})

async function givenDevice(
  name: string,
  extra: Partial<Parameters<typeof openDevice>[0]> = {},
): Promise<ShopClient> {
  const db = await openDevice({ path: join(folder, `${name}.db`), url: shop.url, auth: name, ...extra })
  opened.push(db)
  return db
}

async function givenItemOn(...devices: ShopClient[]): Promise<string> {
  const [first] = devices
  if (!first) throw new Error('an item needs a device')
  const id = await first.items.insert({
    site: 'north',
    name: 'Lamp',
    price: '10.00',
    stock: 10,
    note: 'one\n\ntwo',
  })
  for (const db of devices) await db.sync.now()
  return id
}

async function syncAll(...devices: ShopClient[]): Promise<void> {
  for (const db of [...devices, ...devices]) await db.sync.now()
}

/** The canonical row as a plain client sees it. */
async function rowOnServer(collection: string, id: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${shop.url}/records/${collection}/${id}`, {
    headers: { authorization: 'Bearer clerk' },
  })
  return (await response.json()) as Record<string, unknown>
}

function startSeller(order: Record<string, unknown>): ChildProcess {
  const program = new URL('./device-process.ts', import.meta.url).pathname
  const all = { url: shop.url, user: 'sam', told: join(folder, 'told'), ...order }
  const child = spawn(process.execPath, [program, JSON.stringify(all)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  return child
}

describe('the checklist, over real HTTP and real files', () => {
  test('[PR-1] a record created offline is there after a restart and reaches the server', async () => {
    const path = join(folder, 'ann.db')
    const offline = await openDevice({
      path,
      url: shop.url,
      auth: 'ann',
      fetch: () => Promise.reject(new TypeError('no network')),
    })
    const id = await offline.items.insert({ site: 'north', name: 'Made offline' })
    await offline.close()

    const again = await givenDevice('ann')
    expect((await again.items.get(id))?.name).toBe('Made offline')
    expect((await again.items.get(id))?._state).toBe('pending')
    await again.sync.now()

    expect((await rowOnServer('items', id)).name).toBe('Made offline')
    expect((await again.items.get(id))?._state).toBe('clean')
    expect(await again.outbox.list()).toEqual([])
  })

  test('[PR-2] five offline updates of a record travel as one mutation that covers them', async () => {
    const ann = await givenDevice('ann')
    const id = await givenItemOn(ann)
    const bodies: string[] = []
    shop.tamper = {
      before: async (request) => {
        if (request.url.endsWith('/sync/push')) {
          const bytes = new Response(request.clone().body)
          const body =
            request.headers.get('content-encoding') === 'gzip'
              ? bytes.body?.pipeThrough(new DecompressionStream('gzip'))
              : bytes.body
          bodies.push(await new Response(body).text())
        }
        return undefined
      },
    }

    for (const name of ['a', 'b', 'c', 'd', 'e']) await ann.items.update(id, { name })
    expect((await ann.outbox.list()).length).toBe(5)
    await ann.sync.now()

    const mutations = bodies.flatMap(
      (body) => (JSON.parse(body) as { mutations: Record<string, unknown>[] }).mutations,
    )
    expect(mutations.length).toBe(1)
    expect(mutations[0]).toMatchObject({
      op: 'update',
      record: id,
      changes: { name: 'e' },
      base: { name: 'Lamp' },
      covers: '2-6',
    })
    expect((await rowOnServer('items', id)).name).toBe('e')
    expect(await ann.outbox.list()).toEqual([])
  })

  test('[PR-3] a record deleted and recreated offline is there once, with the new values, everywhere', async () => {
    const ann = await givenDevice('ann')
    const ben = await givenDevice('ben')
    const id = await givenItemOn(ann, ben)

    await ann.items.delete(id)
    expect(await ann.items.get(id)).toBeUndefined()
    await ann.items.insert({ id, site: 'north', name: 'Lamp again', stock: 3 })
    await syncAll(ann, ben)

    expect(await rowOnServer('items', id)).toMatchObject({
      name: 'Lamp again',
      stock: 3,
      price: '0.00',
      deleted_at: null,
    })
    expect((await ben.items.get(id))?.name).toBe('Lamp again')
    expect(await rowsOfDevice(ann)).toEqual(await rowsOfDevice(ben))
    expect(await ann.outbox.list()).toEqual([])
  })

  test('[PR-3] B17: a device killed while the answer is on its way has one effect', async () => {
    const ann = await givenDevice('ann')
    const id = await givenItemOn(ann)
    let reached = (): void => undefined
    const applied = new Promise<void>((resolve) => (reached = resolve))
    shop.tamper = {
      after: async (request, response) => {
        if (!request.url.endsWith('/sync/push')) return response
        reached()
        return new Promise<Response>(() => undefined)
      },
    }
    const path = join(folder, 'sam.db')
    const child = startSeller({ path, item: id, count: 0, syncEvery: 1 })
    await once(child, 'exit')
    const sam = await givenDevice('sam')
    shop.tamper = {}
    await sam.sync.now()
    await sam.close()
    shop.tamper = {
      after: (request, response) => {
        if (!request.url.endsWith('/sync/push')) return response
        reached()
        return new Promise<Response>(() => undefined)
      },
    }
    const seller = startSeller({ path, item: id, count: 1, syncEvery: 1 })
    await applied
    seller.kill('SIGKILL')
    await once(seller, 'exit')
    expect((await rowOnServer('items', id)).stock).toBe(9)

    shop.tamper = {}
    const again = await givenDevice('sam')
    expect((await again.items.get(id))?.stock).toBe(9)
    expect((await again.outbox.list()).length).toBe(1)
    // The lease of the process that was killed is not waited for.
    expect(await again.sync.now()).toEqual({ status: 'done', code: null })

    expect((await rowOnServer('items', id)).stock).toBe(9)
    expect((await again.items.get(id))?.stock).toBe(9)
    expect(await again.outbox.list()).toEqual([])
  })

  test('[PR-7] an edit of one field on two devices is a conflict a person settles; other fields merge', async () => {
    const ann = await givenDevice('ann')
    const ben = await givenDevice('ben')
    const id = await givenItemOn(ann, ben)

    await ann.items.update(id, { name: 'Desk lamp', price: '12.00' })
    await ben.items.update(id, { price: '15.00' })
    await ben.items.add(id, { tags: ['sale'] })
    await ann.sync.now()
    await syncAll(ben, ann)

    const [conflict] = await ben.conflicts.list()
    expect(conflict?.parts[0]?.fields).toEqual(['price'])
    expect((await ben.items.get(id))?.price).toBe('15.00')
    expect((await ben.items.get(id))?._state).toBe('conflicted')
    expect((await ann.items.get(id))?.price).toBe('12.00')

    await ben.conflicts.keepMine(conflict?.id ?? '')
    await syncAll(ben, ann)

    for (const db of [ann, ben]) {
      expect(await db.items.get(id)).toMatchObject({
        name: 'Desk lamp',
        price: '15.00',
        tags: ['sale'],
        _state: 'clean',
      })
      expect(await db.conflicts.list()).toEqual([])
    }
    expect(await rowsOfDevice(ann)).toEqual(await rowsOfDevice(ben))
  })

  test('[CF-8] keeping theirs keeps the count that was written together with the price', async () => {
    const ann = await givenDevice('ann')
    const ben = await givenDevice('ben')
    const id = await givenItemOn(ann, ben)
    await ann.items.update(id, { price: '12.00' })
    await ben.items.update(id, { price: '15.00' })
    await ben.items.increment(id, { stock: -2 })
    await ann.sync.now()
    await syncAll(ben, ann)
    expect((await rowOnServer('items', id)).stock).toBe(10)

    const [conflict] = await ann.conflicts.list()
    await ann.conflicts.keepTheirs(conflict?.id ?? '')
    await syncAll(ann, ben)

    expect(await rowOnServer('items', id)).toMatchObject({ price: '12.00', stock: 8 })
    expect(await rowsOfDevice(ann)).toEqual(await rowsOfDevice(ben))
    expect(await ben.outbox.list()).toEqual([])
  })

  test('[CF-9] a record brought back by somebody who saw less of it has what the server last knew', async () => {
    const ann = await givenDevice('ann')
    const ben = await givenDevice('ben')
    const id = await givenItemOn(ann, ben)
    await ann.items.increment(id, { stock: 3 })
    await ben.items.delete(id)
    const cleo = await givenDevice('cleo')
    await cleo.sync.now()
    await cleo.items.increment(id, { stock: 1 })
    await ann.sync.now()
    await ben.sync.now()
    await cleo.sync.now()
    await ben.sync.now()

    const [conflict] = await ben.conflicts.list()
    expect(conflict?.kind).toBe('delete')
    await ben.conflicts.keepMine(conflict?.id ?? '')
    await syncAll(ben, ann, cleo)

    expect(await rowOnServer('items', id)).toMatchObject({ name: 'Lamp', stock: 14 })
    for (const db of [ann, ben, cleo]) expect((await db.items.get(id))?.stock).toBe(14)
  })

  test('[AP-8] a row that its own device moves to a scope new to it stays on the device', async () => {
    await shop.close()
    shop = await openShop({ path: join(folder, 'scopes.db'), scopes: () => ['site:north', 'site:south'] })
    const ben = await givenDevice('ben')
    const id = await ben.items.insert({ site: 'north', name: 'Lamp' })
    await ben.sync.now()
    await ben.items.update(id, { site: 'south', name: 'Moved lamp' })
    await ben.sync.now()
    await ben.items.update(id, { site: 'north' })
    await ben.sync.now()

    expect(await ben.items.get(id)).toMatchObject({ site: 'north', name: 'Moved lamp', _state: 'clean' })
  })

  test('[PR-4] a pull cut in the middle shows nothing of itself and is finished by the next', async () => {
    const ann = await givenDevice('ann')
    await ann.items.insertMany(
      Array.from({ length: 3_000 }, (_, index) => ({ site: 'north', name: `Item ${index}` })),
    )
    await ann.sync.now()
    let answers = 0
    const ben = await givenDevice('ben')
    shop.tamper = {
      after: async (request, response) => {
        if (!/\/sync\/(pull|snapshot)/.test(request.url)) return response
        answers += 1
        if (answers < 2) return response
        return new Response(cutInHalf(new Uint8Array(await response.arrayBuffer())), response)
      },
    }

    await ben.sync.now().catch(() => undefined)
    const seen = (await ben.query((q) => q.selectFrom('items').select('id'))).length
    expect([0, 3_000]).toContain(seen)
    shop.tamper = {}
    await syncUntilSettled(ben)

    expect((await ben.query((q) => q.selectFrom('items').select('id'))).length).toBe(3_000)
    expect(await rowsOfDevice(ben)).toEqual(await rowsOfDevice(ann))
  })

  test('[PR-2] B25: a token that expires in mid-sync pauses visibly and loses nothing', async () => {
    await shop.close()
    const valid = new Set(['ann.1'])
    shop = await openShop({ path: join(folder, 'auth.db'), isValid: (token) => valid.has(token) })
    let token: string | null = 'ann.1'
    const ann = await givenDevice('ann', { auth: () => token })
    await ann.items.insertMany(
      Array.from({ length: 200 }, (_, index) => ({ site: 'north', name: `Item ${index}` })),
    )
    let pushes = 0
    shop.tamper = {
      before: (request) => {
        if (request.url.endsWith('/sync/push') && ++pushes === 2) valid.clear()
        return undefined
      },
    }

    await ann.sync.now().catch(() => undefined)
    expect(pushes).toBeGreaterThanOrEqual(2)
    expect(await ann.status.get()).toMatchObject({ phase: 'paused' })
    expect((await ann.deadLetters.list()).length).toBe(0)
    expect((await ann.query((q) => q.selectFrom('items').select('id'))).length).toBe(200)

    token = 'ann.2'
    valid.add('ann.2')
    expect(await ann.sync.now()).toEqual({ status: 'done', code: null })
    expect(await ann.outbox.list()).toEqual([])
    const response = await fetch(`${shop.url}/records/items?limit=1000`, {
      headers: { authorization: 'Bearer ann.2' },
    })
    const body = (await response.json()) as { records: unknown[] }
    expect(body.records.length).toBe(200)
  })
})

describe('killed at any instruction', () => {
  test('[PR-3] every sale that was acknowledged before a SIGKILL counts exactly once', async () => {
    const ann = await givenDevice('ann')
    const id = await ann.items.insert({ site: 'north', name: 'Lamp', stock: 0 })
    await ann.sync.now()
    const path = join(folder, 'sam.db')
    const sam = await givenDevice('sam')
    await sam.sync.now()
    await sam.close()

    for (let round = 0; round < 6; round++) {
      const child = startSeller({ path, item: id, count: 100_000, syncEvery: 7 })
      let output = ''
      child.stdout?.on('data', (chunk) => (output += String(chunk)))
      await printedBy(() => output.includes(`sold ${5 + round * 9}`))
      await new Promise((resolve) => setTimeout(resolve, round * 13))
      child.kill('SIGKILL')
      await once(child, 'close')
    }
    const acknowledged = readFileSync(join(folder, 'told'), 'utf8').split('\n').length - 1

    const again = await givenDevice('sam')
    const local = -((await again.items.get(id))?.stock ?? 0)
    // One sale per kill may be durable though nobody was told.
    expect(local).toBeGreaterThanOrEqual(acknowledged)
    expect(local).toBeLessThanOrEqual(acknowledged + 6)
    await syncUntilSettled(again)
    expect((await rowOnServer('items', id)).stock).toBe(-local)
    await ann.sync.now()
    expect((await ann.items.get(id))?.stock).toBe(-local)
  }, 180_000)
})

/** A body that ends in the middle, with the connection. */
function cutInHalf(bytes: Uint8Array): ReadableStream {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes.slice(0, Math.floor(bytes.length / 2)))
    },
    pull(controller) {
      controller.error(new Error('cut'))
    },
  })
}

async function printedBy(isPrinted: () => boolean): Promise<void> {
  await expect.poll(isPrinted, { interval: 5 }).toBe(true)
}

/** Syncs until nothing is waiting; a lease of a killed process or a pause may take a while to end. */
async function syncUntilSettled(db: ShopClient): Promise<void> {
  for (let attempt = 0; attempt < 120; attempt++) {
    await db.sync.now().catch(() => undefined)
    if ((await db.outbox.list()).length === 0 && attempt > 0) return
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  expect(await db.outbox.list()).toEqual([])
}
