import { assert, type CancelTimer, SyncError } from '@holdfast/core'
import type { HostTransaction } from '../../engine.ts'
import type { Store, StoreReader, StoreSetup, StoreWriter } from '../store.ts'
import { Connection, type Durability, type OpenSqlite, openWithNode } from './connection.ts'
import { checkOwnership, prepareDatabase } from './prepare-database.ts'
import { sqliteReader } from './sqlite-reader.ts'
import { scopesSince, sqliteWriter, type ToldPosition } from './sqlite-writer.ts'

/** How `sqliteStore` keeps its file. */
export interface SqliteStoreOptions {
  /** A file path; ':memory:' for tests. */
  readonly path: string
  /** `full` (default): an answered write survives a power cut. `normal`: a power cut may take the newest ones. */
  readonly durability?: Durability
  /** How long a writer waits for a writer of another process, ms; 5,000 unless said. */
  readonly busyTimeoutMs?: number
  /** How often to look for commits of other processes, ms; 250 unless said, 0 is never. */
  readonly pollMs?: number
  /** How to open the file, such as with more SQL functions; Node's own SQLite unless said. The store closes it. */
  readonly database?: OpenSqlite
}

/**
 * A server store in one SQLite file: WAL, one writer, readers beside it. Other programs may read and write the
 * collections' tables at any time. Errors come from `open`, not from here.
 *
 * @example
 * const sync = await createServer({ schema, store: sqliteStore('stock.db'), authenticate, scopes })
 */
export function sqliteStore(options: string | SqliteStoreOptions): Store {
  return new SqliteStore(typeof options === 'string' ? { path: options } : options)
}

/** Wait between two tries for the write lock, ms: short against a person's patience, long against a commit. */
const busyRetryMs = 25

class SqliteStore implements Store {
  readonly kind = 'sqlite'
  readonly #options: Required<SqliteStoreOptions>
  readonly #writing = new Mutex()
  readonly #reading = new Mutex()
  readonly #listeners: ((scopes: readonly string[]) => void)[] = []
  readonly #told: ToldPosition = { position: 0, next: undefined }
  #writer: Connection | undefined
  #reader: Connection | undefined
  #setup: StoreSetup | undefined
  #stopPolling: CancelTimer = () => undefined

