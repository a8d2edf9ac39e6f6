import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { CommandError } from './command-error.ts'

const sqliteHeader = 'SQLite format 3\0'

/** Files looked at in one folder; a folder with more is not one of ours. */
const filesMax = 1_000

/** SQLite databases in a folder, by name, and files that cannot be read; a path of a database is that one. Errors: CommandError. */
export function findDatabases(path: string): readonly string[] {
  const start = resolve(path)
  if (!existsSync(start)) throw new CommandError(`${start} does not exist.`)
  if (statSync(start).isFile()) return hasSqliteHeader(start) ? [start] : []
  const files = readdirSync(start, { withFileTypes: true }).filter((entry) => entry.isFile())
  if (files.length > filesMax)
    throw new CommandError(`${start} holds more than ${filesMax} files; name the database.`)
  return files
    .map((entry) => join(start, entry.name))
    .filter(mayBeDatabase)
    .sort()
}

function mayBeDatabase(file: string): boolean {
  try {
    return hasSqliteHeader(file)
  } catch {
    return true
  }
}

/** Whether a file begins as every SQLite database does. */
export function hasSqliteHeader(file: string): boolean {
  const handle = openSync(file, 'r')
  try {
    const bytes = Buffer.alloc(sqliteHeader.length)
    return (
      readSync(handle, bytes, 0, bytes.length, 0) === bytes.length &&
      bytes.toString('latin1') === sqliteHeader
    )
  } finally {
    closeSync(handle)
  }
}
