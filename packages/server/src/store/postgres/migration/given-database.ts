import { describeSchema, type Schema } from '@holdfast/core'
import { type FreshDatabase, freshDatabase, preparedDatabase } from '@holdfast/testing/services'
import { Client } from 'pg'
import { runMigration } from '../maintenance.ts'

/** A database of a test's own, with a session to it. */
export interface GivenDatabase {
  readonly url: string
  readonly ask: (sql: string, ...values: readonly unknown[]) => Promise<readonly Record<string, unknown>[]>
  /** Another session of the same database, ended with it. */
  readonly session: (url?: string) => Promise<Client>
  /** Everything that is in it, as text: structure, files of tables, rows. */
  readonly dump: () => Promise<string>
  /** Makes it empty again, as quickly as can be. */
  readonly clear: () => Promise<void>
  readonly close: () => Promise<void>
}

/** Makes an empty database in the PostgreSQL that tests share, or in the one at an address. */
export async function givenDatabase(serverUrl?: string): Promise<GivenDatabase> {
  return given(await freshDatabase(serverUrl))
}

/** Makes a database that is prepared for a schema. */
export async function givenPrepared(schema: Schema): Promise<GivenDatabase> {
  const key = `${schema.version} ${describeSchema(schema)}`
  const prepare = async (url: string): Promise<void> => void (await runMigration({ url, schema }))
  return given(await preparedDatabase({ key, prepare }))
}

/** The same for a schema of `items` with a place, an area and a name, filled with 1,500 things. */
export async function givenThings(schema: Schema): Promise<GivenDatabase> {
  const db = await givenPrepared(schema)
  await db.ask('ALTER TABLE items ALTER COLUMN id SET DEFAULT gen_random_uuid()')
  await db.ask(
    `INSERT INTO items (place, area, name) SELECT 'berlin', 'north', 'thing ' || n FROM generate_series(1, 1500) n`,
  )
  return db
}

async function given(database: FreshDatabase): Promise<GivenDatabase> {
  const clients: Client[] = []
  const session = async (url: string = database.url): Promise<Client> => {
    const client = new Client({ connectionString: url })
    client.on('error', () => undefined)
    clients.push(client)
    await client.connect()
    return client
  }
  const main = await session()
  const ask: GivenDatabase['ask'] = async (sql, ...values) =>
    (await main.query<Record<string, unknown>>(sql, [...values])).rows
  return {
    url: database.url,
    ask,
    session,
    dump: () => dumpOf(ask),
    clear: async () => {
      await ask('DROP SCHEMA IF EXISTS public, holdfast CASCADE')
      await ask('CREATE SCHEMA public')
    },
    close: async () => {
      await Promise.all(clients.map((client) => client.end()))
      await database.drop()
    },
  }
}

const structureSql = `
  SELECT 'relation ' || c.oid::regclass || ' ' || c.relkind::text || ' ' || c.relfilenode || ' ' || c.relowner AS line
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
  UNION ALL SELECT 'column ' || a.attrelid::regclass || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND a.attnum > 0
  UNION ALL SELECT 'trigger ' || pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text FROM pg_trigger t
  UNION ALL SELECT 'function ' || p.proname || ' ' || p.prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
  UNION ALL SELECT 'constraint ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid > 16384
  UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' ORDER BY 1`

async function dumpOf(ask: GivenDatabase['ask']): Promise<string> {
  const lines = (await ask(structureSql)).map(({ line }) => String(line))
  const tables = lines.flatMap((line) => /^relation (\S+) r /.exec(line)?.[1] ?? [])
  for (const table of tables) {
    const rows = await ask(`SELECT t.xmin::text || ' ' || t::text AS line FROM ${table} t ORDER BY 1`)
    lines.push(...rows.map(({ line }) => `row of ${table} ${String(line)}`))
  }
  return lines.join('\n')
}
