import { DatabaseSync } from 'node:sqlite'

import { afterEach, beforeEach, expect, test } from 'vitest'

import { type GivenServer, givenServer, startTime } from '../http/given-server.ts'

const id = '0197a1b2-0000-7000-8000-000000000001'
const other = '0197a1b2-0000-7000-8000-000000000002'
const laptop = { id, warehouseId: '1', name: 'Laptop', updated_at: '2026-11-20T09:00:00.000Z' }

interface Synced {
  readonly status: string
  readonly server_changes: readonly Record<string, unknown>[]
  readonly sync_timestamp: string
}

let given: GivenServer

beforeEach(async () => {
  given = await givenServer()
})

afterEach(() => given.close())

async function sync(changes: readonly object[], since: string | null = null, user = 'ann'): Promise<Synced> {
  const { status, body } = await given.ask('POST /sync/items', {
    user,
    body: { last_sync_at: since, changes },
  })
  expect([status, (body as Synced).status]).toEqual([200, 'success'])
  return body as Synced
}

function names({ server_changes }: Synced): unknown[] {
  return server_changes.map(({ name }) => name)
}

test('[PH-47] null brings every row, and a time only what came since', async () => {
  await sync([laptop])
  const all = await sync([], null, 'ben')
  expect(all.server_changes).toMatchObject([
    { id, name: 'Laptop', updated_at: laptop.updated_at, deleted_at: null },
  ])
  given.advance(1_000)
  await sync([{ ...laptop, id: other, name: 'Desk' }])
  given.advance(1_000)
  const since = await sync([], all.sync_timestamp, 'ben')
  expect(names(since)).toContain('Desk')
  given.advance(60_000)
  expect(names(await sync([], since.sync_timestamp, 'ben'))).toEqual([])
})

test('[PH-44] the newer edit wins, whoever comes first', async () => {
  await sync([laptop])
  await sync([{ ...laptop, name: 'newer', updated_at: '2026-11-20T09:30:00.000Z' }], null, 'ben')
  await sync([{ ...laptop, name: 'older', updated_at: '2026-11-20T09:15:00.000Z' }])
  expect((await given.ask(`GET /records/items/${id}`)).body).toMatchObject({ name: 'newer', version: 2 })
})

test('[PH-44, PR-7] a refused row comes back, and what it said is in the history', async () => {
  await sync([{ ...laptop, name: 'newer', updated_at: '2026-11-20T09:30:00.000Z' }], null, 'ben')
  given.advance(1_000)
  const { sync_timestamp } = await sync([])
  given.advance(60_000)
  expect(names(await sync([], sync_timestamp))).toEqual([])
  const refused = await sync(
    [{ ...laptop, name: 'older', updated_at: '2026-11-20T09:15:00.000Z' }],
    sync_timestamp,
  )
  expect(names(refused)).toEqual(['newer'])
  const { body } = await given.ask(`GET /records/items/${id}/history`)
  expect(body).toMatchObject({
    history: [
      { status: 'lost', user: 'ann' },
      { op: 'create', user: 'ben' },
    ],
  })
  expect(JSON.stringify((body as { lost: unknown }).lost)).toContain('older')
})

test('[PH-44] B15: a clock in the future wins for minutes, not for years', async () => {
  await sync([{ ...laptop, name: 'future', updated_at: '2031-01-01T00:00:00.000Z' }])
  given.advance(600_000)
  await sync([{ ...laptop, name: 'now', updated_at: '2026-11-20T10:10:00.000Z' }], null, 'ben')
  expect((await given.ask(`GET /records/items/${id}`)).body).toMatchObject({ name: 'now' })
})

test('[PH-44] what was written while the server’s clock was a year ahead keeps out no later edit', async () => {
  const yearMs = 365 * 86_400_000
  given.advance(yearMs)
  await given.ask('POST /records/items', { body: { id, warehouseId: '1', name: 'ahead' } })
  given.advance(-yearMs)
  await sync([{ ...laptop, name: 'later', updated_at: startTime }])
  expect((await given.ask(`GET /records/items/${id}`)).body).toMatchObject({
    name: 'later',
    updated_at: startTime,
  })
})

