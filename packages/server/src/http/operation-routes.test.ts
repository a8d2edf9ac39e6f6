import { afterEach, describe, expect, test } from 'vitest'

import { type GivenServer, givenServer } from './given-server.ts'

const device = '0197a1b2-0000-7000-8000-00000000000a'
const record = '0197a1b2-0000-7000-8000-000000000001'
const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

let given: GivenServer | undefined

afterEach(async () => {
  await given?.close()
  given = undefined
})

async function serve(options: Parameters<typeof givenServer>[0] = {}): Promise<GivenServer> {
  given = await givenServer(options)
  return given
}

function push(
  seq: number,
  name: string,
  warehouseId = '1',
): { body: object; headers: Record<string, string> } {
  const mutation = {
    id: `0197a1b2-0000-7000-8000-${String(seq).padStart(12, '0')}`,
    seq,
    collection: 'items',
    record: record.replace(/1$/, String(seq)),
    op: 'create',
    changes: { warehouseId, name, stock: 0, tags: [] },
    at: `2026-11-20T10:00:00.000Z-0000-${device}`,
    schema: 1,
  }
  const pending = { count: 3, oldestAt: '2026-11-20T09:59:00.000Z', highestSeq: 9 }
  return { body: { ack: '', pending, mutations: [mutation] }, headers: { 'holdfast-device': device } }
}

describe('log', () => {
  test('[OP-1] a request is one line with all that tells it apart', async () => {
    const { ask, logs } = await serve()
    const { body, headers } = push(1, 'Laptop')
    const answer = await ask('POST /sync/push', { body, headers: { ...headers, traceparent: trace } })
    expect(logs).toEqual([
      {
        level: 'info',
        message: 'request answered',
        fields: {
          requestId: answer.headers.get('holdfast-request'),
          accountId: 'ann',
          deviceId: device,
          syncRunId: '4bf92f3577b34da6a3ce929d0e0e4736',
          method: 'POST',
          route: '/sync/push',
          status: 200,
          durationMs: expect.any(Number),
          result: 'success',
          verdicts: { applied: 1 },
        },
      },
    ])
  })

  test('[OP-1] a mutation that was not taken is named with its code', async () => {
    const { ask, logs } = await serve()
    await ask('POST /sync/push', push(1, 'Laptop', '9'))
    expect(logs[0]?.fields).toMatchObject({
      verdicts: { rejected: 1 },
      mutations: [
        { mutationId: '0197a1b2-0000-7000-8000-000000000001', result: 'rejected', code: 'SCOPE_DENIED' },
      ],
    })
  })

  test.each([
    ['GET /records/items', { user: null }, 'auth-failed', 'AUTH_REQUIRED'],
    ['GET /nothing', {}, 'rejected', 'NOT_FOUND'],
    [`PATCH /records/items/${record}`, { body: { name: 'x', baseVersion: 9 } }, 'conflict', 'CONFLICT'],
    [`PATCH /records/items/${record}`, { body: { colour: 'x' } }, 'rejected', 'FIELD_UNKNOWN'],
  ] as const)('[OP-1] %s with %j is logged as %s', async (route, options, result, code) => {
    const { ask, logs } = await serve()
    await ask('POST /sync/push', push(1, 'Laptop'))
    await ask(route, options)
    expect(logs.at(-1)).toMatchObject({ level: 'warn', fields: { result, code } })
  })

  test('[OP-2] B71: no value and no token is in a log, a metric or an error', async () => {
    const { ask, logs } = await serve()
    const secret = 'canary-8d1f'
    const user = `ann-${'x'.repeat(8)}`
    const told: string[] = []
    const requests: readonly [string, object][] = [
      ['POST /sync/push', push(1, secret)],
      ['POST /sync/push', push(2, secret, '9')],
      ['POST /records/items', { body: { warehouseId: '1', name: secret, price: secret } }],
      ['POST /records/items', { body: { warehouseId: '1', name: secret } }],
      [`PUT /records/items/${record}`, { body: { warehouseId: '1', name: secret, [secret]: 1 } }],
      [`GET /records/${secret}`, {}],
      [`GET /records/items?name=${secret}`, {}],
      ['POST /sync/items', { body: { changes: [{ id: record, name: secret, deleted_at: secret }] } }],
      ['POST /sync/push', { body: `{"mutations":"${secret}`, headers: { 'holdfast-device': device } }],
      ['GET /sync/pull', { headers: { 'holdfast-clock': secret } }],
      [`GET /sync/pull?since=${secret}`, {}],
      ['GET /sync/pull', { headers: { authorization: `Basic ${secret}` } }],
    ]
    for (const [route, options] of requests) {
      const { status, text } = await ask(route, { user, ...options })
      if (status >= 400 && !text.includes('client_data')) told.push(text)
    }
    const { text: metrics } = await ask('GET /metrics')
    expect(JSON.stringify(logs)).not.toContain(secret)
    expect(metrics).not.toContain(secret)
    expect(metrics).not.toContain(user)
    // An error may name what was sent to whoever sent it, but never a value of a record.
    expect(told.length).toBeGreaterThan(5)
    expect(JSON.stringify(logs)).not.toContain(`Bearer`)
  })
})

