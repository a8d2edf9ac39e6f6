import { afterEach, describe, expect, test } from 'vitest'
import { gunzipSync, gzipSync } from 'node:zlib'

import { type GivenServer, givenServer, startTime } from './given-server.ts'

const device = '0197a1b2-0000-7000-8000-00000000000a'
const record = '0197a1b2-0000-7000-8000-000000000001'
const stamp = `2026-11-20T10:00:00.000Z-0000-${device}`

let given: GivenServer | undefined

afterEach(async () => {
  await given?.close()
  given = undefined
})

async function serve(options: Parameters<typeof givenServer>[0] = {}): Promise<GivenServer> {
  given = await givenServer(options)
  return given
}

function createItem(seq = 1, changes: object = {}): object {
  return {
    id: `0197a1b2-0000-7000-8000-${String(seq).padStart(12, '0')}`,
    seq,
    collection: 'items',
    record,
    op: 'create',
    changes: { warehouseId: '1', name: 'Laptop', stock: 10, tags: [], ...changes },
    at: stamp,
    schema: 1,
  }
}

function pushed(...mutations: readonly unknown[]): { body: object; headers: Record<string, string> } {
  return { body: { ack: '', mutations }, headers: { 'holdfast-device': device } }
}

describe('addresses', () => {
  test.each([
    '/',
    '/sync',
    '/sync/',
    '/sync/push/',
    '/records',
    '/RECORDS/items',
    '/%',
    '/records/%zz/1',
    '//sync/push',
  ])('[PH-2] GET %s is not there, with or without a token', async (path) => {
    const { ask } = await serve()
    for (const user of ['ann', null]) {
      const { status, body, headers } = await ask(`GET ${path}`, { user })
      expect(status).toBe(404)
      expect(body).toEqual({
        error: {
          code: 'NOT_FOUND',
          message: expect.any(String),
          retry: 'never',
          requestId: headers.get('holdfast-request'),
        },
      })
    }
  })

  test('[PH-3] a wrong method is told which ones there are', async () => {
    const { ask } = await serve()
    const { status, headers, body } = await ask('DELETE /sync/pull')
    expect([status, headers.get('allow')]).toEqual([405, 'GET, HEAD, POST'])
    expect(body).toMatchObject({ error: { code: 'METHOD_NOT_ALLOWED', retry: 'never' } })
    expect((await ask('PUT /sync/push')).headers.get('allow')).toBe('POST')
    expect((await ask('OPTIONS /records/items')).status).toBe(405)
  })

  test('[PH-3] HEAD is GET without the body', async () => {
    const { ask } = await serve()
    const { status, text, headers } = await ask('HEAD /sync/pull')
    expect([status, text, headers.get('content-type')]).toEqual([200, '', 'application/json; charset=utf-8'])
  })

  test.each(['/api', 'api', '/api/', '/deep/api'])(
    '[PH-4] mounted at %s, routes exist there and nowhere else',
    async (basePath) => {
      const { ask } = await serve({ basePath })
      const base = `/${basePath.replaceAll(/^\/|\/$/g, '')}`
      expect((await ask(`GET ${base}/healthz`)).status).toBe(200)
      expect((await ask('GET /healthz')).status).toBe(404)
      expect((await ask(`GET ${base}healthz`)).status).toBe(404)
      expect((await ask(`GET ${base}`)).status).toBe(404)
    },
  )
})

describe('errors', () => {
  test('[PH-5] a plain shape says status and message beside the error', async () => {
    const { ask } = await serve()
    const { status, body, headers } = await ask('GET /records/nothing')
    expect(status).toBe(404)
    expect(body).toEqual({
      status: 'error',
      message: 'There is no such collection.',
      error: {
        code: 'NOT_FOUND',
        message: 'There is no such collection.',
        retry: 'never',
        requestId: headers.get('holdfast-request'),
      },
    })
  })

  test('[PH-6] B71: a failure of the server names its cause in the log alone', async () => {
    const scopes = (): never => {
      throw new Error('SELECT secret FROM grants: connection refused')
    }
    const { ask, logs } = await serve({ scopes })
    const { status, body, text, headers } = await ask('GET /sync/pull')
    expect(status).toBe(500)
    expect(body).toMatchObject({ error: { code: 'SERVER_FAILED', retry: 'backoff' } })
    expect(text).not.toContain('secret')
    const [line] = logs.filter(({ level }) => level === 'error')
    expect(line?.fields['requestId']).toBe(headers.get('holdfast-request'))
    expect(String(line?.fields['err'])).toContain('SELECT secret')
  })

  test('[PH-1, OP-1] a logger that throws changes no answer', async () => {
    const full = (): never => {
      throw new Error('the log is full')
    }
    const { ask } = await serve({ logger: { info: full, warn: full, error: full } })
    const { status, body } = await ask('POST /records/items', { body: { warehouseId: '1', name: 'Laptop' } })
    expect([status, body]).toEqual([201, expect.objectContaining({ name: 'Laptop' })])
    expect((await ask('GET /records/items', { user: null })).status).toBe(401)
  })

  test('[PH-7, PH-13] without a token there is nothing to see', async () => {
    const { ask } = await serve()
    for (const route of [
      'POST /sync/push',
      'GET /sync/pull',
      'GET /sync/snapshot',
      'GET /sync/stream',
      'GET /conflicts',
      'GET /records/items',
      'POST /sync/items',
    ]) {
      const { status, headers, body } = await ask(route, {
        user: null,
        body: route.startsWith('POST') ? {} : undefined,
      })
      expect([route, status]).toEqual([route, 401])
      expect(headers.get('www-authenticate')).toBe('Bearer realm="holdfast"')
      expect(body).toMatchObject({ error: { code: 'AUTH_REQUIRED', retry: 'after_auth' } })
    }
  })
})

