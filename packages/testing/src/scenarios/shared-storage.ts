import type { SqliteConnection, SqliteDriver } from '@holdfast/client'

/**
 * Lets connections of one thread share a file. Between processes SQLite makes one writer wait for the other; inside one
 * thread that would wait for itself, so transactions take turns here.
 */
export function sharedStorage(storage: SqliteDriver): SqliteDriver {
  let turn: Promise<void> = Promise.resolve()
  return {
    name: storage.name,
    open: async () => {
      const connection = await storage.open()
      let release: (() => void) | undefined
      const takeTurn = async (sql: string): Promise<void> => {
        if (!sql.startsWith('BEGIN')) return
        const before = turn
        const { promise, resolve } = Promise.withResolvers<void>()
        turn = promise
        release = resolve
        await before
      }
      const giveTurn = (sql: string): void => {
        if (/^(COMMIT|ROLLBACK)$/.test(sql)) release?.()
      }
      const inTurn = async <T>(sql: string, run: () => Promise<T>): Promise<T> => {
        await takeTurn(sql)
        try {
          return await run()
        } finally {
          giveTurn(sql)
        }
      }
      const shared: SqliteConnection = {
        capabilities: connection.capabilities,
        all: (sql, params) => inTurn(sql, () => connection.all(sql, params)),
        run: (sql, params) => inTurn(sql, () => connection.run(sql, params)),
        exec: (sql) => inTurn(sql, () => connection.exec(sql)),
        describe: (sql) => connection.describe(sql),
        close: () => connection.close(),
      }
      return shared
    },
  }
}
