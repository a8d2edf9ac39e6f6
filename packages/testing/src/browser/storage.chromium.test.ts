import type { Page } from 'playwright'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { type OpenChromium, openChromium } from './open-chromium.ts'
import { crash, openTabs, type Tabs } from './open-tabs.ts'

let chromium: OpenChromium
let tabs: Tabs
beforeAll(async () => {
  chromium = await openChromium()
})
afterAll(() => chromium.close())
beforeEach(async () => {
  tabs = await openTabs(chromium)
})
afterEach(() => tabs.close())

/** Removes what the browser counts as storage of the origin, as it does when it makes room; local storage is none of it. */
async function evict(page: Page): Promise<void> {
  const session = await page.context().newCDPSession(page)
  const storageTypes = 'file_systems,indexeddb,cache_storage,service_workers'
  await session.send('Storage.clearDataForOrigin', { origin: tabs.shop.url, storageTypes })
}

describe.each([
  { place: 'the private file system', hasFiles: true },
  { place: 'IndexedDB', hasFiles: false },
])('in $place', ({ hasFiles }) => {
  test('[BR-1, BR-14] what was written is there after a reload without a server, and is sent once there is one', async () => {
    const page = await tabs.tab({ hasFiles })
    tabs.shop.tamper = { before: () => new Response('gone', { status: 503 }) }
    await page.evaluate(() => shop.db.items.insert({ site: 'north', name: 'Lamp' }))
    await page.reload()
    await page.waitForFunction(() => 'shop' in globalThis)
    await page.evaluate((how) => shop.open(how), { hasFiles })
    const rows = await page.evaluate(() =>
      shop.db.query((q) => q.selectFrom('items').select(['name', '_state'])),
    )
    expect(rows).toEqual([{ name: 'Lamp', _state: 'pending' }])
    tabs.shop.tamper = {}
    expect(await page.evaluate(() => shop.db.sync.now())).toEqual({ status: 'done', code: null })
    expect(await page.evaluate(() => shop.db.canSafelySignOut())).toBe(true)
  })

  test('[BR-2, BR-14] a quota that is used up is STORE_FULL: what is stored stays readable, and writing goes on once there is room', async () => {
    const origin = tabs.shop.url
    const blank = await chromium.context.newPage()
    const session = await blank.context().newCDPSession(blank)
    // Before anything is stored: how much room there is, Chromium remembers for half a minute.
    await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 8_000_000 })
    const page = await tabs.tab({ hasFiles })
    await page.evaluate(() => shop.db.items.insert({ site: 'north', name: 'before' }))
    const { code, stored } = await page.evaluate(async () => {
      for (let n = 0; n < 1_000; n++) {
        try {
          // Text of chance, because a store may compress it.
          const note = Array.from(crypto.getRandomValues(new Uint32Array(6_000)), (each) => each.toString(36))
          await shop.db.items.insert({ site: 'north', name: `large ${n}`, note: note.join('') })
        } catch (error) {
          return { code: String(Reflect.get(Object(error), 'code')), stored: n + 1 }
        }
      }
      return { code: 'none', stored: 0 }
    })
    expect(code).toBe('STORE_FULL')
    expect(await page.evaluate(async () => (await shop.db.outbox.list()).length)).toBe(stored)
    const names = (): Promise<readonly { name: string }[]> =>
      page.evaluate(() =>
        shop.db.query((q) => q.selectFrom('items').select('name').where('name', '=', 'before')),
      )
    expect(await names()).toEqual([{ name: 'before' }])
    // Also for who comes back before there is any.
    await page.reload()
    await page.waitForFunction(() => 'shop' in globalThis)
    await page.evaluate((how) => shop.open(how), { hasFiles })
    expect(await names()).toEqual([{ name: 'before' }])
    await session.send('Storage.overrideQuotaForOrigin', { origin })
    await page.evaluate(() => shop.db.items.insert({ site: 'north', name: 'after' }))
    expect(await page.evaluate(() => shop.db.sync.now())).toEqual({ status: 'done', code: null })
    expect(await names()).toEqual([{ name: 'before' }])
  })

  test('[BR-12, BR-14] a database that the browser removed is noticed at the next visit, with the count of what was lost', async () => {
    const page = await tabs.tab({ hasFiles })
    expect(await page.evaluate(async () => (await shop.db.status.get()).storage?.loss)).toBeNull()
    await page.evaluate(async () => {
      await shop.db.sync.now()
      await shop.db.items.insertMany(['a', 'b', 'c'].map((name) => ({ site: 'north', name })))
    })
    const device = await page.evaluate(() => shop.db.identity().device)
    await page.waitForFunction(() => localStorage.getItem('holdfast:shop')?.includes('"unsentCount":3'))
    await page.goto('about:blank')
    await evict(page)

    const again = await tabs.tab({ hasFiles })
    const status = await again.evaluate(() => shop.db.status.get())
    expect(status.storage?.loss).toMatchObject({ unsentCount: 3 })
    expect(await again.evaluate(() => shop.db.identity().device)).not.toBe(device)
    expect(await again.evaluate(() => shop.db.sync.now())).toEqual({ status: 'done', code: null })
    await again.close()

    // It is told until the app's next database, and counted once.
    const later = await tabs.tab({ hasFiles })
    expect((await later.evaluate(() => shop.db.status.get())).storage?.loss).toEqual(status.storage?.loss)
  })

  test('[BR-18] what is removed under open tabs is given up by all of them, and told of by the next one', async () => {
    const [first, second] = [await tabs.tab({ hasFiles }), await tabs.tab({ hasFiles })]
    await second.evaluate(() => shop.db.items.insert({ site: 'north', name: 'removed' }))
    await first.waitForFunction(() => localStorage.getItem('holdfast:shop')?.includes('"unsentCount":1'))
    const session = await first.context().newCDPSession(first)
    await session.send('Storage.clearDataForOrigin', { origin: tabs.shop.url, storageTypes: 'all' })
    const refusal = (page: Page): Promise<unknown> =>
      page.evaluate(() =>
        shop.db.items.insert({ site: 'north', name: 'refused' }).then(
          () => 'stored',
          (error: unknown) => Reflect.get(Object(error), 'message') as unknown,
        ),
      )
    const removed = 'what was stored here was removed: load the page anew'
    for (const page of [first, second]) await expect.poll(() => refusal(page)).toBe(removed)
    const later = await tabs.tab({ hasFiles })
    await later.evaluate(() => shop.db.items.insert({ site: 'north', name: 'anew' }))
    expect(await later.evaluate(() => shop.db.query((q) => q.selectFrom('items').select('name')))).toEqual([
      { name: 'anew' },
    ])
    expect((await later.evaluate(() => shop.db.status.get())).storage?.loss?.unsentCount).toBeGreaterThan(0)
    for (const page of [first, second]) expect(await refusal(page)).toBe(removed)
  })

  test('[BR-5, BR-14] the leading tab is killed in the middle of writes of another: none is lost or doubled', async () => {
    const first = await tabs.tab({ hasFiles })
    const second = await tabs.tab({ hasFiles })
    const id = await first.evaluate(() => shop.db.items.insert({ site: 'north', name: 'Lamp', stock: 0 }))
    const writing = second.evaluate(async (record) => {
      for (let n = 0; n < 100; n++) {
        await Promise.all([1, 2, 3].map(() => shop.db.items.increment(record, { stock: 1 })))
        shop.notes.push(n)
      }
    }, id)
    await second.waitForFunction(() => shop.notes.length > 20)
    await crash(first)
    await writing
    expect(await second.evaluate((record) => shop.db.items.get(record), id)).toMatchObject({ stock: 300 })
    expect(await second.evaluate(async () => (await shop.db.outbox.list()).length)).toBe(301)
  })
})

