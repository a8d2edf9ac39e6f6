import { hasIndexedDb, indexedDbStorage } from './indexed-db.ts'
import { opfsStorage } from './opfs.ts'
import type { SqliteDriver } from './sqlite-driver.ts'

/**
 * The best storage this worker has: the browser's private file system, or IndexedDB where a browser or a private window
 * gives none. A database stays where it was first made. Rules: BR-14.
 */
export async function browserStorage(name: string): Promise<SqliteDriver> {
  const isThere = await hasIndexedDb(name)
  return isThere || !(await hasFileSystem()) ? indexedDbStorage(name) : opfsStorage(name)
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
