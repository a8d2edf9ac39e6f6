import type { Page } from 'playwright'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'

import { type OpenChromium, openChromium } from './open-chromium.ts'
import { crash, openTabs, type Tabs } from './open-tabs.ts'
import { openServiceWorkers } from './service-workers.ts'

let chromium: OpenChromium
let tabs: Tabs
/** Tokens the shop takes; all of them unless a test says otherwise. */
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

/** No request gets through any more, as without a network. */
function cutNetwork(): void {
  tabs.shop.tamper = { before: () => new Response('no network', { status: 503 }) }
}

/** A tab that seals what waits, and its service worker. */
async function openTab(options: Parameters<Tabs['tab']>[0] = {}, worker = '?token=ann'): Promise<Page> {
  const page = await tabs.tab({ auto: true, background: {}, ...options })
  await page.evaluate(async (query) => {
    await navigator.serviceWorker.register(`/service-worker.js${query}`, { type: 'module' })
    await navigator.serviceWorker.ready
  }, worker)
  return page
}

const pushes = (): number => tabs.shop.requests.filter((request) => request === 'POST /sync/push').length

test('[BG-4] what waits is sent by the service worker when no tab is left, and the next tab settles it by repeating', async () => {
  const page = await openTab()
  await page.evaluate(() => shop.db.sync.now())
  cutNetwork()
  await page.evaluate(() => shop.db.items.insert({ site: 'north', name: 'Lamp', stock: 5 }))
  await expect
    .poll(() => page.evaluate(async () => (await shop.sealed()).length), { timeout: 30_000 })
    .toBe(1)
  const workers = await openServiceWorkers(chromium.context, tabs.shop.url)
  await page.close()
  tabs.shop.tamper = {}
  const before = pushes()
  await workers.sync()
  await expect.poll(pushes, { timeout: 30_000 }).toBe(before + 1)
})
