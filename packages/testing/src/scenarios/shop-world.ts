import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { type Client, type ClientOptions, openClient, type SqliteDriver } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import {
  collection,
  counter,
  decimal,
  defineSchema,
  type Field,
  reference,
  type Schema,
  set,
  text,
  type Values,
} from '@holdfast/core'

import { createFakeServer, type FakeServer, type FakeServerOptions } from '../fake-server/fake-server.ts'
import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'

/** A shop: shelves, and items that lie on them, in scopes by warehouse. */
export type ShopSchema = Schema<{
  readonly shelves: { readonly label: Field<string, true>; readonly wh: Field<string, false> }
  readonly items: {
    readonly name: Field<string, true>
    readonly stock: Field<number, false>
    readonly price: Field<string | null, false>
    readonly note: Field<string | null, false>
    readonly tags: Field<readonly string[], false>
    readonly shelf: Field<string | null, false>
    readonly wh: Field<string, false>
  }
}>

/** The schema of the shop. */
export const shopSchema: ShopSchema = defineSchema({
  version: 1,
  collections: {
    shelves: collection({ fields: { label: text(), wh: text({ default: 'w1' }) }, scope: 'w:{wh}' }),
    items: collection({
      fields: {
        name: text(),
        stock: counter(),
        price: decimal({ optional: true }),
        note: text({ optional: true, merge: 'latest' }),
        tags: set(text()),
        shelf: reference('shelves', { optional: true }),
        wh: text({ default: 'w1' }),
      },
      scope: 'w:{wh}',
    }),
  },
})

/** A shop's database on a device. */
export type ShopClient = Client<ShopSchema>

/** A server and as many devices as a test wants, all on one virtual clock. */
export interface ShopWorld {
  readonly env: VirtualEnvironment
  readonly server: FakeServer
  /** Opens a device; it syncs when told to, unless `sync.auto` is set. */
  open(options?: DeviceOptions): Promise<ShopClient>
  /** One cycle, as long as it takes. */
  sync(db: ShopClient): ReturnType<ShopClient['sync']['now']>
  /** A path for a database file that goes with the world. */
  path(name: string): string
  /** Closes what is open and removes the files. */
  close(): Promise<void>
}

/** How a device differs from a fresh one of ann in memory. */
export interface DeviceOptions {
  readonly user?: string
  readonly storage?: SqliteDriver
  readonly auto?: boolean
  readonly auth?: ClientOptions<Schema>['auth']
  readonly logger?: ClientOptions<Schema>['logger']
}

/** An item but for its name. */
export const item: Values = { stock: 0, price: null, note: null, tags: [], shelf: null, wh: 'w1' }

/** The nth id, in the order of n. */
export function idOf(n: number): string {
  return `00000000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`
}

/** Somebody else writes so many items, from the nth on. */
export function givenItems({ server }: ShopWorld, count: number, wh = 'w1', from = 0): void {
  for (let n = from; n < from + count; n++) server.write('items', idOf(n), { ...item, name: `item ${n}`, wh })
}

/** Makes a world. Ann and bob see warehouse one. */
export function createShopWorld(
  options: Partial<FakeServerOptions> & { readonly seed?: number } = {},
): ShopWorld {
  const env = createVirtualEnvironment({ seed: options.seed ?? 1 })
  const scopes = { ann: ['w:w1'], bob: ['w:w1'] }
  const server = createFakeServer({ schema: shopSchema, env, scopes, ...options })
  env.connect(server.fetch)
  const clients: ShopClient[] = []
  let folder: string | undefined
  return {
    env,
    server,
    open: async (device = {}) => {
      const db = await openClient({
        schema: shopSchema,
        storage: device.storage ?? sqliteStorage(':memory:'),
        server: 'https://shop.example',
        auth: device.auth ?? device.user ?? 'ann',
        env,
        // Nothing here pulls the plug; what a process leaves behind is there all the same.
        durability: 'fast',
        sync: { auto: device.auto ?? false },
        logger: device.logger,
      })
      clients.push(db)
      return db
    },
    sync: (db) => env.complete(db.sync.now()),
    path: (name) => {
      folder ??= mkdtempSync(join(tmpdir(), 'holdfast-'))
      return join(folder, name)
    },
    close: async () => {
      for (const db of clients) await settled(env, db.close())
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A device that was killed never closes; nothing else keeps one from closing at once. */
async function settled(env: VirtualEnvironment, closing: Promise<void>): Promise<void> {
  closing.catch(() => undefined)
  await env.settle()
}

/** Items as a device shows them: the fields, and what became of their mutations. */
export async function itemsOf(db: ShopClient): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const rows = await db.query((q) =>
    q
      .selectFrom('items')
      .select(['id', 'name', 'stock', 'price', 'note', '_state'])
      .orderBy('name')
      .orderBy('id'),
  )
  return rows.map((row) => ({ ...row }))
}