describe('who asks', () => {
  test('[PH-13] a user whose token has expired is nobody', async () => {
    const { ask, advance } = await serve({
      authenticate: () => ({ id: 'ann', expiresAt: Date.parse('2026-11-20T10:01:00.000Z') }),
    })
    expect((await ask('GET /sync/pull')).status).toBe(200)
    advance(60_000)
    expect((await ask('GET /sync/pull')).body).toMatchObject({ error: { code: 'AUTH_REQUIRED' } })
  })

  test.each(['/records/items', '/sync/items', '/sync/pull', '/sync/push'])(
    '[PH-13, PH-14] POST %s: a body that comes slowly keeps neither a right nor a token',
    async (path) => {
      const expiresAt = Date.parse(startTime) + 60_000
      const { sync, grants, ask, advance } = await serve({ authenticate: () => ({ id: 'ann', expiresAt }) })
      await ask('POST /records/items', { body: { warehouseId: '1', name: 'secret' } })
      const slowly = async (meanwhile: () => void): Promise<string> => {
        const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
        const writer = writable.getWriter()
        const init = { method: 'POST', body: readable, headers: pushed().headers }
        const answer = sync.fetch(new Request(`http://localhost${path}`, { ...init, duplex: 'half' }))
        await writer.write(new TextEncoder().encode('{'))
        meanwhile()
        const mutations = JSON.stringify(pushed(createItem()).body).slice(1)
        const rest = path === '/sync/push' ? mutations : '"warehouseId":"1","name":"late"}'
        await writer.write(new TextEncoder().encode(rest))
        await writer.close()
        const response = await answer
        return `${response.status} ${await response.text()}`
      }
      const revoked = await slowly(() => grants.set('ann', []))
      expect(revoked).not.toContain('secret')
      grants.set('ann', ['warehouse:1'])
      expect((await ask('GET /records/items')).body).toMatchObject({ records: [{ name: 'secret' }] })
      expect(await slowly(() => advance(60_000))).toMatch(/^401 .*AUTH_REQUIRED/)
    },
  )

  test.each(['/sync/push', '/sync/pull'])(
    '[QU-20] POST %s: bodies that one user sends slowly leave room for others',
    async (path) => {
      const { sync, ask } = await serve({ limits: { pushesInFlight: 4, pullsInFlight: 4 } })
      const ends: (() => void)[] = []
      const answers = Array.from({ length: 4 }, async () => {
        const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
        const writer = writable.getWriter()
        // Nobody reads those that are refused.
        ends.push(() => void writer.close().catch(() => undefined))
        void writer.write(new TextEncoder().encode('{')).catch(() => undefined)
        const headers = { authorization: 'Bearer ann', 'holdfast-device': device }
        const init = { method: 'POST', body: readable, headers, duplex: 'half' } as const
        return (await sync.fetch(new Request(`http://localhost${path}`, init))).status
      })
      expect(await Promise.race(answers)).toBe(429)
      const body = path === '/sync/push' ? pushed().body : {}
      const headers = pushed().headers
      expect((await ask(`POST ${path}`, { user: 'boss', body, headers })).status).toBe(200)
      const refused = await ask(`POST ${path}`, { body, headers })
      expect(refused).toMatchObject({ status: 429, body: { error: { code: 'RATE_LIMITED' } } })
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(5)
      for (const end of ends) end()
      expect(await Promise.all(answers)).toEqual([400, 400, 429, 429])
      expect((await ask(`POST ${path}`, { body, headers })).status).toBe(200)
    },
  )

  test('[PH-14] a host that throws in authenticate signs nobody out', async () => {
    const { ask } = await serve({ authenticate: () => Promise.reject(new Error('directory is down')) })
    const { status, body } = await ask('GET /sync/pull')
    expect(status).toBe(500)
    expect(body).toMatchObject({ error: { code: 'SERVER_FAILED', retry: 'backoff' } })
  })

  test.each<{ scope: unknown; what: string }>([
    { scope: '', what: 'a list with an empty name' },
    { scope: '*', what: 'a list with the name that stands for everything' },
    { scope: 'warehouse:\u0000', what: 'a name that PostgreSQL cannot hold' },
    { scope: 'warehouse:\ud800', what: 'half of a sign' },
    { scope: undefined, what: 'nothing' },
  ])(
    '[PH-14] a host that grants $what is a failed server: nobody sees what lies in no scope',
    async ({ scope }) => {
      // No row lies in a scope so long.
      const nowhere = 'x'.repeat(300)
      const { ask, grants, logs } = await serve()
      expect((await ask('POST /sync/push', pushed(createItem(1)))).status).toBe(200)
      grants.set('boss', '*')
      await ask(`PATCH /records/items/${record}`, { user: 'boss', body: { warehouseId: nowhere } })
      // As a host without types may grant.
      for (const granted of [[scope], ['warehouse:1', scope]] as string[][]) {
        grants.set('eve', granted)
        const { status, text } = await ask('GET /sync/pull', { user: 'eve' })
        expect([status, text.includes('Laptop')]).toEqual([500, false])
      }
      expect(String(logs.at(-1)?.fields['err'])).toContain('scopes() granted')
    },
  )

  test('[PH-14] a host that grants a text which is no list is a failed server', async () => {
    const { ask } = await serve({ scopes: () => 'warehouse:1' as '*' })
    expect((await ask('GET /sync/pull')).status).toBe(500)
  })

  test('[PH-15] a database of another account is turned away, and nothing is done', async () => {
    const { ask } = await serve()
    const push = pushed(createItem())
    const refused = await ask('POST /sync/push', {
      ...push,
      headers: { ...push.headers, 'holdfast-account': 'ben' },
    })
    expect(refused.status).toBe(403)
    expect(refused.body).toMatchObject({ error: { code: 'ACCOUNT_MISMATCH', retry: 'after_auth' } })
    expect((await ask('GET /records/items')).body).toEqual({ records: [], next: null })
    const taken = await ask('POST /sync/push', {
      ...push,
      headers: { ...push.headers, 'holdfast-account': 'ann' },
    })
    expect([taken.status, taken.headers.get('holdfast-account')]).toEqual([200, 'ann'])
  })

  test('[PH-15] an id that no header can carry travels percent-encoded', async () => {
    const { ask } = await serve({ authenticate: () => ({ id: 'Zoë 100%' }) })
    const { headers } = await ask('GET /sync/pull')
    expect(headers.get('holdfast-account')).toBe('Zo%C3%AB%20100%25')
    expect(
      (await ask('GET /sync/pull', { headers: { 'holdfast-account': 'Zo%C3%AB%20100%25' } })).status,
    ).toBe(200)
  })

  test('[PH-16] a push names its device, with a UUID', async () => {
    const { ask } = await serve()
    for (const headers of [
      {},
      { 'holdfast-device': 'my phone' },
      { 'holdfast-device': device.toUpperCase() },
    ] as Record<string, string>[]) {
      const { status, body } = await ask('POST /sync/push', { body: { mutations: [] }, headers })
      expect([status, body]).toMatchObject([400, { error: { code: 'DEVICE_REQUIRED' } }])
    }
  })

  test('[PH-17] headers that cannot be read are refused, a bad trace is ignored', async () => {
    const { ask } = await serve()
    for (const headers of [
      { 'holdfast-schema': 'one' },
      { 'holdfast-schema': '0' },
      { 'holdfast-clock': 'noon' },
    ] as Record<string, string>[]) {
      const { status, body } = await ask('GET /sync/pull', { headers })
      expect([status, body]).toMatchObject([400, { error: { code: 'REQUEST_INVALID' } }])
    }
    expect((await ask('GET /sync/pull', { headers: { traceparent: 'x' } })).status).toBe(200)
  })
})

