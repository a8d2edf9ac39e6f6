import { assert, type CancelTimer, SyncError } from '@holdfast/core'
import type { Pool, PoolClient } from 'pg'
import type { HostTransaction } from '../../engine.ts'
import type { Store, StoreReader, StoreSetup, StoreWriter, WriteOptions } from '../store.ts'
import { ConstraintError } from '../store-errors.ts'
import { Naming, type TableMappings } from './columns.ts'
import { beginWrite, Connection, RaceLost, translate } from './connection.ts'
import { type Driver, driver, openPool } from './driver.ts'
import { escrowQueries, escrowStatements } from './escrow.ts'
import { eventQueries, eventStatements } from './events.ts'
import { readKeyNumbers } from './key-numbers.ts'
import { carryOut } from './migrate.ts'
import { checkMigrated, isMigrated } from './migration/state.ts'
import { deviceQueries, type ReadOptions } from './read-devices.ts'
import { decisionQueries } from './read-decisions.ts'
import { digestQueries } from './read-digests.ts'
import { historyQueries } from './read-history.ts'
import { Paced } from './paced.ts'
import { pageQueries } from './read-pages.ts'
import { recordQueries, type Tables } from './read-records.ts'
import { receiptQueries, receiptStatements } from './receipts.ts'
import { ledgerStatements } from './write-ledger.ts'
import { recordStatements } from './write-records.ts'
import { NotesWaiting, readAllNotes, readNotes } from './write-unique.ts'
import { openListener, openRedisChannel, type WakeChannel } from './wake-channel.ts'

/** How `postgresStore` reaches its database. */
export interface PostgresStoreOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly url: string
  /** Tables and columns that are called otherwise than collections and fields. */
  readonly tables?: TableMappings
  /**
   * Whether `open` adds what the schema needs. Otherwise it only checks, and `holdfast migrate` prints and runs the plan.
   */
  readonly migrate?: boolean
  /** Connections at most; 10 unless said. */
  readonly connections?: number
  /** How long a write waits for a row that another transaction holds, ms; 4,000 unless said. */
  readonly lockTimeoutMs?: number
  /** How often to look for commits of other programs, ms; 250 unless said, 0 is never. Nodes also wake each other. */
  readonly pollMs?: number
  /** Set to false behind a pooler that shares sessions between transactions and keeps no prepared statements. */
  readonly preparedStatements?: boolean
  /**
   * How nodes wake each other: by NOTIFY at `url` unless said. Behind a pooler, which gives nobody a session of its own, the
   * address `postgres://…` of the database itself, or `redis://…` for pub/sub, which needs the package `ioredis`; or false:
   * other nodes are then noticed by polling alone.
   */
  readonly listen?: boolean | string
}

/**
 * A server store in a PostgreSQL database (14 or newer), beside the host's own tables. Any number of processes may use
 * one database, and any other program may write to the collections' tables. Needs the package `pg`.
 * Errors come from `open`, not from here.
 *
 * @example
 * const sync = await createServer({ schema, store: postgresStore(process.env.DATABASE_URL), authenticate, scopes })
 */
export function postgresStore(options: string | PostgresStoreOptions): Store {
  return new PostgresStore(typeof options === 'string' ? { url: options } : options)
}

/** A transaction that lost a race is decided again so many times, each after a longer wait. */
const attempts = 12
const firstWaitMs = 4
/** How long a brief transaction waits for what another one holds, ms; one that only commits is through in less. */
const briefMs = 50
/**
 * At most one wake-up of the other nodes in this time, ms: each takes a lock of the whole database at its commit. And at most
 * one look for what others have moved.
 */
const wakeEveryMs = 5
/** How long after its position a commit may be seen and is still told, ms. */
const lookBackMs = 2_000

interface Opened {
  readonly pool: Pool
  readonly setup: StoreSetup
  readonly tables: Tables
}

class PostgresStore implements Store {
  readonly kind = 'postgres'
  readonly #options: Required<PostgresStoreOptions>
  readonly #listeners: ((scopes: readonly string[]) => void)[] = []
  readonly #told = new Map<string, number>()
  /** Transactions of this process, which told of them itself, and when. */
  readonly #own = new Map<number, number>()
  /** The newest position, as often as was looked, for the length of `lookBackMs`. */
  readonly #marks: { readonly atMs: number; readonly position: number }[] = []
  #opened: Opened | undefined
  #channel: WakeChannel | undefined
  #stopPolling: CancelTimer = () => undefined
  /** Wake-ups of the other nodes after commits, never from a trigger. */
  #waking: Paced | undefined
  /** Looks for what others have moved. */
  #looking: Paced | undefined
  /** Transactions that read what other programs noted, more than one of the writes does. */
  #noting: Promise<void> | undefined
  #isClosed = false

