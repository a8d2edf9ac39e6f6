import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { hasPostgres } from '../services/shared-servers.ts'
import { type GivenWarehouse, givenWarehouse, newId } from './given-warehouse.ts'

let warehouse: GivenWarehouse
const insert = `INSERT INTO items (id, warehouse, name, stock) VALUES ($1, $2, $3, 0)`

describe.skipIf(!hasPostgres())('the order of commits', () => {
  beforeEach(async () => {
    warehouse = await givenWarehouse()
  })
  afterEach(() => warehouse.close())

  test('[FE-40] a transaction that was open before others took their places delays nobody and comes when it commits', async () => {
    const job = await warehouse.connect()
    const reader = warehouse.reader(['warehouse:1', 'warehouse:2'])
    await job.query('BEGIN')
    await job.query(insert, [newId(), '1', 'job'])
    for (const place of ['1', '2', '1']) {
      await warehouse.sql(insert, [newId(), place, `quick ${place}`])
      await reader.pull()
    }
    expect(reader.values('items', 'name')).toEqual(['quick 1', 'quick 1', 'quick 2'])
    await job.query('COMMIT')
    await reader.pull()
    expect(reader.values('items', 'name')).toContain('job')
  })

  test('[FE-40] B03: a transaction in another database of the cluster delays nobody, whatever it is about', async () => {
    const admin = new Client({ connectionString: process.env['HOLDFAST_TEST_POSTGRES'] })
    await admin.connect()
    try {
      const everything = warehouse.reader('*')
      const reader = warehouse.reader(['warehouse:1', 'warehouse:2'])
      await admin.query('BEGIN; SELECT pg_current_xact_id()')
      const names: string[] = []
      for (const place of ['1', '2', '1']) {
        names.push(`${names.length} in ${place}`)
        await warehouse.sql(insert, [newId(), place, names.at(-1)])
        for (const who of [reader, everything]) {
          await who.pull()
          expect(who.values('items', 'name')).toEqual(names)
        }
      }
      await admin.query('ROLLBACK')
      await reader.pull()
      expect(reader.values('items', 'name')).toEqual(names)
    } finally {
      await admin.end()
    }
  })

  test('[FE-41] a place that was taken before another commits, by a transaction that began later, is not passed over', async () => {
    const [early, late] = [await warehouse.connect(), await warehouse.connect()]
    const reader = warehouse.reader(['warehouse:1', 'warehouse:2'])
    await early.query('BEGIN')
    await early.query(insert, [newId(), '1', 'early'])
    await late.query('BEGIN')
    await late.query(insert, [newId(), '2', 'late'])
    await late.query('SET CONSTRAINTS ALL IMMEDIATE')
    await early.query('COMMIT')
    await reader.pull()
    expect(reader.values('items', 'name')).toEqual(['early'])
    await late.query('COMMIT')
    await reader.pull()
    expect(reader.values('items', 'name')).toEqual(['early', 'late'])
  })

  test('[FE-42] what is written after SET CONSTRAINTS ALL IMMEDIATE arrives too', async () => {
    const job = await warehouse.connect()
    const reader = warehouse.reader(['warehouse:1', 'warehouse:2', 'warehouse:3'])
    await job.query('BEGIN')
    await job.query('SET CONSTRAINTS ALL IMMEDIATE')
    for (const place of ['1', '2', '3']) await job.query(insert, [newId(), place, `in ${place}`])
    await job.query('COMMIT')
    await reader.pull()
    expect(reader.values('items', 'name')).toEqual(['in 1', 'in 2', 'in 3'])
  })

  test('[FE-42] savepoints that are rolled back leave nothing, and what follows them arrives', async () => {
    const job = await warehouse.connect()
    const reader = warehouse.reader(['warehouse:1', 'warehouse:2'])
    await job.query('BEGIN; SAVEPOINT a')
    await job.query(insert, [newId(), '1', 'undone'])
    await job.query('ROLLBACK TO a')
    await job.query(insert, [newId(), '1', 'kept'])
    await job.query('SET CONSTRAINTS ALL IMMEDIATE; SAVEPOINT b')
    await job.query(insert, [newId(), '2', 'undone too'])
    await job.query('ROLLBACK TO b')
    await job.query(insert, [newId(), '2', 'kept too'])
    await job.query('COMMIT')
    await reader.pull()
    expect(reader.values('items', 'name')).toEqual(['kept', 'kept too'])
  })

  test('[FE-40] who reads everything in small pages is not delayed by an open transaction either', async () => {
    const job = await warehouse.connect()
    const reader = warehouse.reader('*', 2)
    await job.query('BEGIN')
    await job.query(insert, [newId(), '1', 'job'])
    for (let at = 0; at < 9; at++) await warehouse.sql(insert, [newId(), `${at % 3}`, `quick ${at}`])
    for (let page = 0; page < 12; page++) if (!(await reader.page()).more) break
    expect(reader.rows.size).toBe(9)
    await job.query('COMMIT')
    await reader.pull()
    expect(reader.rows.size).toBe(10)
  })

  test('[FE-41] what becomes visible before the place inside a transaction where a page ended is not passed over', async () => {
    for (const grants of [['warehouse:1', 'warehouse:2'], '*'] as const) {
      const late = await warehouse.connect()
      const reader = warehouse.reader(grants, 2)
      await late.query('BEGIN')
      await late.query(insert, [newId(), '2', `late ${String(grants)}`])
      await late.query('SET CONSTRAINTS ALL IMMEDIATE')
      await warehouse.sql(
        `INSERT INTO items (id, warehouse, name, stock) SELECT gen_random_uuid(), '1', 'many', 0 FROM generate_series(1, 7)`,
      )
      await reader.page()
      await late.query('COMMIT')
      await reader.pull()
      expect(reader.values('items', 'name')).toContain(`late ${String(grants)}`)
    }
  })
})
