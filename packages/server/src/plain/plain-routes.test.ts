import { DatabaseSync } from 'node:sqlite'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { type GivenServer, givenServer, startTime, type Told } from '../http/given-server.ts'

const id = '0197a1b2-0000-7000-8000-000000000001'
const other = '0197a1b2-0000-7000-8000-000000000002'
const foreign = '0197a1b2-0000-7000-8000-0000000000ff'
const laptop = { warehouseId: '1', name: 'Laptop' }

let given: GivenServer
let ask: GivenServer['ask']

beforeEach(async () => {
  given = await givenServer()
  ask = given.ask
})

afterEach(() => given.close())

/** A record of a warehouse that ann does not see. */
async function givenForeign(): Promise<void> {
  given.grants.set('cy', ['warehouse:9'])
  const { status } = await ask('POST /records/items', {
    user: 'cy',
    body: { id: foreign, warehouseId: '9', name: 'X' },
  })
  expect(status).toBe(201)
}

async function createdVersion(body: object = { id, ...laptop }): Promise<number> {
  const { body: row } = await ask('POST /records/items', { body })
  return (row as { version: number }).version
}

describe('create and read', () => {
  test('[PH-31] a created record answers 201 with its canonical row, ETag and Location', async () => {
    const { status, body, headers } = await ask('POST /records/items', {
      body: { id, ...laptop, price: '899.00' },
    })
    expect(status).toBe(201)
    expect(body).toEqual({
      id,
      warehouseId: '1',
      name: 'Laptop',
      location: null,
      price: '899.00',
      stock: 0,
      tags: [],
      rank: null,
      extra: null,
      version: 1,
      created_at: startTime,
      updated_at: startTime,
      server_updated_at: startTime,
      deleted_at: null,
    })
    expect([headers.get('etag'), headers.get('location')]).toEqual(['"1"', `/records/items/${id}`])
    const read = await ask(`GET /records/items/${id}`)
    expect([read.status, read.headers.get('etag')]).toEqual([200, '"1"'])
    expect(read.body).toEqual(body)
  })

  test('[PH-32] POST makes an id where none is given', async () => {
    const { body, headers } = await ask('POST /records/items', { body: laptop })
    const { id: made } = body as { id: string }
    expect(made).toMatch(/^[0-9a-f-]{36}$/)
    expect(headers.get('location')).toBe(`/records/items/${made}`)
    expect((await ask(`GET /records/items/${made}`)).status).toBe(200)
  })

  test('[PH-32] PUT creates, then replaces: what it leaves out has its default', async () => {
    const first = await ask(`PUT /records/items/${id}`, { body: { ...laptop, location: 'A1', stock: 5 } })
    expect([first.status, first.body]).toMatchObject([201, { location: 'A1', stock: 5 }])
    const second = await ask(`PUT /records/items/${id}`, { body: { ...laptop, name: 'Desk' } })
    expect([second.status, second.body]).toMatchObject([200, { name: 'Desk', location: null, stock: 0 }])
  })

  test('[PH-32] PATCH sets what it names and adds increments', async () => {
    await createdVersion({ id, ...laptop, location: 'A1', stock: 10 })
    const { status, body } = await ask(`PATCH /records/items/${id}`, {
      body: { name: 'Desk', increments: { stock: -3 } },
    })
    expect([status, body]).toMatchObject([200, { name: 'Desk', location: 'A1', stock: 7 }])
  })

  test.each(['POST /records/items', `PUT /records/items/${id}`])(
    '[PH-32] %s: a counter that is set and added to at once is refused, not set to either',
    async (route) => {
      const { status, body } = await ask(route, { body: { ...laptop, stock: 3, increments: { stock: 2 } } })
      expect([status, body]).toMatchObject([400, { error: { code: 'MUTATION_INVALID', field: 'stock' } }])
      expect((await ask('GET /records/items')).body).toMatchObject({ records: [] })
    },
  )

  test('[PH-31] a reader that has the version is told so', async () => {
    await createdVersion()
    const { status, text } = await ask(`GET /records/items/${id}`, { headers: { 'if-none-match': '"1"' } })
    expect([status, text]).toEqual([304, ''])
  })

  test('[PH-32] a deleted record is gone, and still there for who asks for deleted ones', async () => {
    await createdVersion()
    const gone = await ask(`DELETE /records/items/${id}`)
    expect([gone.status, gone.body]).toMatchObject([200, { id, version: 2, deleted_at: startTime }])
    expect((await ask(`GET /records/items/${id}`)).status).toBe(404)
    expect((await ask(`GET /records/items/${id}?deleted=true`)).body).toMatchObject({ deleted_at: startTime })
    const again = await ask(`DELETE /records/items/${id}`)
    expect([again.status, again.body]).toMatchObject([200, { id, version: 2, deleted_at: startTime }])
  })

  test('[PH-32] a record that is deleted for good answers once more, with its time of death', async () => {
    await ask('POST /records/notes', { body: { id, body: 'hello' } })
    const gone = await ask(`DELETE /records/notes/${id}`)
    expect([gone.status, gone.body]).toMatchObject([200, { id, deleted_at: startTime }])
    expect((await ask(`GET /records/notes/${id}`)).status).toBe(404)
  })
})

