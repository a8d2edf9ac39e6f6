import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { type GivenServer, givenServer } from './given-server.ts'

const desk = '0197a1b2-0000-7000-8000-000000000001'
const lamp = '0197a1b2-0000-7000-8000-000000000002'
const group = '0197a1b2-0000-7000-8000-0000000000f0'
const devices = { ann: '0197a1b2-0000-7000-8000-00000000000a', ben: '0197a1b2-0000-7000-8000-00000000000b' }

interface Result {
  readonly status: string
  readonly duplicate?: boolean
  readonly error?: { readonly code: string }
  readonly conflict?: { readonly id: string; readonly mine: unknown }
}

let given: GivenServer
let made: number

beforeEach(async () => {
  given = await givenServer()
  made = 0
})

afterEach(() => given.close())

/** A mutation of the desk by whoever pushes it; its number must be said. */
function mutation(user: keyof typeof devices, seq: number, members: object): Record<string, unknown> {
  made++
  return {
    id: `0197a1b2-0000-7000-8000-${String(10_000 + made).padStart(12, '0')}`,
    seq,
    collection: 'items',
    record: desk,
    op: 'update',
    at: `2026-11-20T10:00:${String(made).padStart(2, '0')}.000Z-0000-${devices[user]}`,
    schema: 1,
    ...members,
  }
}

async function push(user: keyof typeof devices, ...mutations: readonly object[]): Promise<readonly Result[]> {
  const { status, body } = await given.ask('POST /sync/push', {
    user,
    headers: { 'holdfast-device': devices[user] },
    body: { mutations },
  })
  expect(status).toBe(200)
  return (body as { results: readonly Result[] }).results
}

function creation(user: keyof typeof devices, seq: number, record: string, members: object = {}): object {
  const changes = { warehouseId: '1', name: 'Desk', price: '1', stock: 10, tags: ['old'] }
  return mutation(user, seq, { record, op: 'create', changes, ...members })
}

async function row(record: string): Promise<unknown> {
  return (await given.ask(`GET /records/items/${record}`)).body
}

function codes(results: readonly Result[]): readonly (string | undefined)[] {
  return results.map(({ status, error }) => error?.code ?? status)
}

describe('numbers and keys within one transaction', () => {
  test('[PR-3] a number that stands twice in one transaction uses nothing up, and neighbours are decided', async () => {
    const twice = [creation('ann', 1, desk, { group }), creation('ann', 1, lamp, { group })]
    const alone = creation('ann', 2, '0197a1b2-0000-7000-8000-000000000003')
    expect(codes(await push('ann', ...twice, alone))).toEqual(['SEQ_REUSED', 'SEQ_REUSED', 'applied'])
    expect(await row(desk)).toMatchObject({ status: 'error' })
    expect(codes(await push('ann', creation('ann', 1, desk)))).toEqual(['applied'])
  })

  test('[PR-3] a key that stands twice in one transaction is refused', async () => {
    const first = mutation('ann', 1, { group, op: 'delete' })
    expect(codes(await push('ann', first, { ...first, seq: 2 }))).toEqual(['KEY_REUSED', 'KEY_REUSED'])
    expect(codes(await push('ann', first, first))).toEqual(['KEY_REUSED', 'KEY_REUSED'])
    expect(codes(await push('ann', first))).toEqual(['applied'])
  })

  test('[PR-3] covers that overlap within one transaction are refused, interleaved ones are not', async () => {
    const crossing = [
      creation('ann', 1, desk, { group, covers: '1-3' }),
      creation('ann', 2, lamp, { group, covers: '2-4' }),
    ]
    expect(codes(await push('ann', ...crossing))).toEqual(['COVERS_OVERLAP', 'COVERS_OVERLAP'])
    const woven = [
      creation('ann', 1, desk, { group, covers: '1,3' }),
      creation('ann', 2, lamp, { group, covers: '2,4' }),
    ]
    expect(codes(await push('ann', ...woven))).toEqual(['applied', 'applied'])
    expect((await push('ann', ...woven)).map(({ duplicate }) => duplicate)).toEqual([true, true])
  })

  test('[PR-3] a number inside what a fold covers is known as used, however the covers interleave', async () => {
    await push('ann', creation('ann', 1, desk, { covers: '1,3' }), creation('ann', 2, lamp))
    expect(codes(await push('ann', mutation('ann', 3, { op: 'delete' })))).toEqual(['SEQ_REUSED'])
  })
})