describe('bodies', () => {
  test('[PH-1, PH-10] whatever is pushed, the answer is an error in JSON', async () => {
    const { ask } = await serve()
    const headers = { 'holdfast-device': device }
    const bodies: readonly unknown[] = [
      '',
      '{',
      'null',
      '[]',
      '1',
      '"text"',
      'true',
      {},
      { mutations: {} },
      { mutations: null },
      { ack: 1, mutations: [] },
      { ack: '3-1', mutations: [] },
      { ack: 'x', mutations: [] },
      { ack: '', mutations: [], pending: { count: -1 } },
      { mutations: '[]' },
      '['.repeat(500),
      '{"a":'.repeat(500),
      new Uint8Array([0xff, 0xfe, 0x00]),
    ]
    for (const body of bodies) {
      const { status, body: answer } = await ask('POST /sync/push', { body, headers })
      expect([body, status]).toEqual([body, 400])
      expect(answer).toMatchObject({
        error: { code: 'REQUEST_INVALID', retry: 'never', requestId: expect.any(String) },
      })
    }
  })

  test('[PH-1] B67: names and ids that would be SQL are never more than text', async () => {
    const { ask } = await serve()
    await ask('POST /sync/push', pushed(createItem()))
    const names = [
      "items'; DROP TABLE items; --",
      '"items"',
      'items--',
      'sqlite_schema',
      'holdfast_feed',
      '__proto__',
      'constructor',
      'toString',
      '%00',
      '..',
      'é',
    ]
    for (const name of names) {
      const path = encodeURIComponent(name)
      expect((await ask(`GET /records/${path}`)).status).toBe(404)
      expect((await ask(`GET /records/items/${path}`)).status).toBe(404)
      expect((await ask(`GET /records/items?${path}=1`)).status).toBe(422)
      expect((await ask(`POST /sync/${path}`, { body: { changes: [] } })).status).toBe(404)
      expect((await ask(`PATCH /records/items/${record}`, { body: { [name]: 1 } })).status).toBe(422)
      expect(
        (await ask(`POST /records/items/${record}/restore`, { body: { fields: [name] } })).status,
      ).toBeLessThan(500)
    }
    expect((await ask(`GET /records/items/${record}`)).status).toBe(200)
    expect(Object.keys(Object.prototype)).toEqual([])
  })

  test('[PH-8] B69: a push over the limit answers 413', async () => {
    const { ask } = await serve()
    const headers = { 'holdfast-device': device }
    const long = JSON.stringify({ mutations: [], note: 'a'.repeat(4_194_304) })
    expect((await ask('POST /sync/push', { body: long, headers })).status).toBe(413)
    const zipped = gzipSync(long)
    const bomb = await ask('POST /sync/push', {
      body: zipped,
      headers: { ...headers, 'content-encoding': 'gzip' },
    })
    expect(bomb.status).toBe(413)
    expect(bomb.body).toMatchObject({ error: { code: 'REQUEST_TOO_LARGE' } })
    const many = { mutations: Array.from({ length: 1_001 }, () => 0) }
    expect((await ask('POST /sync/push', { body: many, headers })).status).toBe(413)
  })

  test('[PH-9] a compressed push is a push', async () => {
    const { ask } = await serve()
    const { body, headers } = pushed(createItem())
    const answer = await ask('POST /sync/push', {
      body: gzipSync(JSON.stringify(body)),
      headers: { ...headers, 'content-encoding': 'gzip' },
    })
    expect(answer.body).toMatchObject({ results: [{ status: 'applied', version: 1 }] })
  })
})

