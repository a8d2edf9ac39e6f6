import { type Json, SyncError, type TablesOf } from '@holdfast/core'
import type { Compilable } from 'kysely'
import type { ReadonlyQueryCreator } from 'kysely/readonly'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'

import { betterSqliteStorage } from '../drivers/better-sqlite3.ts'
import { sqliteStorage } from '../drivers/node.ts'
import { type GivenDevice, givenDevice, type givenSchema } from '../local/given-device.ts'
import { givenReports } from './given-reports.ts'
import { LiveQueries } from './live-queries.ts'

type Builder = ReadonlyQueryCreator<TablesOf<typeof givenSchema>>

interface Watched {
  readonly calls: (readonly Record<string, Json>[])[]
  readonly errors: unknown[]
  readonly stop: () => void
}

const logger = { log: () => undefined }
const liveOf = ({ database, schema }: GivenDevice): LiveQueries =>
  new LiveQueries({ database, schema, logger })

function watch(live: LiveQueries, build: (q: Builder) => Compilable<unknown>): Watched {
  const calls: Watched['calls'] = []
  const errors: unknown[] = []
  const stop = live.watch<TablesOf<typeof givenSchema>, unknown>(build, {
    // Rows of the test's queries hold nothing but JSON.
    onRows: (rows) => calls.push(rows as readonly Record<string, Json>[]),
    onError: (error) => errors.push(error),
  })
  return { calls, errors, stop }
}

const settled = async ({ database }: GivenDevice): Promise<void> => {
  for (let n = 0; n < 3; n++) await database.all('SELECT 1')
}

const names = (q: Builder): Compilable<unknown> =>
  q.selectFrom('items').select(['id', 'name', 'stock']).orderBy('name')

describe.each([
  { driver: 'node:sqlite', storage: sqliteStorage },
  { driver: 'better-sqlite3', storage: betterSqliteStorage },
])('on $driver', ({ storage }) => {
  test('[LQ-1] a watch is called at once, and once after each commit that touched what it reads', async () => {
    const device = await givenDevice({ storage: storage(':memory:') })
    const { calls } = watch(liveOf(device), names)
    await settled(device)
    expect(calls).toEqual([[]])
    const id = await device.items.insert({ name: 'b' })
    await settled(device)
    await device.items.insertMany([{ name: 'a' }, { name: 'c' }])
    await settled(device)
    await device.steps.insert({ label: 'of no concern' })
    await settled(device)
    await device.items.delete(id)
    await settled(device)
    expect(calls.map((rows) => rows.map((row) => row.name))).toEqual([[], ['b'], ['a', 'b', 'c'], ['a', 'c']])
  })

  test('[LQ-2] a result that is equal to the last one is not told', async () => {
    const device = await givenDevice({ storage: storage(':memory:') })
    const id = await device.items.insert({ name: 'a' })
    const { calls } = watch(liveOf(device), names)
    await settled(device)
    await device.items.update(id, { note: 'not selected' })
    await settled(device)
    expect(calls).toHaveLength(1)
  })

  test('[LQ-3] rows that did not change are the same objects, wherever they move', async () => {
    const device = await givenDevice({ storage: storage(':memory:') })
    const [first = '', second] = await device.items.insertMany([{ name: 'a' }, { name: 'b' }, { name: 'c' }])
    const { calls } = watch(liveOf(device), names)
    await settled(device)
    await device.items.update(first, { name: 'z' })
    await settled(device)
    await device.items.increment(first, { stock: 1 })
    await settled(device)
    const [before, moved, changed] = calls
    expect(before?.[1]?.id).toBe(second)
    expect(moved?.map((row) => before?.includes(row))).toEqual([true, true, false])
    expect(changed?.map((row, index) => row === moved?.[index])).toEqual([true, true, false])
  })

  test('[LQ-1] joins and subqueries are run again when any table they read is touched', async () => {
    const device = await givenDevice({ storage: storage(':memory:') })
    const item = await device.items.insert({ name: 'a' })
    const { calls } = watch(liveOf(device), (q) =>
      q
        .selectFrom('items')
        .select((eb) => [
          'name',
          eb
            .selectFrom('lines')
            .select(eb.fn.countAll<number>().as('n'))
            .whereRef('lines.item', '=', 'items.id')
            .as('lineCount'),
        ]),
    )
    await settled(device)
    await device.lines.insert({ item, amount: 1 })
    await settled(device)
    expect(calls).toEqual([[{ name: 'a', lineCount: 0 }], [{ name: 'a', lineCount: 1 }]])
  })

  test('[LQ-1] a query with raw SQL is run again when what it reads is touched', async () => {
    const device = await givenDevice({ storage: storage(':memory:') })
    const { calls } = watch(liveOf(device), (q) =>
      q.selectNoFrom([sql<number>`(SELECT count(*) FROM lines)`.as('n')]),
    )
    await settled(device)
    await device.lines.insert({ amount: 1 })
    await settled(device)
    expect(calls).toEqual([[{ n: 0 }], [{ n: 1 }]])
  })

  test('[LQ-6] values that come from a field are decoded, under any name and through subqueries; ours are left out', async () => {
    const device = await givenDevice({ storage: storage(':memory:') })
    await device.items.insert({ name: 'a', tags: ['x'], active: false, extra: { deep: [1, null] } })
    const live = liveOf(device)
    const all = await live.run((q: Builder) => q.selectFrom('items').selectAll().where('active', '=', false))
    expect(all[0]).toMatchObject({
      tags: ['x'],
      active: false,
      extra: { deep: [1, null] },
      price: null,
      _state: 'pending',
    })
    expect(Object.keys(all[0] ?? {})).not.toContain('_scopes')
    const inner = await live.run((q: Builder) =>
      q
        .selectFrom((eb) => eb.selectFrom('items').select(['tags as labels', 'active as on']).as('i'))
        .selectAll(),
    )
    expect(inner).toEqual([{ labels: ['x'], on: false }])
    const expression = await live.run((q: Builder) =>
      q.selectFrom('items').select((eb) => eb.fn.coalesce('tags', 'tags').as('stored')),
    )
    expect(expression).toEqual([{ stored: '["x"]' }])
  })

  test('[LQ-4] an error goes to onError, and a later commit may bring rows', async () => {
    const device = await givenDevice({ storage: storage(':memory:') })
    const { calls, errors } = watch(liveOf(device), (q) =>
      q.selectFrom('items').select(['name', (eb) => eb.fn('json', ['note']).as('parsed')]),
    )
    await settled(device)
    const id = await device.items.insert({ name: 'a', note: 'no JSON' })
    await settled(device)
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatchObject({ code: 'STORE_FAILED' })
    await device.items.update(id, { note: '[1]' })
    await settled(device)
    expect(calls).toEqual([[], [{ name: 'a', parsed: '[1]' }]])
  })
})

