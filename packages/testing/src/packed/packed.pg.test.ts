import { createHmac } from 'node:crypto'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { type FreshDatabase, freshDatabase } from '../services/fresh-database.ts'
import { startUnlessMissing } from '../services/missing-service.ts'
import { freePort } from '../services/free-port.ts'
import { hasPostgres, sharedRedisUrl } from '../services/shared-servers.ts'
import { unprivilegedUser } from '../services/unprivileged-user.ts'
import { GivenImage, type Started, untilSaid } from './given-image.ts'

const redisUrl = sharedRedisUrl()
const image = await startUnlessMissing(async () => {
  const given = new GivenImage()
  given.build()
  return given
})

const secret = 'a secret of this test, 32 characters'
/** Two devices of the packed client: what one writes the other has. */
const deviceCode = `
import { openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { schema } from './schema.ts'
const [server, auth] = process.argv.slice(2)
const open = () => openClient({ schema, storage: sqliteStorage(':memory:'), server, auth })
const [writer, reader] = [await open(), await open()]
const id = await writer.items.insert({ warehouse: '1', name: 'Rope', stock: 5 })
await writer.items.increment(id, { stock: -2 })
await writer.sync.now()
await reader.sync.now()
const { name, stock } = await reader.items.get(id)
console.log(JSON.stringify({ name, stock }))
await Promise.all([writer.close(), reader.close()])
`

function token(): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = { sub: 'ann', exp: Math.floor(Date.now() / 1_000) + 600, warehouses: ['1'] }
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(body)}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

describe.skipIf(image === undefined || redisUrl === undefined || !hasPostgres())('the image', () => {
  const given = image!
  let database: FreshDatabase
  let environment: Readonly<Record<string, string>>
  let port: number
  let workerPort: number
  let server: Started
  let worker: Started

  const health = async (service: string, at: number): Promise<unknown> =>
    (await given.run(given.healthCheck(service, at), environment)).code

  beforeAll(async () => {
    database = await freshDatabase()
    environment = { DATABASE_URL: database.url, REDIS_URL: redisUrl!, TOKEN_SECRET: secret }
    port = await freePort()
    workerPort = await freePort()
    writeFileSync(join(given.folder, 'devices.ts'), deviceCode)
  })

  afterAll(async () => {
    await given.remove()
    await database.drop()
  })

  test('[OP-39] packages hold no sources and nothing that only tests need', () => {
    for (const name of ['core', 'client', 'server', 'testing', 'cli']) {
      const folder = join(given.folder, 'node_modules/@holdfast', name)
      const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      expect(files).toContain(join('dist', 'index.js'))
      expect(files).toContain('LICENSE')
      expect(files.filter((file) => /(?<!\.d)\.ts$|\.test\.|given-/.test(file))).toEqual([])
    }
  })

  test('[OP-39] its user is not root and cannot write to it', async () => {
    expect(unprivilegedUser()?.uid ?? process.getuid?.()).not.toBe(0)
    const write = ['node', '-e', `fs.writeFileSync(${JSON.stringify(join(given.folder, 'mark'))}, '')`]
    expect((await given.run(write, environment)).output).toContain('EACCES')
  })

  test('[OP-39] a server does not start on a database that is not prepared, then migrate prepares it', async () => {
    const refused = await given.run(given.command('server', port), environment)
    expect(refused).toMatchObject({ code: 1 })
    expect(refused.output).toMatch(/^holdfast: the server cannot start: .+\n$/)
    const migrated = await given.run(given.command('migrate', port), environment)
    expect(migrated).toMatchObject({ code: 0 })
  })

  test('[OP-39] server and worker start, and their health checks pass', { timeout: 60_000 }, async () => {
    expect(await health('server', port)).toBe(1)
    server = given.start(given.command('server', port), environment)
    worker = given.start(given.command('worker', workerPort), environment)
    await untilSaid(server, new RegExp(`^listening on http://0.0.0.0:${port}\\n$`))
    await untilSaid(worker, /^applying the pushes/)
    expect(await health('server', port)).toBe(0)
    expect(await health('worker', workerPort)).toBe(0)
  })

  test('[OP-39] what one device pushes through it another pulls', async () => {
    const url = `http://127.0.0.1:${port}`
    const synced = await given.run(['node', 'devices.ts', url, token()], environment)
    expect(synced).toEqual({ code: 0, output: '{"name":"Rope","stock":3}\n' })
    const other = await fetch(`${url}/records/items`, { headers: { authorization: `Bearer ${token()}x` } })
    expect(other.status).toBe(401)
  })

  test('[OP-37] [QU-13] SIGTERM ends both with 0', async () => {
    const stream = await fetch(`http://127.0.0.1:${port}/sync/stream`, {
      headers: { authorization: `Bearer ${token()}` },
    })
    server.child.kill('SIGTERM')
    worker.child.kill('SIGTERM')
    expect(await stream.text()).toContain('event: poke')
    expect([await server.ended, await worker.ended]).toEqual([0, 0])
  })

  test('[OP-38] a worker whose store is gone is alive and not ready', { timeout: 60_000 }, async () => {
    const again = given.start(given.command('worker', workerPort), environment)
    await untilSaid(again, /^applying the pushes/)
    await database.drop()
    const ask = async (path: string): Promise<number> =>
      (await fetch(`http://127.0.0.1:${workerPort}${path}`)).status
    expect([await ask('/healthz'), await ask('/readyz'), await ask('/')]).toEqual([200, 503, 404])
    expect(await health('worker', workerPort)).toBe(1)
  })
})
