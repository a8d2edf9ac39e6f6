import { spawnSync } from 'node:child_process'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { freshDatabase } from '../services/fresh-database.ts'
import { MissingService } from '../services/missing-service.ts'
import { type PostgresServer, startPostgres } from '../services/postgres.ts'
import { hasPostgres } from '../services/shared-servers.ts'
import { type GivenWarehouse, givenWarehouse, newId, openWarehouse } from './given-warehouse.ts'

const insert = 'INSERT INTO items (id, warehouse, name, stock) VALUES ($1, $2, $3, 0)'
let server: PostgresServer | undefined

async function start(): Promise<PostgresServer> {
  return startPostgres({ flavour: 'system', fast: true, settings: { max_prepared_transactions: '10' } })
}

describe.skipIf(!hasPostgres())('on a server of its own', () => {
  beforeAll(async () => {
    try {
      server = await start()
    } catch (error) {
      if (!(error instanceof MissingService)) throw error
    }
  }, 60_000)
  afterAll(() => server?.stop())

  async function given(): Promise<GivenWarehouse | undefined> {
    return server && givenWarehouse({ serverUrl: server.url })
  }

  test('[FE-40] prepared transactions come when they are committed, however late, and leave nothing when they are not', async (context) => {
    const warehouse = await given()
    if (!warehouse) return context.skip('no server')
    const reader = warehouse.reader(['warehouse:1', 'warehouse:2', 'warehouse:3'])
    const job = await warehouse.connect()
    for (const place of ['1', '2']) {
      await job.query('BEGIN')
      await job.query(insert, [newId(), place, `prepared ${place}`])
      await job.query(`PREPARE TRANSACTION 'p${place}'`)
    }
    await warehouse.sql(insert, [newId(), '3', 'meanwhile'])
    await reader.pull()
    expect(reader.values('items', 'name')).toEqual(['meanwhile'])
    await job.query(`COMMIT PREPARED 'p1'`)
    await job.query(`ROLLBACK PREPARED 'p2'`)
    await warehouse.sql(insert, [newId(), '2', 'afterwards'])
    await reader.pull()
    expect(reader.values('items', 'name')).toEqual(['afterwards', 'meanwhile', 'prepared 1'])
    await warehouse.close()
  })

  test('[FE-1] partitioned tables, through the table and through a partition', async (context) => {
    if (!server) return context.skip('no server')
    const database = await freshDatabase(server.url)
    const client = new Client({ connectionString: database.url })
    await client.connect()
    await client.query(`CREATE TABLE items (id uuid PRIMARY KEY, warehouse text NOT NULL, name text NOT NULL DEFAULT '', place text,
      stock bigint NOT NULL, version bigint NOT NULL DEFAULT 0, created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(), server_updated_at timestamptz NOT NULL DEFAULT now(), deleted_at timestamptz)
      PARTITION BY HASH (id)`)
    for (const at of [0, 1])
      await client.query(
        `CREATE TABLE items_${at} PARTITION OF items FOR VALUES WITH (MODULUS 2, REMAINDER ${at})`,
      )
    const engine = await openWarehouse(database.url)
    const { Reader } = await import('./given-warehouse.ts')
    const reader = new Reader(engine, ['warehouse:1', 'warehouse:2'])
    const names = async (): Promise<readonly string[]> => {
      await reader.pull()
      return reader.values('items', 'name')
    }
    for (let at = 0; at < 8; at++) await client.query(insert, [newId(), '1', `row ${at}`])
    expect(await names()).toHaveLength(8)
    await client.query(`UPDATE items SET warehouse = '3' WHERE name = 'row 0'`)
    await client.query(`UPDATE items_0 SET name = 'direct'`)
    await client.query(`UPDATE items_1 SET name = 'direct'`)
    expect(await names()).toEqual(Array.from({ length: 7 }, () => 'direct'))
    await client.query('DELETE FROM items WHERE id = (SELECT id FROM items_0 LIMIT 1)')
    await client.query('TRUNCATE items_1')
    const left = await client.query(`SELECT 1 FROM items_0 WHERE warehouse = '1'`)
    expect(await names()).toHaveLength(left.rows.length)
    await client.query('TRUNCATE items')
    expect(await names()).toEqual([])
    const { rows } = await client.query(
      'SELECT record FROM holdfast.audit WHERE op = $1 GROUP BY record HAVING count(*) > 1',
      ['delete'],
    )
    expect(rows).toEqual([])
    await client.end()
    await engine.close()
    await database.drop()
  })

  test('[FE-70] B14: a standby that lags is not taken for a server that was put back; promoted, it is one', async (context) => {
    const own = await start().catch(() => undefined)
    const dataDir = own?.dataDir
    if (own === undefined || dataDir === undefined) return context.skip('no server')
    const warehouse = await givenWarehouse({ serverUrl: own.url })
    const reader = warehouse.reader(['warehouse:1'])
    await warehouse.sql(insert, [newId(), '1', 'early'])
    await reader.pull()
    await warehouse.engine.close()

    await own.kill('SIGINT')
    const copied = spawnSync('cp', ['-a', dataDir, `${dataDir}-standby`])
    expect(copied.status).toBe(0)
    await own.restart()
    const primary = await openWarehouse(warehouse.url)
    const late = reader.at(primary)
    const client = new Client({ connectionString: warehouse.url })
    await client.connect()
    await client.query(insert, [newId(), '1', 'late'])
    await client.end()
    await late.pull()
    expect(late.values('items', 'name')).toEqual(['early', 'late'])

    await own.kill('SIGINT')
    renameSync(dataDir, `${dataDir}-primary`)
    renameSync(`${dataDir}-standby`, dataDir)
    writeFileSync(join(dataDir, 'standby.signal'), '', { mode: 0o666 })
    await own.restart()
    for (const follower of [reader.at(primary), late])
      await expect(follower.pull()).rejects.toMatchObject({ code: 'STORE_BUSY', retry: 'backoff' })
    await expect(primary.stats()).rejects.toMatchObject({ code: 'STORE_BUSY' })
    await expect(openWarehouse(warehouse.url)).rejects.toMatchObject({ code: 'STORE_BUSY' })

    const admin = new Client({ connectionString: own.url })
    await admin.connect()
    await admin.query('SELECT pg_promote()')
    await admin.end()
    const follower = reader.at(primary)
    await follower.pull()
    expect(follower.values('items', 'name')).toEqual(['early'])
    await expect(late.pull()).rejects.toThrow(/another history/)
    await primary.close()
    await own.stop()
  }, 60_000)

  test('[FE-47] B03: dumped and restored where transaction ids start again: readers go on without a gap, or are told of another history', async (context) => {
    const warehouse = await given()
    if (!warehouse || !server) return context.skip('no server')
    for (let at = 0; at < 40; at++) await warehouse.sql('SELECT pg_current_xact_id()')
    const early = warehouse.reader(['warehouse:1', 'warehouse:2'])
    await warehouse.sql(insert, [newId(), '1', 'before'])
    await early.pull()
    const dump = spawnSync('pg_dump', ['-Fp', warehouse.url], { maxBuffer: 1e9 })
    expect(dump.status).toBe(0)
    await warehouse.sql(insert, [newId(), '1', 'lost with the old cluster'])
    const late = warehouse.reader(['warehouse:1', 'warehouse:2'])
    await late.pull()
    const other = await start()
    const database = await freshDatabase(other.url)
    const restored = spawnSync('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', database.url], {
      input: dump.stdout,
    })
    expect(restored.stderr.toString()).toBe('')
    const engine = await openWarehouse(database.url)
    const client = new Client({ connectionString: database.url })
    await client.connect()
    const moved = early.at(engine)
    for (let at = 0; at < 60; at++) {
      await client.query(insert, [newId(), at % 2 === 0 ? '1' : '2', `after ${at}`])
      await moved.pull()
      expect(moved.rows.size).toBe(at + 2)
    }
    await expect(late.at(engine).pull()).rejects.toThrow(/another history/)
    await client.end()
    await engine.close()
    await other.stop()
    await warehouse.close()
  }, 60_000)
})
