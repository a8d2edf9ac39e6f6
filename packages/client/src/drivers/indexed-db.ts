import { SyncError } from '@holdfast/core'
import type { Database, Sqlite3Static } from '@sqlite.org/sqlite-wasm'

import { systemEnvironment } from '../system-environment.ts'
import { BlockFile, blockBytes, type FileChanges } from './block-file.ts'
import { doneOf, resultOf } from './idb-request.ts'
import { loadWasm } from './load-wasm.ts'
import { addMemoryFile, memoryFiles } from './memory-files.ts'
import type {
  DriverCapabilities,
  RunResult,
  SqliteConnection,
  SqliteDriver,
  SqlParam,
  SqlRow,
  StatementDescription,
} from './sqlite-driver.ts'
import { storeError } from './sqlite-driver.ts'
import { SynchronousConnection } from './synchronous-connection.ts'
import { wasmBinding } from './wasm-binding.ts'

/** How long opening waits for a worker that has just ended to let go of the database, ms. */
const handoverMs = 5_000

/** What of IndexedDB holds a file: its blocks by their numbers. */
const storeName = 'blocks'

/** Its size, for older apps: the blocks themselves say as much. */
const sizeKey = 'size'

/**
 * Storage in IndexedDB, for browsers and private windows without a file system of their own. The whole database is held
 * in memory; what a transaction changed is stored before it is told, all of it or nothing. One connection at a time in
 * the whole browser; a second one is STORE_LOCKED. Rules: LO-1, BR-14.
 */
export function indexedDbStorage(name: string): SqliteDriver {
  return { name: `IndexedDB ${name}`, open: () => openFile(name) }
}

/** Under which name IndexedDB has the blocks of a database. */
export function filesDatabase(name: string): string {
  return `holdfast-files:${name}`
}

async function openFile(name: string): Promise<SqliteConnection> {
  const sqlite3 = await loadWasm()
  const unlock = await lock(filesDatabase(name))
  try {
    const blocks = await openBlocks(filesDatabase(name))
    const file = await readFile(blocks)
    const path = `/${encodeURIComponent(name)}`
    const forget = addMemoryFile(sqlite3, path, file)
    const database = new sqlite3.oo1.DB({ filename: path, flags: 'c', vfs: memoryFiles })
    const close = (): void => {
      forget()
      blocks.close()
      unlock()
    }
    return new KeptConnection({ sqlite3, database, file, blocks, close })
  } catch (error) {
    unlock()
    throw asStoreError(error)
  }
}

/** Waits for the database to be nobody's. Gives the way to let go of it. */
async function lock(name: string): Promise<() => void> {
  const patience = new AbortController()
  const stopWaiting = systemEnvironment.setTimer(() => patience.abort(), handoverMs)
  const held = Promise.withResolvers<void>()
  const got = Promise.withResolvers<void>()
  navigator.locks
    .request(name, { signal: patience.signal }, () => {
      got.resolve()
      return held.promise
    })
    .catch((error: unknown) => got.reject(error))
  try {
    await got.promise
  } catch (error) {
    throw new SyncError('STORE_LOCKED', 'another worker has the database', { cause: error })
  } finally {
    stopWaiting()
  }
  return held.resolve
}

function openBlocks(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1)
  request.onupgradeneeded = () => request.result.createObjectStore(storeName)
  return resultOf(request)
}

async function readFile(blocks: IDBDatabase): Promise<BlockFile> {
  const store = blocks.transaction(storeName).objectStore(storeName)
  // Both are in the order of the keys, and numbers come before text.
  const [keys, values] = await Promise.all([resultOf(store.getAllKeys()), resultOf(store.getAll())])
  const held = new Map<number, Uint8Array>()
  let size = 0
  for (const [index, number] of keys.entries()) {
    const block: unknown = values[index]
    if (typeof number !== 'number') continue
    if (!(block instanceof Uint8Array) || block.length !== blockBytes)
      throw new SyncError('STORE_CORRUPT', `IndexedDB: block ${number} is none`)
    held.set(number, block)
    // SQLite writes whole pages, and one at the end of its file.
    size = (number + 1) * blockBytes
  }
  return new BlockFile(held, size)
}

/** All of it or nothing. `isDurable`: on the disk, not only on its way there. */
async function store(blocks: IDBDatabase, changes: FileChanges, isDurable: boolean): Promise<void> {
  const transaction = blocks.transaction(storeName, 'readwrite', {
    durability: isDurable ? 'strict' : 'relaxed',
  })
  const target = transaction.objectStore(storeName)
  const done = doneOf(transaction)
  for (const [number, block] of changes.blocks) target.put(block, number)
  for (const number of changes.removed) target.delete(number)
  target.put(changes.size, sizeKey)
  transaction.commit()
  await done
}

function asStoreError(error: unknown): SyncError {
  const isOutOfRoom = error instanceof DOMException && error.name === 'QuotaExceededError'
  return storeError(error, isOutOfRoom ? 13 : undefined)
}

interface Parts {
  readonly sqlite3: Sqlite3Static
  readonly database: Database
  readonly file: BlockFile
  readonly blocks: IDBDatabase
  readonly close: () => void
}

/**
 * A connection to a file in memory. Whenever a statement leaves no transaction open, what changed is stored before its
 * promise resolves; when that fails, the file goes back to what is stored, and SQLite sees that it did by the counter in
 * its header.
 */
class KeptConnection implements SqliteConnection {
  readonly capabilities: DriverCapabilities = { shared: false, journal: 'memory' }
  readonly #parts: Parts
  readonly #inner: SynchronousConnection
  #last: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor(parts: Parts) {
    this.#parts = parts
    const binding = wasmBinding(parts.sqlite3, parts.database, () => false)
    this.#inner = new SynchronousConnection(binding, this.capabilities)
  }

  all(sql: string, params?: readonly SqlParam[]): Promise<readonly SqlRow[]> {
    return this.#inTurn(() => this.#inner.all(sql, params))
  }

  run(sql: string, params?: readonly SqlParam[]): Promise<RunResult> {
    return this.#inTurn(() => this.#inner.run(sql, params))
  }

  exec(sql: string): Promise<void> {
    return this.#inTurn(() => this.#inner.exec(sql))
  }

  describe(sql: string): Promise<StatementDescription> {
    return this.#inTurn(() => this.#inner.describe(sql))
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#last
    await this.#inner.close()
    this.#parts.close()
  }

  /** One after the other, each with what it changed. */
  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#last.then(async () => {
      try {
        return await act()
      } finally {
        await this.#keep()
      }
    })
    this.#last = result.catch(() => undefined)
    return result
  }

  async #keep(): Promise<void> {
    const { sqlite3, database, file, blocks } = this.#parts
    if (!file.isChanged || sqlite3.capi.sqlite3_get_autocommit(database) === 0) return
    const [row] = await this.#inner.all('PRAGMA synchronous')
    try {
      await store(blocks, file.changes(), Number(row?.['synchronous']) > 1)
      file.settle()
    } catch (error) {
      file.undo()
      throw asStoreError(error)
    }
  }
}
