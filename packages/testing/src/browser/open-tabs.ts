import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Page } from 'playwright'
import { expect, inject } from 'vitest'

import { openShop, type Shop, type ShopOptions } from '../end-to-end/serve-shop.ts'
import { type BuiltPage, readPage } from './build-page.ts'
import type { OpenChromium } from './open-chromium.ts'
import type { ShopPage } from './page/main.ts'

declare global {
  // What the page of the tests puts there.
  var shop: ShopPage
}

/** A shop that serves its page as well, and a browser to open it in. */
export interface Tabs {
  readonly shop: Shop
  readonly chromium: OpenChromium
  /** Opens the page in a new tab. */
  tab(options?: Parameters<ShopPage['open']>[0]): Promise<Page>
  /** Closes every tab and the shop; the browser stays. */
  close(): Promise<void>
}

/** What a shop with a page may be told. */
export type ShopPageOptions = Pick<ShopOptions, 'isValid'>

/** Opens a shop of its own, on an origin of its own, with its page. */
export async function openShopPage(
  options: ShopPageOptions = {},
): Promise<{ readonly shop: Shop; close(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-tabs-'))
  const page = readPage(inject('page'))
  const files = (request: Request): Response | undefined => pageFile(page, request)
  const shop = await openShop({ path: join(folder, 'server.db'), files, ...options })
  const close = async (): Promise<void> => {
    await shop.close()
    rmSync(folder, { recursive: true, force: true })
  }
  return { shop, close }
}

/** Opens a shop with its page for a browser that is open. */
export async function openTabs(chromium: OpenChromium, options: ShopPageOptions = {}): Promise<Tabs> {
  const given = await openShopPage(options)
  const { shop } = given
  return {
    shop,
    chromium,
    async tab(how) {
      const opened = await chromium.context.newPage()
      await opened.goto(shop.url)
      await opened.waitForFunction(() => 'shop' in globalThis)
      await opened.evaluate((said) => globalThis.shop.open(said), how)
      return opened
    },
    async close() {
      for (const page of chromium.context.pages()) await page.close()
      await given.close()
    },
  }
}

/** Closes a tab that leads, beside another one: the browser takes a moment to end it, in which it would still answer. */
export async function closeLeader(leader: Page, beside: Page): Promise<void> {
  const holder = (): Promise<string | undefined> =>
    beside.evaluate(async () => {
      const { held = [] } = await navigator.locks.query()
      return held.find(({ name }) => name === 'holdfast:shop')?.clientId
    })
  const before = await holder()
  await leader.close()
  await expect.poll(holder).not.toBe(before)
}

/** Ends a renderer as the system does when it wants the memory. */
export async function crash(page: Page): Promise<void> {
  const session = await page.context().newCDPSession(page)
  const gone = new Promise((resolve) => page.once('crash', resolve))
  session.send('Page.crash').catch(() => undefined)
  await gone
}

function pageFile(page: BuiltPage, request: Request): Response | undefined {
  const file = page.get(new URL(request.url).pathname)
  if (request.method !== 'GET' || file === undefined) return undefined
  // A copy, because a response wants bytes of a plain buffer.
  return new Response(Uint8Array.from(file.bytes), { headers: { 'content-type': file.type } })
}
