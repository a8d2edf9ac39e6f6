import type { Page } from 'playwright'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'

import { type OpenChromium, openChromium } from './open-chromium.ts'
import { crash, openTabs, type Tabs } from './open-tabs.ts'
import { openServiceWorkers, type ServiceWorkers } from '../services/given-service-workers.ts'

let chromium: OpenChromium
let tabs: Tabs
/** Tokens the shop takes. */
let isValid: (token: string) => boolean
beforeAll(async () => {
  chromium = await openChromium()
})
afterAll(() => chromium.close())
beforeEach(async () => {
  isValid = () => true
  tabs = await openTabs(chromium, { isValid: (token) => isValid(token) })
})
afterEach(() => tabs.close())

const patience = { timeout: 60_000, interval: 100 }

/** A tab that seals what waits and has synced, and the service worker, which gets tokens by itself unless said. */
async function openTab(options: Parameters<Tabs['tab']>[0] = {}, query = '?token=ann'): Promise<Page> {
  const page = await tabs.tab({ auto: true, background: {}, ...options })
  await page.evaluate(async (said) => {
    await navigator.serviceWorker.register(`/service-worker.js${said}`, { type: 'module' })
    await navigator.serviceWorker.ready
    await shop.db.sync.now()
  }, query)
  return page
}

/** Whatever the device asks, nobody who could answer hears it. */
function cutNetwork(): void {
  tabs.shop.tamper = { before: () => new Response('no network', { status: 503 }) }
}

/** The page believes that it is not in front any more, as Playwright's pages otherwise always do. */
async function hide(page: Page): Promise<void> {
  await page.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'hidden' })
    document.dispatchEvent(new Event('visibilitychange'))
  })
}

/** Writes without a network, and waits until that is sealed. */
async function givenSealed(page: Page): Promise<string> {
  cutNetwork()
  const id = await page.evaluate(() => shop.db.items.insert({ site: 'north', name: 'Lamp', stock: 5 }))
  await hide(page)
  await expect.poll(() => page.evaluate(async () => (await shop.sealed()).length), patience).toBe(1)
  return id
}

/** A page of the origin in which no database is open. */
async function openBystander(): Promise<Page> {
  const page = await chromium.context.newPage()
  await page.goto(tabs.shop.url)
  await page.waitForFunction(() => 'shop' in globalThis)
  return page
}

/** Closes the last tab, and waits until the browser has ended it. */
async function closeLast(tab: Page): Promise<void> {
  const bystander = await openBystander()
  await tab.close()
  const isLed = (): Promise<boolean | undefined> =>
    bystander.evaluate(async () =>
      (await navigator.locks.query()).held?.some(({ name }) => name === 'holdfast:shop'),
    )
  await expect.poll(isLed, patience).toBe(false)
  await bystander.close()
}

/** Has the service worker woken, and waits until it says this of what was sealed; the browser may wake it by itself as well. */
async function expectReport(how: () => Promise<void>, outcomes: readonly string[]): Promise<void> {
  const page = await openBystander()
  const before = await page.evaluate(async () => (await shop.reports()).length)
  await how()
  await expect
    .poll(() => page.evaluate(async (at) => (await shop.reports()).slice(at), before), patience)
    .toContainEqual(outcomes)
  await page.close()
}

const serviceWorkers = (): Promise<ServiceWorkers> => openServiceWorkers(chromium.context, tabs.shop.url)

/** What the page has asked the browser to fire. */
const registeredTags = (page: Page): Promise<unknown> =>
  page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready
    // Only some browsers have it, so the types do not.
    const { sync } = registration as unknown as { sync: { getTags(): Promise<string[]> } }
    return sync.getTags()
  })

async function itemsOfServer(): Promise<readonly unknown[]> {
  const headers = { authorization: 'Bearer boss' }
  const response = await fetch(`${tabs.shop.url}/records/items?limit=1000`, { headers })
  const { records } = (await response.json()) as { records: Record<string, unknown>[] }
  return records.map(({ name, stock, version }) => ({ name, stock, version }))
}

/** Everything is settled on the device, nothing is left sealed, and both sides have the same items. */
async function expectSettled(
  items: readonly { readonly name: string; readonly stock: number }[],
): Promise<void> {
  const page = await openTab()
  expect(await page.evaluate(() => shop.db.outbox.list())).toEqual([])
  expect(await page.evaluate(() => shop.db.deadLetters.list())).toEqual([])
  const rows = await page.evaluate(() =>
    shop.db.query((q) => q.selectFrom('items').select(['name', 'stock'])),
  )
  expect(rows).toEqual(items)
  await expect.poll(() => page.evaluate(async () => (await shop.sealed()).length), patience).toBe(0)
  expect(await itemsOfServer()).toMatchObject(items)
}

test('[BG-4] [BG-6] what waits is sent when no tab is left, and the next tab settles it by repeating', async () => {
  const page = await openTab()
  await givenSealed(page)
  const workers = await serviceWorkers()
  await closeLast(page)
  tabs.shop.tamper = {}
  await expectReport(() => workers.sync(), ['sent'])
  const [sent] = await itemsOfServer()
  expect(sent).toMatchObject({ name: 'Lamp', stock: 5 })

  await expectSettled([{ name: 'Lamp', stock: 5 }])
  // Repeating it was no second write.
  expect(await itemsOfServer()).toEqual([sent])
})