describe('health', () => {
  test('[OP-3] alive and ready, until it closes', async () => {
    const { ask, sync } = await serve()
    expect((await ask('GET /healthz', { user: null })).body).toEqual({ status: 'ok' })
    const ready = await ask('GET /readyz', { user: null })
    expect([ready.status, ready.body]).toMatchObject([200, { status: 'ready', schemaVersion: 1 }])
    await sync.close()
    const closing = await ask('GET /readyz', { user: null })
    expect([closing.status, closing.body]).toMatchObject([
      503,
      { error: { code: 'SERVER_CLOSING', retry: 'backoff' } },
    ])
    expect((await ask('GET /healthz', { user: null })).status).toBe(200)
  })

  test('[OP-3] a store that does not answer is not ready, and the log says why', async () => {
    const { ask, sync, logs } = await serve()
    await sync.engine.close()
    const { status, body, text } = await ask('GET /readyz', { user: null })
    expect([status, body]).toMatchObject([503, { error: { code: 'STORE_BUSY', retry: 'backoff' } }])
    expect(logs.filter(({ level }) => level === 'error')).toMatchObject([
      { fields: { err: expect.any(Error) } },
    ])
    expect(text).not.toContain('database')
    expect((await ask('GET /healthz', { user: null })).status).toBe(200)
  })

  test('[OP-4] closing answers what is under way, ends streams and refuses the rest', async () => {
    const { ask, sync } = await serve()
    const stream = await sync.fetch(
      new Request('http://localhost/sync/stream', { headers: { authorization: 'Bearer ann' } }),
    )
    const pushes = Promise.all([1, 2, 3].map((seq) => ask('POST /sync/push', push(seq, `n${seq}`))))
    await sync.close()
    expect((await pushes).map(({ status }) => status)).toEqual([200, 200, 200])
    expect(await stream.text()).toContain('event: poke')
    const late = await ask('POST /sync/push', push(4, 'late'))
    expect([late.status, late.body]).toMatchObject([503, { error: { code: 'SERVER_CLOSING' } }])
    await sync.close()
  })
})

describe('metrics', () => {
  test('[OP-5] Prometheus is told what an operator wants to know', async () => {
    const { ask } = await serve()
    await ask('POST /sync/push', push(1, 'Laptop'))
    await ask('POST /sync/push', push(2, 'Laptop', '9'))
    await ask('GET /sync/pull')
    await ask('GET /records/items', { user: null })
    const { status, text, headers } = await ask('GET /metrics', { user: null })
    expect([status, headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
    const lines = text.split('\n').filter((line) => !line.startsWith('#'))
    const value = (name: string): number =>
      Number(
        lines
          .find((line) => line.startsWith(`${name} `))
          ?.split(' ')
          .at(-1),
      )
    expect(value('holdfast_queue_depth')).toBe(3)
    expect(value('holdfast_oldest_pending_age_seconds')).toBe(60)
    expect(value('holdfast_sync_success_rate')).toBe(1)
    expect(value('holdfast_requests_total{route="/sync/push",method="POST",status="200"}')).toBe(2)
    expect(value('holdfast_requests_total{route="/records/{collection}",method="GET",status="401"}')).toBe(1)
    expect(value('holdfast_conflict_rate{collection="items"}')).toBe(0)
    expect(value('holdfast_conflict_rate{collection="notes"}')).toBe(0)
    expect(value('holdfast_rejections{code="SCOPE_DENIED"}')).toBe(1)
    expect(value('holdfast_retry_exhausted_count')).toBe(0)
    expect(value('holdfast_feed_lag_seconds_count')).toBe(0)
    for (const quantile of ['0.5', '0.95', '0.99']) {
      expect(
        value(`holdfast_sync_latency_seconds{quantile="${quantile}",route="/sync/push"}`),
      ).toBeGreaterThan(0)
    }
  })

  test('[OP-6] requests that fail lower the success rate', async () => {
    const { ask } = await serve()
    await ask('GET /sync/pull')
    await ask('GET /sync/pull?limit=x')
    expect((await ask('GET /metrics')).text).toContain('holdfast_sync_success_rate 0.5\n')
  })

  test('[OP-8] labels cannot be made by whoever asks', async () => {
    const { ask, sync } = await serve()
    for (let index = 0; index < 50; index++) {
      await ask(`GET /records/made-up-${index}`)
      await ask(`GET /made-up-${index}`)
      await sync.fetch(new Request('http://localhost/sync/pull', { method: `MADE-UP-${index}` }))
    }
    const { text } = await ask('GET /metrics')
    expect(text.toLowerCase()).not.toContain('made-up')
    expect(text.split('\n').filter((line) => line.startsWith('holdfast_requests_total')).length).toBeLessThan(
      10,
    )
  })

  test('[OP-8] the host decides who reads them', async () => {
    const { ask } = await serve({ metricsAccess: (request) => request.headers.get('x-scraper') === 'yes' })
    expect((await ask('GET /metrics')).status).toBe(404)
    expect((await ask('GET /metrics', { headers: { 'x-scraper': 'yes' } })).status).toBe(200)
  })
})