describe('what a client may not', () => {
  test('[PH-30] B66: a foreign record answers like one that does not exist, to the byte', async () => {
    await givenForeign()
    const requests: readonly [string, object?][] = [
      ['GET /records/items/:id'],
      ['GET /records/items/:id?deleted=true'],
      ['PATCH /records/items/:id', { name: 'Mine' }],
      ['PATCH /records/items/:id', { name: 'Mine', baseVersion: 1 }],
      ['PATCH /records/items/:id', { name: 'Mine', updated_at: startTime }],
      ['DELETE /records/items/:id'],
      ['GET /records/items/:id/history'],
      ['POST /records/items/:id/restore', {}],
      ['POST /records/items/:id/restore', { fields: ['name'] }],
    ]
    for (const [route, body] of requests) {
      const answers = await Promise.all(
        [foreign, other].map((record) => ask(route.replace(':id', record), { body })),
      )
      const told = answers.map(({ status, text, headers }) => [
        status,
        text.replaceAll(headers.get('holdfast-request') ?? '', '').replaceAll(foreign, other),
      ])
      expect([route, told[0]]).toEqual([route, told[1]])
      expect([route, told[0]?.[0]]).toEqual([route, 404])
    }
    expect((await ask(`GET /records/items/${foreign}`, { user: 'cy' })).body).toMatchObject({
      name: 'X',
      version: 1,
    })
  })

  test('[PH-30] a record that leaves the scopes of its writer is still answered', async () => {
    given.grants.set('ann', ['warehouse:1', 'warehouse:2'])
    await createdVersion()
    const moved = await ask(`PATCH /records/items/${id}`, { body: { warehouseId: '2' } })
    expect([moved.status, moved.body]).toMatchObject([200, { warehouseId: '2' }])
    given.grants.set('ann', ['warehouse:1'])
    expect((await ask(`GET /records/items/${id}`)).status).toBe(404)
  })

  test.each([
    ['an unknown field', { ...laptop, nmae: 'x' }, 422, 'FIELD_UNKNOWN'],
    ['a number for text', { ...laptop, name: 1 }, 422, 'VALUE_INVALID'],
    ['null where a value must be', { ...laptop, name: null }, 422, 'VALUE_INVALID'],
    ['a field missing', { warehouseId: '1' }, 422, 'VALUE_INVALID'],
    ['a price that is none', { ...laptop, price: 'cheap' }, 422, 'VALUE_INVALID'],
    ['half a piece', { ...laptop, stock: 0.5 }, 422, 'VALUE_INVALID'],
    ['a set that is none', { ...laptop, tags: 'new' }, 422, 'VALUE_INVALID'],
    ['an id that is none', { ...laptop, id: 'LT-14' }, 422, 'VALUE_INVALID'],
    ['a server field', { ...laptop, rank: 1 }, 403, 'FIELD_SERVER_OWNED'],
    ['another warehouse', { ...laptop, warehouseId: '9' }, 403, 'SCOPE_DENIED'],
    ['a deletion in disguise', { ...laptop, deleted_at: startTime }, 422, 'VALUE_INVALID'],
    ['a time that is none', { ...laptop, updated_at: 'now' }, 422, 'VALUE_INVALID'],
    ['a list', [], 400, 'REQUEST_INVALID'],
    ['a text', '"x"', 400, 'REQUEST_INVALID'],
    ['a prototype', '{"warehouseId":"1","name":"x","__proto__":{"a":1}}', 422, 'FIELD_UNKNOWN'],
  ])('[PH-34] %s is refused', async (_, body, status, code) => {
    const answer = await ask('POST /records/items', { body })
    expect([answer.status, answer.body]).toMatchObject([
      status,
      { status: 'error', error: { code, retry: 'never' } },
    ])
    expect((await ask('GET /records/items')).body).toEqual({ records: [], next: null })
  })

  test('[PH-34] the error names the field', async () => {
    const { body } = await ask('POST /records/items', { body: { ...laptop, price: 'cheap' } })
    expect(JSON.stringify((body as { error: object }).error)).toContain('price')
  })

  test('[PH-33] a row may be sent back as it was read', async () => {
    await createdVersion()
    const { body: row } = await ask(`GET /records/items/${id}`)
    given.advance(1_000)
    const { rank: _, ...editable } = row as Record<string, unknown>
    const { status, body } = await ask(`PATCH /records/items/${id}`, { body: { ...editable, name: 'Desk' } })
    expect([status, body]).toMatchObject([200, { name: 'Desk', version: 2, created_at: startTime }])
    expect((await ask(`PATCH /records/items/${id}`, { body: { id: other, name: 'Desk' } })).status).toBe(400)
  })

  test('an id that is taken answers 409 with the record that has it', async () => {
    await createdVersion()
    const { status, body } = await ask('POST /records/items', { body: { id, ...laptop, name: 'Desk' } })
    expect([status, body]).toMatchObject([409, { status: 'conflict', error: { code: 'RECORD_EXISTS' } }])
  })
})

