import { canonicalJson, type Json } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { type GivenServer, givenServer, type Told } from './given-server.ts'

const record = '0197a1b2-0000-7000-8000-000000000001'
const other = '0197a1b2-0000-7000-8000-000000000002'
const devices = { ann: '0197a1b2-0000-7000-8000-00000000000a', ben: '0197a1b2-0000-7000-8000-00000000000b' }

interface Page {
  readonly changes: readonly { readonly op: string; readonly record: string; readonly collection: string }[]
  readonly cursor: string
  readonly more: boolean
}

let given: GivenServer
let seq: number

beforeEach(async () => {
  given = await givenServer()
  seq = 0
})

afterEach(() => given.close())

function asDevice(user: keyof typeof devices): Record<string, string> {
  return { 'holdfast-device': devices[user], 'holdfast-schema': '1' }
}

/** Pushes one mutation; members not named make it an update of the record by ann. */
function push(user: keyof typeof devices, mutation: object): Promise<Told> {
  seq++
  const whole = {
    id: `0197a1b2-0000-7000-8000-${String(1_000 + seq)}00000000`,
    seq,
    collection: 'items',
    record,
    op: 'update',
    baseVersion: 1,
    at: `2026-11-20T10:00:${String(seq).padStart(2, '0')}.000Z-0000-${devices[user]}`,
    schema: 1,
    ...mutation,
  }
  return given.ask('POST /sync/push', {
    user,
    headers: asDevice(user),
    body: { ack: '', mutations: [whole] },
  })
}

function create(id = record): Promise<Told> {
  const changes = { warehouseId: '1', name: 'Laptop', stock: 0, tags: [] }
  return push('ann', { record: id, op: 'create', baseVersion: 0, changes })
}

test('[PU-24] a push that prefers it is shown every record it changed', async () => {
  const changes = { warehouseId: '1', name: 'Laptop', stock: 3, tags: [] }
  const at = `2026-11-20T10:00:00.000Z-0000-${devices.ann}`
  const mutation = {
    id: record,
    seq: 1,
    collection: 'items',
    record,
    op: 'create',
    baseVersion: 0,
    changes,
    at,
    schema: 1,
  }
  const body = { ack: '', mutations: [mutation] }
  const headers = { ...asDevice('ann'), prefer: 'respond-async, return=representation' }
  const answer = await given.ask('POST /sync/push', { user: 'ann', headers, body })
  expect(answer.body).toMatchObject({
    results: [
      { status: 'applied', version: 1, record: { id: record, name: 'Laptop', stock: 3, version: 1 } },
    ],
  })
  expect((await create(other)).body).not.toHaveProperty('results.0.record')
})

/** A conflict over the name: ben's edit stands, ann's waits. */
async function givenConflict(): Promise<string> {
  await create()
  await push('ben', { changes: { name: 'Desk' }, base: { name: 'Laptop' } })
  const { body } = await push('ann', { changes: { name: 'Chair' }, base: { name: 'Laptop' } })
  expect(body).toMatchObject({ results: [{ status: 'conflict' }] })
  return (body as { results: { conflict: { id: string } }[] }).results[0]?.conflict.id ?? ''
}

describe('pull and snapshot', () => {
  test('[PH-23] a pull by query, by body and by its other name is the same', async () => {
    await create()
    await create(other)
    const headers = asDevice('ben')
    const first = await given.ask('GET /sync/pull?limit=1', { user: 'ben', headers })
    const { cursor, more, changes } = first.body as Page
    expect([first.status, more, changes.length]).toEqual([200, true, 1])
    const query = `?since=${encodeURIComponent(cursor)}&limit=5`
    const rest = await given.ask(`GET /sync/pull${query}`, { user: 'ben', headers })
    const alias = await given.ask(`GET /changes${query}`, { user: 'ben', headers })
    const posted = await given.ask('POST /sync/pull', {
      user: 'ben',
      headers,
      body: { since: cursor, limit: 5 },
    })
    expect(rest.body).toMatchObject({
      changes: [{ op: 'put', record: other, data: { name: 'Laptop' } }],
      more: false,
    })
    expect([alias.text, posted.text]).toEqual([rest.text, rest.text])
  })

  test('[PH-23] a snapshot has two names, and an empty body of a pull is a pull from the start', async () => {
    await create()
    const headers = asDevice('ben')
    const snapshot = await given.ask('GET /sync/snapshot?limit=10', { user: 'ben', headers })
    expect(snapshot.body).toMatchObject({ changes: [{ op: 'put', record }], more: false })
    const alias = await given.ask('GET /snapshot?limit=10', { user: 'ben', headers })
    expect((alias.body as Page).changes).toEqual((snapshot.body as Page).changes)
    const more = { user: 'ben', headers, body: { limit: 10, scopes: [] } }
    const posted = await given.ask('POST /sync/snapshot', more)
    const asked = await given.ask('GET /sync/snapshot?limit=10&scopes=', { user: 'ben', headers })
    expect([posted.status, posted.text]).toEqual([200, asked.text])
    const wrong = await given.ask('POST /sync/snapshot', { ...more, body: { limit: 0 } })
    expect([wrong.status, wrong.body]).toMatchObject([400, { error: { code: 'REQUEST_INVALID' } }])
    const pulled = await given.ask('POST /sync/pull', { user: 'ben', headers, body: '' })
    expect(pulled.body).toMatchObject({ changes: [{ op: 'put', record }] })
  })

  test('[PH-24] a page leaves as the text the engine made', async () => {
    await create()
    const grants = await given.sync.engine.grantsOf({ id: 'ben' })
    const caller = { user: { id: 'ben' }, device: devices.ben, grants, schemaVersion: 1, requestId: 'r' }
    const { text } = await given.sync.engine.pull(caller, {})
    const answer = await given.ask('GET /sync/pull', { user: 'ben', headers: asDevice('ben') })
    expect(answer.text).toBe(text)
    expect(canonicalJson(answer.body as Json)).toContain('"name":"Laptop"')
  })

  test.each(['0', '-1', '1.5', 'ten', '10001', '1e3', '9007199254740993'])(
    '[PH-25] a limit of %s is refused',
    async (limit) => {
      for (const route of [
        '/sync/pull',
        '/changes',
        '/sync/snapshot',
        '/snapshot',
        '/conflicts',
        '/records/items',
      ]) {
        const { status, body } = await given.ask(`GET ${route}?limit=${limit}`)
        expect([route, status, body]).toMatchObject([route, 400, { error: { code: 'REQUEST_INVALID' } }])
      }
    },
  )

  test('a cursor that is none asks for a snapshot', async () => {
    for (const route of ['GET /sync/pull?since=made-up', 'GET /sync/snapshot?cursor=made-up']) {
      const { status, body } = await given.ask(route)
      expect([route, status, body]).toMatchObject([route, 410, { error: { retry: 'resync' } }])
    }
  })

  test('[PH-26] no receipt was ever issued', async () => {
    const { status, body } = await given.ask(`GET /sync/receipts/${record}`)
    expect([status, body]).toMatchObject([404, { error: { code: 'NOT_FOUND' } }])
  })
})

