import type { SqliteConnection } from './sqlite-driver.ts'

/** Inserts one number after the other, each in a transaction that is synced, and tells each that was committed. */
export async function growTable(connection: SqliteConnection, tell: (n: number) => void): Promise<never> {
  await connection.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (n INTEGER)')
  for (let n = 1; ; n++) {
    await connection.run('BEGIN IMMEDIATE')
    await connection.run('INSERT INTO t VALUES (?)', [n])
    await connection.run('COMMIT')
    tell(n)
  }
}
