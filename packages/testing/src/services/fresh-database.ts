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
 * a copy of the database `template`.
 */
export async function freshDatabase(
  serverUrl: string | undefined = process.env['HOLDFAST_TEST_POSTGRES'],
  template = 'template1',
): Promise<FreshDatabase> {
  if (serverUrl === undefined) throw new Error('this test run shares no PostgreSQL: ask hasPostgres() first')
  const name = `holdfast_${randomBytes(6).toString('hex')}`
  await runOnce(serverUrl, `CREATE DATABASE ${name} TEMPLATE ${template}`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return { url: url.href, name, drop: () => runOnce(serverUrl, `DROP DATABASE IF EXISTS ${name} (FORCE)`) }
}

async function runOnce(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
