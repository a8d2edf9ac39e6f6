import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { freePort } from '@holdfast/testing/free-port'
import { openServiceWorkers, type ServiceWorkers } from '@holdfast/testing/service-workers'
import { chromiumArguments, chromiumPath } from '@holdfast/testing/services'
import { type BrowserContext, chromium, type FrameLocator, type Locator, type Page } from 'playwright'

export type { Page } from 'playwright'

import { people, type PersonId } from '../warehouse/people.ts'
import { startWarehouseServer, type WarehouseServer } from '../warehouse/warehouse-server.ts'
import type { BuiltApp } from '../warehouse/web-app.ts'
import { type ItemOnServer, itemOnServer } from './warehouse-view.ts'
import { Wire } from './wire.ts'

/** A warehouse that is served, and a browser with a profile on the disk, as people have. */
export interface GivenStockroom {
  readonly url: string
  readonly context: BrowserContext
  /** Between the server and all devices. */
  readonly wire: Wire
  /** An item by its number, as the server has it; null when it has none. */
  itemOnServer(sku: string): Promise<ItemOnServer | null>
  /** The page with all three devices, each of which has received the whole warehouse. */
  openBench(): Promise<Bench>
  /** Opens the app alone, and signs in unless somebody is. */
  openApp(person: PersonId): Promise<Page>
  /** The app's service worker, as the browser speaks to it. */
  serviceWorkers(): Promise<ServiceWorkers>
  /** Ends the server, or starts it again where it was. */
  setServer(isUp: boolean): Promise<void>
  close(): Promise<void>
}

/** The page with all three devices. */
export interface Bench {
  readonly page: Page
  device(person: PersonId): BenchDevice
}

/** One device, as a person handles it. */
export interface BenchDevice {
  readonly app: FrameLocator
  /** The switches around it. */
  readonly frame: Locator
  setAirplane(isOn: boolean): Promise<void>
  kill(): Promise<void>
  /** Looks an item up by its number and opens it. */
  openItem(sku: string): Promise<Locator>
  closeItem(): Promise<void>
  /** Opens what its status says, in more words and with the ways on. */
  openStatus(): Promise<void>
  /** Makes the network slow and has it lose requests, by the sliders of the inspector. */
  setNetwork(how: { readonly latencyMs: number; readonly lossPercent: number }): Promise<void>
  go(screen: string): Promise<void>
}

/** How long a person in these stories waits for anything, ms: the machine may be busy. */
const patienceMs = 120_000

/** Opens a warehouse and a browser of their own, for an app that was built. */
export async function givenStockroom(app: BuiltApp): Promise<GivenStockroom> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-stockroom-'))
  const wire = new Wire()
  const start = (port: number): Promise<WarehouseServer> =>
    startWarehouseServer({ storePath: join(folder, 'warehouse.sqlite'), port, app, line: wire.pass })
  let server = await start(await freePort())
  const { url } = server
  const context = await chromium.launchPersistentContext(join(folder, 'profile'), {
    executablePath: chromiumPath(),
    headless: true,
    args: [...chromiumArguments],
    viewport: { width: 1560, height: 900 },
  })
  return {
    url,
    context,
    wire,
    itemOnServer: (sku) => itemOnServer(url, sku),
    setServer: async (isUp) => {
      if (isUp) server = await start(Number(new URL(url).port))
      else await server.close()
    },
    openApp: async (person) => {
      const page = await context.newPage()
      page.setDefaultTimeout(patienceMs)
      await page.goto(`${url}/app/`)
      const entrance = page.getByText('Who is working?')
      // Whoever worked here last is still signed in.
      await entrance.or(page.getByRole('button', { name: 'Account of' })).waitFor()
      if (await entrance.isVisible()) await page.getByRole('button', { name: people[person].name }).click()
      await page.getByText('All sent').waitFor()
      return page
    },
    serviceWorkers: () => openServiceWorkers(context, url),
    openBench: async () => {
      const page = await context.newPage()
      page.setDefaultTimeout(patienceMs)
      await page.goto(url)
      const bench: Bench = { page, device: (person) => benchDevice(page, person) }
      for (const person of ['ana', 'ben', 'office'] as const)
        await bench.device(person).frame.getByText('all sent').waitFor()
      return bench
    },
    close: async () => {
      await context.close()
      await server.close()
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

function benchDevice(page: Page, person: PersonId): BenchDevice {
  const { name } = people[person]
  const frame = page.getByRole('region', { name: `Device of ${name}` })
  const app = page.frameLocator(`iframe[title^="${name}"]`)
  const go = (screen: string): Promise<void> =>
    app.getByRole('navigation').getByRole('button', { name: screen }).click()
  return {
    app,
    frame,
    go,
    setAirplane: async (isOn) => {
      const control = frame.getByRole('switch')
      if ((await control.isChecked()) !== isOn) await control.click({ force: true })
      await frame.getByRole('switch', { checked: isOn }).waitFor()
    },
    kill: () => frame.getByRole('button', { name: 'Kill' }).click(),
    openItem: async (sku) => {
      await go('Items')
      await app.getByRole('textbox', { name: 'Search items' }).fill(sku)
      await app.getByRole('group', { name: 'Items' }).getByText(sku).click()
      const drawer = app.getByRole('dialog')
      await drawer.getByText(`${sku} ·`).waitFor()
      return drawer
    },
    closeItem: async () => {
      await app.getByRole('dialog').getByRole('button', { name: 'Close' }).click()
      await app.getByRole('dialog').waitFor({ state: 'detached' })
    },
    openStatus: () => app.getByRole('button', { name: 'Sync status' }).click(),
    setNetwork: async ({ latencyMs, lossPercent }) => {
      const inspect = async (): Promise<void> => {
        await app.getByRole('button', { name: 'Account of' }).click()
        await app.getByRole('menuitem', { name: 'Inspector' }).click()
      }
      await inspect()
      await app.getByRole('tab', { name: 'Network' }).click()
      await app.getByRole('slider', { name: 'Latency' }).fill(String(latencyMs))
      await app.getByRole('slider', { name: 'Loss' }).fill(String(lossPercent))
      await inspect()
    },
  }
}
