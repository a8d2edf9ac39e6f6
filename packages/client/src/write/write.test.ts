import { limits, SyncError, type Values } from '@holdfast/core'
import { describe, expect, test } from 'vitest'

import { failingDriver, type GivenDevice, givenDevice, givenSchema } from '../local/given-device.ts'
import { sqliteStorage } from '../drivers/node.ts'
import { readMeta } from '../local/meta.ts'
import { readShadow } from '../local/records.ts'
import type { Entry } from '../outbox/entry.ts'
import { listEntries, markAnswered, markConflicted, markDead, settle } from '../outbox/outbox.ts'
import { runTransaction } from './writer.ts'

const unknownId = '00000000-0000-7000-8000-000000000000'

const entriesOf = ({ database }: GivenDevice): Promise<Entry[]> => database.read((tx) => listEntries(tx))

/** A record the server has at version 5, as a pull would leave it. */
async function givenCleanItem(device: GivenDevice, values: Values = {}): Promise<string> {
  const id = await device.items.insert({ name: 'Laptop', stock: 10, tags: ['a'], ...values })
  await device.database.write(async (tx) => {
    await tx.run('DELETE FROM _outbox')
    await tx.run(
      "UPDATE items SET _version = 5, _state = 'clean', _server_updated_at = '2026-11-19T00:00:00.000Z', _scopes = ',1,'",
    )
  })
  return id
}

async function contentOf({ database }: GivenDevice): Promise<unknown> {
  const tables = ['items', 'lines', '_outbox', '_shadow', '_deleted']
  return Promise.all(tables.map((table) => database.all(`SELECT * FROM ${table} ORDER BY 1, 2`)))
}

const codeOf = (error: unknown): unknown => (error instanceof SyncError ? error.code : error)

describe('insert', () => {
  test('[WR-1] an insert stores the whole row and one entry that carries every field', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'Laptop', stock: 3, tags: ['new', 'b'] })
    expect(await device.items.get(id)).toEqual({
      id,
      name: 'Laptop',
      price: null,
      stock: 3,
      tags: ['b', 'new'],
      note: null,
      state: 'draft',
      street: null,
      city: null,
      active: true,
      extra: null,
      _created_at: '2026-11-20T10:00:00.000Z',
      _updated_at: '2026-11-20T10:00:00.000Z',
      _server_updated_at: null,
      _version: 0,
      _state: 'pending',
    })
    const [entry] = await entriesOf(device)
    expect(entry).toMatchObject({
      seq: 1,
      collection: 'items',
      record: id,
      op: 'create',
      baseVersion: 0,
      after: null,
      schema: 1,
      group: null,
      status: 'pending',
      createdAt: '2026-11-20T10:00:00.000Z',
      payload: {
        changes: { name: 'Laptop', stock: 3, tags: ['b', 'new'], state: 'draft', active: true },
        base: null,
      },
    })
    expect(Object.keys(entry?.payload.changes ?? {})).toHaveLength(10)
  })

  test('[WR-2] a record that was never sent has no shadow', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'Laptop' })
    await device.items.update(id, { name: 'Desktop' })
    expect(await device.database.all('SELECT * FROM _shadow')).toEqual([])
  })

  test.each([
    ['a wrong value', { name: 7 }, 'VALUE_INVALID'],
    ['a missing value', {}, 'VALUE_INVALID'],
    ['text no store can hold', { name: 'a\0b' }, 'VALUE_INVALID'],
    ['an unknown field', { name: 'a', colour: 'red' }, 'FIELD_UNKNOWN'],
    ['a value over its limit', { name: 'x'.repeat(limits.textLength + 1) }, 'VALUE_TOO_LARGE'],
    ['an id that is none', { id: 'mine', name: 'a' }, 'VALUE_INVALID'],
  ])('[WR-3] an insert with %s leaves nothing', async (_, values, code) => {
    const device = await givenDevice()
    // The types forbid what JavaScript callers can still pass.
    await expect(device.items.insert(values as { name: string })).rejects.toMatchObject({ code })
    expect(await contentOf(device)).toEqual([[], [], [], [], []])
  })

  test('[WR-3] an id that is taken is RECORD_EXISTS', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'Laptop' })
    await expect(device.items.insert({ id, name: 'Twin' })).rejects.toMatchObject({ code: 'RECORD_EXISTS' })
    expect(await entriesOf(device)).toHaveLength(1)
  })

  test('[WR-3] a mutation over the limit of bytes is refused', async () => {
    const device = await givenDevice()
    const values = {
      name: 'a',
      note: 'n'.repeat(90_000),
      street: 's'.repeat(90_000),
      city: 'c'.repeat(90_000),
    }
    await expect(device.items.insert(values)).rejects.toMatchObject({ code: 'VALUE_TOO_LARGE' })
    expect(await entriesOf(device)).toEqual([])
  })

  test('[WR-12] insertMany checks every row before it stores the first, and gives the ids in order', async () => {
    const device = await givenDevice()
    const rows = Array.from({ length: 1_500 }, (_, n) => ({ name: `item ${n}` }))
    const bad = [...rows.slice(0, 1_400), { name: 'x'.repeat(limits.textLength + 1) }]
    await expect(device.items.insertMany(bad)).rejects.toMatchObject({ code: 'VALUE_TOO_LARGE' })
    expect(await entriesOf(device)).toEqual([])
    const ids = await device.items.insertMany(rows)
    expect(new Set(ids).size).toBe(1_500)
    expect(await device.items.get(ids[1_499] ?? '')).toMatchObject({ name: 'item 1499' })
    expect((await entriesOf(device)).map((entry) => entry.group)).toEqual(rows.map(() => null))
  })
})

