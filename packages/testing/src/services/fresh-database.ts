import { randomBytes } from 'node:crypto'

import { Client } from 'pg'

/** A database of a test's own. */
export interface FreshDatabase {
  readonly url: string
  readonly name: string
  /** Removes it, whoever is still connected. */
  drop(): Promise<void>
}

/**
 * Makes a database beside the one of `serverUrl`; without it, in the PostgreSQL that the test run shares. It is empty, or
 * a copy of the database `template`, and called `name`, if that is said.
 */
export async function freshDatabase(
  serverUrl: string | undefined = process.env['HOLDFAST_TEST_POSTGRES'],
  template = 'template1',
  name = `holdfast_${randomBytes(6).toString('hex')}`,
): Promise<FreshDatabase> {
  if (serverUrl === undefined) throw new Error('this test run shares no PostgreSQL: ask hasPostgres() first')
  await runOnce(serverUrl, async (client) => {
    const { rows } = await client.query<{ copies: boolean }>(copiesFilesSql)
    const strategy = rows[0]?.copies === true ? ' STRATEGY FILE_COPY' : ''
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${template}${strategy}`)
  })
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  const drop = (client: Client): Promise<unknown> => client.query(`DROP DATABASE IF EXISTS ${name} (FORCE)`)
  return { url: url.href, name, drop: () => runOnce(serverUrl, drop) }
}

/**
 * Copying files takes a quarter of the time of writing each page into the log, where the two checkpoints that belong to it
 * sync nothing.
 */
const copiesFilesSql = `SELECT current_setting('fsync') = 'off' AND current_setting('server_version_num')::int >= 150000 AS copies`

async function runOnce(url: string, work: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}
