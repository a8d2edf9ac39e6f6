import { type ErrorCode, SyncError } from '@holdfast/core'

/** What SQLite stores and returns. */
export type SqlValue = null | number | string | Uint8Array

/** What a statement is bound to. Booleans are stored as 1 and 0; a bigint must be one that a number holds exactly. */
export type SqlParam = SqlValue | bigint | boolean

/** A row by column name. */
export type SqlRow = Readonly<Record<string, SqlValue>>

/** What SQLite's compiler says of a statement that reads. */
export interface StatementDescription {
  /** Its result columns in order; `table` and `column` name where a value comes from unchanged, null for expressions. */
  readonly columns: readonly {
    readonly name: string
    readonly table: string | null
    readonly column: string | null
  }[]
  /** Every table it reads, when the binding can tell. */
  readonly tables?: ReadonlySet<string>
}

/** What `run` says of its statement. */
export interface RunResult {
  readonly changes: number
  readonly lastInsertRowid: number
}

/** What a driver can do beyond the least. */
export interface DriverCapabilities {
  /** Other processes may have the file open; false for storage only this connection can see. */
  readonly shared: boolean
  /** How SQLite undoes what it began; unless said, `wal` for a file and `memory` for what only this connection can see. */
  readonly journal?: 'wal' | 'memory' | 'delete'
}

/**
 * One connection to one SQLite database. Naive on purpose: whoever uses it makes sure that transactions do not
 * interleave. Statements run in the order of the calls. Every failure is a `SyncError` with a STORE_ code. Rules: LO-1.
 */
export interface SqliteConnection {
  readonly capabilities: DriverCapabilities
  /** Runs one statement and returns its rows. Its compiled form is kept, so repeating the same text is cheap. */
  all(sql: string, params?: readonly SqlParam[]): Promise<readonly SqlRow[]>
  /** Runs one statement for its effect. Its compiled form is kept. */
  run(sql: string, params?: readonly SqlParam[]): Promise<RunResult>
  /** Runs any number of statements without parameters; nothing is kept. */
  exec(sql: string): Promise<void>
  /** What the statement reads and returns, without running it. */
  describe(sql: string): Promise<StatementDescription>
  /** Closes the connection; closing twice is harmless. */
  close(): Promise<void>
}

/** The processes of the platform, as far as one can tell whether another still runs. */
export interface ProcessTable {
  /** A name for the process that asks, without '@'. */
  readonly self: string
  /** True only when that process has certainly ended. */
  isGone(name: string): boolean
}

/** Where a database lives and how it is opened: the seam to the platform. */
export interface SqliteDriver {
  /** Absent where a process can learn nothing of others: then the lease of one that died is waited for. */
  readonly processes?: ProcessTable
  /** For messages and logs, such as `node:sqlite /var/data/stock.sqlite`. */
  readonly name: string
  /** Opens a connection; creates the file when there is none. */
  open(): Promise<SqliteConnection>
}

/** Codes by primary result code. Source: https://www.sqlite.org/rescode.html */
const codesByResult: Readonly<Record<number, ErrorCode>> = {
  5: 'STORE_LOCKED',
  6: 'STORE_LOCKED',
  11: 'STORE_CORRUPT',
  13: 'STORE_FULL',
  26: 'STORE_CORRUPT',
}

/**
 * The one translation of SQLite's errors: by result code, whatever the driver; the extended codes hold the primary one
 * in their low byte. An error without a result code (a closed connection, a wrong parameter) is STORE_FAILED.
 */
export function storeError(error: unknown, resultCode: number | undefined): SyncError {
  if (error instanceof SyncError) return error
  const message = error instanceof Error ? error.message : String(error)
  const code = codesByResult[(resultCode ?? 0) & 0xff] ?? 'STORE_FAILED'
  return new SyncError(code, `SQLite: ${message}`, { cause: error })
}