test('[WR-12] insertMany stores nothing where a later row is too large as a whole, or its id is taken', async () => {
  const device = await givenDevice()
  const taken = await device.items.insert({ name: 'a' })
  const fresh = '00000000-0000-7000-8000-000000000001'
  const rows = Array.from({ length: 1_200 }, (_, n) => ({ name: `item ${n}` }))
  const wide = 'ü'.repeat(limits.textLength)
  for (const [bad, code] of [
    [[{ name: wide, note: wide }], 'VALUE_TOO_LARGE'],
    [[{ id: taken, name: 'b' }], 'RECORD_EXISTS'],
    [Array.from({ length: 2 }, () => ({ id: fresh, name: 'b' })), 'RECORD_EXISTS'],
  ] as const) {
    await expect(device.items.insertMany([...rows, ...bad])).rejects.toMatchObject({ code })
    expect(await entriesOf(device)).toHaveLength(1)
  }
})

describe('update', () => {
  test('[WR-4, WR-6] only what changed is written down, with what the author saw', async () => {
    const device = await givenDevice()
    const id = await givenCleanItem(device, { price: '9.50' })
    await device.items.update(id, { name: 'Laptop', price: '9.99', note: 'shiny' })
    const [entry] = await entriesOf(device)
    expect(entry).toMatchObject({ op: 'update', baseVersion: 5, after: null, depends: [] })
    expect(entry?.payload).toEqual({
      changes: { price: '9.99', note: 'shiny' },
      base: { price: '9.50', note: null },
      increments: {},
      additions: {},
      removals: {},
    })
  })

  test('[WR-2] the first write to a clean record keeps it as its shadow, later ones leave that alone', async () => {
    const device = await givenDevice()
    const id = await givenCleanItem(device)
    await device.items.update(id, { name: 'Desktop' })
    await device.items.update(id, { name: 'Server' })
    const items = givenSchema.collections.get('items')
    const shadow = await device.database.read((tx) => readShadow(tx, items!, id))
    expect(shadow).toMatchObject({
      snapshot: { kind: 'live', version: 5, values: { name: 'Laptop', stock: 10 } },
      serverUpdatedAt: '2026-11-19T00:00:00.000Z',
      scopes: ',1,',
    })
    expect(await device.items.get(id)).toMatchObject({ name: 'Server', _version: 5, _state: 'pending' })
  })

  test('[WR-4] an update that changes nothing writes nothing', async () => {
    const device = await givenDevice()
    const id = await givenCleanItem(device)
    const before = await contentOf(device)
    const receipts = [
      await device.items.update(id, { name: 'Laptop', stock: 10, tags: ['a'] }),
      await device.items.increment(id, { stock: 0 }),
      await device.items.add(id, { tags: ['a'] }),
      await device.items.remove(id, { tags: ['z'] }),
    ]
    expect(receipts.map((receipt) => receipt.mutation)).toEqual([null, null, null, null])
    expect(await receipts[0]?.verdict()).toEqual({ status: 'nothing', version: null })
    expect(await contentOf(device)).toEqual(before)
  })

  test('[WR-4] fields that merge as one travel as one', async () => {
    const device = await givenDevice()
    const id = await givenCleanItem(device, { street: 'Main', city: 'Bergen' })
    await device.items.update(id, { street: 'Side' })
    const [entry] = await entriesOf(device)
    expect(entry?.payload.changes).toEqual({ street: 'Side', city: 'Bergen' })
    expect(entry?.payload.base).toEqual({ street: 'Main', city: 'Bergen' })
  })

  test('[WR-5] a counter set to a value travels as the difference, a set as what came and went', async () => {
    const device = await givenDevice()
    const id = await givenCleanItem(device)
    await device.items.update(id, { stock: 4, tags: ['b'] })
    await device.items.increment(id, { stock: -3 })
    await device.items.add(id, { tags: ['c'] })
    await device.items.remove(id, { tags: ['b'] })
    const entries = await entriesOf(device)
    expect(entries.map(({ payload }) => [payload.increments, payload.additions, payload.removals])).toEqual([
      [{ stock: -6 }, { tags: ['b'] }, { tags: ['a'] }],
      [{ stock: -3 }, {}, {}],
      [{}, { tags: ['c'] }, {}],
      [{}, {}, { tags: ['b'] }],
    ])
    expect(await device.items.get(id)).toMatchObject({ stock: 1, tags: ['c'] })
  })

  test('[WR-6] a stacked edit names the mutation it stands on', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'Laptop' })
    await device.items.update(id, { name: 'Desktop' })
    await device.items.delete(id)
    const [create, update, remove] = await entriesOf(device)
    expect([create?.after, update?.after, remove?.after]).toEqual([null, create?.id, update?.id])
    expect([create?.depends, update?.depends, remove?.depends]).toEqual([[], [1], [2]])
  })

  test.each([
    ['of no record', unknownId, { name: 'a' }, 'RECORD_NOT_FOUND'],
    ['of an unknown field', '', { colour: 'red' }, 'FIELD_UNKNOWN'],
    ['with a wrong value', '', { stock: 0.5 }, 'VALUE_INVALID'],
    ['to a state that cannot follow', '', { state: 'paid' }, 'TRANSITION_REFUSED'],
  ])('[WR-3] an update %s leaves nothing', async (_, other, changes, code) => {
    const device = await givenDevice()
    const id = other || (await givenCleanItem(device))
    const before = await contentOf(device)
    // The types forbid what JavaScript callers can still pass.
    await expect(device.items.update(id, changes as { name: string })).rejects.toMatchObject({ code })
    expect(await contentOf(device)).toEqual(before)
  })

  test('[WR-3] amounts that are not exact and members of what is no set are refused', async () => {
    const device = await givenDevice()
    const id = await givenCleanItem(device)
    const refused = [
      device.items.increment(id, { stock: 0.5 }),
      device.items.increment(id, { stock: Number.MAX_SAFE_INTEGER }),
      // The types forbid what JavaScript callers can still pass.
      device.items.increment(id, { name: 1 } as object),
      device.items.add(id, { stock: ['a'] } as object),
      device.items.add(id, { colour: ['a'] } as object),
    ]
    const codes = (await Promise.allSettled(refused)).map(
      (result) => result.status === 'rejected' && codeOf(result.reason),
    )
    expect(codes).toEqual([
      'VALUE_INVALID',
      'VALUE_INVALID',
      'VALUE_INVALID',
      'VALUE_INVALID',
      'FIELD_UNKNOWN',
    ])
    expect(await entriesOf(device)).toEqual([])
  })
})

