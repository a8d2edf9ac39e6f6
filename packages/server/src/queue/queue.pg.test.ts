import { newUuid } from '@holdfast/core'
import { hasPostgres, type RedisServer, startRedis } from '@holdfast/testing/services'
import { Queue } from 'bullmq'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import type { HoldfastServer } from '../http/create-server.ts'
import { exampleSchema } from '../http/given-server.ts'
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

let redis: RedisServer
let given: GivenQueue

beforeAll(async () => {
  redis = await startRedis({ isOwn: true })
})

afterAll(() => redis.stop())

const kinds = hasPostgres() ? (['SQLite', 'PostgreSQL'] as const) : (['SQLite'] as const)

/** A record with stock 0, decided. */
async function givenRecord(server: HoldfastServer, device = new QueueDevice()): Promise<string> {
  const record = newUuid(env)
  await decided(server, device, await push(server, device, device.create(record)))
  return record
}

/** A gate that work waits at until it is opened. */
function gate(): { readonly wait: () => Promise<void>; readonly open: () => void; reached: number } {
  const { promise, resolve } = Promise.withResolvers<void>()
  const made = {
    reached: 0,
    wait: async () => {
      made.reached += 1
      await promise
    },
    open: resolve,
  }
  return made
}

describe.each(kinds)('queued pushes on %s', { timeout: 90_000 }, (kind) => {
  beforeEach(async () => {
    given = new GivenQueue(await givenDatabase(kind), redis)
  })

  afterEach(() => given.close())

  test('[QU-1] a push is answered with a receipt, which is answered as the push would have been', async () => {
    const server = await given.server()
    const device = new QueueDevice()
    const mutation = device.create(newUuid(env))
    const queued = await push(server, device, mutation)
    expect([queued.status, Object.keys(queued.body)]).toEqual([202, ['receipt']])
    const told = await decided(server, device, queued)
    expect(told).toMatchObject({
      status: 200,
      body: { results: [{ id: mutation['id'], status: 'applied' }] },
    })
    const ofBen = await ask(server, new QueueDevice('ben'), `GET /sync/receipts/${receiptOf(queued)}`)
    expect([ofBen.status, (await ask(server, device, 'GET /sync/receipts/x')).status]).toEqual([404, 404])
    const pulled = await ask(server, device, 'POST /sync/pull', {})
    expect(pulled.body['outcomes']).toMatchObject([{ id: mutation['id'], status: 'applied' }])
  })

  test('[QU-1] a push is decided as it came: a number beyond every number is none, and no null', async () => {
    const front = await given.server()
    const device = new QueueDevice()
    const record = await givenRecord(front, device)
    const placed = { ...device.rename(record, '', ''), changes: { location: 'A1' }, base: { location: null } }
    await decided(front, device, await push(front, device, placed))
    const moved = { ...device.rename(record, '', ''), changes: { location: '?' }, base: { location: 'A1' } }
    const response = await front.fetch(
      new Request('http://localhost/sync/push', {
        method: 'POST',
        headers: { authorization: 'Bearer ann', 'holdfast-device': device.id },
        body: JSON.stringify({ mutations: [moved] }).replace('"?"', '1e400'),
      }),
    )
    const body = (await response.json()) as Record<string, string>
    expect(statuses(await decided(front, device, { status: 202, body, headers: response.headers }))).toEqual([
      'rejected',
    ])
    expect((await ask(front, device, `GET /records/items/${record}`)).body['location']).toBe('A1')
  })

  test('[QU-1] a push that is refused as a whole says so in its receipt', async () => {
    const server = await given.server()
    const device = new QueueDevice()
    const queued = await ask(server, device, 'POST /sync/push', {
      ack: '1-3',
      mutations: [device.create(newUuid(env))],
    })
    expect((await decided(server, device, queued)).body).toMatchObject({
      error: { code: 'EPOCH_CHANGED', retry: 'resync' },
    })
  })

  test('[QU-2] grants and claims are those of the moment it is applied, and its clock that of the moment it came', async () => {
    const front = await given.frontServer()
    const device = new QueueDevice()
    const at = new Date(env.now() + 3_600_000).toISOString()
    const ahead = { ...device.create(newUuid(env)), at: `${at}-0000-${device.id}` }
    const headers = { authorization: 'Bearer ann', 'holdfast-device': device.id, 'holdfast-clock': at }
    const body = JSON.stringify({ mutations: [ahead, device.create(newUuid(env), 0)] })
    const response = await front.fetch(
      new Request('http://localhost/sync/push', { method: 'POST', headers, body }),
    )
    const cameMs = env.now()
    const queued = {
      status: 202,
      body: (await response.json()) as { receipt: string },
      headers: response.headers,
    }
    const stored = given.database.store()
    await stored.open({ schema: exampleSchema, env })
    const { caller } = (await stored.read((tx) => tx.receipt(queued.body.receipt))) ?? { caller: '' }
    await stored.close()
    expect(JSON.parse(caller)).toMatchObject({ user: { id: 'ann', role: 'keeper' }, device: device.id })
    expect(caller).not.toContain('Bearer')
    // Another moment than the one it came in, by whatever clock.
    await new Promise((resolve) => setTimeout(resolve, 50))
    const seen: unknown[] = []
    await given.worker({
      authorize: ({ user, after }) => {
        seen.push([user.role, after?.['updated_at']])
        return user.role === 'keeper' && seen.length < 2
      },
    })
    const told = await decided(front, device, queued)
    expect(statuses(told)).toEqual(['applied', 'rejected'])
    const [row] = (await ask(front, new QueueDevice(), 'GET /records/items')).body['records'] as {
      updated_at: string
    }[]
    const rightMs = Date.parse(row?.updated_at ?? '')
    expect(rightMs).toBeGreaterThanOrEqual(Date.parse(at) - 3_600_000)
    expect(rightMs).toBeLessThanOrEqual(cameMs)
  })

  test('[QU-2] a scope that was taken away meanwhile is denied', async () => {
    const front = await given.frontServer()
    const device = new QueueDevice()
    const queued = await push(front, device, device.create(newUuid(env)))
    await given.worker({ scopes: () => [] })
    expect((await decided(front, device, queued)).body).toMatchObject({
      results: [{ status: 'rejected', error: { code: 'SCOPE_DENIED' } }],
    })
  })

  test('[QU-3] what a device pushes is applied in its order, whatever there are of workers and jobs', async () => {
    const front = await given.frontServer()
    const devices = Array.from({ length: 4 }, () => new QueueDevice())
    const records = devices.map(() => newUuid(env))
    const pushes: { device: QueueDevice; queued: Awaited<ReturnType<typeof push>> }[] = []
    for (let round = 0; round < 12; round++)
      for (const [index, device] of devices.entries()) {
        const record = records[index] ?? ''
        const mutation =
          round === 0
            ? device.create(record)
            : device.rename(record, round === 1 ? 'Laptop' : `n${round - 1}`, `n${round}`)
        pushes.push({ device, queued: await push(front, device, mutation) })
      }
    await Promise.all([given.worker(), given.worker()])
    for (const { device, queued } of pushes)
      expect(statuses(await decided(front, device, queued))).toEqual(['applied'])
    for (const record of records)
      expect((await ask(front, new QueueDevice(), `GET /records/items/${record}`)).body['name']).toBe('n11')
  })

  test('[QU-4] every job twice, and every push twice: each effect is there once', async () => {
    const front = await given.frontServer()
    const device = new QueueDevice()
    const queue = new Queue(given.name, { connection: { url: redis.url } })
    const workers = [await given.worker(), await given.worker()]
    const record = await givenRecord(front, device)
    const all = []
    for (let n = 1; n <= 20; n++) {
      const mutation = device.add(record, n)
      for (const queued of [await push(front, device, mutation), await push(front, device, mutation)]) {
        await queue.add('push', { receipt: queued.body['receipt'] })
        await queue.add('push', { receipt: queued.body['receipt'] }, { delay: 50 })
        all.push(queued)
      }
    }
    const told = await Promise.all(all.map((queued) => decided(front, device, queued)))
    expect(new Set(told.flatMap(statuses))).toEqual(new Set(['applied']))
    expect(await stockOf(front, record)).toBe(210)
    await until(
      async () => (await queue.getJobCountByTypes('waiting', 'delayed', 'active')) === 0,
      'empty queue',
    )
    expect(await stockOf(front, record)).toBe(210)
    await queue.close()
    expect(workers.length).toBe(2)
  })

  test('[QU-5] a failure that may pass is tried again, in order, and one that does not pass ends as an answer', async () => {
    const front = await given.frontServer({ limits: { ...given.limits, receiptAttempts: 3 } })
    const [device, other] = [new QueueDevice(), new QueueDevice('ben')]
    const record = newUuid(env)
    const pushes = [
      await push(front, device, device.create(record)),
      await push(front, device, device.add(record, 1)),
    ]
    const hopeless = await push(front, other, other.create(newUuid(env)))
    let failures = 0
    await given.worker({
      limits: { ...given.limits, receiptAttempts: 3 },
      scopes: (user) => {
        if (user.id === 'ben' || failures++ < 1) throw new Error('the directory is down')
        return ['warehouse:1']
      },
    })
    for (const queued of pushes) expect(statuses(await decided(front, device, queued))).toEqual(['applied'])
    expect((await decided(front, other, hopeless)).body).toMatchObject({ error: { code: 'SERVER_FAILED' } })
  })

  test('[QU-6] B62: Redis is flushed in mid-job: nothing is lost and nothing twice', async () => {
    const front = await given.frontServer()
    const device = new QueueDevice()
    const record = newUuid(env)
    const held = gate()
    const first = await push(front, device, device.create(record))
    await given.worker({ scopes: () => held.wait().then(() => ['warehouse:1']) })
    await until(async () => held.reached > 0, 'job under way')
    const rest = []
    for (let n = 0; n < 5; n++) rest.push(await push(front, device, device.add(record, 1)))
    const others = Array.from({ length: 10 }, () => new QueueDevice())
    const ofOthers = await Promise.all(others.map((each) => push(front, each, each.add(record, 10))))
    await redis.flush()
    held.open()
    for (const queued of [first, ...rest])
      expect(statuses(await decided(front, device, queued))).toEqual(['applied'])
    for (const [n, queued] of ofOthers.entries())
      expect((await decided(front, others[n]!, queued)).status).toBe(200)
    expect(await until(async () => (await stockOf(front, record)) as number, 'stock')).toBeGreaterThanOrEqual(
      5,
    )
    const after = await push(front, device, device.add(record, 1_000))
    expect([after.status, statuses(await decided(front, device, after))]).toEqual([202, ['applied']])
  })

  test('[QU-6] B62: while Redis is away pushes are decided in their request, and it is used again when it is back', async () => {
    const server = await given.server({ ingest: { ...given.ingest, concurrency: 1 } })
    const front = await given.frontServer()
    const device = new QueueDevice()
    const record = await givenRecord(server, device)
    await given.worker()
    const before = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const each = new QueueDevice()
        return { each, queued: await push(front, each, each.add(record, 1)) }
      }),
    )
    await redis.kill()
    const away = await until(async () => {
      const told = await push(server, device, device.add(record, 100))
      return told.status === 200 && told
    }, 'decision in the request')
    expect(statuses(away)).toEqual(['applied'])
    for (const { each, queued } of before)
      expect(statuses(await decided(front, each, queued))).toEqual(['applied'])
    await redis.restart()
    const back = await until(async () => {
      const told = await push(server, device, device.add(record, 100))
      return told.status === 202 && told
    }, 'receipt')
    expect(statuses(await decided(server, device, back))).toEqual(['applied'])
    expect(((await stockOf(server, record)) as number) % 100).toBe(20)
  })

  test('[QU-16] while Redis hangs every push is answered and decided, a server starts and closes, and it is used again after', async () => {
    const front = await given.frontServer()
    const device = new QueueDevice()
    await given.worker()
    const record = await givenRecord(front, device)
    redis.freeze()
    try {
      // What is taken before anybody knows waits for the database to be looked through.
      for (let round = 0; round < 3; round++) {
        const told = await Promise.all(
          Array.from({ length: 20 }, async () => {
            const each = new QueueDevice()
            return { each, answer: await push(front, each, each.add(record, 1)) }
          }),
        )
        for (const { each, answer } of told)
          expect(statuses(answer.status === 202 ? await decided(front, each, answer) : answer)).toEqual([
            'applied',
          ])
      }
      const started = await given.server()
      const first = await push(started, device, device.add(record, 100))
      expect(statuses(first)).toEqual(['applied'])
      await started.close()
      const metrics = await (await front.fetch(new Request('http://localhost/metrics'))).text()
      expect(metrics).toMatch(/^holdfast_queue_jobs -1$/m)
      expect(await stockOf(front, record)).toBe(160)
    } finally {
      redis.thaw()
    }
    const back = await until(async () => {
      const told = await push(front, device, device.add(record, 1_000))
      return told.status === 202 && told
    }, 'receipt')
    expect(statuses(await decided(front, device, back))).toEqual(['applied'])
    expect(((await stockOf(front, record)) as number) % 1_000).toBe(160)
  })

  test('[QU-8] closing finishes what is being applied; what waits is applied by the next server, also by one without a queue', async () => {
    const front = await given.frontServer()
    const device = new QueueDevice()
    const record = newUuid(env)
    const held = gate()
    const first = await push(front, device, device.create(record))
    const worker = await given.worker({ scopes: () => held.wait().then(() => ['warehouse:1']) })
    await until(async () => held.reached > 0, 'job under way')
    const second = await push(front, device, device.add(record, 1))
    let isClosed = false
    const closed = worker.close().then(() => (isClosed = true))
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(isClosed).toBe(false)
    held.open()
    await closed
    expect((await ask(front, device, `GET /sync/receipts/${receiptOf(first)}`)).status).toBe(200)
    expect((await ask(front, device, `GET /sync/receipts/${receiptOf(second)}`)).status).toBe(202)
    await front.close()
    const plain = await given.server({ ingest: { mode: 'inline' } })
    const third = await push(plain, device, device.add(record, 1))
    if (third.status === 202) await decided(plain, device, third)
    expect(statuses(await decided(plain, device, second))).toEqual(['applied'])
    expect(await stockOf(plain, record)).toBe(2)
    expect((await push(plain, device, device.add(record, 1))).status).toBe(200)
  })

  test('[QU-18] a receipt that waits is applied by a server without a queue that is asked for it, also if none waited when that began', async () => {
    const plain = await given.server({ ingest: { mode: 'inline' } })
    const device = new QueueDevice()
    const record = await givenRecord(plain, device)
    // Of the deployment before: it takes one more push, and is gone before a worker came to it.
    const front = await given.frontServer()
    const queued = await push(front, device, device.add(record, 1))
    await front.close()
    expect((await ask(plain, device, `GET /sync/receipts/${receiptOf(queued)}`)).status).toBe(202)
    expect(statuses(await decided(plain, device, queued))).toEqual(['applied'])
    expect(await stockOf(plain, record)).toBe(1)
  })

  test('[QU-11] the device is told by its stream, whichever process decided', async () => {
    const front = await given.frontServer()
    const device = new QueueDevice()
    const headers = { authorization: `Bearer ann`, 'holdfast-device': device.id }
    const { body } = await front.fetch(new Request('http://localhost/sync/stream', { headers }))
    const reader = body!.pipeThrough(new TextDecoderStream()).getReader()
    await given.worker()
    const queued = await push(front, device, device.create(newUuid(env)))
    let text = ''
    while (!text.includes('event: result')) {
      const { value, done } = await reader.read()
      if (done) break
      text += value
    }
    expect(text).toContain(`event: result\ndata: {"receipt":"${receiptOf(queued)}"}\n\n`)
    await reader.cancel()
  })

  test('[QU-12] metrics tell what waits, how old it is and what was queued', async () => {
    const front = await given.frontServer()
    const device = new QueueDevice()
    await push(front, device, device.create(newUuid(env)))
    const response = await front.fetch(new Request('http://localhost/metrics'))
    const text = await response.text()
    expect(text).toMatch(/^holdfast_receipts_waiting 1$/m)
    expect(text).toMatch(/^holdfast_receipts_oldest_age_seconds 0?\.?\d+/m)
    expect(text).toMatch(/^holdfast_pushes_queued 1$/m)
    expect(text).toMatch(/^holdfast_queue_jobs 1$/m)
  })
})
