import { Client } from 'pg'
import { afterAll, describe, expect, test } from 'vitest'

import { freshDatabase } from './fresh-database.ts'
import { startUnlessMissing } from './missing-service.ts'
import { startPgbouncer } from './pgbouncer.ts'
import { hasPostgres } from './shared-servers.ts'

const database = hasPostgres() ? await freshDatabase() : undefined
const bouncer =
  database && (await startUnlessMissing(() => startPgbouncer({ upstream: database.url, poolSize: 1 })))

describe.skipIf(bouncer === undefined)('PgBouncer', () => {
  afterAll(async () => {
    await bouncer!.stop()
    await database!.drop()
  })

  async function connect(): Promise<Client> {
    const client = new Client({ connectionString: bouncer!.url })
    client.on('error', () => undefined)
    await client.connect()
    return client
  }

  test('two clients share one connection, a transaction at a time', async () => {
    const clients = [await connect(), await connect()]
    const backend = `SELECT pg_backend_pid() AS pid, current_database() AS name`
    const seen: unknown[] = []
    for (const client of clients) {
      await client.query('BEGIN')
      seen.push((await client.query(backend)).rows[0])
      await client.query('COMMIT')
    }
    await Promise.all(clients.map((client) => client.end()))
    expect(seen).toEqual([seen[0], seen[0]])
    expect(seen[0]).toMatchObject({ name: database!.name })
  })

  test('restarted, it serves again at its port', async () => {
    await bouncer!.restart()
    const client = await connect()
    expect((await client.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }])
    await client.end()
  })
})