describe('delete and recreate', () => {
  test('[WR-13] a deleted record leaves its table, keeps its values aside, and can be created again', async () => {
    const device = await givenDevice()
    const id = await givenCleanItem(device)
    await device.items.delete(id)
    expect(await device.items.get(id)).toBeUndefined()
    expect(await device.database.all('SELECT record, version FROM _deleted')).toMatchObject([
      { record: id, version: 5 },
    ])
    await expect(device.items.delete(id)).rejects.toMatchObject({ code: 'RECORD_NOT_FOUND' })
    await device.items.insert({ id, name: 'Again' })
    const [remove, create] = await entriesOf(device)
    expect(create).toMatchObject({ op: 'create', baseVersion: 5, after: remove?.id })
    expect(await device.items.get(id)).toMatchObject({ name: 'Again', stock: 0, _version: 5 })
    expect(await device.database.all('SELECT * FROM _deleted')).toEqual([])
  })

  test('[WR-13] a record that others deleted is created again over its tombstone', async () => {
    const device = await givenDevice()
    await device.database.write((tx) =>
      tx.run(
        "INSERT INTO _deleted VALUES ('items', ?, 8, '2026-11-19T00:00:00.000Z', '{\"name\":\"Old\"}')",
        [unknownId],
      ),
    )
    await device.items.insert({ id: unknownId, name: 'New' })
    expect((await entriesOf(device))[0]).toMatchObject({ op: 'create', baseVersion: 8, after: null })
    expect(await device.database.all('SELECT version, deleted, data FROM _shadow')).toMatchObject([
      { version: 8, deleted: 1, data: '{"name":"Old"}' },
    ])
  })
})

