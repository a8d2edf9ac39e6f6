import { type Client, openClient, systemEnvironment } from '@holdfast/client'
import type { Environment } from '@holdfast/core'
import { sqliteStorage } from '@holdfast/client/node'

import { shopSchema } from './shop-schema.ts'

/** The shop's database on a device. */
export type ShopClient = Client<typeof shopSchema>

/** How a device is opened. */
export interface DeviceOptions {
  readonly path: string
  readonly url: string
  /** The token, or how to get one. */
  readonly auth: string | (() => string | null | Promise<string | null>)
  readonly fetch?: (request: Request) => Promise<Response>
  /** The system's unless said. */
  readonly env?: Environment
  /** `full` unless said: what was acknowledged survives a power cut. */
  readonly durability?: 'full' | 'fast'
  /** Whether it syncs by itself, as apps do. */
  readonly isLive?: boolean
}

/** A real device: its own file, real HTTP; it syncs when a test says so, unless it is live. */
export function openDevice(options: DeviceOptions): Promise<ShopClient> {
  const { path, url, auth, fetch, durability = 'full', isLive = false, env = systemEnvironment } = options
  return openClient({
    schema: shopSchema,
    storage: sqliteStorage(path),
    server: url,
    auth,
    durability,
    env: fetch === undefined ? env : { ...env, fetch },
    sync: { auto: isLive },
  })
}

/** Every row of the shop as one device sees it, in one order, without what only that device knows. */
export async function rowsOfDevice(db: ShopClient): Promise<Record<string, unknown[]>> {
  const rows: Record<string, unknown[]> = {}
  for (const name of ['shelves', 'items', 'codes'] as const) {
    rows[name] = (await db.query((q) => q.selectFrom(name).selectAll().orderBy('id'))).map(
      ({ _created_at, _updated_at, _state, ...row }) => row,
    )
  }
  return rows
}
