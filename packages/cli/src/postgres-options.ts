import type { MaintenanceOptions } from '@holdfast/server'

import { CommandError } from './command-error.ts'
import type { GivenOptions } from './given-options.ts'
import { loadSchema } from './load-schema.ts'
import { loadTables } from './load-tables.ts'

/** Database, schema and mapping of a command that works on PostgreSQL. Errors: CommandError. */
export async function postgresOptions(name: string, given: GivenOptions): Promise<MaintenanceOptions> {
  if (given.schema === undefined || given.database === undefined)
    throw new CommandError(`${name} needs --schema FILE and --database URL. Try: holdfast help ${name}`)
  checkUrl(given.database)
  const schema = await loadSchema(given.schema)
  return { url: given.database, schema, tables: loadTables(given.tables) }
}

/** The address itself is not repeated: it holds a password. */
export function checkUrl(url: string): void {
  if (/^postgres(?:ql)?:$/.test(URL.canParse(url) ? new URL(url).protocol : '')) return
  throw new CommandError('--database is an address as postgres://user:password@host:5432/name.')
}
