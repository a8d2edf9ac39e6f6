import type { Database, SAHPoolUtil, Sqlite3Static } from '@sqlite.org/sqlite-wasm'
import { SyncError } from '@holdfast/core'

import { systemEnvironment } from '../system-environment.ts'
import { loadWasm, takeFault } from './load-wasm.ts'
import { refuseDamagedHeaders } from './opfs-headers.ts'
import type { SqliteConnection, SqliteDriver } from './sqlite-driver.ts'
import { storeError } from './sqlite-driver.ts'
import { SynchronousConnection } from './synchronous-connection.ts'
import { wasmBinding } from './wasm-binding.ts'

/** How long opening waits for a worker that has just ended to let go of its files, ms; and how often it looks. */
const handoverMs = 5_000
const handoverStepMs = 10

/** Files a pool has room for: the database, its log, and what SQLite writes to while it rewrites the file. */
const poolFiles = 6

/**
 * Storage in the browser's private file system, for a dedicated worker: it exists nowhere else. One connection at a time
 * in the whole browser; a second one is STORE_LOCKED. Needs no COOP or COEP headers. Rules: LO-1.
 */
export function opfsStorage(name: string): SqliteDriver {
  return {
    name: `opfs ${name}`,
    open: () => openPool(encodeURIComponent(name)),
  }
}

async function openPool(name: string): Promise<SqliteConnection> {
  const sqlite3 = await loadWasm()
  const pool = await acquire(sqlite3, name)
  try {
    const database = new pool.OpfsSAHPoolDb('/holdfast.sqlite')
    writeNoPadding(sqlite3, database)
    takeFault()
    const binding = wasmBinding(sqlite3, database, isOutOfRoom)
    // Before anything else: without shared memory SQLite reads a log only when nobody else can be there.
    binding.exec('PRAGMA locking_mode = exclusive')
    const close = (): void => {
      binding.close()
      pool.pauseVfs()
    }
    return new SynchronousConnection({ ...binding, close }, { shared: false, journal: 'wal' })
  } catch (error) {
    pool.pauseVfs()
    throw storeError(error, undefined)
  }
}

/** Takes hold of the pool's files. A worker outlives its page by moments, so that they may still be in other hands. */
async function acquire(sqlite3: Sqlite3Static, name: string): Promise<SAHPoolUtil> {
  const env = systemEnvironment
  const deadlineMs = env.monotonicMs() + handoverMs
  const options = {
    name: `holdfast-${name}`,
    directory: `.holdfast/${name}`,
    initialCapacity: poolFiles,
    verbosity: 1,
    forceReinitIfPreviouslyFailed: true,
    // Otherwise it removes every file when it cannot have one.
    preserveOnInitFailure: true,
  }
  for (;;) {
    try {
      await refuseDamagedHeaders(['.holdfast', name, '.opaque'])
      const pool = await sqlite3.installOpfsSAHPoolVfs(options)
      if (pool.isPaused()) await pool.unpauseVfs()
      await fill(pool)
      return pool
    } catch (error) {
      // The one that has them may still be writing, which makes them unreadable.
      const isHeld =
        error instanceof DOMException && /^(NoModificationAllowed|NotReadable)Error$/.test(error.name)
      if (!isHeld) throw outOfRoomOr(error)
      if (env.monotonicMs() > deadlineMs)
        throw new SyncError('STORE_LOCKED', 'another worker has the files', { cause: error })
      await new Promise<void>((resolve) => env.setTimer(resolve, handoverStepMs))
    }
  }
}

/** A worker that was killed as it made the pool left a part of it. A database that is there is opened with what it has. */
async function fill(pool: SAHPoolUtil): Promise<void> {
  try {
    await pool.reserveMinimumCapacity(poolFiles)
  } catch (error) {
    if (pool.getFileCount() > 0) return
    pool.pauseVfs()
    throw error
  }
}

let isWithoutPadding = false

/**
 * Says of the pool's files what SQLite assumes of every other file: that a write leaves the bytes beside it alone. Otherwise
 * each commit is followed in the log by padding, and one for whose padding there is no room fails although it is in the
 * log, from where the next opening takes it. Source: https://www.sqlite.org/psow.html
 */
function writeNoPadding({ capi, wasm }: Sqlite3Static, database: Database): void {
  if (isWithoutPadding) return
  isWithoutPadding = true
  const found = wasm.alloc(8)
  capi.sqlite3_file_control(database, 'main', capi.SQLITE_FCNTL_FILE_POINTER, found)
  const file = new capi.sqlite3_file(wasm.peekPtr(found))
  // The declarations lack what the structure has. All files of all pools share their methods.
  const methods = new capi.sqlite3_io_methods(Reflect.get(file, '$pMethods'))
  const traits = capi.SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN | capi.SQLITE_IOCAP_POWERSAFE_OVERWRITE
  Reflect.set(
    methods,
    '$xDeviceCharacteristics',
    wasm.installFunction('i(p)', () => traits),
  )
  methods.dispose()
  file.dispose()
  wasm.dealloc(found)
}

function outOfRoomOr(error: unknown): SyncError {
  return storeError(error, isQuota(error) ? 13 : undefined)
}

/** Whether the newest fault was that there is no room left. */
function isOutOfRoom(): boolean {
  return isQuota(takeFault())
}

function isQuota(error: unknown): boolean {
  if (error instanceof DOMException) return error.name === 'QuotaExceededError'
  // What the pool says of a write that was taken in part only.
  return error instanceof Error && error.message.includes('Unknown write() failure')
}