test('[BG-4] a push message wakes it as well, and a tab that was killed is a tab that is gone', async () => {
  const page = await openTab()
  await givenSealed(page)
  const workers = await serviceWorkers()
  await crash(page)
  await closeLast(page)
  tabs.shop.tamper = {}
  await expectReport(() => workers.push(), ['sent'])
  expect(await itemsOfServer()).toMatchObject([{ name: 'Lamp', stock: 5 }])
  await expectSettled([{ name: 'Lamp', stock: 5 }])
})

test('[BG-6] a service worker that is killed after the server wrote, before it heard so, sends again and nothing is there twice', async () => {
  const page = await openTab()
  await givenSealed(page)
  const workers = await serviceWorkers()
  await closeLast(page)
  const answered = Promise.withResolvers<void>()
  tabs.shop.tamper = {
    after: async (request, response) => {
      if (!request.url.endsWith('/sync/push')) return response
      answered.resolve()
      return new Promise(() => undefined)
    },
  }
  await workers.sync()
  await answered.promise
  await workers.stop()
  tabs.shop.tamper = {}
  const [written] = await itemsOfServer()
  expect(written).toMatchObject({ name: 'Lamp', stock: 5 })
  await expectReport(() => workers.sync(), ['sent'])
  expect(await itemsOfServer()).toEqual([written])
  await expectSettled([{ name: 'Lamp', stock: 5 }])
})

test('[BG-2] what was written after the sealing is another mutation: both arrive once, whoever sends them', async () => {
  const page = await openTab()
  const id = await givenSealed(page)
  const workers = await serviceWorkers()
  // The page is killed before that is sealed as well, or after: the sum is the same.
  await page.evaluate(async (item) => {
    await shop.db.items.increment(item, { stock: 2 })
    await shop.db.items.update(item, { name: 'Lantern' })
  }, id)
  await crash(page)
  await closeLast(page)
  tabs.shop.tamper = {}
  await expectReport(() => workers.sync(), ['sent'])
  await expectSettled([{ name: 'Lantern', stock: 7 }])
})

test('[BG-5] a token that is refused leaves the batch alone for the next tab', async () => {
  const page = await openTab()
  await givenSealed(page)
  const workers = await serviceWorkers()
  await closeLast(page)
  tabs.shop.tamper = {}
  isValid = (token) => token !== 'ann'
  await expectReport(() => workers.sync(), ['noToken'])
  expect(await itemsOfServer()).toEqual([])
  await expectReport(() => workers.sync(), ['noToken'])
  isValid = () => true
  await expectSettled([{ name: 'Lamp', stock: 5 }])
})

test('[BG-5] a token that lies beside the batch is used as long as it lasts', async () => {
  const expiresAtMs = Date.now() + 600_000
  const page = await openTab({ background: { token: { token: 'ann.sealed', expiresAtMs } } }, '')
  await givenSealed(page)
  await expect
    .poll(() => page.evaluate(async () => (await shop.sealed())[0]?.token?.token), patience)
    .toBe('ann.sealed')
  const workers = await serviceWorkers()
  await closeLast(page)
  tabs.shop.tamper = {}
  await expectReport(() => workers.sync(), ['sent'])
  expect(await itemsOfServer()).toMatchObject([{ name: 'Lamp', stock: 5 }])
  await expectSettled([{ name: 'Lamp', stock: 5 }])
})

test('[BG-7] while a tab has the database open it sends by itself, and the service worker does not', async () => {
  const page = await openTab()
  await givenSealed(page)
  const workers = await serviceWorkers()
  await expectReport(() => workers.sync(), ['led'])
  // What the browser will come back to once the tab is gone.
  await expect.poll(() => registeredTags(page), patience).toEqual(['holdfast'])
  tabs.shop.tamper = {}
  expect(await page.evaluate(() => shop.db.sync.now())).toEqual({ status: 'done', code: null })
  await expect.poll(() => page.evaluate(async () => (await shop.sealed()).length), patience).toBe(0)
  await closeLast(page)
  await expectSettled([{ name: 'Lamp', stock: 5 }])
})

test('[BG-8] signing out removes what is sealed: nothing is sent, and the work is there for the next time', async () => {
  const page = await openTab()
  await givenSealed(page)
  const workers = await serviceWorkers()
  await page.evaluate(() => shop.signOut())
  expect(await page.evaluate(() => shop.sealed())).toEqual([])
  await closeLast(page)
  tabs.shop.tamper = {}
  await expectReport(() => workers.sync(), [])
  expect(await itemsOfServer()).toEqual([])
  await expectSettled([{ name: 'Lamp', stock: 5 }])
})

test('[BG-1] a page that nobody sees seals what waits, however busy it is', async () => {
  const page = await openTab()
  cutNetwork()
  await hide(page)
  // Never quiet for as long as a page in front would have to be.
  await expect
    .poll(
      async () => {
        await page.evaluate(() => shop.db.items.insert({ site: 'north', name: 'Lamp' }))
        return page.evaluate(async () => (await shop.sealed()).length)
      },
      { ...patience, interval: 500 },
    )
    .toBe(1)
})

test('[SY-28] a data saver is heard of, from whichever tab', async () => {
  const page = await openTab()
  expect(await page.evaluate(async () => (await shop.db.status.get()).savingFor)).toBeNull()
  const other = await tabs.tab({ auto: true })
  await other.evaluate(() => {
    const connection = Object.assign(new EventTarget(), { saveData: true })
    Object.defineProperty(navigator, 'connection', { value: connection })
    document.dispatchEvent(new Event('visibilitychange'))
  })
  await expect
    .poll(() => page.evaluate(async () => (await shop.db.status.get()).savingFor), patience)
    .toBe('dataSaver')
})