describe('a transaction in dispute', () => {
  /** Ben has set the desk's price meanwhile. */
  beforeEach(async () => {
    await push('ann', creation('ann', 1, desk), creation('ann', 2, lamp))
    await push('ben', mutation('ben', 1, { baseVersion: 1, changes: { price: '2' }, base: { price: '1' } }))
  })

  async function keepMine(conflict: string | undefined): Promise<unknown> {
    const { status, body } = await given.ask(`POST /conflicts/${conflict}/resolve`, {
      user: 'ben',
      body: { kind: 'mine' },
    })
    return [status, body]
  }

  test('[PR-7] amounts and members of records that were not in dispute take effect with the rest', async () => {
    const [first, second] = await push(
      'ann',
      mutation('ann', 3, { group, baseVersion: 1, changes: { price: '3' }, base: { price: '1' } }),
      mutation('ann', 4, {
        group,
        record: lamp,
        baseVersion: 2,
        increments: { stock: -2 },
        additions: { tags: ['new'] },
        removals: { tags: ['old'] },
      }),
    )
    expect(second?.conflict?.mine).toEqual({ stock: 8, tags: ['new'] })
    await given.ask(`PATCH /records/items/${lamp}`, { user: 'ben', body: { increments: { stock: 5 } } })
    expect(await keepMine(first?.conflict?.id)).toMatchObject([200, { price: '3' }])
    expect(await row(lamp)).toMatchObject({ stock: 13, tags: ['new'] })
  })

  test('[PR-2] a record edited twice is one part, and the last of its values can be kept', async () => {
    const early = mutation('ann', 3, {
      group,
      baseVersion: 1,
      changes: { price: '3' },
      base: { price: '1' },
      increments: { stock: 1 },
    })
    const late = mutation('ann', 4, {
      group,
      after: early['id'],
      baseVersion: 1,
      changes: { price: '4' },
      base: { price: '3' },
      increments: { stock: 2 },
    })
    const [first] = await push('ann', early, late)
    const { body } = await given.ask('GET /conflicts')
    expect(body).toMatchObject({
      conflicts: [
        {
          parts: [
            {
              record: desk,
              op: 'update',
              fields: ['price'],
              base: { price: '1' },
              mine: { price: '4', stock: 13 },
              theirs: { price: '2', stock: 10 },
            },
          ],
        },
      ],
    })
    expect((body as { conflicts: { parts: unknown[] }[] }).conflicts[0]?.parts).toHaveLength(1)
    expect(await keepMine(first?.conflict?.id)).toMatchObject([200, { price: '4', stock: 13 }])
  })

  test('[PR-2] an edit and a deletion of one record are kept as the deletion', async () => {
    const edit = mutation('ann', 3, { group, baseVersion: 1, changes: { price: '3' }, base: { price: '1' } })
    const [first] = await push('ann', edit, mutation('ann', 4, { group, after: edit['id'], op: 'delete' }))
    expect(await keepMine(first?.conflict?.id)).toMatchObject([200, { deleted_at: expect.any(String) }])
  })
})

