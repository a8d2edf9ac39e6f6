import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { chromiumArguments, chromiumPath } from '@holdfast/testing/services'
import { type BrowserContext, chromium, type FrameLocator, type Locator, type Page } from 'playwright'

import { people, type PersonId } from '../warehouse/people.ts'
import { startWarehouseServer, type WarehouseServer } from '../warehouse/warehouse-server.ts'
import { type BuiltApp, buildApp } from '../warehouse/web-app.ts'

/** A warehouse that is served, and a browser with a profile on the disk, as people have. */
export interface GivenStockroom {
  readonly server: WarehouseServer
  readonly context: BrowserContext
  /** The page with all three devices, each of which has received the whole warehouse. */
  openBench(): Promise<Bench>
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
  go(screen: string): Promise<void>
}

let built: Promise<BuiltApp> | undefined

/** Builds the app once, and opens a warehouse and a browser of their own. */
export async function givenStockroom(viewport = { width: 1560, height: 900 }): Promise<GivenStockroom> {
  built ??= buildApp()
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-stockroom-'))
  const server = await startWarehouseServer({
    storePath: join(folder, 'w.sqlite'),
    port: 0,
    app: await built,
  })
  const context = await chromium.launchPersistentContext(join(folder, 'profile'), {
    executablePath: chromiumPath(),
    headless: true,
    args: [...chromiumArguments],
    viewport,
  })
  return {
    server,
    context,
    openBench: async () => {
      const page = await context.newPage()
      await page.goto(server.url)
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
  const go = (screen: string): Promise<void> => app.getByRole('button', { name: screen }).first().click()
  return {
    app,
    frame,
    go,
    setAirplane: async (isOn) => {
      await frame.getByRole('switch', { checked: !isOn }).click({ force: true })
      await frame.getByRole('switch', { checked: isOn }).waitFor()
    },
    kill: () => frame.getByRole('button', { name: 'Kill' }).click(),
    openItem: async (sku) => {
      await go('Items')
      await app.getByRole('textbox', { name: 'Search items' }).fill(sku)
      await app.getByRole('group', { name: 'Items' }).getByText(sku).click()
      const drawer = app.getByRole('dialog')
      await drawer.getByText(sku).waitFor()
      return drawer
    },
    closeItem: () => app.getByRole('dialog').getByRole('button', { name: 'Close' }).click(),
  }
}
