import { DatabaseSync, type StatementSync } from 'node:sqlite'

import type { DatabaseBytes } from './commit-log.ts'
import type { CompiledStatement } from './server-handle.ts'
import { type StatementKind, statementKind } from './statement-kind.ts'
import { useVirtualTime } from './virtual-strftime.ts'

/** The SQLite database beneath a simulated server's disk, with what was compiled for it. */
export class ServerBase {
  readonly database: DatabaseSync
  readonly #compiled = new Map<string, CompiledStatement>()
  readonly #kinds = new Map<string, StatementKind>()
  readonly #reads = new Map<string, StatementSync>()
  /** What SQL takes for 'now'; whoever uses the base says it. */
  nowIso: () => string = () => '1970-01-01T00:00:00.000Z'

  constructor(bytes: DatabaseBytes) {
    this.database = new DatabaseSync(':memory:')
    if (bytes !== null) this.database.deserialize(bytes)
    // Before there is a temporary table: the store asks for the same, and another setting would drop them all.
    this.database.exec('PRAGMA temp_store = MEMORY')
    useVirtualTime(this.database, () => this.nowIso())
  }

  compile(sql: string): CompiledStatement {
    let compiled = this.#compiled.get(sql)
    if (compiled === undefined) {
      compiled = { sql, kind: statementKind(sql), statement: this.database.prepare(sql) }
      this.#compiled.set(sql, compiled)
    }
    return compiled
  }

  kindOf(sql: string): StatementKind {
    let kind = this.#kinds.get(sql)
    if (kind === undefined) this.#kinds.set(sql, (kind = statementKind(sql)))
    return kind
  }

  /** A statement of somebody who looks from outside. */
  reader(sql: string): StatementSync {
    let statement = this.#reads.get(sql)
    if (statement === undefined) this.#reads.set(sql, (statement = this.database.prepare(sql)))
    return statement
  }

  /** Never while a transaction is open. */
  bytes(): DatabaseBytes {
    const bytes = this.database.serialize()
    return bytes.length === 0 ? null : bytes
  }

  close(): void {
    this.#compiled.clear()
    this.#reads.clear()
    this.database.close()
  }
}
