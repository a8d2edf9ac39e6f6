import { constants, DatabaseSync, type SQLInputValue } from 'node:sqlite'

import { nodeProcesses } from './node-processes.ts'
import type { SqliteDriver, SqlRow } from './sqlite-driver.ts'
import { storeError } from './sqlite-driver.ts'
import { type SynchronousBinding, SynchronousConnection } from './synchronous-connection.ts'

/**
 * Storage in a file through Node's own SQLite; needs Node 24. Several processes may open the same file. `:memory:`
 * gives a database that is gone when it is closed.
 */
export function sqliteStorage(path: string): SqliteDriver {
  return {
    name: `node:sqlite ${path}`,
    processes: nodeProcesses,
    async open() {
      try {
        const database = new DatabaseSync(path)
        return new SynchronousConnection(bindingOf(database), { shared: path !== ':memory:' })
      } catch (error) {
        throw translate(error)
      }
    },
  }
}

function bindingOf(database: DatabaseSync): SynchronousBinding {
  return {
    translate,
    exec: (sql) => database.exec(sql),
    close: () => database.close(),
    prepare(sql) {
      const statement = database.prepare(sql)
      return {
        isReader: statement.columns().length > 0,
        // Rows hold what SQLite stores: integers that a number cannot hold make node:sqlite throw, so none is a bigint.
        // Parameters may be booleans, which node:sqlite binds as 1 and 0 although its types do not say so.
        all: (params) => statement.all(...(params as readonly SQLInputValue[])) as readonly SqlRow[],
        run(params) {
          const { changes, lastInsertRowid } = statement.run(...(params as readonly SQLInputValue[]))
          return { changes: Number(changes), lastInsertRowid: Number(lastInsertRowid) }
        },
      }
    },
    describe(sql) {
      const tables = new Set<string>()
      database.setAuthorizer((action, table) => {
        if (action === constants.SQLITE_READ && table !== null) tables.add(table)
        return constants.SQLITE_OK
      })
      try {
        return { columns: database.prepare(sql).columns(), tables }
      } finally {
        database.setAuthorizer(null)
      }
    },
  }
}

function translate(error: unknown): Error {
  const code = error instanceof Error && 'errcode' in error ? error.errcode : undefined
  return storeError(error, typeof code === 'number' ? code : undefined)
}
