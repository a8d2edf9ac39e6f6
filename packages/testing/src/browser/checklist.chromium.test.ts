import type { Page } from 'playwright'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'

import { type OpenChromium, openChromium } from './open-chromium.ts'
import { crash, openTabs, type Tabs } from './open-tabs.ts'

let chromium: OpenChromium
let tabs: Tabs
const valid = new Set<string>()
beforeAll(async () => {
  chromium = await openChromium()
})
afterAll(() => chromium.close())
beforeEach(async () => {
  for (const user of ['ann', 'ben']) valid.add(user)
  tabs = await openTabs(chromium, { isValid: (token) => token === 'clerk' || valid.has(token) })
})
afterEach(() => tabs.close())

/** A device of its own: another database of the same origin. */
const device = (user: string): Promise<Page> => tabs.tab({ user, name: user })

const sync = (page: Page): Promise<unknown> => page.evaluate(() => shop.db.sync.now())

const itemOf = (page: Page, id: string): Promise<Record<string, unknown> | undefined> =>
  page.evaluate((record) => shop.db.items.get(record), id)

const insertLamp = (page: Page): Promise<string> =>
  page.evaluate(() => shop.db.items.insert({ site: 'north', name: 'Lamp', price: '10.00', stock: 10 }))

const unsettled = (page: Page): Promise<number> =>
  page.evaluate(async () => (await shop.db.outbox.list()).length)

async function onServer(id: string): Promise<Record<string, unknown>> {
  const headers = { authorization: 'Bearer clerk' }
  const response = await fetch(`${tabs.shop.url}/records/items/${id}`, { headers })
  // The canonical row as a plain client sees it.
  return (await response.json()) as Record<string, unknown>
}

test('[PR-1] a record created offline is there after a restart and reaches the server', async () => {
  tabs.shop.tamper = { before: () => new Response('no', { status: 503 }) }
  const offline = await device('ann')
  const id = await insertLamp(offline)
  await offline.close()
  const again = await device('ann')
  expect(await itemOf(again, id)).toMatchObject({ name: 'Lamp', _state: 'pending' })
  tabs.shop.tamper = {}
  await sync(again)
  expect(await onServer(id)).toMatchObject({ name: 'Lamp' })
  expect(await itemOf(again, id)).toMatchObject({ _state: 'clean' })
  expect(await unsettled(again)).toBe(0)
})

test('[PR-2] five offline updates of a record are one change on the server', async () => {
  const ann = await device('ann')
  const id = await insertLamp(ann)
  await sync(ann)
  const before = await onServer(id)
  await ann.evaluate(async (record) => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) await shop.db.items.update(record, { name })
  }, id)
  expect(await unsettled(ann)).toBe(5)
  await sync(ann)
  const after = await onServer(id)
  expect(after).toMatchObject({ name: 'e' })
  const history = await ann.evaluate((record) => shop.db.items.history(record), id)
  expect(history.filter(({ op }) => op === 'update')).toHaveLength(1)
  expect(after['version']).toBeGreaterThan(Number(before['version']))
  expect(await unsettled(ann)).toBe(0)
})

test('[PR-3] a record deleted and recreated offline is there once, with the new values', async () => {
  const ann = await device('ann')
  const ben = await device('ben')
  const id = await insertLamp(ann)
  await sync(ann)
  await sync(ben)
  await ann.evaluate(async (record) => {
    await shop.db.items.delete(record)
    await shop.db.items.insert({ id: record, site: 'north', name: 'Lamp again', stock: 3 })
  }, id)
  await sync(ann)
  await sync(ben)
  expect(await onServer(id)).toMatchObject({ name: 'Lamp again', stock: 3, deleted_at: null })
  expect(await itemOf(ben, id)).toMatchObject({ name: 'Lamp again', stock: 3 })
  expect(await unsettled(ann)).toBe(0)
})

