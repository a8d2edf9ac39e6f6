import { collection, defineSchema, newUuid, text } from '@holdfast/core'
import { hasPostgres, type RedisServer, startRedis } from '@holdfast/testing/services'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { systemEnvironment } from '../system-environment.ts'
import {
  ask,
  decided,
  GivenQueue,
  givenDatabase,
  push,
  receiptOf,
  QueueDevice,
  statuses,
  stockOf,
  until,
} from './given-queue.ts'

const env = systemEnvironment()
const command = fileURLToPath(new URL('../../../cli/bin/holdfast.js', import.meta.url))

let redis: RedisServer
let given: GivenQueue

beforeAll(async () => {
  redis = await startRedis({ isOwn: true })
})

afterAll(() => redis.stop())

const kinds = hasPostgres() ? (['SQLite', 'PostgreSQL'] as const) : (['SQLite'] as const)

/** A worker in a process of its own, as `holdfast worker` runs it. */
class WorkerProcess {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'holdfast-worker-'))
  readonly #children: ChildProcess[] = []
  output = ''

  /** `authorize` is the body of that function; `marker` in it is a file that its first life made. */
  start(authorize: string): ChildProcess {
    const path = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href)
    const module = join(this.folder, 'server.ts')
    writeFileSync(
      module,
      `import { existsSync, writeFileSync } from 'node:fs'
import { exampleSchema } from ${path('../http/given-server.ts')}
import { postgresStore, sqliteStore } from ${path('../index.ts')}
const marker = ${JSON.stringify(this.marker)}
export const options = () => ({
  schema: exampleSchema,
  store: ${given.database.storeCode},
  scopes: () => ['warehouse:1'],
  authorize: ({ mutation }) => { ${authorize} },
  limits: ${JSON.stringify(given.limits)},
  ingest: ${JSON.stringify(given.ingest)},
})
`,
    )
    const child = spawn(process.execPath, [command, 'worker', module], { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (bytes: Buffer) => (this.output += bytes.toString()))
    this.#children.push(child)
    return child
  }

  get marker(): string {
    return join(this.folder, 'marker')
  }

  async remove(): Promise<void> {
    for (const child of this.#children)
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

describe.each(kinds)('workers on %s', { timeout: 200_000 }, (kind) => {
  beforeEach(async () => {
    given = new GivenQueue(await givenDatabase(kind), redis)
  })

  afterEach(() => given.close())

  test('[QU-7, QU-13] a worker that is killed in mid-batch loses nothing, and the next one does nothing twice', async () => {
    const front = await given.frontServer()
    const worker = new WorkerProcess()
    try {
      const device = new QueueDevice()
      const record = newUuid(env)
      const all = [await push(front, device, device.create(record))]
      for (let n = 0; n < 6; n++)
        all.push(await push(front, device, ...Array.from({ length: 5 }, () => device.add(record, 1))))
      const killer = worker.start(
        `if (mutation.seq === 13 && !existsSync(marker)) { writeFileSync(marker, ''); process.kill(process.pid, 'SIGKILL') } return true`,
      )
      // With all that it said; what is left of that may come behind its exit.
      const [, signal] = (await once(killer, 'close')) as [number | null, string | null]
      expect([signal, existsSync(worker.marker), worker.output]).toEqual([
        'SIGKILL',
        true,
        `applying the pushes of the queue ${given.name}\n`,
      ])
      const next = worker.start('return true')
      for (const queued of all)
        expect(new Set(statuses(await decided(front, device, queued)))).toEqual(new Set(['applied']))
      expect(await stockOf(front, record)).toBe(30)
      next.kill('SIGTERM')
      expect(await once(next, 'exit')).toEqual([0, null])
    } finally {
      await worker.remove()
    }
  })

  test('[QU-6] the pushes of 250 devices are queued and applied, each once and none lost', async () => {
    const front = await given.frontServer()
    const deviceCount = 250
    const devices = Array.from({ length: deviceCount }, () => new QueueDevice())
    const record = newUuid(env)
    const first = new QueueDevice()
    const created = await push(front, first, first.create(record))
    const queued: string[] = [receiptOf(created)]
    for (let from = 0; from < devices.length; from += 50) {
      const told = await Promise.all(
        devices
          .slice(from, from + 50)
          .map((device) => push(front, device, device.create(newUuid(env)), device.create(newUuid(env)))),
      )
      queued.push(...told.map(receiptOf))
      if (from === 100) await redis.flush()
    }
    expect(new Set(queued).size).toBe(deviceCount + 1)
    await Promise.all([given.worker(), given.worker()])
    await until(async () => /^holdfast_receipts_waiting 0$/m.test(await metricsOf(front)), 'end', 120_000)
    for (const receipt of queued)
      expect((await ask(front, first, `GET /sync/receipts/${receipt}`)).status).toBe(200)
    let count = 0
    let after = ''
    do {
      const { body } = await ask(
        front,
        first,
        `GET /records/items?limit=1000${after === '' ? '' : `&after=${after}`}`,
      )
      count += (body['records'] as unknown[]).length
      after = typeof body['next'] === 'string' ? body['next'] : ''
    } while (after !== '')
    expect(count).toBe(2 * deviceCount + 1)
  })
})

async function metricsOf(server: { fetch: (request: Request) => Promise<Response> }): Promise<string> {
  return (await server.fetch(new Request('http://localhost/metrics'))).text()
}

describe('a worker whose Redis hangs', () => {
  beforeEach(async () => {
    given = new GivenQueue(await givenDatabase('SQLite'), redis)
  })

  afterEach(() => given.close())

  test('[QU-13, QU-16] applies what waits in the database, and ends when it is told to', async () => {
    const front = await given.frontServer()
    const worker = new WorkerProcess()
    try {
      const device = new QueueDevice()
      const first = await push(front, device, device.create(newUuid(env)))
      const process = worker.start('return true')
      await decided(front, device, first)
      redis.freeze()
      const second = await push(front, device, device.create(newUuid(env)))
      expect([second.status, statuses(await decided(front, device, second))]).toEqual([202, ['applied']])
      process.kill('SIGTERM')
      expect(await once(process, 'exit')).toEqual([0, null])
    } finally {
      redis.thaw()
      await worker.remove()
    }
  }, 60_000)
})

describe('load', () => {
  beforeEach(async () => {
    given = new GivenQueue(await givenDatabase('SQLite'), redis)
  })

  afterEach(() => given.close())

  test('[QU-9] between devices the collection of the highest priority goes first', async () => {
    const field = { fields: { warehouseId: text(), name: text() }, scope: 'warehouse:{warehouseId}' } as const
    const schema = defineSchema({
      version: 1,
      collections: {
        items: collection({ ...field, priority: 5 }),
        logs: collection(field),
        alarms: collection({ ...field, priority: 9 }),
      },
    })
    const front = await given.frontServer({ schema })
    const all = []
    for (const name of ['logs', 'logs', 'items', 'alarms', 'items']) {
      const device = new QueueDevice()
      all.push({
        device,
        queued: await push(front, device, device.create(newUuid(env), 0, { collection: name })),
      })
    }
    await until(async () => /^holdfast_queue_jobs 5$/m.test(await metricsOf(front)), 'job for each')
    const order: string[] = []
    await given.worker({
      schema,
      ingest: { ...given.ingest, concurrency: 1 },
      limits: { receiptSweepMs: 60_000 },
      authorize: ({ collection: name }) => order.push(name) > 0,
    })
    for (const { device, queued } of all) await decided(front, device, queued)
    expect(order).toEqual(['alarms', 'items', 'items', 'logs', 'logs'])
  })

  test('[QU-17] however long receipts wait, one process applies those of so many devices at once', async () => {
    const front = await given.frontServer()
    const devices = Array.from({ length: 12 }, () => new QueueDevice())
    const all = []
    for (const device of devices)
      all.push({ device, queued: await push(front, device, device.create(newUuid(env))) })
    const gate = Promise.withResolvers<void>()
    let underWay = 0
    let most = 0
    const looks = { receiptSweepMs: 20 }
    await given.worker({
      ingest: { ...given.ingest, concurrency: 3 },
      limits: looks,
      scopes: async () => {
        underWay += 1
        most = Math.max(most, underWay)
        await gate.promise
        underWay -= 1
        return ['warehouse:1']
      },
    })
    await until(async () => most === 3, 'full hands')
    // All of them are found by many looks now, whatever became of their jobs.
    await new Promise((resolve) => setTimeout(resolve, 40 * looks.receiptSweepMs))
    expect(most).toBe(3)
    gate.resolve()
    for (const { device, queued } of all)
      expect(statuses(await decided(front, device, queued))).toEqual(['applied'])
    expect(most).toBe(3)
  })

  test('[QU-10] `auto` decides in the request until there is load, then queues, and comes back when it is over', async () => {
    const gate = Promise.withResolvers<void>()
    let isHeld = true
    const server = await given.server({
      ingest: { ...given.ingest, mode: 'auto', auto: { pushes: 3, calmMs: 300, waitMs: 60_000 } },
      scopes: () => (isHeld ? gate.promise.then(() => ['warehouse:1']) : ['warehouse:1']),
    })
    isHeld = false
    const one = new QueueDevice()
    expect((await push(server, one, one.create(newUuid(env)))).status).toBe(200)
    const devices = Array.from({ length: 12 }, () => new QueueDevice())
    const told = await Promise.all(devices.map((device) => push(server, device, device.create(newUuid(env)))))
    const queued = told.filter(({ status }) => status === 202).length
    expect(queued).toBeGreaterThan(0)
    expect(told.length - queued).toBeGreaterThan(0)
    for (const [n, each] of told.entries())
      expect(statuses(each.status === 202 ? await decided(server, devices[n]!, each) : each)).toEqual([
        'applied',
      ])
    await until(async () => (await push(server, one, one.create(newUuid(env)))).status === 200, 'calm')
  })

  test('[QU-14] beyond the bound a push is told when to come back, before anybody is asked who it is', async () => {
    const held = Promise.withResolvers<void>()
    let asked = 0
    const server = await given.server({
      limits: { pushesInFlight: 2, shareOfUser: 1 },
      ingest: {},
      authenticate: async () => {
        asked += 1
        await held.promise
        return { id: 'ann' }
      },
    })
    const devices = Array.from({ length: 5 }, () => new QueueDevice())
    const pushes = devices.map((device) => push(server, device, device.create(newUuid(env))))
    const late = await Promise.all(pushes.slice(2))
    expect(late.map(({ status }) => status)).toEqual([429, 429, 429])
    expect(late[0]).toMatchObject({ body: { error: { code: 'RATE_LIMITED', retry: 'backoff' } } })
    expect(Number(late[0]?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(asked).toBe(2)
    held.resolve()
    expect((await Promise.all(pushes.slice(0, 2))).map(({ status }) => status)).toEqual([200, 200])
    expect(await metricsOf(server)).toMatch(/^holdfast_requests_turned_away 3$/m)
  })
})