describe('references', () => {
  test('[OB-6] a write that refers to an unsettled create depends on it', async () => {
    const device = await givenDevice()
    const item = await device.items.insert({ name: 'Laptop' })
    const line = await device.lines.insert({ item, amount: 1 })
    const other = await device.items.insert({ name: 'Mouse' })
    await device.lines.update(line, { item: other })
    expect((await entriesOf(device)).map((entry) => entry.depends)).toEqual([[], [1], [], [2, 3]])
  })
})

describe('stamps', () => {
  test('[WR-9] stamps only grow, whatever the clock does and although entries leave the outbox', async () => {
    const device = await givenDevice()
    const stamps: string[] = []
    const write = async (): Promise<void> => {
      await device.items.insert({ name: 'a' })
      stamps.push((await entriesOf(device)).at(-1)?.at ?? '')
    }
    await write()
    device.clock.nowMs += 60_000
    await write()
    await device.database.write((tx) => settle(tx, [1, 2]))
    device.clock.nowMs -= 3_600_000
    await write()
    await write()
    expect(stamps).toEqual([...stamps].sort())
    expect(new Set(stamps).size).toBe(4)
    expect(stamps[2]?.slice(0, 29)).toBe('2026-11-20T10:01:00.000Z-0001')
    expect(await device.database.read((tx) => readMeta(tx, 'seq'))).toBe(2)
  })
})

