import { isObject, newUuid } from '@holdfast/core'

import type { LocalDatabase } from '../local/local-database.ts'
import { readMeta, writeMeta } from '../local/meta.ts'
import type { StorageLoss } from '../status/sync-status.ts'
import { systemEnvironment } from '../system-environment.ts'
import type { KnownStore } from './tab-messages.ts'

/** What is known of the storage under a database. */
export interface StoreReport {
  /** Made with the database: another one means that it is another database. */
  readonly store: string
  /** Whether the browser has promised not to remove it by itself. */
  readonly isPersistent: boolean
  readonly loss: StorageLoss | null
}

/**
 * Finds out whether the database is the one a page knew. A loss is remembered in the new database, so that every tab of
 * every later visit can tell of it. Rules: BR-12.
 */
export async function reportStore(database: LocalDatabase, known: KnownStore | null): Promise<StoreReport> {
  const isPersistent = await navigator.storage.persisted().catch(() => false)
  return database.write(async (tx) => {
    const remembered = await readMeta(tx, 'sync.store')
    const store = typeof remembered === 'string' ? remembered : newUuid(systemEnvironment)
    if (store !== remembered) await writeMeta(tx, 'sync.store', store)
    const noted = parseLoss(await readMeta(tx, 'sync.loss'))
    // A page that waited long may still speak of a database whose loss was noted by another.
    if (known === null || known.store === store || known.store === noted?.store)
      return { store, isPersistent, loss: noted }
    const noticedAt = new Date(systemEnvironment.now()).toISOString()
    const loss: StorageLoss = { store: known.store, unsentCount: known.unsentCount, noticedAt }
    await writeMeta(tx, 'sync.loss', JSON.stringify(loss))
    return { store, isPersistent, loss }
  })
}

function parseLoss(text: unknown): StorageLoss | null {
  if (typeof text !== 'string') return null
  const loss: unknown = JSON.parse(text)
  if (!isObject(loss)) return null
  const { store, unsentCount, noticedAt } = loss
  return { store: String(store), unsentCount: Number(unsentCount), noticedAt: String(noticedAt) }
}
