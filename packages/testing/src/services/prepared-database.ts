import { createHash } from 'node:crypto'

import { Client } from 'pg'

import { type FreshDatabase, freshDatabase } from './fresh-database.ts'

/** How the databases are called that are copied, so that whoever started the server finds them. */
export const preparedPrefix = 'holdfast_prepared_'

/** What a database is prepared with. */
export interface Preparation {
  /** The same for the same content. */
  readonly key: string
  /** Fills the empty database at this address, and leaves no connection to it. */
  readonly prepare: (url: string) => Promise<void>
  /** A server of the test's own; otherwise the one that the test run shares. */
  readonly serverUrl?: string | undefined
}

const preparations = new Map<string, Promise<string>>()

/**
 * Makes a database of a test's own that is prepared: the first time on a server by preparing it, later by copying, which is
 * several times as fast. Test files share what was prepared, also at the same time.
 */
export async function preparedDatabase({ key, prepare, serverUrl }: Preparation): Promise<FreshDatabase> {
  const server = serverUrl ?? process.env['HOLDFAST_TEST_POSTGRES'] ?? ''
  const known = `${server} ${key}`
  const making = preparations.get(known) ?? prepareOnce({ key, prepare, serverUrl: server })
  preparations.set(known, making)
  return freshDatabase(serverUrl, await making)
}

/** Whoever comes second, in another process too, waits for the first. */
async function prepareOnce({ key, prepare, serverUrl }: Preparation): Promise<string> {
  const hash = createHash('sha256').update(`${process.env['HOLDFAST_TEST_RUN']} ${key}`).digest('hex')
  const name = `${preparedPrefix}${hash.slice(0, 16)}`
  const client = new Client({ connectionString: serverUrl })
  await client.connect()
  try {
    await client.query('SELECT pg_advisory_lock(hashtext($1))', [name])
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name])
    if (rowCount === 1) return name
    const made = await freshDatabase(serverUrl)
    await prepare(made.url)
    await client.query(`ALTER DATABASE ${made.name} RENAME TO ${name}`)
    return name
  } finally {
    await client.end()
  }
}

/** Removes what was prepared in a server that goes on. */
export async function dropPrepared(serverUrl: string): Promise<void> {
  const client = new Client({ connectionString: serverUrl })
  await client.connect()
  try {
    const { rows } = await client.query<{ name: string }>(
      `SELECT datname AS name FROM pg_database WHERE starts_with(datname, $1)`,
      [preparedPrefix],
    )
    for (const { name } of rows) await client.query(`DROP DATABASE IF EXISTS ${name} (FORCE)`)
  } finally {
    await client.end()
  }
}
