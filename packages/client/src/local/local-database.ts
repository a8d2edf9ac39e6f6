import { type CancelTimer, type Environment, limits, SyncError, type Verdict } from '@holdfast/core'

import type {
  RunResult,
  SqliteConnection,
  SqlParam,
  SqlRow,
  StatementDescription,
} from '../drivers/sqlite-driver.ts'

/** Which rows a committed transaction touched: table name to record ids, or to 'all' when they were not counted. */
export type TouchedRows = ReadonlyMap<string, ReadonlySet<string> | 'all'>

/** What a committed transaction did, as far as anybody outside it wants to know. */
export interface Touched {
  readonly tables: TouchedRows
  /** Verdicts that became known, by mutation id. */
  readonly verdicts: ReadonlyMap<string, KnownVerdict>
}

/** What the device knows of the verdict on one of its mutations. */
export interface KnownVerdict {
  /** `nothing`: it left the outbox without being sent, because it was discarded. */
  readonly status: Exclude<Verdict, 'held' | 'retry'> | 'nothing'
  /** Version of the record with the mutation in it; null when it had no effect or is not known. */
  readonly version: number | null
  readonly error?: { readonly code: string; readonly message: string }
}

/** Reads inside a transaction: everything it returns belongs to one state of the database. */
export interface LocalReader {
  all(sql: string, params?: readonly SqlParam[]): Promise<readonly SqlRow[]>
}

/** A reader that can also ask what a statement would read. */
export interface LocalDescriber extends LocalReader {
  describe(sql: string): Promise<StatementDescription>
}

/** A transaction that writes. Nothing may be awaited inside it but itself. */
export interface LocalTransaction extends LocalDescriber {
  run(sql: string, params?: readonly SqlParam[]): Promise<RunResult>
  /** Several statements without parameters; none of them may end the transaction. */
  exec(sql: string): Promise<void>
  /** Says that a row was changed, so that live queries see it; 'all' when counting would cost too much. */
  touch(table: string, id: string): void
  /** Says that a verdict became known, so that whoever waits for it is told after the commit. */
  announce(mutation: string, verdict: KnownVerdict): void
}

/** How a transaction is to run. */
export interface WriteOptions {
  /** The lease this transaction needs; checked inside, LEASE_LOST when another has it now. */
  readonly fence?: number
  /**
   * Synced to the disk before the promise resolves, even with `durability: 'fast'`; false: not waited for, even with `'full'`,
   * because a power cut that undoes it ends everything it is about.
   */
  readonly durable?: boolean
  /** May share its commit with neighbours that say so too; each is still undone alone when it throws. */
  readonly share?: boolean
}

/** Whoever runs transactions: the database, or what stands before it for one caller. */
export type TransactionRunner = Pick<LocalDatabase, 'read' | 'write' | 'all' | 'onCommit'>

/** `full`: a commit that returned survives power loss. `fast`: it survives the death of the process. */
export type Durability = 'full' | 'fast'

/** Writes that share one commit at most: bounds how long the first of them waits. */
const shareMax = 100

interface Job {
  readonly options: WriteOptions & { readonly mode: 'bare' | 'read' | 'write' }
  readonly fn: (tx: Transaction) => Promise<unknown>
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

/**
 * The device's database: one connection and one queue. Transactions run one after the other in the order they were
 * asked for, and reads wait for the one in progress, so nobody sees half of one. Calling `read`, `write` or `all` of
 * the database from inside a transaction waits for that transaction and so for ever: use its `tx`. Rules: LO-2 to LO-5.
 */
export class LocalDatabase {
  readonly #connection: SqliteConnection
  readonly #durability: Durability
  readonly #setTimer: Environment['setTimer']
  readonly #listeners = new Set<(touched: Touched) => void>()
  /** Those that are told of other processes as well. */
  readonly #followers = new Set<(touched: Touched) => void>()
  #cancelLook: CancelTimer = () => undefined
  /** Of the looks that count: those that were begun for followers who have gone do not. */
  #looks = 0
  readonly #queue: Job[] = []
  #isFull: boolean
  #isBusy = false
  #isClosed = false
  #needsRollback = false
  #draining: Promise<void> = Promise.resolve()
  /** Commits of this connection by the tables they touched. */
  readonly #commitCounts = new Map<string, number>()

  constructor(connection: SqliteConnection, durability: Durability, env: Pick<Environment, 'setTimer'>) {
    this.#connection = connection
    this.#setTimer = (callback, delayMs) => env.setTimer(callback, delayMs)
    this.#durability = durability
    this.#isFull = durability === 'full'
  }

  /** One state of the database for everything `fn` reads. */
  read<T>(fn: (tx: LocalReader) => Promise<T>): Promise<T> {
    return this.#enqueue({ mode: 'read' }, fn)
  }

  /** All of what `fn` writes or nothing; resolves after the commit. Whatever `fn` throws is thrown after the rollback. */
  write<T>(fn: (tx: LocalTransaction) => Promise<T>, options: WriteOptions = {}): Promise<T> {
    return this.#enqueue({ ...options, mode: 'write' }, fn)
  }

