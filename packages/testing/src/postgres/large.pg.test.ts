import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { hasPostgres } from '../services/shared-servers.ts'
import { type GivenWarehouse, givenWarehouse, newId } from './given-warehouse.ts'

let warehouse: GivenWarehouse
const many = 20_000
const planned = 50_000
const insertMany = `INSERT INTO items (id, warehouse, name, stock) SELECT gen_random_uuid(), '1', 'row ' || n, 0 FROM generate_series(1, $1::int) n`

async function elapsedMs(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}

describe.skipIf(!hasPostgres())('large transactions', () => {
  beforeEach(async () => {
    warehouse = await givenWarehouse()
  })
  afterEach(() => warehouse.close())

  test('[FE-26] pages end inside a transaction of 20,000 rows while others go on, and every row comes once', async () => {
    const reader = warehouse.reader(['warehouse:1', 'warehouse:2'], 400)
    await warehouse.sql(insertMany, [many])
    let seen = 0
    for (let page = 1; ; page++) {
      const { changes, more } = await reader.page()
      seen += changes.length
      if (page % 10 === 0)
        await warehouse.sql(
          `INSERT INTO items (id, warehouse, name, stock) VALUES ($1, '2', 'meanwhile', 0)`,
          [newId()],
        )
      if (!more) break
    }
    const [row] = await warehouse.sql('SELECT count(*)::int AS count FROM items')
    expect(reader.rows.size).toBe(row?.['count'])
    expect(seen).toBe(reader.rows.size)
  }, 120_000)

  test('[FE-46] in one session a statement of one row and then one of 50,000 take the time of their rows', async () => {
    const job = await warehouse.connect()
    await job.query(insertMany, [1])
    await job.query(`UPDATE items SET name = name || '.'`)
    const insertMs = await elapsedMs(() => job.query(insertMany, [planned]))
    const updateMs = await elapsedMs(() => job.query(`UPDATE items SET name = name || '.'`))
    const moveMs = await elapsedMs(() => job.query(`UPDATE items SET warehouse = '2'`))
    const deleteMs = await elapsedMs(() => job.query('DELETE FROM items'))
    const returnMs = await elapsedMs(() => job.query(insertMany, [planned]))
    // A plan made for one row would compare all with all, 2,500 million pairs, at each of them.
    expect(Math.max(insertMs, updateMs, moveMs, deleteMs, returnMs)).toBeLessThan(60_000)
    const [row] = await warehouse.sql(
      `SELECT count(*) FILTER (WHERE op = 'put')::int AS put, count(*) FILTER (WHERE op = 'leave')::int AS left_,
       count(*) FILTER (WHERE op = 'delete')::int AS gone FROM holdfast.feed`,
    )
    expect(row).toEqual({ put: planned, left_: planned + 1, gone: planned + 1 })
  }, 400_000)

  test('[FE-40] a transaction that touches 1,000 scopes is stamped in each, and seen whole', async () => {
    const scopes = Array.from({ length: 1_000 }, (_, at) => `warehouse:${at}`)
    const reader = warehouse.reader(scopes)
    await reader.pull()
    const insertAll = `INSERT INTO items (id, warehouse, name, stock) SELECT gen_random_uuid(), n::text, 'r', 0 FROM generate_series(0, 999) n`
    const [one, two] = [await warehouse.connect(), await warehouse.connect()]
    await Promise.all([one.query(insertAll), two.query(insertAll)])
    await reader.pull()
    expect(reader.rows.size).toBe(2_000)
    const rows = await warehouse.sql('SELECT count(*)::int AS scopes FROM holdfast.stamps GROUP BY position')
    expect(rows).toEqual([{ scopes: 1_000 }, { scopes: 1_000 }])
  })
})
