import { DatabaseSync, type DatabaseSyncOptions, type SQLInputValue, type SQLOutputValue } from 'node:sqlite'
import { SyncError } from '@holdfast/core'
import { ConstraintError } from '../store-errors.ts'

/** A row as SQLite gives it back, by column name. */
export type SqlRow = Readonly<Record<string, SQLOutputValue>>

/** How a commit meets a power cut: `full` survives it, `normal` may lose the newest commits but never corrupts. */
export type Durability = 'full' | 'normal'

/** What the store needs of a database; Node's own `DatabaseSync` is one. */
export interface SqliteDatabase {
  readonly isOpen: boolean
  readonly isTransaction: boolean
  prepare(sql: string): SqliteStatement
  exec(sql: string): void
  close(): void
}

/** What the store needs of a prepared statement. */
export interface SqliteStatement {
  all(...values: SQLInputValue[]): SqlRow[]
  get(...values: SQLInputValue[]): SqlRow | undefined
  run(...values: SQLInputValue[]): unknown
  iterate(...values: SQLInputValue[]): Iterable<SqlRow>
}

/** Opens a database. */
export type OpenSqlite = (path: string, options: DatabaseSyncOptions) => SqliteDatabase

/** How a connection is opened. */
export interface ConnectionOptions {
  readonly path: string
  readonly durability: Durability
  readonly database: OpenSqlite
  readonly readOnly?: boolean
}

/** Opens a file with Node's own SQLite. */
export const openWithNode: OpenSqlite = (path, options) => new DatabaseSync(path, options)

/** SQLite waits this long inside a call, in ms; longer waits are ours, because its wait stops the whole process. */
const busyTimeoutMs = 20

/** One connection with its prepared statements. Everything it throws is a SyncError, a ConstraintError or a defect. */
export class Connection {
  readonly #db: SqliteDatabase
  readonly #statements = new Map<string, SqliteStatement>()

  constructor({ path, durability, database, readOnly = false }: ConnectionOptions) {
    this.#db = guard(() =>
      database(path, { readOnly, enableForeignKeyConstraints: true, timeout: busyTimeoutMs }),
    )
    guard(() => {
      // The first read: a file that is no database fails here, before anything is changed.
      this.#db.prepare('SELECT count(*) FROM sqlite_master').get()
      this.#db.exec(`PRAGMA synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`)
      this.#db.exec(
        'PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4000; PRAGMA temp_store = MEMORY',
      )
    })
  }

  get isInTransaction(): boolean {
    return this.#db.isTransaction
  }

  all(sql: string, ...values: SQLInputValue[]): readonly SqlRow[] {
    return guard(() => this.#prepare(sql).all(...values))
  }

  /** As `all`, for a statement that is not kept. */
  once(sql: string, ...values: readonly SQLInputValue[]): readonly SqlRow[] {
    return guard(() => this.#db.prepare(sql).all(...values))
  }

  get(sql: string, ...values: SQLInputValue[]): SqlRow | undefined {
    return guard(() => this.#prepare(sql).get(...values))
  }

  run(sql: string, ...values: SQLInputValue[]): void {
    guard(() => this.#prepare(sql).run(...values))
  }

  /** One row at a time; ends early when the loop does. */
  *iterate(sql: string, ...values: SQLInputValue[]): Generator<SqlRow, void, undefined> {
    try {
      yield* this.#prepare(sql).iterate(...values)
    } catch (error) {
      throw translate(error)
    }
  }

  /** A statement for many runs in a row. */
  prepare(sql: string): (...values: SQLInputValue[]) => void {
    const statement = guard(() => this.#prepare(sql))
    return (...values) => {
      try {
        statement.run(...values)
      } catch (error) {
        throw translate(error)
      }
    }
  }

  exec(sql: string): void {
    guard(() => this.#db.exec(sql))
  }

  close(): void {
    this.#statements.clear()
    if (this.#db.isOpen) this.#db.close()
  }

  #prepare(sql: string): SqliteStatement {
    let statement = this.#statements.get(sql)
    if (!statement) {
      statement = this.#db.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }
}

function guard<Result>(work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    throw translate(error)
  }
}

/** Primary result codes of SQLite. Source: https://sqlite.org/rescode.html */
const [busy, locked, corrupt, full, constraint, notADatabase, ioError, readOnlyFile, cantOpen] = [
  5, 6, 11, 13, 19, 26, 10, 8, 14,
]

function translate(error: unknown): unknown {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return error
  switch (error.errcode & 0xff) {
    case busy:
    case locked:
      return new SyncError('STORE_BUSY', 'another writer holds the database', { cause: error })
    case corrupt:
    case notADatabase:
      return new SyncError('STORE_CORRUPT', 'the database file is damaged, or is no database', {
        cause: error,
      })
    case full:
      return new SyncError('STORE_FULL', 'the disk is full', { cause: error })
    case constraint:
      return new ConstraintError(error.message, error)
    case ioError:
    case readOnlyFile:
    case cantOpen:
      return new SyncError('STORE_FAILED', error.message, { cause: error })
    default:
      return error
  }
}