  /** One statement that reads, outside any transaction but never in the middle of one. */
  all(sql: string, params: readonly SqlParam[] = []): Promise<readonly SqlRow[]> {
    return this.ask(() => ({ sql, params }))
  }

  /** The same for a statement that depends on what was committed before its turn came. */
  async ask(
    make: () => { readonly sql: string; readonly params: readonly SqlParam[] },
  ): Promise<readonly SqlRow[]> {
    const run = (reader: Pick<LocalReader, 'all'>): Promise<readonly SqlRow[]> => {
      const { sql, params } = make()
      return reader.all(sql, params)
    }
    if (this.#isBusy || this.#isClosed || this.#needsRollback) return this.#enqueue({ mode: 'bare' }, run)
    this.#isBusy = true
    try {
      return await run(this.#connection)
    } finally {
      this.#isBusy = false
      if (this.#queue.length > 0) this.#draining = this.#drain()
    }
  }

  /**
   * A mark that is another one once a commit has touched `table`, whichever process made it. It may change for nothing.
   * Rules: LO-14.
   */
  async markOf(table: string): Promise<string> {
    return `${this.#commitCounts.get(table) ?? 0}.${await this.othersMark()}`
  }

  /** A mark that is another one once another connection has committed. Rules: LO-14. */
  async othersMark(): Promise<string> {
    if (!this.#connection.capabilities.shared) return ''
    // SQLite tells apart what other connections have committed, and does not count our own.
    const [row] = await this.all('PRAGMA data_version')
    return String(row?.['data_version'])
  }

  /** What a statement that reads reads and returns, without running it. */
  describe(sql: string): Promise<StatementDescription> {
    return this.#enqueue({ mode: 'bare' }, () => this.#connection.describe(sql))
  }

  /**
   * Calls `listener` after every commit that touched something, in the order of the commits. `others`: and about
   * `limits.othersLookMs` after one of another process, which may have touched anything. Returns the way to stop. Rules: LO-16.
   */
  onCommit(
    listener: (touched: Touched) => void,
    { others = false }: { readonly others?: boolean } = {},
  ): () => void {
    if (this.#isClosed) return () => undefined
    this.#listeners.add(listener)
    if (others && this.#connection.capabilities.shared) {
      this.#followers.add(listener)
      if (this.#followers.size === 1) void this.#follow(++this.#looks)
    }
    return () => {
      this.#listeners.delete(listener)
      if (this.#followers.delete(listener) && this.#followers.size === 0) this.#cancelLook()
    }
  }

  /** SQLite tells nobody that another process has committed: whoever wants to know looks. */
  async #follow(looks: number, known?: string): Promise<void> {
    // What nobody could look at is another mark than any.
    const { mark, tables } = await this.#lookAtOthers(known).catch(() => ({ mark: known ?? '', tables: [] }))
    if (looks !== this.#looks || this.#followers.size === 0) return
    if (tables.length > 0) {
      const touched = new Map(tables.map((table) => [table, 'all' as const]))
      for (const tell of this.#followers) tell({ tables: touched, verdicts: new Map() })
    }
    this.#cancelLook = this.#setTimer(() => void this.#follow(looks, mark), limits.othersLookMs)
  }

  /** The tables there are, if another process has committed since `known`. */
  async #lookAtOthers(
    known: string | undefined,
  ): Promise<{ readonly mark: string; readonly tables: readonly string[] }> {
    const mark = await this.othersMark()
    if (known === undefined || mark === known) return { mark, tables: [] }
    const tables = await this.all("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return { mark, tables: tables.map(({ name }) => String(name)) }
  }

  /** Lets what was asked for before finish, then closes. Calls afterwards throw CLIENT_CLOSED; closing twice is harmless. */
  async close(): Promise<void> {
    if (this.#isClosed) return this.#draining
    const last = this.#enqueue({ mode: 'read' }, () => Promise.resolve())
    this.#isClosed = true
    await last.catch(() => undefined)
    await this.#draining
    this.#listeners.clear()
    this.#followers.clear()
    this.#cancelLook()
    await this.#connection.close()
  }

  #enqueue<T>(options: Job['options'], fn: (tx: Transaction) => Promise<T>): Promise<T> {
    if (this.#isClosed) return Promise.reject(new SyncError('CLIENT_CLOSED', 'the database was closed'))
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ options, fn, resolve, reject })
      if (!this.#isBusy) this.#draining = this.#drain()
    })
  }

  async #drain(): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    try {
      for (let job = this.#queue.shift(); job !== undefined; job = this.#queue.shift()) {
        await this.#runJobs([job, ...this.#takeSharers(job)])
      }
    } finally {
      this.#isBusy = false
    }
  }

  /** The jobs right behind `first` that may share its commit. */
  #takeSharers(first: Job): Job[] {
    if (first.options.share !== true) return []
    let count = 0
    while (count < shareMax - 1 && this.#queue[count]?.options.share === true) count++
    return this.#queue.splice(0, count)
  }

  async #runJobs(jobs: readonly Job[]): Promise<void> {
    const tx = new Transaction(this.#connection)
    const finished: (() => void)[] = []
    // A single statement is a transaction of its own.
    const isBare = jobs[0]?.options.mode === 'bare' && !this.#needsRollback
    try {
      if (!isBare) await this.#begin(jobs)
      for (const job of jobs) finished.push(await this.#runJob(tx, job, jobs.length > 1))
      // What nobody waited for must not go on behind the commit.
      tx.end()
      if (!isBare) await this.#connection.run('COMMIT')
    } catch (error) {
      tx.end()
      if (!isBare) await this.#rollback()
      for (const job of jobs) job.reject(error)
      return
    }
    for (const table of tx.tables.keys())
      this.#commitCounts.set(table, (this.#commitCounts.get(table) ?? 0) + 1)
    for (const finish of finished) finish()
    if (tx.tables.size > 0 || tx.verdicts.size > 0) for (const listener of this.#listeners) listener(tx)
  }

  /** Runs one job; in company it is undone alone when it throws. Returns what to do after the commit. */
  async #runJob(tx: Transaction, job: Job, inCompany: boolean): Promise<() => void> {
    if (!inCompany) {
      const value = await job.fn(tx)
      // The value is what `fn` of the same job returned, so it has the type its promise was made for.
      return () => job.resolve(value as never)
    }
    await this.#connection.run('SAVEPOINT shared')
    try {
      const value = await job.fn(tx)
      await this.#connection.run('RELEASE shared')
      return () => job.resolve(value as never)
    } catch (error) {
      // Fails when SQLite has rolled everything back by itself (a full disk): then the whole company fails.
      await this.#undoShared().catch(() => {
        throw error
      })
      return () => job.reject(error)
    }
  }

  async #undoShared(): Promise<void> {
    await this.#connection.run('ROLLBACK TO shared')
    await this.#connection.run('RELEASE shared')
  }

  async #begin(jobs: readonly Job[]): Promise<void> {
    // What is still open here is a transaction whose end failed. When nothing is open this fails, and that is fine.
    if (this.#needsRollback) await this.#connection.run('ROLLBACK').catch(() => undefined)
    this.#needsRollback = false
    const isWrite = jobs.some((job) => job.options.mode === 'write')
    const isFull = jobs.some(({ options }) => options.durable ?? this.#durability === 'full')
    if (isWrite && isFull !== this.#isFull) await this.#setSync(isFull)
    await this.#connection.run(isWrite ? 'BEGIN IMMEDIATE' : 'BEGIN')
    const fence = jobs[0]?.options.fence
    if (fence !== undefined) await this.#checkFence(fence)
  }

  async #setSync(isFull: boolean): Promise<void> {
    await this.#connection.exec(`PRAGMA synchronous = ${isFull ? 'FULL' : 'NORMAL'}`)
    this.#isFull = isFull
  }

  async #checkFence(fence: number): Promise<void> {
    const [lease] = await this.#connection.all('SELECT fence FROM _lease')
    if (lease?.fence === fence) return
    throw new SyncError('LEASE_LOST', `the lease has the number ${lease?.fence ?? 'none'}, not ${fence}`)
  }

  async #rollback(): Promise<void> {
    // Fails when SQLite has ended the transaction by itself, as it does on a full disk, and when the disk is in trouble.
    // The next transaction tries once more before it begins.
    await this.#connection.run('ROLLBACK').catch(() => {
      this.#needsRollback = true
    })
  }
}

