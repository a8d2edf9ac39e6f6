import { describeSchema, type Schema } from '@holdfast/core'
import { runMigration } from '@holdfast/server'
import { Client } from 'pg'

import type { FreshDatabase } from '../services/fresh-database.ts'
import { preparedDatabase } from '../services/prepared-database.ts'

/** Makes a database that is prepared for a schema, with a history of its own. */
export async function preparedStore(schema: Schema, serverUrl?: string): Promise<FreshDatabase> {
  const database = await preparedDatabase({
    key: `${schema.version} ${describeSchema(schema)}`,
    prepare: async (url) => void (await runMigration({ url, schema })),
    serverUrl,
  })
  const client = new Client({ connectionString: database.url })
  await client.connect()
  await client.query('UPDATE holdfast.state SET epoch = gen_random_uuid(), made_at = now()')
  await client.end()
  return database
}
