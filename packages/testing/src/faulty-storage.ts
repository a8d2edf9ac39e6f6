import type { SqliteConnection, SqliteDriver } from '@holdfast/client'
import { SyncError } from '@holdfast/core'

/** What happens to a statement. `fail`: the disk is full. `kill`: the process dies before it. */
export type StatementFate = 'run' | 'fail' | 'kill'

/** Storage that goes wrong where a test says. */
export interface FaultyStorage extends SqliteDriver {
  /** Statements since the last `open` or `reset`. */
  readonly statementCount: number
  /** Counts from zero again. */
  reset(): void
}

/**
 * Puts a judge before every statement of a storage: `judge(sql, index)` says what becomes of it. After a `kill` nothing
 * answers any more, as in a process that is gone, and what was not committed is undone; open the file anew. Rules: ENV-5.
 */
export function faultyStorage(
  storage: SqliteDriver,
  judge: (sql: string, index: number) => StatementFate,
): FaultyStorage {
  let statementCount = 0
  return {
    name: storage.name,
    get statementCount() {
      return statementCount
    },
    reset: () => {
      statementCount = 0
    },
    open: async () => {
      const connection = await storage.open()
      let isDead = false
      const judged = async <T>(sql: string, run: () => Promise<T>): Promise<T> => {
        const fate = isDead ? 'kill' : judge(sql, statementCount)
        statementCount += 1
        if (fate === 'run') return run()
        if (fate === 'fail') throw new SyncError('STORE_FULL', 'SQLite: database or disk is full')
        if (!isDead) await connection.close()
        isDead = true
        return new Promise<never>(() => undefined)
      }
      const wrapped: SqliteConnection = {
        capabilities: connection.capabilities,
        all: (sql, params) => judged(sql, () => connection.all(sql, params)),
        run: (sql, params) => judged(sql, () => connection.run(sql, params)),
        exec: (sql) => judged(sql, () => connection.exec(sql)),
        describe: (sql) => connection.describe(sql),
        close: () => (isDead ? Promise.resolve() : connection.close()),
      }
      return wrapped
    },
  }
}
