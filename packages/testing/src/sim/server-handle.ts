import type { SqliteDatabase, SqliteStatement } from '@holdfast/server'
import type { SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite'

import type { StatementKind } from './statement-kind.ts'

type Rows = Record<string, SQLOutputValue>

/** A statement and what it does to the transaction. */
export interface CompiledStatement {
  readonly sql: string
  readonly kind: StatementKind
  readonly statement: StatementSync
}

/** What a handle needs of the disk it was opened on. */
export interface HandleHost {
  readonly isTransaction: boolean
  compile(sql: string): CompiledStatement
  kindOf(sql: string): StatementKind
  /** Throws when the statement fails, or the process that holds `handle` has died. */
  before(handle: ServerHandle, sql: string, kind: StatementKind): void
  after(kind: StatementKind): void
  exec(sql: string): void
  release(handle: ServerHandle): void
}

/** What the store holds of a simulated disk, in place of node:sqlite's own database. */
export class ServerHandle implements SqliteDatabase {
  readonly #host: HandleHost
  #isOpen = true

  constructor(host: HandleHost) {
    this.#host = host
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  get isTransaction(): boolean {
    return this.#isOpen && this.#host.isTransaction
  }

  prepare(sql: string): SqliteStatement {
    return new HandleStatement(this, this.#host, this.#host.compile(sql))
  }

  exec(sql: string): void {
    const kind = this.#host.kindOf(sql)
    this.#host.before(this, sql, kind)
    this.#host.exec(sql)
    this.#host.after(kind)
  }

  close(): void {
    if (this.#isOpen) this.#host.release(this)
    this.#isOpen = false
  }

  /** The process that holds it is gone. */
  die(): void {
    this.#isOpen = false
  }
}

class HandleStatement implements SqliteStatement {
  readonly #handle: ServerHandle
  readonly #host: HandleHost
  readonly #compiled: CompiledStatement

  constructor(handle: ServerHandle, host: HandleHost, compiled: CompiledStatement) {
    this.#handle = handle
    this.#host = host
    this.#compiled = compiled
  }

  all(...values: SQLInputValue[]): Rows[] {
    const statement = this.#before()
    const rows = statement.all(...values)
    this.#host.after(this.#compiled.kind)
    return rows
  }

  get(...values: SQLInputValue[]): Rows | undefined {
    const statement = this.#before()
    const row = statement.get(...values)
    this.#host.after(this.#compiled.kind)
    return row
  }

  run(...values: SQLInputValue[]): unknown {
    const statement = this.#before()
    const result = statement.run(...values)
    this.#host.after(this.#compiled.kind)
    return result
  }

  /** The store only reads this way. */
  iterate(...values: SQLInputValue[]): Iterable<Rows> {
    return this.#before().iterate(...values)
  }

  #before(): StatementSync {
    const { sql, kind, statement } = this.#compiled
    this.#host.before(this.#handle, sql, kind)
    return statement
  }
}