  constructor(options: PostgresStoreOptions) {
    this.#options = {
      tables: {},
      migrate: false,
      connections: 10,
      lockTimeoutMs: 4_000,
      pollMs: 250,
      preparedStatements: true,
      listen: true,
      ...options,
    }
  }

  async open(setup: StoreSetup): Promise<void> {
    assert(this.#opened === undefined, 'a store is opened once')
    const { url, connections, tables, migrate } = this.#options
    const pg = driver()
    const pool = openPool(pg, url, connections)
    const naming = new Naming(tables)
    const prepared = { schema: setup.schema, naming }
    this.#opened = { pool, setup, tables: { ...prepared, keys: new Map() } }
    try {
      await this.#use(async (db) => {
        if (!migrate) return checkMigrated(db, prepared)
        if (!(await isMigrated(db, prepared))) await carryOut(db, prepared)
      })
      const keys = await this.#use((db) => readKeyNumbers(db, setup.schema))
      this.#opened = { pool, setup, tables: { ...prepared, keys } }
      const { head, epoch } = await this.read((tx) => tx.state())
      this.#marks.push({ atMs: setup.env.monotonicMs(), position: head })
      const paced = (run: () => Promise<void>): Paced =>
        new Paced({ env: setup.env, everyMs: wakeEveryMs, run })
      this.#looking = paced(() => this.#tellMoved())
      const channel = await this.#openChannel(pg, epoch)
      this.#waking = channel && paced(() => channel.send())
      this.#channel = channel
    } catch (error) {
      this.#opened = undefined
      await pool.end()
      throw error
    }
    if (this.#options.pollMs > 0) this.#poll()
  }

  async write<Result>(
    work: (tx: StoreWriter) => Promise<Result>,
    { isBrief = false }: WriteOptions = {},
  ): Promise<Result> {
    const { lockTimeoutMs } = this.#options
    const waitMaxMs = isBrief ? Math.min(briefMs, lockTimeoutMs) : lockTimeoutMs
    const result = await this.#untilWon(() => this.#use((db) => this.#transact(db, work, waitMaxMs)))
    void this.#waking?.ask()
    return result
  }

  async hostWrite<Result>(work: (tx: HostTransaction) => Promise<Result>): Promise<Result> {
    const begin = beginWrite(this.#options.lockTimeoutMs)
    // Texts of the host are not kept: there may be any number of them.
    const result = await this.#untilWon(() =>
      this.#use(
        (db) => db.transact(begin, () => work({ all: (sql, ...values) => db.all(sql, ...values) })),
        false,
      ),
    )
    void this.#waking?.ask()
    await this.#looking?.ask()
    return result
  }

  /** A transaction that loses a race is done again, each time after a longer wait. */
  async #untilWon<Result>(transact: () => Promise<Result>): Promise<Result> {
    const { env } = this.#ready().setup
    for (let attempt = 1; ; attempt++) {
      try {
        return await transact()
      } catch (error) {
        if (!(error instanceof RaceLost)) throw error
        if (error instanceof NotesWaiting) await this.#untilNoted()
        // It was no other writer, but a row or trigger of the host that is in the way each time.
        if (attempt === attempts && error.cause instanceof ConstraintError) throw error.cause
        if (attempt === attempts)
          throw new SyncError('STORE_BUSY', 'other writers were faster each time', { cause: error })
      }
      const waitMs = firstWaitMs * 2 ** Math.min(attempt, 6) * env.random()
      await new Promise<void>((resolve) => {
        env.setTimer(resolve, waitMs)
      })
    }
  }

  /**
   * Waits as long as for a lock until what other programs wrote is read: one batch in each transaction, once for all who wait.
   * It is read on for those who come again. Errors: STORE_BUSY.
   */
  async #untilNoted(): Promise<void> {
    const { env } = this.#ready().setup
    this.#noting ??= this.#readNotes().finally(() => {
      this.#noting = undefined
    })
    let cancel: CancelTimer = () => undefined
    const tooLong = new Promise<never>((_resolve, reject) => {
      cancel = env.setTimer(() => {
        reject(new SyncError('STORE_BUSY', 'what other programs wrote is still being read'))
      }, this.#options.lockTimeoutMs)
    })
    await Promise.race([this.#noting, tooLong]).finally(() => {
      cancel()
    })
  }

  async #readNotes(): Promise<void> {
    const begin = beginWrite(this.#options.lockTimeoutMs)
    const { tables } = this.#ready()
    await readAllNotes((after) =>
      this.#untilWon(() => this.#use((db) => db.transact(begin, () => readNotes(db, tables, after)))),
    )
  }

  read<Result>(work: (tx: StoreReader) => Promise<Result>): Promise<Result> {
    return this.#use((db) => db.look(() => work(readerOf(db, this.#ready().tables, { locks: false }))))
  }

  onForeignCommit(listener: (scopes: readonly string[]) => void): void {
    this.#listeners.push(listener)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#stopPolling()
    // A hint that hangs ends with its channel.
    void this.#waking?.stop()
    await this.#looking?.stop()
    await this.#noting?.catch(() => undefined)
    await this.#channel?.close()
    await this.#opened?.pool.end()
    this.#opened = undefined
  }

  #ready(): Opened {
    if (!this.#opened || this.#isClosed) throw new SyncError('SERVER_CLOSING', 'the store is not open')
    return this.#opened
  }

  async #use<Result>(
    work: (db: Connection) => Promise<Result>,
    prepares = this.#options.preparedStatements,
  ): Promise<Result> {
    const { pool } = this.#ready()
    let client: PoolClient
    try {
      client = await pool.connect()
    } catch (error) {
      throw translate(error)
    }
    let isBroken = false
    const onError = (): void => {
      isBroken = true
    }
    client.on('error', onError)
    try {
      return await work(new Connection(client, prepares))
    } finally {
      client.removeListener('error', onError)
      client.release(isBroken)
    }
  }

  #transact<Result>(
    db: Connection,
    work: (tx: StoreWriter) => Promise<Result>,
    waitMaxMs: number,
  ): Promise<Result> {
    const { tables } = this.#ready()
    return db.transact(beginWrite(waitMaxMs), async () => {
      const records = recordStatements(db, tables, (transaction) =>
        this.#own.set(transaction, this.#ready().setup.env.monotonicMs()),
      )
      const tx: StoreWriter = {
        ...readerOf(db, tables, { locks: true }),
        ...ledgerStatements(db),
        ...receiptStatements(db),
        ...eventStatements(db),
        ...escrowStatements(db),
        ...records,
      }
      const noting = records.readForeignNotes()
      // Whoever needs unique keys waits for it; a failure is told by the transaction as well.
      noting.catch(() => undefined)
      const result = await work(tx)
      await records.settled()
      return result
    })
  }

  async #openChannel(pg: Driver, epoch: string): Promise<WakeChannel | undefined> {
    const { listen, url } = this.#options
    if (listen === false) return undefined
    const options = { env: this.#ready().setup.env, onWake: () => void this.#looking?.ask() }
    if (typeof listen === 'string' && /^rediss?:/.test(listen))
      return openRedisChannel(listen, `holdfast:${epoch}`, options)
    const notify = (sql: string): Promise<void> => this.#use((db) => db.exec(sql))
    return openListener(pg, listen === true ? url : listen, notify, options)
  }

  #poll(): void {
    const { env } = this.#ready().setup
    this.#stopPolling = env.setTimer(() => {
      if (this.#isClosed) return
      void this.#looking?.ask().then(() => {
        if (!this.#isClosed) this.#poll()
      })
    }, this.#options.pollMs)
  }

  /** Told is what others moved since the last time. The next look finds what this one could not. */
  async #tellMoved(): Promise<void> {
    const scopes = await this.#readMoved().catch(() => [])
    if (scopes.length > 0) for (const listener of this.#listeners) listener(scopes)
  }

  /**
   * A position may be seen after a later one while its transaction commits, so that the last moments are read again. What
   * takes longer is noticed by the devices' own timers: a hint, not the feed.
   */
  async #readMoved(): Promise<readonly string[]> {
    const nowMs = this.#ready().setup.env.monotonicMs()
    while ((this.#marks[1]?.atMs ?? nowMs) < nowMs - lookBackMs) this.#marks.shift()
    for (const [transaction, atMs] of this.#own)
      if (atMs < nowMs - 5 * lookBackMs) this.#own.delete(transaction)
    const after = this.#marks[0]?.position ?? 0
    const rows = await this.#use((db) =>
      db.all(
        `SELECT s.scope, max(s.position) AS position, max(s.position) FILTER (WHERE s.tx <> ALL($2::bigint[])) AS foreign_position
         FROM holdfast.stamps s WHERE s.position > $1 GROUP BY s.scope`,
        after,
        [...this.#own.keys()],
      ),
    )
    const moved = rows.filter(
      (row) => Number(row['foreign_position'] ?? 0) > (this.#told.get(String(row['scope'])) ?? after),
    )
    for (const row of moved) this.#told.set(String(row['scope']), Number(row['foreign_position']))
    for (const [scope, position] of this.#told) if (position <= after) this.#told.delete(scope)
    this.#marks.push({
      atMs: nowMs,
      position: Math.max(after, ...rows.map((row) => Number(row['position']))),
    })
    return moved.map((row) => String(row['scope']))
  }
}

function readerOf(db: Connection, tables: Tables, options: ReadOptions): StoreReader {
  return {
    ...deviceQueries(db, options),
    ...recordQueries(db, tables, options),
    ...decisionQueries(db, tables, options),
    ...pageQueries(db, tables),
    ...digestQueries(db, tables),
    ...historyQueries(db),
    ...receiptQueries(db),
    ...eventQueries(db),
    ...escrowQueries(db, options),
  }
}