describe('races', () => {
  test.each([
    ['If-Match', (version: number) => ({ headers: { 'if-match': `"${version}"` }, body: { name: 'Desk' } })],
    ['baseVersion', (version: number) => ({ body: { name: 'Desk', baseVersion: version } })],
  ])('[PH-35, PH-36] with %s only the version that was read is written over', async (_, request) => {
    await createdVersion()
    await ask(`PATCH /records/items/${id}`, { body: { name: 'Chair' } })
    const lost = await ask(`PATCH /records/items/${id}`, request(1))
    expect(lost.status).toBe(409)
    expect(lost.headers.get('etag')).toBe('"2"')
    expect(lost.body).toMatchObject({
      status: 'conflict',
      server_data: { id, name: 'Chair', version: 2 },
      client_data: { name: 'Desk' },
      error: { code: 'CONFLICT', retry: 'never', requestId: lost.headers.get('holdfast-request') },
    })
    expect((await ask(`GET /records/items/${id}`)).body).toMatchObject({ name: 'Chair', version: 2 })
    const won = await ask(`PATCH /records/items/${id}`, request(2))
    expect([won.status, won.body]).toMatchObject([200, { name: 'Desk', version: 3 }])
  })

  test('[PH-35] updated_at loses against a later edit and wins against an earlier one', async () => {
    given.advance(60_000)
    await createdVersion()
    const patch = (name: string, updated_at: string) =>
      ask(`PATCH /records/items/${id}`, { body: { name, updated_at } })
    const late = await patch('Desk', '2026-11-20T10:00:30.000Z')
    expect([late.status, late.body]).toMatchObject([409, { server_data: { name: 'Laptop' } }])
    const newer = await patch('Chair', '2026-11-20T10:01:30.000Z')
    expect([newer.status, newer.body]).toMatchObject([200, { updated_at: '2026-11-20T10:01:30.000Z' }])
  })

  test('[PH-35, PH-36] two clients that send back what they read do not overwrite each other', async () => {
    await createdVersion()
    given.advance(1_000)
    const first = await ask(`PUT /records/items/${id}`, {
      body: { ...laptop, location: 'A1', updated_at: startTime },
    })
    expect([first.status, first.body]).toMatchObject([200, { updated_at: '2026-11-20T10:00:01.000Z' }])
    const second = await ask(`PUT /records/items/${id}`, {
      body: { ...laptop, location: 'B2', updated_at: startTime },
    })
    expect([second.status, second.body]).toMatchObject([409, { server_data: { location: 'A1' } }])
  })

  test('[PH-35] a delete has preconditions, too', async () => {
    await createdVersion()
    await ask(`PATCH /records/items/${id}`, { body: { name: 'Chair' } })
    expect((await ask(`DELETE /records/items/${id}`, { headers: { 'if-match': '"1"' } })).status).toBe(409)
    expect((await ask(`DELETE /records/items/${id}`, { headers: { 'if-match': '"2"' } })).status).toBe(200)
  })

  test.each(['1', '*', '"x"', '"1", "2"', ''])('[PH-35] If-Match %j is refused', async (etag) => {
    await createdVersion()
    const { status } = await ask(`PATCH /records/items/${id}`, { headers: { 'if-match': etag }, body: {} })
    expect(status).toBe(400)
  })

  test('[PH-38, PR-7] without a precondition a write assigns, and the history has what it replaced', async () => {
    await createdVersion()
    await ask(`PATCH /records/items/${id}`, { user: 'ben', body: { name: 'Chair' } })
    const { status, body } = await ask(`GET /records/items/${id}/history`)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      history: [
        { op: 'update', user: 'ben', before: { name: 'Laptop' }, after: { name: 'Chair' }, version: 2 },
        { op: 'create', user: 'ann', version: 1 },
      ],
    })
  })
})