test('[LQ-5] after stop nothing is called, also when stopped inside a callback or before the first', async () => {
  const device = await givenDevice()
  const live = liveOf(device)
  const early = watch(live, names)
  early.stop()
  const late = watch(live, names)
  let calls = 0
  const inside = live.watch(names, {
    onRows: () => {
      calls++
      inside()
    },
    onError: undefined,
  })
  await settled(device)
  late.stop()
  late.stop()
  await device.items.insert({ name: 'a' })
  await settled(device)
  expect([early.calls.length, late.calls.length, calls]).toEqual([0, 1, 1])
  const closed = watch(live, names)
  live.close()
  await settled(device)
  expect(closed.calls).toEqual([])
})

test('[LQ-4] what comes after an error is told, also when it is what was there before it', async () => {
  const device = await givenDevice()
  const { calls, errors } = watch(liveOf(device), (q) =>
    q.selectFrom('items').select((eb) => eb.fn('json', ['note']).as('parsed')),
  )
  await settled(device)
  const id = await device.items.insert({ name: 'a', note: 'no JSON' })
  await settled(device)
  await device.items.delete(id)
  await settled(device)
  expect([calls, errors.length]).toEqual([[[], []], 1])
})

test('[LQ-4] a callback that throws is reported and called again', async () => {
  const device = await givenDevice()
  const errors: unknown[] = []
  let calls = 0
  liveOf(device).watch(names, {
    onRows: () => {
      calls++
      throw new Error('in the app')
    },
    onError: (error) => errors.push(error),
  })
  await settled(device)
  await device.items.insert({ name: 'a' })
  await settled(device)
  expect(calls).toBe(2)
  expect(errors).toEqual([new Error('in the app'), new Error('in the app')])
})

test('[LQ-4] a watch goes on also when what is told of its errors throws', async () => {
  const reports = givenReports()
  const device = await givenDevice()
  let calls = 0
  liveOf(device).watch(names, {
    onRows: () => {
      calls++
      throw new Error('in the app')
    },
    onError: (error) => {
      throw error
    },
  })
  await settled(device)
  await device.items.insert({ name: 'a' })
  await settled(device)
  expect(calls).toBe(2)
  expect(await reports()).toEqual([new Error('in the app'), new Error('in the app')])
})

test('[LQ-7] a query that writes, and a value SQLite cannot hold, are refused', async () => {
  const device = await givenDevice()
  const live = liveOf(device)
  // The types forbid what JavaScript callers can still build.
  const writing = live.run((q: Builder) =>
    (q as unknown as { deleteFrom(table: string): Compilable<unknown> }).deleteFrom('items'),
  )
  await expect(writing).rejects.toBeInstanceOf(SyncError)
  const odd = live.run((q: Builder) =>
    q
      .selectFrom('items')
      .selectAll()
      .where('name', '=', new Date(0) as unknown as string),
  )
  await expect(odd).rejects.toMatchObject({ code: 'VALUE_INVALID' })
})
