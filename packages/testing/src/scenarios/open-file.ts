import type { SqlRow } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'

/** Runs one statement on a database file by a connection of its own, as another process would. */
export async function openFile(path: string, sql: string): Promise<readonly SqlRow[]> {
  const connection = await sqliteStorage(path).open()
  try {
    return await connection.all(sql)
  } finally {
    await connection.close()
  }
}