  constructor(options: SqliteStoreOptions) {
    this.#options = {
      durability: 'full',
      busyTimeoutMs: 5_000,
      pollMs: 250,
      database: openWithNode,
      ...options,
    }
  }

  async open(setup: StoreSetup): Promise<void> {
    assert(this.#writer === undefined, 'a store is opened once')
    const { path, durability, database } = this.#options
    this.#setup = setup
    const writer = new Connection({ path, durability, database })
    this.#writer = writer
    try {
      // Before WAL, which is written into the file: one that is not ours stays as it is.
      checkOwnership(writer, setup.schema)
      if (path !== ':memory:') writer.exec('PRAGMA journal_mode = WAL')
      await this.#begin(writer)
      prepareDatabase(writer, setup)
      this.#told.position = Number(writer.get('SELECT counter FROM holdfast_state')?.['counter'])
      writer.exec('COMMIT')
      if (path !== ':memory:') this.#reader = new Connection({ path, durability, database, readOnly: true })
    } catch (error) {
      this.#closeConnections()
      throw error
    }
    if (path !== ':memory:' && this.#options.pollMs > 0) this.#poll(dataVersion(writer))
  }

  write<Result>(work: (tx: StoreWriter) => Promise<Result>): Promise<Result> {
    return this.#writing.run(async () => {
      const { writer, setup } = this.#opened()
      await this.#begin(writer)
      this.#told.next = undefined
      const done = await transact(writer, async () => {
        const tx = sqliteWriter(writer, setup.schema, this.#told)
        await tx.readForeignNotes()
        const result = await work(tx)
        writer.run(
          'UPDATE holdfast_state SET engine = NULL, maker = NULL, now = NULL WHERE engine IS NOT NULL',
        )
        return result
      })
      this.#told.position = this.#told.next ?? this.#told.position
      return done
    })
  }

  async hostWrite<Result>(work: (tx: HostTransaction) => Promise<Result>): Promise<Result> {
    const done = await this.#writing.run(async () => {
      const { writer } = this.#opened()
      await this.#begin(writer)
      return transact(writer, () =>
        work({
          all: async (sql, ...values) =>
            writer.once(sql, ...values.map((value) => (typeof value === 'boolean' ? Number(value) : value))),
        }),
      )
    })
    await this.#tellForeign()
    return done
  }

  read<Result>(work: (tx: StoreReader) => Promise<Result>): Promise<Result> {
    const mutex = this.#reader ? this.#reading : this.#writing
    return mutex.run(async () => {
      const { writer, setup } = this.#opened()
      const db = this.#reader ?? writer
      db.exec('BEGIN')
      return transact(db, () => work(sqliteReader(db, setup.schema)))
    })
  }

  onForeignCommit(listener: (scopes: readonly string[]) => void): void {
    this.#listeners.push(listener)
  }

  async close(): Promise<void> {
    this.#stopPolling()
    await this.#writing.run(() => this.#reading.run(async () => this.#closeConnections()))
  }

  #opened(): { readonly writer: Connection; readonly setup: StoreSetup } {
    if (!this.#writer || !this.#setup) throw new SyncError('SERVER_CLOSING', 'the store is not open')
    return { writer: this.#writer, setup: this.#setup }
  }

  #closeConnections(): void {
    this.#reader?.close()
    this.#writer?.close()
    this.#reader = undefined
    this.#writer = undefined
  }

  /** Waits for a writer of another process without stopping this one. */
  async #begin(db: Connection): Promise<void> {
    const env = this.#setup?.env
    assert(env, 'a store is opened before it is used')
    const startedMs = env.monotonicMs()
    for (;;) {
      try {
        return db.exec('BEGIN IMMEDIATE')
      } catch (error) {
        const isBusy = error instanceof SyncError && error.code === 'STORE_BUSY'
        if (!isBusy || env.monotonicMs() - startedMs >= this.#options.busyTimeoutMs) throw error
      }
      await new Promise<void>((resolve) => {
        env.setTimer(resolve, busyRetryMs)
      })
    }
  }

  /** Behind whoever writes just now, so that nothing is told twice and nothing before its commit. */
  #tellForeign(): Promise<void> {
    return this.#writing.run(async () => {
      if (!this.#writer) return
      const { position } = this.#told
      this.#told.position = Number(
        this.#writer.get('SELECT counter FROM holdfast_state')?.['counter'] ?? position,
      )
      const scopes = scopesSince(this.#writer, position)
      for (const listener of this.#listeners) listener(scopes)
    })
  }

  /** `data_version` changes when another connection commits; our second one only reads. */
  #poll(seen: number): void {
    const { env } = this.#setup ?? {}
    assert(env, 'a store is opened before it is polled')
    this.#stopPolling = env.setTimer(() => {
      if (!this.#writer) return
      const version = this.#writer.isInTransaction ? seen : dataVersion(this.#writer)
      if (version !== seen) void this.#tellForeign()
      this.#poll(version)
    }, this.#options.pollMs)
  }
}

function dataVersion(db: Connection): number {
  return Number(db.get('PRAGMA data_version')?.['data_version'] ?? 0)
}

async function transact<Result>(db: Connection, work: () => Promise<Result>): Promise<Result> {
  try {
    const result = await work()
    db.exec('COMMIT')
    return result
  } catch (error) {
    if (db.isInTransaction) db.exec('ROLLBACK')
    throw error
  }
}

/** One at a time, in order of arrival. */
class Mutex {
  #last: Promise<unknown> = Promise.resolve()

  run<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => undefined)
    return result
  }
}