test('[PH-43, PR-3] a batch with one bad row leaves nothing behind', async () => {
  const bad: readonly (readonly [unknown, number, string])[] = [
    [{ ...laptop, id: other, price: 'cheap' }, 422, 'VALUE_INVALID'],
    [{ ...laptop, id: other, colour: 'red' }, 422, 'FIELD_UNKNOWN'],
    [{ ...laptop, id: other, warehouseId: '9' }, 403, 'SCOPE_DENIED'],
    [{ ...laptop, id: 'x' }, 422, 'VALUE_INVALID'],
    [{ name: 'no id' }, 422, 'VALUE_INVALID'],
    [{ ...laptop, id: other, updated_at: 'soon' }, 422, 'VALUE_INVALID'],
    [{ id: other, name: 'half a row', updated_at: laptop.updated_at }, 422, 'VALUE_INVALID'],
    ['row', 400, 'REQUEST_INVALID'],
    [null, 400, 'REQUEST_INVALID'],
  ]
  for (const [change, status, code] of bad) {
    const answer = await given.ask('POST /sync/items', {
      body: { last_sync_at: null, changes: [laptop, change] },
    })
    expect([change, answer.status]).toEqual([change, status])
    expect(answer.body).toMatchObject({ status: 'error', message: 'Sync failed', error: { code } })
  }
  expect((await given.ask('GET /records/items')).body).toEqual({ records: [], next: null })
  expect((await sync([])).server_changes).toEqual([])
})

test('[PH-34, PH-43] a row takes no increments, and says so', async () => {
  const changes = [{ ...laptop, increments: { stock: 2 } }]
  const { status, body } = await given.ask('POST /sync/items', { body: { changes } })
  expect([status, body]).toMatchObject([422, { message: 'Sync failed', error: { code: 'FIELD_UNKNOWN' } }])
})

test.each([
  ['"stock":1e400', 422, 'VALUE_INVALID'],
  ['"name":"\\u0000"', 422, 'VALUE_INVALID'],
  ['"nmae":"Chair"', 422, 'FIELD_UNKNOWN'],
  ['"rank":1', 403, 'FIELD_SERVER_OWNED'],
])(
  '[PH-43] a row that is wrong by itself says so also where it is older than what is there: %s',
  async (member, status, code) => {
    await sync([laptop])
    const row = `{"id":"${id}","warehouseId":"1","name":"x",${member},"updated_at":"2026-11-20T08:00:00.000Z"}`
    const refused = await given.ask('POST /sync/items', { body: `{"changes":[${row}]}` })
    expect([refused.status, refused.body]).toMatchObject([status, { error: { code, index: 0 } }])
    expect((await given.ask(`GET /records/items/${id}/history`)).body).toMatchObject({ lost: [] })
  },
)

test('[PH-43] a body that is no batch answers in the same form', async () => {
  for (const body of [
    [],
    'x',
    '{',
    { changes: {} },
    { changes: 'x' },
    { last_sync_at: 'yesterday', changes: [] },
    { last_sync_at: 5, changes: [] },
  ]) {
    const answer = await given.ask('POST /sync/items', { body })
    expect([body, answer.status, answer.body]).toMatchObject([
      body,
      400,
      { status: 'error', message: 'Sync failed' },
    ])
  }
  const many = { changes: Array.from({ length: 1_001 }, () => laptop) }
  expect((await given.ask('POST /sync/items', { body: many })).status).toBe(413)
})

test('[PH-46] deletions travel both ways', async () => {
  await sync([laptop])
  given.advance(1_000)
  const { sync_timestamp } = await sync([], null, 'ben')
  given.advance(1_000)
  await sync([{ id, deleted_at: '2026-11-20T09:30:00.000Z', updated_at: '2026-11-20T09:30:00.000Z' }])
  const told = await sync([], sync_timestamp, 'ben')
  expect(told.server_changes).toMatchObject([{ id, deleted_at: '2026-11-20T09:30:00.000Z' }])
  expect((await given.ask(`GET /records/items/${id}`)).status).toBe(404)
})

test('[PH-46] an edit older than the deletion does not bring the record back', async () => {
  await sync([laptop])
  await sync(
    [{ id, deleted_at: '2026-11-20T09:30:00.000Z', updated_at: '2026-11-20T09:30:00.000Z' }],
    null,
    'ben',
  )
  const told = await sync([{ ...laptop, name: 'late', updated_at: '2026-11-20T09:15:00.000Z' }])
  expect(told.server_changes).toMatchObject([{ id, deleted_at: '2026-11-20T09:30:00.000Z' }])
  expect((await given.ask(`GET /records/items/${id}`)).status).toBe(404)
})

test('[PH-46] a deletion of what the server never had is no obstacle for the rest of the batch', async () => {
  const deleted_at = '2026-11-20T09:30:00.000Z'
  await sync([{ id: other, deleted_at, updated_at: deleted_at }, laptop])
  expect((await given.ask('GET /records/items')).body).toMatchObject({ records: [{ id }] })
})

test('[PH-45] a row that arrives late with an early time is not missed', async () => {
  const { sync_timestamp } = await sync([], null, 'ben')
  given.advance(1_000)
  await sync([{ ...laptop, updated_at: '2026-11-01T00:00:00.000Z' }])
  expect(names(await sync([], sync_timestamp, 'ben'))).toEqual(['Laptop'])
})

