import type { Client } from '@holdfast/client'
import { eraseSealedBatches, openBrowserClient, type SealedToken } from '@holdfast/client/browser'
import { indexedDbSealedStore, type SealedBatch, type SendOutcome } from '@holdfast/client/service-worker'

import { shopSchema } from '../../end-to-end/shop-schema.ts'
import { photoSchema } from '../../scenarios/photo-schema.ts'

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
    /** Whether what waits is sealed, and the token that is to lie beside it, if any. */
    readonly background?: { readonly token?: SealedToken }
  }): Promise<void>
  /** Opens a database of photos that knows no server. */
  openPhotos(): Promise<void>
  /** What lies sealed in this origin. */
  sealed(): Promise<readonly SealedBatch[]>
  /** Signs out: what is sealed is removed. */
  signOut(): Promise<void>
  /** What the service worker has noted, in order. */
  reports(): Promise<readonly (readonly SendOutcome[])[]>
  /** Opened by `open`. */
  db: Client<typeof shopSchema>
  /** Opened by `openPhotos`. */
  photos: Client<typeof photoSchema>
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
    const { background } = options
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
      ...(background && { background: background.token ? { token: () => background.token ?? null } : {} }),
    })
  },
  async openPhotos() {
    const worker = (): Worker =>
      new Worker(new URL('./holdfast-worker.ts', import.meta.url), { type: 'module', name: 'photos' })
    shop.photos = await openBrowserClient({ schema: photoSchema, name: 'photos', worker })
  },
  async sealed() {
    return (await indexedDbSealedStore().list()) as readonly SealedBatch[]
  },
  async signOut() {
    await shop.db.close()
    await eraseSealedBatches('shop')
  },
  async reports() {
    const notes = await caches.open('reports')
    return Promise.all((await notes.keys()).map(async (key) => (await notes.match(key))?.json() as never))
  },
  // Set by `open`, which every test calls first.
  db: undefined as unknown as Client<typeof shopSchema>,
  photos: undefined as unknown as Client<typeof photoSchema>,
  asked: [],
  worker: undefined,
  notes: [],
}

Object.assign(globalThis, { shop })
