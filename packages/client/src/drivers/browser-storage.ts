import { SyncError } from '@holdfast/core'

import { resultOf } from './idb-request.ts'
import { filesDatabase, indexedDbStorage } from './indexed-db.ts'
import { opfsStorage } from './opfs.ts'
import type { SqliteDriver } from './sqlite-driver.ts'

/**
 * The best storage this worker has: the browser's private file system, or IndexedDB where a browser or a private window
 * gives none. A database stays where it was first made. Errors: STORE_FAILED where that is the file system, and it cannot
 * be had now. Rules: BR-14.
 */
export async function browserStorage(name: string): Promise<SqliteDriver> {
  const known = await knownDatabases()
  if (known.has(filesDatabase(name))) return indexedDbStorage(name)
  // An empty one: IndexedDB goes together with the file system, and can tell of it when that is refused.
  const note = `holdfast-opfs:${name}`
  if (await hasFileSystem()) {
    if (!known.has(note)) await make(note).catch(() => undefined)
    return opfsStorage(name)
  }
  if (known.has(note))
    throw new SyncError(
      'STORE_FAILED',
      'the file system that has the database is not given by the browser now',
    )
  return indexedDbStorage(name)
}

/** Names of the databases of this origin in IndexedDB. Browsers that cannot tell have none. */
async function knownDatabases(): Promise<ReadonlySet<string | undefined>> {
  const known = await indexedDB.databases?.().catch(() => [])
  return new Set(known?.map(({ name }) => name))
}

async function make(database: string): Promise<void> {
  const made = await resultOf(indexedDB.open(database))
  made.close()
}

/** Whether files can be had that are read and written at once. */
async function hasFileSystem(): Promise<boolean> {
  if (!('FileSystemFileHandle' in globalThis)) return false
  if (!('createSyncAccessHandle' in FileSystemFileHandle.prototype)) return false
  try {
    await navigator.storage.getDirectory()
    return true
  } catch {
    return false
  }
}
