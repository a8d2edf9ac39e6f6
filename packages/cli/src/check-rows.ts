import type { DatabaseSync } from 'node:sqlite'

import type { Finding } from './finding.ts'
import { quoteName } from './quote-name.ts'

/**
 * Whether the feed knows every row as it is: each live row has an entry at its version, and nothing has a version that
 * was never given out. Rows written while the triggers were gone show here. Reads only.
 */
export function checkRows(database: DatabaseSync): readonly Finding[] {
  const findings = collectionTables(database).flatMap((table) => checkTable(database, table))
  if (findings.length > 0) return findings
  return [{ kind: 'well', text: 'every row is in the feed at its version' }]
}

function checkTable(database: DatabaseSync, table: string): readonly Finding[] {
  const name = quoteName(table)
  const columns = database
    .prepare(`PRAGMA table_info(${name})`)
    .all()
    .map((column) => column['name'])
  const isLive = columns.includes('deleted_at') ? 'r.deleted_at IS NULL' : 'true'
  const entry = 'f.collection = :table AND f.record = r.id'
  const unknown = `SELECT r.id FROM ${name} r WHERE ${isLive} AND NOT EXISTS (SELECT 1 FROM holdfast_feed f WHERE ${entry} AND f.op = 'put')`
  const unstamped = `SELECT r.id FROM ${name} r WHERE r.version < 1 OR r.version > (SELECT counter FROM holdfast_state)`
  const stale = `SELECT r.id FROM ${name} r WHERE ${isLive} AND EXISTS (SELECT 1 FROM holdfast_feed f WHERE ${entry} AND f.op = 'put' AND f.version <> r.version)`
  const ghosts = `SELECT f.record FROM holdfast_feed f WHERE f.collection = :table AND f.op = 'put' AND NOT EXISTS (SELECT 1 FROM ${name} r WHERE r.id = f.record AND ${isLive})`
  const count = (query: string): number => {
    const statement = database.prepare(`SELECT count(*) AS total FROM (${query})`)
    return Number((query.includes(':table') ? statement.get({ table }) : statement.get())?.['total'])
  }
  const touch = `Have the server's triggers see them: UPDATE ${name} SET id = id WHERE …;`
  return [
    ill(count(unknown), `rows of ${table} are not in the feed: no device hears of them`, touch),
    ill(count(unstamped), `rows of ${table} have no version of this database`, touch),
    ill(count(stale), `rows of ${table} have another version than the feed says`, touch),
    ill(
      count(ghosts),
      `entries of the feed name rows of ${table} that are gone`,
      'Restore the rows, or a backup.',
    ),
  ].flat()
}

function ill(count: number, text: string, remedy: string): readonly Finding[] {
  return count === 0 ? [] : [{ kind: 'ill', text: `${count} ${text}`, remedy }]
}

/** Tables of collections: those with a version that are not ours. */
function collectionTables(database: DatabaseSync): readonly string[] {
  return database
    .prepare(
      `SELECT s.name FROM sqlite_schema s JOIN pragma_table_info(s.name) c ON c.name = 'server_updated_at'
       WHERE s.type = 'table' AND s.name NOT GLOB 'holdfast_*' ORDER BY s.name`,
    )
    .all()
    .map(({ name }) => String(name))
}