describe('user transactions', () => {
  type Collections = Parameters<Parameters<typeof runTransaction>[2]>[0]
  const run = <T>(device: GivenDevice, fn: (tx: Collections) => Promise<T>): Promise<T> =>
    runTransaction(givenSchema, device.parts, fn)

  test('[WR-7] writes of one transaction share a group, and its reads see them', async () => {
    const device = await givenDevice()
    const seen = await run(device, async (tx) => {
      const item = await tx.items!.insert({ name: 'Laptop' })
      await tx.items!.increment(item, { stock: 2 })
      await tx.lines!.insert({ item, amount: 1 })
      return tx.items!.get(item)
    })
    expect(seen).toMatchObject({ name: 'Laptop', stock: 2 })
    const groups = (await entriesOf(device)).map((entry) => entry.group)
    expect(groups[0]).not.toBeNull()
    expect(new Set(groups).size).toBe(1)
    expect(groups).toHaveLength(3)
  })

  test('[WR-7] a transaction of one write is an ordinary write', async () => {
    const device = await givenDevice()
    await run(device, (tx) => tx.items!.insert({ name: 'Laptop' }))
    expect((await entriesOf(device))[0]).toMatchObject({ group: null })
  })

  test('[WR-7] a transaction that throws leaves nothing', async () => {
    const device = await givenDevice()
    const failed = run(device, async (tx) => {
      await tx.items!.insert({ name: 'Laptop' })
      throw new Error('mine')
    })
    await expect(failed).rejects.toThrow('mine')
    expect(await contentOf(device)).toEqual([[], [], [], [], []])
  })

  test('[WR-7] a write that is refused before it begins can be caught', async () => {
    const device = await givenDevice()
    await run(device, async (tx) => {
      await tx
        .items!.update(unknownId, { name: 'a' })
        .catch(() => tx.items!.insert({ id: unknownId, name: 'a' }))
      await tx.items!.increment(unknownId, { stock: 1 })
    })
    expect(await device.items.get(unknownId)).toMatchObject({ name: 'a', stock: 1 })
  })

  test('[WR-7] a transaction in which the disk failed does not commit, although the app caught it', async () => {
    const plan = { left: Infinity, resultCode: 10, rollsBack: false }
    const device = await givenDevice({ storage: failingDriver(sqliteStorage(':memory:'), plan) })
    const failed = run(device, async (tx) => {
      await tx.items!.insert({ name: 'first' })
      plan.left = 1
      await tx.items!.insert({ name: 'torn' }).catch(() => undefined)
    })
    await expect(failed).rejects.toMatchObject({ code: 'TRANSACTION_OVER' })
    expect(await contentOf(device)).toEqual([[], [], [], [], []])
  })

  test('[WR-7] writes that are not awaited one by one see each other and belong to the transaction', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'Laptop' })
    await run(device, async (tx) => {
      void tx.items!.increment(id, { stock: 1 })
      void tx.items!.increment(id, { stock: 1 })
    })
    expect(await device.items.get(id)).toMatchObject({ stock: 2 })
  })

  test('[WR-8] a transaction over the limit of writes is refused before it commits', async () => {
    const device = await givenDevice()
    const insert = (count: number): Promise<void> =>
      run(device, async (tx) => {
        for (let n = 0; n < count; n++) await tx.items!.insert({ name: `item ${n}` })
      })
    await expect(insert(limits.groupMutations + 1)).rejects.toMatchObject({ code: 'GROUP_TOO_LARGE' })
    expect(await entriesOf(device)).toEqual([])
    await insert(limits.groupMutations)
    expect(await entriesOf(device)).toHaveLength(500)
  })

  test('[WR-8] a transaction over the limit of bytes is refused before it commits', async () => {
    const device = await givenDevice()
    const failed = run(device, async (tx) => {
      for (let n = 0; n < 11; n++) await tx.items!.insert({ name: 'x'.repeat(99_000) })
    })
    await expect(failed).rejects.toMatchObject({ code: 'GROUP_TOO_LARGE' })
    expect(await entriesOf(device)).toEqual([])
  })

  test('[WR-1, WR-7] a write that nobody awaits and that comes too late is told so, and leaves nothing', async () => {
    for (let turns = 0; turns < 40; turns++) {
      const device = await givenDevice()
      let late: Promise<unknown> = Promise.resolve()
      await runTransaction(givenSchema, device.parts, async ({ items }) => {
        await items?.insert({ name: 'a' })
        await items?.insert({ name: 'b' })
        late = (async () => {
          for (let turn = 0; turn < turns; turn++) await Promise.resolve()
          return items?.insert({ name: 'late' })
        })().catch((error: unknown) => error)
      })
      const told = await late
      const entries = await entriesOf(device)
      const rows = await device.database.all('SELECT id FROM items')
      expect(new Set(rows.map(({ id }) => id))).toEqual(new Set(entries.map(({ record }) => record)))
      expect(new Set(entries.map(({ group }) => group)).size).toBe(1)
      if (entries.length === 2) expect(told).toMatchObject({ code: 'TRANSACTION_OVER' })
      else expect(entries.at(-1)?.record).toBe(told)
    }
  })

  test('[WR-10] a transaction that waits for something else than itself is undone after its time', async () => {
    const device = await givenDevice()
    const stuck = run(device, async (tx) => {
      await tx.items!.insert({ name: 'inside' })
      await device.items.insert({ name: 'waits for its own transaction' })
    })
    await new Promise((resolve) => setImmediate(resolve))
    device.clock.fire()
    await expect(stuck).rejects.toMatchObject({ code: 'TRANSACTION_OVER' })
    await device.items.insert({ name: 'next' })
    expect(
      (await device.database.all('SELECT name FROM items ORDER BY name')).map((row) => row.name),
    ).toEqual(['next', 'waits for its own transaction'])
  })
})

