import { afterEach, beforeEach, expect, test } from 'vitest'

import { BareChromium, type BarePage } from './bare-chromium.ts'
import { openShopPage } from './open-tabs.ts'

let given: Awaited<ReturnType<typeof openShopPage>>
let chromium: BareChromium
beforeEach(async () => {
  given = await openShopPage()
  chromium = await BareChromium.open()
})
afterEach(async () => {
  await chromium.close()
  await given.close()
})

async function openTab(): Promise<BarePage> {
  const page = await chromium.page(given.shop.url)
  await page.until(() => 'shop' in globalThis)
  await page.evaluate(() => shop.open())
  return page
}

const names = (page: BarePage): Promise<unknown> =>
  page.evaluate(async () => {
    const rows = await shop.db.query((q) => q.selectFrom('items').select('name').orderBy('name'))
    return rows.map(({ name }) => name)
  })

/** How long a page stays frozen, ms: ten minutes with HOLDFAST_NIGHTLY=1. */
const frozenMs = process.env['HOLDFAST_NIGHTLY'] === '1' ? 600_000 : 0
const patience = { timeout: 180_000 + frozenMs }

test('[BR-7] a frozen leader makes way at once; thawed it is a tab like any other', patience, async () => {
  const first = await openTab()
  await first.evaluate(() => shop.db.items.insert({ site: 'north', name: 'before' }))
  // In front of the first, which is hidden now.
  const second = await openTab()
  await first.until(() => document.visibilityState === 'hidden')
  await first.send('Page.setWebLifecycleState', { state: 'frozen' })
  await second.evaluate(() => shop.db.items.insert({ site: 'north', name: 'meanwhile' }))
  await new Promise((resolve) => setTimeout(resolve, frozenMs))
  await second.evaluate(() => shop.db.items.insert({ site: 'north', name: 'still' }))
  await first.send('Page.setWebLifecycleState', { state: 'active' })
  await first.evaluate(() => shop.db.items.insert({ site: 'north', name: 'after' }))
  expect(await names(second)).toEqual(['after', 'before', 'meanwhile', 'still'])
  expect(await names(first)).toEqual(['after', 'before', 'meanwhile', 'still'])
})

test('[BR-7] a leader that is frozen in the middle of its own writes neither loses nor doubles one', async () => {
  const first = await openTab()
  await first.evaluate(async () => {
    const id = await shop.db.items.insert({ site: 'north', name: 'Lamp', stock: 0 })
    const write = async (): Promise<void> => {
      for (let n = 0; n < 400; n++) await shop.db.items.increment(id, { stock: 1 })
    }
    void write().then(
      () => shop.notes.push('done'),
      (error: unknown) => shop.notes.push(String(error)),
    )
  })
  const second = await openTab()
  for (let n = 0; n < 3; n++) {
    await first.send('Page.setWebLifecycleState', { state: 'frozen' })
    await second.evaluate(() => shop.db.items.insert({ site: 'north', name: 'meanwhile' }))
    await first.send('Page.setWebLifecycleState', { state: 'active' })
  }
  await first.until(() => shop.notes.length > 0)
  expect(await first.evaluate(() => shop.notes)).toEqual(['done'])
  const stocks = await second.evaluate(() =>
    shop.db.query((q) => q.selectFrom('items').select('stock').where('name', '=', 'Lamp')),
  )
  expect(stocks).toEqual([{ stock: 400 }])
})
