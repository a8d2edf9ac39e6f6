import { isObject, newUuid } from '@holdfast/core'
import {
  type FreshDatabase,
  freshDatabase,
  hasPostgres,
  type Pgbouncer,
  startPgbouncer,
  startUnlessMissing,
} from '@holdfast/testing/services'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { createServer, type HoldfastServer } from '../../http/create-server.ts'
import { exampleSchema } from '../../http/given-server.ts'
import { ask, push, QueueDevice, statuses, until } from '../../queue/given-queue.ts'
import { systemEnvironment } from '../../system-environment.ts'
import { doctor, reconcile, runMigration } from './maintenance.ts'
import { postgresStore, type PostgresStoreOptions } from './postgres-store.ts'

const env = systemEnvironment()
const database: FreshDatabase | undefined = hasPostgres() ? await freshDatabase() : undefined
// Fewer sessions than the connections of one node, so that every transaction may find another one.
const pooler: Pgbouncer | undefined =
  database && (await startUnlessMissing(() => startPgbouncer({ upstream: database.url, poolSize: 3 })))

describe.skipIf(pooler === undefined)('behind PgBouncer in transaction mode', () => {
  const { url } = pooler!
  const direct = database!.url
  const servers: HoldfastServer[] = []

  beforeAll(async () => {
    const client = new Client({ connectionString: direct })
    await client.connect()
    await client.query(
      `CREATE TABLE notes (id uuid PRIMARY KEY, body text NOT NULL);
       INSERT INTO notes SELECT gen_random_uuid(), 'note ' || n FROM generate_series(1, 2500) n`,
    )
    await client.end()
  })
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close()
  })
  afterAll(async () => {
    await pooler!.stop()
    await database!.drop()
  })

  async function openNode(options: Partial<PostgresStoreOptions> = {}): Promise<HoldfastServer> {
    const store = postgresStore({ url, preparedStatements: false, pollMs: 0, ...options })
    const server = await createServer({
      schema: exampleSchema,
      store,
      authenticate: (request) => ({ id: request.headers.get('authorization') ?? '' }),
      scopes: () => ['global', 'warehouse:1'],
    })
    servers.push(server)
    return server
  }

  /** Reads a stream until it is poked for the second time: the first only says that it stands. */
  async function poked(server: HoldfastServer, work: () => Promise<unknown>): Promise<string> {
    const headers = { authorization: 'Bearer ben', 'holdfast-device': newUuid(env) }
    const answer = await server.fetch(new Request('http://localhost/sync/stream', { headers }))
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader()
    const read = async (): Promise<string> => (await reader.read()).value ?? ''
    await read()
    const second = read()
    await work()
    const text = await second
    await reader.cancel()
    return text
  }

  test('[FE-67] a migration is carried out and adopts rows; doctor finds nothing ill, and nothing is to mend', async () => {
    expect(await runMigration({ url, schema: exampleSchema })).toMatchObject({ rows: 2_500 })
    const findings = await doctor({ url, schema: exampleSchema })
    expect(findings.filter(({ kind }) => kind === 'ill')).toEqual([])
    expect(findings.map(({ remedy }) => remedy)).toContainEqual(
      expect.stringContaining('preparedStatements: false'),
    )
    expect(JSON.stringify(await reconcile({ url, schema: exampleSchema, dryRun: true }))).toContain('notes')
  })

  test('[FE-67] two nodes push and pull what many devices write at once, each there once', async () => {
    const [first, second] = [await openNode(), await openNode()]
    const devices = Array.from({ length: 12 }, (_, n) => new QueueDevice(`user${n}`))
    const record = newUuid(env)
    const [creator] = devices
    expect(statuses(await push(first, creator!, creator!.create(record, 0)))).toEqual(['applied'])
    for (let round = 0; round < 5; round++)
      await Promise.all(
        devices.map(async (device, n) => {
          const mutation = device.add(record, 1)
          const [one, other] = n % 2 === 0 ? [first, second] : [second, first]
          // Twice, as after a lost answer.
          const answers = [await push(one, device, mutation), await push(other, device, mutation)]
          for (const answer of answers)
            expect(statuses(answer)).toEqual([expect.stringMatching(/applied|merged/)])
        }),
      )
    const page = await ask(second, creator!, `GET /sync/snapshot?scope=warehouse:1`)
    const changes = Array.isArray(page.body['changes']) ? page.body['changes'] : []
    expect(changes.filter(isObject)).toMatchObject([{ record, data: { stock: 60 } }])
    expect((await ask(first, creator!, `GET /sync/snapshot?scope=global&limit=10`)).body['more']).toBe(true)
  })

  test('[FE-67] pokes: through a listener past the pooler at once, without one by polling', async () => {
    const writer = await openNode({ listen: direct })
    const device = new QueueDevice()
    const write = (): Promise<unknown> => push(writer, device, device.create(newUuid(env), 1))
    expect(await poked(await openNode({ listen: direct }), write)).toContain('event: poke')
    expect(await poked(await openNode({ listen: false, pollMs: 50 }), write)).toContain('event: poke')
  })

  test('[FE-67] a listener through the pooler is deaf, which polling makes up for', async () => {
    const writer = await openNode({ listen: direct })
    const deaf = await openNode({ listen: true })
    const polling = await openNode({ listen: true, pollMs: 50 })
    let heard = 0
    let noticed = 0
    deaf.engine.subscribe(() => (heard += 1))
    polling.engine.subscribe(() => (noticed += 1))
    const device = new QueueDevice()
    await push(writer, device, device.create(newUuid(env), 1))
    await until(async () => noticed > 0, 'look')
    expect(heard).toBe(0)
  })

  test('[FE-67] prepared statements are not there in the next session: what fails for it has done nothing', async () => {
    const wrong = await openNode({ preparedStatements: true })
    const pushes = Array.from({ length: 30 }, () => ({ device: new QueueDevice(), record: newUuid(env) }))
    const answers = await Promise.all(
      pushes.map(({ device, record }) => push(wrong, device, device.create(record, 1))),
    )
    const right = await openNode()
    const failed = pushes.filter((_, n) => answers[n]?.status !== 200)
    expect(failed.length).toBeGreaterThan(0)
    for (const { device, record } of failed)
      expect((await ask(right, device, `GET /records/items/${record}`)).status).toBe(404)
    for (const { body, status } of answers)
      expect(status === 200 ? undefined : body['error']).toEqual(
        status === 200 ? undefined : expect.objectContaining({ code: 'SERVER_FAILED', retry: 'backoff' }),
      )
  })
})