describe('verdicts', () => {
  const answer = { version: 6, serverUpdatedAt: '2026-11-20T10:00:01.000Z', exact: true } as const

  test('[WR-11] a write can be awaited up to the verdict of the server', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'Laptop' })
    const applied = await device.items.update(id, { name: 'a' })
    const merged = await device.items.update(id, { name: 'b' })
    const disputed = await device.items.update(id, { name: 'c' })
    const refused = await device.items.update(id, { name: 'd' })
    const verdicts = [applied, merged, disputed, refused].map((receipt) => receipt.verdict())
    const ofRecord = device.items.verdict(id)
    await device.database.write(async (tx) => {
      await markAnswered(tx, [1, 2], { status: 'applied', ...answer })
      await markAnswered(tx, [3], { status: 'merged', ...answer })
      await markConflicted(tx, [4], 'conflict-1')
      await markDead(tx, [5], { code: 'SCOPE_DENIED', message: 'not yours' })
      await settle(tx, [1, 2])
    })
    const rejected = {
      status: 'rejected',
      version: null,
      error: { code: 'SCOPE_DENIED', message: 'not yours' },
    }
    expect(await Promise.all(verdicts)).toEqual([
      { status: 'applied', version: 6 },
      { status: 'merged', version: 6 },
      { status: 'conflict', version: null },
      rejected,
    ])
    expect(await ofRecord).toEqual(rejected)
    expect(await merged.verdict()).toEqual({ status: 'merged', version: 6 })
    expect(await refused.verdict()).toEqual(rejected)
    expect(await applied.verdict()).toEqual({ status: 'settled', version: null })
  })

  test('[WR-11] closing rejects those who still wait', async () => {
    const device = await givenDevice()
    const receipt = await device.items.update(await device.items.insert({ name: 'a' }), { name: 'b' })
    const verdict = receipt.verdict()
    await device.database.all('SELECT 1')
    device.parts.verdicts.close()
    await expect(verdict).rejects.toMatchObject({ code: 'CLIENT_CLOSED' })
  })
})

describe('failing disks', () => {
  test.each([
    { rollsBack: false, resultCode: 10 },
    { rollsBack: true, resultCode: 13 },
  ])(
    '[WR-1] B44, B50: whichever statement of a write fails ($resultCode), row, shadow and entry are all there or none',
    async (failure) => {
      const plan = { ...failure, left: Infinity }
      const device = await givenDevice({ storage: failingDriver(sqliteStorage(':memory:'), plan) })
      const id = await givenCleanItem(device)
      const target = '11111111-1111-7111-8111-111111111111'
      const writes = [
        () => device.items.update(id, { name: 'b', stock: 3 }),
        () => device.lines.insert({ item: id, amount: 1 }),
        () => device.items.delete(id),
        () => device.items.insert({ id, name: 'again' }),
        () => device.items.insert({ id: target, name: 'new' }),
        () =>
          runTransaction(givenSchema, device.parts, async (tx) => {
            await tx.items!.increment(id, { stock: 1 })
            await tx.items!.delete(target)
          }),
      ]
      for (const write of writes) {
        const before = await contentOf(device)
        let failures = 0
        for (plan.left = 0; ; failures++, plan.left = failures) {
          const result = await write().catch(() => 'failed')
          plan.left = Infinity
          if (result !== 'failed') break
          expect(await contentOf(device)).toEqual(before)
        }
        expect(failures).toBeGreaterThan(3)
        expect(await contentOf(device)).not.toEqual(before)
      }
    },
  )

  test('[LO-12] B50: a full database refuses writes with STORE_FULL, stays readable, and goes on once there is space', async () => {
    const device = await givenDevice()
    const [pages] = await device.database.all('PRAGMA page_count')
    await device.database.all(`PRAGMA max_page_count = ${Number(pages?.page_count) + 20}`)
    const stored: string[] = []
    let code: unknown
    while (code === undefined) {
      await device.items.insert({ name: 'x'.repeat(1_000) }).then(
        (id) => stored.push(id),
        (error: unknown) => (code = codeOf(error)),
      )
    }
    expect(code).toBe('STORE_FULL')
    expect((await device.database.all('SELECT id FROM items ORDER BY id')).map((row) => row.id)).toEqual(
      stored.toSorted(),
    )
    expect(await entriesOf(device)).toHaveLength(stored.length)
    await device.database.all('PRAGMA max_page_count = 100000')
    await device.items.insert({ name: 'space again' })
    expect(await device.database.all('PRAGMA integrity_check')).toMatchObject([{ integrity_check: 'ok' }])
  })
})
