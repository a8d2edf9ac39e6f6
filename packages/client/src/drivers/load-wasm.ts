import { type Sqlite3Static, default as loadSqlite } from '@sqlite.org/sqlite-wasm'

import { storeError } from './sqlite-driver.ts'

/** Fetches and compiles SQLite, once; it can be had ahead of the first opening. Errors: STORE_FAILED. */
export function loadWasm(): Promise<Sqlite3Static> {
  loading ??= load().catch((error: unknown) => {
    // Offline, perhaps: the next one tries again.
    loading = undefined
    throw storeError(error, undefined)
  })
  return loading
}

let loading: Promise<Sqlite3Static> | undefined

let fault: unknown

/**
 * The newest thing that went wrong in the browser's file system since the last call, which SQLite itself only tells as a
 * failure to read or write.
 */
export function takeFault(): unknown {
  const newest = fault
  fault = undefined
  return newest
}

function load(): Promise<Sqlite3Static> {
  const config = {
    // The other file systems of the build fetch a worker of their own, and need headers that nobody has to send.
    disable: { vfs: { opfs: true, 'opfs-vfs': true, 'opfs-wl': true, kvvfs: true } },
    error: (_pool: unknown, error: unknown) => {
      fault = error
    },
    warn: () => undefined,
    log: () => undefined,
    debug: () => undefined,
  }
  // The way this build takes its configuration. Source: https://sqlite.org/wasm/doc/trunk/api-index.md
  Object.assign(globalThis, { sqlite3ApiConfig: config })
  return loadSqlite()
}
