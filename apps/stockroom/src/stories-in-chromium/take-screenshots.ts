import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { buildApp } from '../warehouse/web-app.ts'
import { type Bench, type GivenStockroom, givenStockroom, type Page } from './given-stockroom.ts'

const folder = fileURLToPath(new URL('../../../../docs/screenshots/', import.meta.url))

/** Makes the pictures of the documentation, from the app as it is built. */
async function main(): Promise<void> {
  await mkdir(folder, { recursive: true })
  const given = await givenStockroom(await buildApp())
  try {
    const bench = await given.openBench()
    await givenConflict(bench)
    await shoot(bench.page, 'side-by-side-light')
    await bench.page.emulateMedia({ colorScheme: 'dark' })
    await shoot(bench.page, 'side-by-side-dark')
    await bench.page.close()
    await shootDesk(given)
    await shootPhone(given)
  } finally {
    await given.close()
  }
}

/** Two prices for one item, and an open question on every device. */
async function givenConflict(bench: Bench): Promise<void> {
  const [ana, ben, office] = [bench.device('ana'), bench.device('ben'), bench.device('office')]
  for (const device of [ana, ben]) await device.setAirplane(true)
  for (const [device, price] of [
    [ana, '1.50'],
    [ben, '2.75'],
  ] as const) {
    const item = await device.openItem('FA-00042')
    await item.getByLabel('Price').fill(price)
    await item.getByRole('button', { name: 'Save' }).click()
    await item.getByRole('button', { name: 'Receive' }).click()
  }
  await ana.setAirplane(false)
  await ana.frame.getByText('all sent').waitFor()
  await ben.setAirplane(false)
  for (const device of [ana, ben, office]) await device.frame.getByText('1 to decide').waitFor()
  await ana.closeItem()
}

async function shootDesk(given: GivenStockroom): Promise<void> {
  const page = await given.openApp('office')
  await page.setViewportSize({ width: 1280, height: 800 })
  await page.getByText('Ball valve').or(page.getByText('Latest movements')).first().waitFor()
  await shoot(page, 'desk-overview-light')
  await page.getByRole('button', { name: 'Decisions' }).click()
  await page.getByRole('article').waitFor()
  await shoot(page, 'desk-decision-light')
  await page.emulateMedia({ colorScheme: 'dark' })
  await shoot(page, 'desk-decision-dark')
  await page.getByRole('button', { name: 'Items' }).click()
  await page.getByText('10,000 items').waitFor()
  await page.getByRole('textbox', { name: 'Search items' }).fill('FA-00042')
  await page.getByRole('group', { name: 'Items' }).getByText('FA-00042').click()
  await page.getByText('Applied as written').first().waitFor()
  await page.getByRole('textbox', { name: 'Search items' }).evaluate(() => undefined)
  await shoot(page, 'desk-item-dark')
  await page.close()
}

async function shootPhone(given: GivenStockroom): Promise<void> {
  const page = await given.context.newPage()
  await page.setViewportSize({ width: 390, height: 780 })
  await page.goto(`${given.url}/app/?as=ana`)
  await page.getByText('10,000 items').waitFor({ timeout: 90_000 })
  await shoot(page, 'phone-items-light')
  await page.getByRole('button', { name: 'Decisions' }).click()
  await page.getByRole('article').waitFor()
  await shoot(page, 'phone-decision-light')
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.getByRole('navigation').getByRole('button', { name: 'Count' }).click()
  await page.getByLabel('Count sheet').getByRole('textbox').first().waitFor()
  await shoot(page, 'phone-count-dark')
  await page.close()
}

async function shoot(page: Page, name: string): Promise<void> {
  // What moves in comes to rest.
  await page.waitForTimeout(800)
  await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled' })
}

await main()
