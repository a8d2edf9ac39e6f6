import { betterSqliteStorage } from './better-sqlite3.ts'
import { testDriver } from './driver-contract.ts'
import { sqliteStorage } from './node.ts'

testDriver({
  name: 'node:sqlite',
  storage: sqliteStorage,
  module: new URL('./node.ts', import.meta.url),
  exportName: 'sqliteStorage',
})

testDriver({
  name: 'better-sqlite3',
  storage: betterSqliteStorage,
  module: new URL('./better-sqlite3.ts', import.meta.url),
  exportName: 'betterSqliteStorage',
})