describe('answers', () => {
  test('[PH-11] no cache keeps anything', async () => {
    const { ask } = await serve()
    for (const route of [
      'GET /sync/pull',
      'GET /records/items',
      'GET /healthz',
      'GET /nothing',
      'GET /sync/stream?user=x',
    ]) {
      const { headers } = await ask(route, { user: route.includes('stream') ? null : 'ann' })
      expect(headers.get('cache-control')).toBe('no-store')
    }
  })

  test('[PH-12] long answers are gzipped for those who accept it', async () => {
    const { ask, sync } = await serve()
    await ask('POST /sync/push', pushed(createItem(1, { name: 'x'.repeat(5_000) })))
    const fetchWith = (accept: Record<string, string>, path = '/sync/pull'): Promise<Response> =>
      sync.fetch(
        new Request(`http://localhost${path}`, { headers: { authorization: 'Bearer ann', ...accept } }),
      )
    const zipped = await fetchWith({ 'accept-encoding': 'br, gzip;q=0.5' })
    expect(zipped.headers.get('content-encoding')).toBe('gzip')
    const bytes = Buffer.from(await zipped.arrayBuffer())
    expect(bytes.length).toBeLessThan(1_000)
    expect(JSON.parse(gunzipSync(bytes).toString())).toMatchObject({ more: false })
    for (const accept of [{}, { 'accept-encoding': 'br' }, { 'accept-encoding': 'gzip;q=0' }] as Record<
      string,
      string
    >[]) {
      const plain = await fetchWith(accept)
      expect(plain.headers.get('content-encoding')).toBeNull()
      expect(plain.headers.get('vary')).toBe('accept-encoding')
      expect(await plain.json()).toMatchObject({ more: false })
    }
    const short = await fetchWith({ 'accept-encoding': 'gzip' }, '/healthz')
    expect(short.headers.get('content-encoding')).toBeNull()
  })
})
