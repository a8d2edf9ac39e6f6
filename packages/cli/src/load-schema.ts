import type { Schema } from '@holdfast/core'

import { CommandError } from './command-error.ts'
import { loadModule } from './load-module.ts'

/** The schema a file exports as `schema` or as its default. Errors: CommandError. */
export async function loadSchema(file: string): Promise<Schema> {
  const exported = await loadModule(file, 'schema')
  const schema = exported['schema'] ?? exported['default']
  if (isSchema(schema)) return schema
  throw new CommandError(`schema file ${file} exports no schema: export const schema = defineSchema({ … })`)
}

/** Told by shape: the file may have its own copy of the core. */
function isSchema(value: unknown): value is Schema {
  return (
    typeof value === 'object' &&
    value !== null &&
    'version' in value &&
    typeof value.version === 'number' &&
    'collections' in value &&
    value.collections instanceof Map
  )
}