class Transaction implements LocalTransaction, Touched {
  readonly tables: Map<string, Set<string> | 'all'> = new Map()
  readonly verdicts: Map<string, KnownVerdict> = new Map()
  readonly #connection: SqliteConnection
  #isOpen = true

  constructor(connection: SqliteConnection) {
    this.#connection = connection
  }

  all(sql: string, params?: readonly SqlParam[]): Promise<readonly SqlRow[]> {
    if (!this.#isOpen) return Promise.reject(transactionOver())
    return this.#connection.all(sql, params)
  }

  describe(sql: string): Promise<StatementDescription> {
    if (!this.#isOpen) return Promise.reject(transactionOver())
    return this.#connection.describe(sql)
  }

  run(sql: string, params?: readonly SqlParam[]): Promise<RunResult> {
    if (!this.#isOpen) return Promise.reject(transactionOver())
    return this.#connection.run(sql, params)
  }

  exec(sql: string): Promise<void> {
    if (!this.#isOpen) return Promise.reject(transactionOver())
    return this.#connection.exec(sql)
  }

  touch(table: string, id: string): void {
    const rows = this.tables.get(table)
    if (rows === 'all') return
    if (id === 'all') this.tables.set(table, 'all')
    else if (rows === undefined) this.tables.set(table, new Set([id]))
    else rows.add(id)
  }

  announce(mutation: string, verdict: KnownVerdict): void {
    this.verdicts.set(mutation, verdict)
  }

  end(): void {
    this.#isOpen = false
  }
}

function transactionOver(): SyncError {
  return new SyncError('TRANSACTION_OVER', 'a transaction was used after its end')
}
