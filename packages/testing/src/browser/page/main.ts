import type { Client } from '@holdfast/client'
import { openBrowserClient } from '@holdfast/client/browser'

import { shopSchema } from '../../end-to-end/shop-schema.ts'

/** What tests find in the page. */
export interface ShopPage {
  /** Opens the shop's database; the page is then one of its tabs. */
  open(options?: {
    readonly user?: string
    readonly auto?: boolean
    readonly account?: string
    readonly server?: boolean
    readonly name?: string
    /** Of the schema. */
    readonly version?: number
    /** As in a browser that has a file system, unless said. */
    readonly hasFiles?: boolean
  }): Promise<void>
  /** Opened by `open`. */
  db: Client<typeof shopSchema>
  /** Why tokens were asked for in this page. */
  readonly asked: string[]
  /** The worker of the page while it has one. */
  worker: Worker | undefined
  /** Whatever a test wants to find again. */
  readonly notes: unknown[]
}

const shop: ShopPage = {
  async open(options = {}) {
    const { user = 'ann', auto = false, account, server = true, name = 'shop', version = 1 } = options
    shop.db = await openBrowserClient({
      schema: { ...shopSchema, version },
      name,
      worker: () => {
        const worker = new Worker(new URL('./holdfast-worker.ts', import.meta.url), {
          type: 'module',
          name: `${version} ${options.hasFiles === false ? 'without-files' : ''}`,
        })
        shop.worker = worker
        return worker
      },
      ...(server && { server: location.origin }),
      ...(account !== undefined && { account }),
      auth: ({ reason }) => {
        shop.asked.push(reason)
        return user
      },
      sync: { auto },
    })
  },
  // Set by `open`, which every test calls first.
  db: undefined as unknown as Client<typeof shopSchema>,
  asked: [],
  worker: undefined,
  notes: [],
}

Object.assign(globalThis, { shop })