test('[BR-14] a database stays in IndexedDB, where it was made, also when files can be had later', async () => {
  const page = await tabs.tab({ hasFiles: false })
  const id = await page.evaluate(() => shop.db.items.insert({ site: 'north', name: 'Lamp' }))
  await page.close()
  const later = await tabs.tab({ hasFiles: true })
  expect(await later.evaluate((record) => shop.db.items.get(record), id)).toMatchObject({ name: 'Lamp' })
})

test('[BR-14] a database whose file system is refused for once is not begun anew somewhere else', async () => {
  const page = await tabs.tab({ hasFiles: true })
  const id = await page.evaluate(() => shop.db.items.insert({ site: 'north', name: 'Lamp' }))
  await page.close()
  await expect(tabs.tab({ hasFiles: false })).rejects.toThrow(/is not given by the browser/)
  for (const each of chromium.context.pages()) await each.goto('about:blank')
  const later = await tabs.tab({ hasFiles: true })
  expect(await later.evaluate((record) => shop.db.items.get(record), id)).toMatchObject({ name: 'Lamp' })
  expect((await later.evaluate(() => shop.db.status.get())).storage?.loss).toBeNull()
})

test('[BR-11] whether the browser keeps what is stored is asked for and shown', async () => {
  const page = await tabs.tab()
  const [told, asked] = await page.evaluate(async () => [
    (await shop.db.status.get()).storage?.isPersistent,
    await navigator.storage.persisted(),
  ])
  expect(told).toBe(asked)
})
