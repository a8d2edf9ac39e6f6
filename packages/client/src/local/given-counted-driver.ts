import { sqliteStorage } from '../drivers/node.ts'
import type { SqliteDriver, SqlParam } from '../drivers/sqlite-driver.ts'

/** What went between a client and its database since it was set to nothing. */
export interface Counted {
  statements: { readonly sql: string; readonly params: readonly SqlParam[] | undefined }[]
  /** Handed over to the client. */
  rows: number
}

/** A database in memory that counts. */
export function countedStorage(): { readonly storage: SqliteDriver; readonly counted: Counted } {
  const inner = sqliteStorage(':memory:')
  const counted: Counted = { statements: [], rows: 0 }
  const storage: SqliteDriver = {
    name: 'counted',
    async open() {
      const connection = await inner.open()
      return {
        ...connection,
        capabilities: connection.capabilities,
        async all(sql, params) {
          counted.statements.push({ sql, params })
          const rows = await connection.all(sql, params)
          counted.rows += rows.length
          return rows
        },
        run(sql, params) {
          counted.statements.push({ sql, params })
          return connection.run(sql, params)
        },
        exec: (sql) => connection.exec(sql),
        describe: (sql) => connection.describe(sql),
        close: () => connection.close(),
      }
    },
  }
  return { storage, counted }
}

/** Makes it count from here on. */
export function countAnew(counted: Counted): void {
  counted.statements = []
  counted.rows = 0
}
