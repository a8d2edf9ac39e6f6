import { afterAll, beforeAll, expect, test } from 'vitest'

import { builtStockroom } from './built-stockroom.ts'
import { type GivenStockroom, givenStockroom, type Page } from './given-stockroom.ts'

let given: GivenStockroom
beforeAll(async () => {
  given = await givenStockroom(await builtStockroom())
}, 300_000)
afterAll(() => given?.close())

const patience = { timeout: 240_000 }

/** The stock of an item, as the app of somebody shows it. */
async function openItem(page: Page, sku: string): Promise<string | null> {
  await page.getByRole('navigation').getByRole('button', { name: 'Items' }).click()
  await page.getByRole('textbox', { name: 'Search items' }).fill(sku)
  await page.getByRole('group', { name: 'Items' }).getByText(sku).click()
  return page.getByRole('dialog').getByTestId('stock').textContent()
}

/** How much lies sealed for the service worker. In a string, because it runs in the page. */
const sealedCount = (page: Page): Promise<number> =>
  page.evaluate<number>(`(async () => {
    const names = await indexedDB.databases()
    if (!names.some(({ name }) => name === 'holdfast sealed')) return 0
    const opening = indexedDB.open('holdfast sealed')
    await new Promise((resolve) => opening.addEventListener('success', resolve))
    const counting = opening.result.transaction('batches').objectStore('batches').count()
    await new Promise((resolve) => counting.addEventListener('success', resolve))
    opening.result.close()
    return counting.result
  })()`)

/** Whether some tab has the database of a device open. */
const isLed = (page: Page, device: string): Promise<boolean> =>
  page.evaluate<boolean>(
    `navigator.locks.query().then(({ held }) => held.some(({ name }) => name === 'holdfast:${device}'))`,
  )

test(
  'what was done without a server is sent after the last tab was closed, once, and the next visit finds it sent',
  patience,
  async () => {
    const office = await given.openApp('office')
    await office.waitForFunction('navigator.serviceWorker.controller !== null')
    const before = Number(await openItem(office, 'EL-04003'))
    const ben = await given.context.newPage()
    ben.setDefaultTimeout(120_000)
    await ben.goto(`${given.url}/app/?as=ben`)
    await ben.getByText('All sent').waitFor()
    await given.setServer(false)
    await office.getByRole('button', { name: 'Take one' }).click()
    await office.getByText('Offline · 2 to send').waitFor()
    await expect.poll(() => sealedCount(office), { timeout: 60_000 }).toBe(1)
    await office.close()
    // The browser takes a moment to end it.
    await expect.poll(() => isLed(ben, 'office'), { timeout: 60_000 }).toBe(false)
    await given.setServer(true)
    const serviceWorkers = await given.serviceWorkers()
    await serviceWorkers.sync()
    await openItem(ben, 'EL-04003')
    await ben
      .getByRole('dialog')
      .getByText(String(before - 1), { exact: true })
      .waitFor()

    const again = await given.context.newPage()
    again.setDefaultTimeout(120_000)
    await again.goto(`${given.url}/app/`)
    await again.getByText('All sent').waitFor()
    expect(await openItem(again, 'EL-04003')).toBe(String(before - 1))
    await expect.poll(() => sealedCount(again), { timeout: 60_000 }).toBe(0)
    await again.getByRole('dialog').getByRole('button', { name: 'Receive' }).click()
    await ben
      .getByRole('dialog')
      .getByText(String(before + 9), { exact: true })
      .waitFor()
    await again.close()
    await ben.close()
  },
)

test('signing out takes back what was to be sent in the background', patience, async () => {
  const page = await given.context.newPage()
  page.setDefaultTimeout(120_000)
  await page.goto(`${given.url}/app/`)
  await page.getByText('All sent').waitFor()
  await openItem(page, 'EL-04004')
  await given.setServer(false)
  await page.getByRole('button', { name: 'Take one' }).click()
  await expect.poll(() => sealedCount(page), { timeout: 60_000 }).toBe(1)
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click()
  await page.getByRole('button', { name: 'Account of Ida Holm' }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await page.getByRole('button', { name: 'Sign out anyway' }).click()
  await page.getByText('Who is working?').waitFor()
  await expect.poll(() => sealedCount(page), { timeout: 60_000 }).toBe(0)
  await page.close()
  await given.setServer(true)
})
