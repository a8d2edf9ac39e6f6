import type {
  DriverCapabilities,
  RunResult,
  SqliteConnection,
  SqlParam,
  SqlRow,
  StatementDescription,
} from './sqlite-driver.ts'

/** A compiled statement of a synchronous SQLite binding. */
export interface SynchronousStatement {
  /** Whether it returns rows. */
  readonly isReader: boolean
  all(params: readonly SqlParam[]): readonly SqlRow[]
  run(params: readonly SqlParam[]): RunResult
  /** Frees what it holds, where nobody else does. It is not used afterwards. */
  close?(): void
}

/** What a synchronous SQLite binding must offer to become a connection. */
export interface SynchronousBinding {
  prepare(sql: string): SynchronousStatement
  exec(sql: string): void
  describe(sql: string): StatementDescription
  close(): void
  /** Translates whatever the binding throws. */
  translate(error: unknown): Error
}

/** Compiled statements kept; the engine uses about forty texts, live queries bring their own. */
const statementMax = 256

/** A connection over a binding that answers at once; keeps compiled statements, the least recently used go first. */
export class SynchronousConnection implements SqliteConnection {
  readonly capabilities: DriverCapabilities
  readonly #binding: SynchronousBinding
  readonly #statements = new Map<string, SynchronousStatement>()
  #isClosed = false

  constructor(binding: SynchronousBinding, capabilities: DriverCapabilities) {
    this.#binding = binding
    this.capabilities = capabilities
  }

  async all(sql: string, params: readonly SqlParam[] = []): Promise<readonly SqlRow[]> {
    try {
      const statement = this.#statement(sql)
      if (statement.isReader) return statement.all(params)
      statement.run(params)
      return []
    } catch (error) {
      throw this.#binding.translate(error)
    }
  }

  async run(sql: string, params: readonly SqlParam[] = []): Promise<RunResult> {
    try {
      return this.#statement(sql).run(params)
    } catch (error) {
      throw this.#binding.translate(error)
    }
  }

  async exec(sql: string): Promise<void> {
    this.#attempt(() => this.#binding.exec(sql))
  }

  async describe(sql: string): Promise<StatementDescription> {
    return this.#attempt(() => this.#binding.describe(sql))
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const statement of this.#statements.values()) statement.close?.()
    this.#statements.clear()
    this.#attempt(() => this.#binding.close())
  }

  #statement(sql: string): SynchronousStatement {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#binding.prepare(sql)
      if (this.#statements.size >= statementMax) this.#forgetOldest()
    } else if (this.#statements.size > statementMax / 2) {
      // Only a filling cache needs its order kept; before that the oldest is never looked for.
      this.#statements.delete(sql)
    } else return statement
    this.#statements.set(sql, statement)
    return statement
  }

  #forgetOldest(): void {
    for (const [sql, oldest] of this.#statements) {
      this.#statements.delete(sql)
      oldest.close?.()
      return
    }
  }

  #attempt<T>(act: () => T): T {
    try {
      return act()
    } catch (error) {
      throw this.#binding.translate(error)
    }
  }
}
