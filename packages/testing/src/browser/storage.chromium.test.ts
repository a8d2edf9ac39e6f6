import type { Page } from 'playwright'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'

import { type OpenChromium, openChromium } from './open-chromium.ts'
import { openTabs, type Tabs } from './open-tabs.ts'

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

test('[BR-1] what was written is there after a reload without a server, and is sent once there is one', async () => {
  const page = await tabs.tab()
  tabs.shop.tamper = { before: () => new Response('gone', { status: 503 }) }
  await page.evaluate(() => shop.db.items.insert({ site: 'north', name: 'Lamp' }))
  await page.reload()
  await page.waitForFunction(() => 'shop' in globalThis)
  await page.evaluate(() => shop.open())
  const rows = await page.evaluate(() =>
    shop.db.query((q) => q.selectFrom('items').select(['name', '_state'])),
  )
  expect(rows).toEqual([{ name: 'Lamp', _state: 'pending' }])
  tabs.shop.tamper = {}
  expect(await page.evaluate(() => shop.db.sync.now())).toEqual({ status: 'done', code: null })
  expect(await page.evaluate(() => shop.db.canSafelySignOut())).toBe(true)
})

test('[BR-2] a quota that is used up is STORE_FULL: what is stored stays readable, and writing goes on once there is room', async () => {
  const page = await tabs.tab()
  await page.evaluate(() => shop.db.items.insert({ site: 'north', name: 'before' }))
  const session = await page.context().newCDPSession(page)
  const origin = tabs.shop.url
  const { usage } = await session.send('Storage.getUsageAndQuota', { origin })
  await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: usage + 300_000 })
  const code = await page.evaluate(async () => {
    for (let n = 0; n < 200; n++) {
      try {
        await shop.db.items.insert({ site: 'north', name: `large ${n}`, note: 'x'.repeat(50_000) })
      } catch (error) {
        return String(Reflect.get(Object(error), 'code'))
      }
    }
    return 'none'
  })
  expect(code).toBe('STORE_FULL')
  const names = (): Promise<readonly { name: string }[]> =>
    page.evaluate(() =>
      shop.db.query((q) => q.selectFrom('items').select('name').where('name', '=', 'before')),
    )
  expect(await names()).toEqual([{ name: 'before' }])
  await session.send('Storage.overrideQuotaForOrigin', { origin })
  await page.evaluate(() => shop.db.items.insert({ site: 'north', name: 'after' }))
  expect(await page.evaluate(() => shop.db.sync.now())).toEqual({ status: 'done', code: null })
  expect(await names()).toEqual([{ name: 'before' }])
})

test('[BR-12] a database that the browser removed is noticed at the next visit, with the count of what was lost', async () => {
  const page = await tabs.tab()
  expect(await page.evaluate(async () => (await shop.db.status.get()).storage?.loss)).toBeNull()
  await page.evaluate(async () => {
    await shop.db.sync.now()
    await shop.db.items.insertMany(['a', 'b', 'c'].map((name) => ({ site: 'north', name })))
  })
  const device = await page.evaluate(() => shop.db.identity().device)
  await page.waitForFunction(() => localStorage.getItem('holdfast:shop')?.includes('"unsentCount":3'))
  await page.goto('about:blank')
  await evict(page)

  const again = await tabs.tab()
  const status = await again.evaluate(() => shop.db.status.get())
  expect(status.storage?.loss).toMatchObject({ unsentCount: 3 })
  expect(await again.evaluate(() => shop.db.identity().device)).not.toBe(device)
  expect(await again.evaluate(() => shop.db.sync.now())).toEqual({ status: 'done', code: null })
  await again.close()

  // It is told until the app's next database, and counted once.
  const later = await tabs.tab()
  expect((await later.evaluate(() => shop.db.status.get())).storage?.loss).toEqual(status.storage?.loss)
})

test('[BR-11] whether the browser keeps what is stored is asked for and shown', async () => {
  const page = await tabs.tab()
  const [told, asked] = await page.evaluate(async () => [
    (await shop.db.status.get()).storage?.isPersistent,
    await navigator.storage.persisted(),
  ])
  expect(told).toBe(asked)
})