describe('sync by time', () => {
  const sync = (change: object): Promise<{ readonly status: number; readonly body: unknown }> =>
    given.ask('POST /sync/items', { body: { last_sync_at: null, changes: [change] } })

  test('[PH-46] deleting a row that the server never saw has no effect and fails nothing', async () => {
    const gone = { id: desk, deleted_at: '2026-11-20T09:00:00.000Z' }
    const kept = { id: lamp, warehouseId: '1', name: 'Lamp', updated_at: '2026-11-20T09:00:00.000Z' }
    const { status, body } = await given.ask('POST /sync/items', { body: { changes: [gone, kept] } })
    expect([status, body]).toMatchObject([200, { status: 'success', server_changes: [{ id: lamp }] }])
    expect(await row(desk)).toMatchObject({ error: { code: 'RECORD_NOT_FOUND' } })
  })

  test('[PR-6] deleting a row outside the scopes answers as if it were not there, and leaves it', async () => {
    given.grants.set('ben', ['warehouse:2'])
    await given.ask('POST /records/items', {
      user: 'ben',
      body: { id: desk, warehouseId: '2', name: 'Desk' },
    })
    expect(await sync({ id: desk, deleted_at: '2026-11-20T10:00:01.000Z' })).toMatchObject({ status: 200 })
    const { status } = await given.ask(`GET /records/items/${desk}`, { user: 'ben' })
    expect(status).toBe(200)
  })

  test('[PH-40] a day there is not is refused', async () => {
    const body = { last_sync_at: '2026-02-31T00:00:00Z', changes: [] }
    expect((await given.ask('POST /sync/items', { body })).status).toBe(400)
    const changed = { id: desk, warehouseId: '1', name: 'x', updated_at: '2026-02-30T00:00:00Z' }
    expect((await sync(changed)).status).toBe(422)
  })
})

test('[PH-31] a record created by PUT is located at the address it was put to', async () => {
  const body = { warehouseId: '1', name: 'Desk' }
  const { status, headers } = await given.ask(`PUT /records/items/${desk}`, { body })
  expect([status, headers.get('location')]).toEqual([201, `/records/items/${desk}`])
})

describe('values that a person decided against', () => {
  interface History {
    readonly history: readonly { readonly n: number; readonly status: string }[]
    readonly lost: readonly object[]
  }

  async function history(): Promise<History> {
    // The shape is that of docs/protocol.md.
    return (await given.ask(`GET /records/items/${desk}/history`)).body as History
  }

  /** Ann's price of 3 met Ben's price of 2; her increment waits with it. */
  async function givenConflict(): Promise<string | undefined> {
    await push('ann', creation('ann', 1, desk))
    await push('ben', mutation('ben', 1, { baseVersion: 1, changes: { price: '2' }, base: { price: '1' } }))
    const edit = { baseVersion: 1, changes: { price: '3' }, base: { price: '1' }, increments: { stock: 1 } }
    return (await push('ann', mutation('ann', 2, edit)))[0]?.conflict?.id
  }

  test("[PR-7] a value turned down in a settlement is listed as its author's, and can be brought back", async () => {
    const conflict = await givenConflict()
    expect((await history()).lost).toEqual([])
    await given.ask(`POST /conflicts/${conflict}/resolve`, { user: 'ben', body: { kind: 'theirs' } })
    expect((await history()).lost).toMatchObject([
      { field: 'price', value: '3', rule: 'ask', user: 'ann', explanation: expect.any(String) },
    ])
    const body = { fields: ['price'] }
    expect(await given.ask(`POST /records/items/${desk}/restore`, { user: 'ben', body })).toMatchObject({
      status: 200,
      body: { price: '3', stock: 11 },
    })
  })

  test('[PR-7] a value that was kept is not listed as lost', async () => {
    const conflict = await givenConflict()
    await given.ask(`POST /conflicts/${conflict}/resolve`, { user: 'ben', body: { kind: 'mine' } })
    expect((await history()).lost).toEqual([])
  })

  test('[PH-42] restore brings back what an entry of the history turned down', async () => {
    await givenConflict()
    const n = (await history()).history.find(({ status }) => status === 'conflict')?.n
    const body = { entry: n, fields: ['price'] }
    expect((await given.ask(`POST /records/items/${desk}/restore`, { body })).body).toMatchObject({
      price: '3',
    })
  })
})