test('[PH-45] a time this server never issued leaves no gap either', async () => {
  await sync([laptop])
  given.advance(60_000)
  await sync([], null, 'ben')
  given.advance(60_000)
  await sync([{ ...laptop, id: other, name: 'Desk' }])
  const told = await sync([], '2026-11-20T10:01:30.000Z', 'ben')
  expect(names(told)).toContain('Desk')
})

test('[PH-45] a server clock that steps back leaves no gap', async () => {
  const { sync_timestamp } = await sync([], null, 'ben')
  given.advance(-3_600_000)
  await sync([laptop])
  expect(names(await sync([], sync_timestamp, 'ben'))).toEqual(['Laptop'])
})

test('[PH-48] a pull since a time brings every collection', async () => {
  await sync([laptop])
  await given.ask('POST /records/notes', { body: { id: other, body: 'hello' } })
  const first = await given.ask(`GET /sync/pull?since=2020-01-01T00:00:00Z`)
  expect([first.status, first.body]).toMatchObject([200, { status: 'success' }])
  const rows = (first.body as Synced).server_changes.map(({ collection, id: row }) => [collection, row])
  expect(rows).toEqual(
    expect.arrayContaining([
      ['items', id],
      ['notes', other],
    ]),
  )
  given.advance(60_000)
  const { sync_timestamp } = first.body as Synced
  await given.ask(`DELETE /records/notes/${other}`)
  const second = await given.ask('POST /sync/pull', { body: { since: sync_timestamp } })
  expect((second.body as Synced).server_changes).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ id: other, collection: 'notes', deleted_at: expect.any(String) }),
    ]),
  )
  const alias = await given.ask(`GET /changes?since=${sync_timestamp}`)
  expect(alias.body).toMatchObject({ status: 'success', server_changes: [{ id: other }] })
})

test('[PH-45] B66: nobody is told of rows outside their scopes', async () => {
  given.grants.set('cy', ['warehouse:9'])
  await sync([{ ...laptop, warehouseId: '9' }], null, 'cy')
  expect((await sync([])).server_changes).toEqual([])
})

test('[PH-37] a repeated batch with the same key is applied once', async () => {
  const body = { last_sync_at: null, changes: [{ ...laptop, name: 'first' }] }
  const headers = { 'idempotency-key': 'batch-1' }
  await given.ask('POST /sync/items', { body, headers })
  await given.ask(`PATCH /records/items/${id}`, { body: { name: 'second' } })
  const repeat = await given.ask('POST /sync/items', { body, headers })
  expect(repeat.status).toBe(200)
  expect((await given.ask(`GET /records/items/${id}`)).body).toMatchObject({ name: 'second', version: 2 })
  const changed = { ...body, changes: [{ ...laptop, name: 'third' }] }
  const reused = await given.ask('POST /sync/items', { body: changed, headers })
  expect([reused.status, reused.body]).toMatchObject([
    422,
    { status: 'error', error: { code: 'KEY_REUSED' } },
  ])
})

test('[PH-44] a repeated batch without a key changes nothing the second time', async () => {
  await sync([laptop])
  await sync([laptop])
  expect((await given.ask(`GET /records/items/${id}`)).body).toMatchObject({
    version: 1,
    updated_at: laptop.updated_at,
  })
  expect(startTime > laptop.updated_at).toBe(true)
})

test('[PH-43] a row that the host’s own trigger refuses fails the sync with 500, and nothing of the batch stays', async () => {
  const database = new DatabaseSync(given.path)
  database.exec(
    "CREATE TRIGGER no_lamps BEFORE INSERT ON items WHEN NEW.name = 'Lamp' BEGIN SELECT RAISE(ABORT, 'no lamps'); END",
  )
  database.close()

  const body = { last_sync_at: null, changes: [laptop, { ...laptop, id: other, name: 'Lamp' }] }
  const answer = await given.ask('POST /sync/items', { body })

  expect([answer.status, answer.body]).toMatchObject([
    500,
    { status: 'error', message: 'Sync failed', error: { code: 'CONSTRAINT_FAILED' } },
  ])
  expect((await sync([])).server_changes).toEqual([])
})

test('[PH-47] null brings more rows than one page of the feed holds', async () => {
  const database = new DatabaseSync(given.path)
  database.exec(`INSERT INTO items (id, warehouseId, name)
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10500)
    SELECT printf('0197a1b2-0000-7000-8000-%012d', i), '1', 'Item ' || i FROM n`)
  database.close()
  expect((await sync([])).server_changes.length).toBe(10_500)
})
