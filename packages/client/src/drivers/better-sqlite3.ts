import Database from 'better-sqlite3'

import { nodeProcesses } from './node-processes.ts'
import { type SqliteDriver, type SqlParam, type SqlRow, storeError } from './sqlite-driver.ts'
import { type SynchronousBinding, SynchronousConnection } from './synchronous-connection.ts'

/** Storage in a file through better-sqlite3: for Node 22. Several processes may open the same file. */
export function betterSqliteStorage(path: string): SqliteDriver {
  return {
    name: `better-sqlite3 ${path}`,
    processes: nodeProcesses,
    async open() {
      try {
        const database = new Database(path)
        return new SynchronousConnection(bindingOf(database), { shared: path !== ':memory:' })
      } catch (error) {
        throw translate(error)
      }
    },
  }
}

function bindingOf(database: Database.Database): SynchronousBinding {
  return {
    translate,
    exec: (sql) => void database.exec(sql),
    close: () => void database.close(),
    describe: (sql) => ({ columns: database.prepare(sql).columns() }),
    prepare(sql) {
      const statement = database.prepare(sql)
      return {
        isReader: statement.reader,
        // Without safeIntegers, rows hold numbers, text, blobs and null.
        all: (params) => statement.all(...params.map(bindable)) as readonly SqlRow[],
        run(params) {
          const { changes, lastInsertRowid } = statement.run(...params.map(bindable))
          return { changes, lastInsertRowid: Number(lastInsertRowid) }
        },
      }
    },
  }
}

/** better-sqlite3 takes no booleans. */
function bindable(param: SqlParam): Exclude<SqlParam, boolean> {
  return typeof param === 'boolean' ? Number(param) : param
}

/** Primary result codes by the name better-sqlite3 puts on its errors. Source: https://www.sqlite.org/rescode.html */
const codesByName: readonly (readonly [name: string, code: number])[] = [
  ['SQLITE_BUSY', 5],
  ['SQLITE_LOCKED', 6],
  ['SQLITE_IOERR', 10],
  ['SQLITE_CORRUPT', 11],
  ['SQLITE_FULL', 13],
  ['SQLITE_NOTADB', 26],
]

function translate(error: unknown): Error {
  const name = error instanceof Error && 'code' in error ? String(error.code) : ''
  return storeError(error, codesByName.find(([prefix]) => name.startsWith(prefix))?.[1])
}
