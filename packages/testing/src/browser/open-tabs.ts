import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Page } from 'playwright'

import { openShop, type Shop } from '../end-to-end/serve-shop.ts'
import { type BuiltPage, buildPage } from './build-page.ts'
import { type OpenChromium, openChromium } from './open-chromium.ts'
import type { ShopPage } from './page/main.ts'

declare global {
  // What the page of the tests puts there.
  var shop: ShopPage
}

/** A shop that serves its page as well. */
export interface GivenShop {
  readonly shop: Shop
  close(): Promise<void>
}

/** A shop, its page, and a browser to open it in. */
export interface Tabs extends GivenShop {
  readonly chromium: OpenChromium
  /** Opens the page in a new tab. */
  tab(options?: Parameters<ShopPage['open']>[0]): Promise<Page>
}

let built: Promise<BuiltPage> | undefined

/** Opens a shop of its own, on an origin of its own, with its page. */
export async function givenShop(): Promise<GivenShop> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-tabs-'))
  built ??= buildPage(join(import.meta.dirname, 'page'), join(folder, 'page'))
  const page = await built
  const shop = await openShop({ path: join(folder, 'server.db') })
  shop.tamper.before = (request) => pageFile(page, request)
  const close = async (): Promise<void> => {
    await shop.close()
    rmSync(folder, { recursive: true, force: true })
  }
  return { shop, close }
}

/** Opens a shop and a browser. */
export async function openTabs(): Promise<Tabs> {
  const given = await givenShop()
  const { shop } = given
  const chromium = await openChromium()
  return {
    shop,
    chromium,
    async tab(options) {
      const opened = await chromium.context.newPage()
      await opened.goto(shop.url)
      await opened.waitForFunction(() => 'shop' in globalThis)
      await opened.evaluate((given) => globalThis.shop.open(given), options)
      return opened
    },
    async close() {
      await chromium.close()
      await given.close()
    },
  }
}

/** A file of the page, if that is what was asked for. */
export function pageFile(page: BuiltPage, request: Request): Response | undefined {
  const file = page.get(new URL(request.url).pathname)
  if (request.method !== 'GET' || file === undefined) return undefined
  // A copy, because a response wants bytes of a plain buffer.
  return new Response(Uint8Array.from(file.bytes), { headers: { 'content-type': file.type } })
}