test('[PR-3] B17: a tab killed while the answer is on its way has one effect', async () => {
  const ann = await device('ann')
  const id = await insertLamp(ann)
  await sync(ann)
  const applied = Promise.withResolvers<void>()
  tabs.shop.tamper = {
    after: (request, response) => {
      if (!request.url.endsWith('/sync/push')) return response
      applied.resolve()
      return new Promise<Response>(() => undefined)
    },
  }
  await ann.evaluate(async (record) => {
    await shop.db.items.increment(record, { stock: -1 })
    void shop.db.sync.now().catch(() => undefined)
  }, id)
  await applied.promise
  await crash(ann)
  tabs.shop.tamper = {}
  const again = await device('ann')
  expect(await unsettled(again)).toBe(1)
  expect(await sync(again)).toEqual({ status: 'done', code: null })
  expect(await onServer(id)).toMatchObject({ stock: 9 })
  expect(await itemOf(again, id)).toMatchObject({ stock: 9 })
  expect(await unsettled(again)).toBe(0)
})

test('[PR-7] an edit of one field on two devices is a conflict a person settles; other fields merge', async () => {
  const ann = await device('ann')
  const ben = await device('ben')
  const id = await insertLamp(ann)
  await sync(ann)
  await sync(ben)
  await ann.evaluate((record) => shop.db.items.update(record, { name: 'Desk lamp', price: '12.00' }), id)
  await ben.evaluate((record) => shop.db.items.update(record, { price: '15.00' }), id)
  await sync(ann)
  await sync(ben)
  await ben.evaluate(() => shop.db.conflicts.watch((conflicts) => shop.notes.push(conflicts.length)))
  expect(await itemOf(ben, id)).toMatchObject({ price: '15.00', _state: 'conflicted' })
  await ben.evaluate(async () => {
    const [conflict] = await shop.db.conflicts.list()
    await shop.db.conflicts.keepMine(conflict?.id ?? '')
  })
  await sync(ben)
  await sync(ann)
  for (const page of [ann, ben])
    expect(await itemOf(page, id)).toMatchObject({ name: 'Desk lamp', price: '15.00', _state: 'clean' })
  await ben.waitForFunction(() => shop.notes.at(-1) === 0)
})

test('[PR-4] a pull cut in the middle shows nothing of itself and is finished by the next', async () => {
  const ann = await device('ann')
  await ann.evaluate(() =>
    shop.db.items.insertMany(Array.from({ length: 3_000 }, (_, n) => ({ site: 'north', name: `Item ${n}` }))),
  )
  await sync(ann)
  let answers = 0
  tabs.shop.tamper = {
    after: async (request, response) => {
      if (!/\/sync\/(pull|snapshot)/.test(request.url) || ++answers < 2) return response
      const bytes = new Uint8Array(await response.arrayBuffer())
      return new Response(bytes.slice(0, bytes.length / 2), { status: response.status })
    },
  }
  const ben = await device('ben')
  const count = (): Promise<number> =>
    ben.evaluate(async () => (await shop.db.query((q) => q.selectFrom('items').select('id'))).length)
  await sync(ben)
  expect([0, 3_000]).toContain(await count())
  tabs.shop.tamper = {}
  await expect.poll(() => sync(ben), { timeout: 60_000 }).toEqual({ status: 'done', code: null })
  expect(await count()).toBe(3_000)
})

test('[PR-2] B25: a token that expires in mid-sync pauses visibly and loses nothing', async () => {
  const ann = await device('ann')
  await ann.evaluate(() =>
    shop.db.items.insertMany(Array.from({ length: 120 }, (_, n) => ({ site: 'north', name: `Item ${n}` }))),
  )
  let pushes = 0
  tabs.shop.tamper = {
    before: (request) => {
      if (request.url.endsWith('/sync/push') && ++pushes === 2) valid.delete('ann')
      return undefined
    },
  }
  expect(await sync(ann)).toMatchObject({ status: 'paused' })
  const status = await ann.evaluate(() => shop.db.status.get())
  expect(status).toMatchObject({ phase: 'paused', pausedBy: 'auth' })
  expect(status.pendingCount).toBeGreaterThan(0)
  expect(await ann.evaluate(() => shop.asked)).toEqual(['start', 'expired'])
  valid.add('ann')
  expect(await sync(ann)).toEqual({ status: 'done', code: null })
  expect(await unsettled(ann)).toBe(0)
})