describe('idempotency', () => {
  test('[PH-37, PR-3] the same key and body is the same answer, done once', async () => {
    const request = { body: laptop, headers: { 'idempotency-key': 'order-7' } }
    const first = await ask('POST /records/items', request)
    const second = await ask('POST /records/items', request)
    expect([second.status, second.text]).toEqual([201, first.text])
    expect((await ask('GET /records/items')).body).toMatchObject({
      records: [{ name: 'Laptop' }],
      next: null,
    })
    const body = { increments: { stock: 5 } }
    const { id: made } = first.body as { id: string }
    for (let repeat = 0; repeat < 3; repeat++) {
      await ask(`PATCH /records/items/${made}`, { body, headers: { 'idempotency-key': 'delivery-1' } })
    }
    expect((await ask(`GET /records/items/${made}`)).body).toMatchObject({ stock: 5 })
  })

  test('[PH-37, PR-3] the same request many times at once is done once', async () => {
    const request = { body: laptop, headers: { 'idempotency-key': 'k' } }
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask('POST /records/items', request)))
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
    const { body } = await ask('GET /records/items')
    expect((body as { records: unknown[] }).records.length).toBe(1)
  })

  test('[PH-37] the same key with another body, path or version is refused', async () => {
    await createdVersion()
    await createdVersion({ id: other, ...laptop })
    const headers = { 'idempotency-key': 'k' }
    expect((await ask(`PATCH /records/items/${id}`, { body: { name: 'Desk' }, headers })).status).toBe(200)
    for (const [record, body, more] of [
      [id, { name: 'Chair' }, {}],
      [other, { name: 'Desk' }, {}],
      [id, { name: 'Desk' }, { 'if-match': '"9"' }],
    ] as const) {
      const { status, body: told } = await ask(`PATCH /records/items/${record}`, {
        body,
        headers: { ...headers, ...more },
      })
      expect([status, told]).toMatchObject([422, { status: 'error', error: { code: 'KEY_REUSED' } }])
    }
  })

  test('[PH-37] keys of different users do not meet', async () => {
    const request = { body: laptop, headers: { 'idempotency-key': 'k' } }
    expect((await ask('POST /records/items', request)).status).toBe(201)
    expect(
      (await ask('POST /records/items', { ...request, user: 'ben', body: { ...laptop, name: 'B' } })).status,
    ).toBe(201)
  })

  test('[PH-37] a key is 1 to 255 characters', async () => {
    for (const key of ['', 'x'.repeat(256)]) {
      const { status } = await ask('POST /records/items', {
        body: laptop,
        headers: { 'idempotency-key': key },
      })
      expect(status).toBe(400)
    }
  })
})