describe('conflicts', () => {
  test('[PH-28] open conflicts are listed to those who may see them', async () => {
    const conflict = await givenConflict()
    const { status, body } = await given.ask('GET /conflicts', { user: 'ben' })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      conflicts: [{ id: conflict, status: 'open', record, author: 'ann' }],
      next: null,
    })
    given.grants.set('cy', ['warehouse:9'])
    expect((await given.ask('GET /conflicts', { user: 'cy' })).body).toEqual({ conflicts: [], next: null })
    expect((await given.ask('GET /conflicts?status=resolved')).body).toEqual({ conflicts: [], next: null })
    expect((await given.ask('GET /conflicts?status=all&limit=1')).body).toMatchObject({
      conflicts: [{ id: conflict }],
    })
    expect((await given.ask('GET /conflicts?status=lost')).status).toBe(400)
  })

  test.each([
    [{ kind: 'mine' }, 'Chair'],
    [{ kind: 'theirs' }, 'Desk'],
    [{ kind: 'merge', values: { name: 'Stool' } }, 'Stool'],
    [{ kind: 'merge', values: { [record]: { name: 'Bench' } } }, 'Bench'],
  ])('[PH-27] %j settles it', async (body, name) => {
    const conflict = await givenConflict()
    const settled = await given.ask(`POST /conflicts/${conflict}/resolve`, { user: 'ben', body })
    expect([settled.status, settled.body]).toMatchObject([200, { id: record, name }])
    expect((await given.ask('GET /conflicts')).body).toEqual({ conflicts: [], next: null })
    const again = await given.ask(`POST /conflicts/${conflict}/resolve`, { body })
    expect([again.status, again.body]).toMatchObject([409, { error: { code: 'CONFLICT_CLOSED' } }])
  })

  test('[PH-27] a conflict that is not there, or not to be seen, is unknown', async () => {
    const conflict = await givenConflict()
    given.grants.set('cy', ['warehouse:9'])
    for (const [id, user] of [
      [other, 'ann'],
      ['x', 'ann'],
      [conflict, 'cy'],
    ] as const) {
      for (const body of [{ kind: 'theirs' }, { kind: 'merge', values: { name: 'x' } }]) {
        const answer = await given.ask(`POST /conflicts/${id}/resolve`, { user, body })
        expect([id, answer.status, answer.body]).toMatchObject([
          id,
          404,
          { error: { code: 'CONFLICT_UNKNOWN' } },
        ])
      }
    }
  })

  test.each([
    {},
    { kind: 'both' },
    { kind: 'merge' },
    { kind: 'merge', values: [] },
    { kind: 'merge', values: 'x' },
  ])('[PH-27] %j settles nothing', async (body) => {
    const conflict = await givenConflict()
    expect((await given.ask(`POST /conflicts/${conflict}/resolve`, { body })).status).toBe(400)
    expect((await given.ask('GET /conflicts')).body).toMatchObject({ conflicts: [{ status: 'open' }] })
  })
})

describe('stream', () => {
  test('[PH-18] B40: another device of the same scope is poked for a push, one of another scope is not', async () => {
    given.grants.set('cy', ['warehouse:9'])
    const [ben, cy] = await Promise.all(
      ['ben', 'cy'].map(async (user) => {
        const headers = { authorization: `Bearer ${user}`, 'holdfast-device': devices.ben }
        const response = await given.sync.fetch(new Request('http://localhost/sync/stream', { headers }))
        expect(response.headers.get('content-type')).toBe('text/event-stream')
        return response
      }),
    )
    await create()
    await expect
      .poll(async () => (await given.ask('GET /metrics')).text)
      .toContain('holdfast_feed_lag_seconds_count 1\n')
    await given.sync.close()
    expect(await ben?.text()).toBe('event: poke\ndata: {}\n\n'.repeat(2))
    expect(await cy?.text()).toBe('event: poke\ndata: {}\n\n')
  })
})
