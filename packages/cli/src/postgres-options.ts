import type { MaintenanceOptions } from '@holdfast/server'

import { CommandError } from './command-error.ts'
import type { GivenOptions } from './given-options.ts'
import { loadSchema } from './load-schema.ts'
import { loadTables } from './load-tables.ts'

/** Database, schema and mapping of a command that works on PostgreSQL. Errors: CommandError. */
export async function postgresOptions(name: string, given: GivenOptions): Promise<MaintenanceOptions> {
  const url = given.database ?? process.env['DATABASE_URL']
  if (given.schema === undefined || url === undefined)
    throw new CommandError(`${name} needs --schema FILE and --database URL. Try: holdfast help ${name}`)
  checkUrl(url)
  const schema = await loadSchema(given.schema)
  return { url, schema, tables: loadTables(given.tables) }
}

/** The address itself is not repeated: it holds a password. */
export function checkUrl(url: string): void {
  if (/^postgres(?:ql)?:$/.test(URL.canParse(url) ? new URL(url).protocol : '')) return
  throw new CommandError('--database is an address as postgres://user:password@host:5432/name.')
}