describe('lists, history, restore', () => {
  test('[PH-39] a list comes in pages, by id, and filtered', async () => {
    for (let index = 1; index <= 5; index++) {
      const name = index % 2 === 0 ? 'even' : 'odd'
      await createdVersion({ ...laptop, id: id.replace(/1$/, String(index)), name, stock: index })
    }
    const stocks = async (query: string, after = ''): Promise<unknown> => {
      const { body } = await ask(`GET /records/items?${query}${after}`)
      const { records, next } = body as { records: { stock: number }[]; next: string | null }
      return [records.map(({ stock }) => stock), next === null ? null : await stocks(query, `&after=${next}`)]
    }
    expect(await stocks('limit=2')).toEqual([
      [1, 2],
      [
        [3, 4],
        [[5], null],
      ],
    ])
    expect(await stocks('name=odd')).toEqual([[1, 3, 5], null])
    expect(await stocks('stock=4&name=even')).toEqual([[4], null])
    expect(await stocks('name=none')).toEqual([[], null])
  })

  test.each([
    ['?tags=a', 422],
    ['?extra=1', 422],
    ['?stock=many', 422],
    ['?colour=red', 422],
    ['?limit=0', 400],
    ['?limit=10001', 400],
    ['?limit=1.5', 400],
    ['?limit=-1', 400],
  ])('[PH-39, PH-25] a list with %s is refused', async (query, status) => {
    expect((await ask(`GET /records/items${query}`)).status).toBe(status)
  })

  test('[PH-39] B66: a list shows what its reader may see', async () => {
    await givenForeign()
    await createdVersion()
    expect((await ask('GET /records/items')).body).toMatchObject({ records: [{ id }], next: null })
    expect((await ask('GET /records/items?warehouseId=9')).body).toEqual({ records: [], next: null })
  })

  test('[PH-41] a history is read in pages, newest first', async () => {
    await createdVersion()
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    for (const name of ['a', 'b', 'c']) {
      await ask(`PATCH /records/items/${id}`, { body: { name }, headers: { traceparent } })
    }
    const { body } = await ask(`GET /records/items/${id}/history?limit=2`)
    const { history } = body as { history: { n: number; after: { name: string } }[] }
    expect(history.map(({ after }) => after.name)).toEqual(['c', 'b'])
    expect(history[0]).toMatchObject({ trace: traceparent, user: 'ann' })
    const older = await ask(`GET /records/items/${id}/history?before=${history[1]?.n}`)
    expect(older.body).toMatchObject({ history: [{ after: { name: 'a' } }, { op: 'create' }] })
    expect((await ask(`GET /records/items/${id}/history?before=x`)).status).toBe(400)
  })

  test('[PH-42] restore brings a deleted record back', async () => {
    await createdVersion({ id, ...laptop, stock: 3 })
    await ask(`DELETE /records/items/${id}`)
    const { status, body } = await ask(`POST /records/items/${id}/restore`, { body: {} })
    expect([status, body]).toMatchObject([200, { name: 'Laptop', stock: 3, deleted_at: null }])
    expect((await ask(`GET /records/items/${id}`)).status).toBe(200)
  })

  test('[PH-42] restore of an entry leaves alone what the server alone sets', async () => {
    await createdVersion()
    const db = new DatabaseSync(given.path)
    db.exec(`UPDATE items SET name = 'Chair', rank = 7`)
    db.close()
    await ask(`DELETE /records/items/${id}`)
    const { body } = await ask(`GET /records/items/${id}/history`)
    const { history } = body as { history: { n: number }[] }
    const restore = (n = 0): Promise<Told> => ask(`POST /records/items/${id}/restore`, { body: { entry: n } })
    const back = await restore(history[0]?.n)
    expect([back.status, back.body]).toMatchObject([200, { name: 'Chair', rank: 7, deleted_at: null }])
    const before = await restore(history[1]?.n)
    expect([before.status, before.body]).toMatchObject([200, { name: 'Laptop', rank: 7 }])
  })

  test('[PH-42] restore brings what an old entry turned down, however much has happened since', async () => {
    await createdVersion()
    given.advance(60_000)
    await ask(`PATCH /records/items/${id}`, { body: { location: 'B2' } })
    const mutation = {
      id: other,
      seq: 1,
      collection: 'items',
      record: id,
      op: 'update',
      baseVersion: 1,
      changes: { location: 'A1', name: 'Chair' },
      base: { location: null, name: 'Laptop' },
      at: '2026-11-20T10:00:30.000Z-0000-phone',
      schema: 1,
    }
    const headers = { 'holdfast-device': '0197a1b2-0000-7000-8000-0000000000d1' }
    expect((await ask('POST /sync/push', { body: { mutations: [mutation] }, headers })).body).toMatchObject({
      results: [{ status: 'merged' }],
    })
    const { body } = await ask(`GET /records/items/${id}/history`)
    const { history } = body as { history: { n: number }[] }
    for (let stock = 1; stock <= 200; stock++) await ask(`PATCH /records/items/${id}`, { body: { stock } })
    for (const asked of [{ entry: history[0]?.n }, { fields: ['location'] }]) {
      await ask(`PATCH /records/items/${id}`, { body: { location: null } })
      const back = await ask(`POST /records/items/${id}/restore`, { body: asked })
      expect([back.status, back.body]).toMatchObject([200, { location: 'A1', name: 'Chair' }])
    }
  })

  test.each([
    [{ increments: { stock: 5 } }, 422, 'FIELD_UNKNOWN'],
    [{ fields: ['nmae'] }, 422, 'FIELD_UNKNOWN'],
    [{ id: '0197a1b2-0000-7000-8000-000000000009', name: 'Desk' }, 400, 'REQUEST_INVALID'],
  ])('[PH-33, PH-34, PH-42] restore says so of what it does not do: %j', async (asked, status, code) => {
    await createdVersion()
    const refused = await ask(`POST /records/items/${id}/restore`, { body: asked })
    expect([refused.status, refused.body]).toMatchObject([status, { error: { code } }])
  })

  test('[PH-42] restore sets values, and what an entry of the history replaced', async () => {
    await createdVersion()
    await ask(`PATCH /records/items/${id}`, { body: { name: 'Chair', location: 'A1' } })
    const { body } = await ask(`GET /records/items/${id}/history`)
    const { history } = body as { history: { n: number }[] }
    const values = await ask(`POST /records/items/${id}/restore`, { body: { values: { name: 'Desk' } } })
    expect([values.status, values.body]).toMatchObject([200, { name: 'Desk', location: 'A1' }])
    const entry = { entry: history[0]?.n, fields: ['name'] }
    const undone = await ask(`POST /records/items/${id}/restore`, { body: entry })
    expect([undone.status, undone.body]).toMatchObject([200, { name: 'Laptop', location: 'A1' }])
  })

  test.each([
    { values: [] },
    { values: 'x' },
    { fields: 'name' },
    { entry: 'x' },
    { entry: 999_999 },
    { fields: [1] },
  ])('[PH-42] restore with %j is refused', async (body) => {
    await createdVersion()
    expect((await ask(`POST /records/items/${id}/restore`, { body })).status).toBe(400)
  })
})
