import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { hasPostgres } from '../services/shared-servers.ts'
import { type GivenWarehouse, givenWarehouse, newId, type Reader, type Row } from './given-warehouse.ts'

let warehouse: GivenWarehouse
let reader: Reader

interface Tables {
  items: { id: string; warehouse: string; name: string; stock: number }
}

async function names(): Promise<readonly string[]> {
  await reader.pull()
  return reader.values('items', 'name')
}

async function item(place: string, name: string): Promise<string> {
  const id = newId()
  await warehouse.sql('INSERT INTO items (id, warehouse, name, stock) VALUES ($1, $2, $3, 1)', [
    id,
    place,
    name,
  ])
  return id
}

/** Every warehouse that is read shows exactly the rows of its table. */
async function expectSameAsTable(): Promise<void> {
  await reader.pull()
  const scopes = reader.grants === '*' ? null : [...reader.grants]
  const rows = await warehouse.sql(
    `SELECT id::text, name FROM items WHERE deleted_at IS NULL
     AND ($1::text[] IS NULL OR 'warehouse:' || warehouse = ANY($1)) ORDER BY id`,
    [scopes],
  )
  const read = [...reader.rowsOf('items')].map(([id, row]): Row => ({ id, name: row['name'] }))
  expect(read.sort((left, right) => (String(left['id']) < String(right['id']) ? -1 : 1))).toEqual(rows)
}

describe.skipIf(!hasPostgres())('any writer', () => {
  beforeEach(async () => {
    warehouse = await givenWarehouse()
    reader = warehouse.reader(['warehouse:1', 'warehouse:2'])
  })
  afterEach(() => warehouse.close())

  test('[FE-1] plain statements, upserts and MERGE', async () => {
    const [a, b] = [await item('1', 'a'), await item('1', 'b')]
    await names()
    await warehouse.sql(`UPDATE items SET name = 'a2' WHERE id = $1`, [a])
    const upsert = `INSERT INTO items (id, warehouse, name, stock) VALUES ($1, '2', 'up', 1), ($2, '1', 'new', 1)
      ON CONFLICT (id) DO UPDATE SET name = excluded.name, warehouse = excluded.warehouse`
    await warehouse.sql(upsert, [b, newId()])
    expect(await names()).toEqual(['a2', 'new', 'up'])
    const [{ number } = {}] = await warehouse.sql(
      `SELECT current_setting('server_version_num')::int AS number`,
    )
    if (Number(number) >= 150_000) {
      await warehouse.sql(`MERGE INTO items i USING (VALUES ('a2'), ('new'), ('up'), ('other')) s (name) ON s.name = i.name
        WHEN MATCHED AND s.name = 'a2' THEN DELETE
        WHEN MATCHED AND s.name = 'up' THEN UPDATE SET warehouse = '1', name = 'merged'
        WHEN MATCHED THEN DO NOTHING
        WHEN NOT MATCHED THEN INSERT (id, warehouse, name, stock) VALUES (gen_random_uuid(), '2', s.name, 1)`)
      expect(await names()).toEqual(['merged', 'new', 'other'])
    }
    await expectSameAsTable()
  })

  test('[FE-1] [FE-3] many rows at once, of which the feed knows none, and then one from before', async () => {
    const old = await item('2', 'old')
    await names()
    await warehouse.sql('DELETE FROM items WHERE id = $1', [old])
    for (const isolation of ['READ COMMITTED', 'REPEATABLE READ']) {
      const other = await warehouse.connect()
      await other.query(`BEGIN ISOLATION LEVEL ${isolation}`)
      await other.query(`INSERT INTO items (id, warehouse, name, stock)
        SELECT gen_random_uuid(), (1 + n % 2)::text, '${isolation} ' || n, 0 FROM generate_series(1, 150) n`)
      await other.query('COMMIT')
      await expectSameAsTable()
    }
    // It comes back in another scope among many new ones: what is left of it where it was stays behind nothing.
    await warehouse.sql(
      `INSERT INTO items (id, warehouse, name, stock)
       SELECT CASE WHEN n = 75 THEN $1::uuid ELSE gen_random_uuid() END, '1', 'again ' || n, 0 FROM generate_series(1, 150) n`,
      [old],
    )
    await expectSameAsTable()
    expect(
      await warehouse.sql('SELECT scope, op FROM holdfast.feed WHERE record = $1 ORDER BY scope', [old]),
    ).toEqual([
      { scope: 'warehouse:1', op: 'put' },
      { scope: 'warehouse:2', op: 'leave' },
    ])
    await warehouse.sql(`UPDATE items SET name = name || '!' WHERE name LIKE 'again %'`)
    await expectSameAsTable()
  })

  test('[FE-1] COPY through psql, and INSERT … SELECT', async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-copy-'))
    const rows = [newId(), newId()].map((id, at) => `${id}\t1\tcopied ${at}\t5`)
    const file = join(folder, 'rows.tsv')
    writeFileSync(file, `${rows.join('\n')}\n`)
    const copy = `\\copy items (id, warehouse, name, stock) FROM '${file}'`
    const { error, status } = spawnSync('psql', ['-X', '-v', 'ON_ERROR_STOP=1', '-c', copy, warehouse.url])
    rmSync(folder, { recursive: true })
    if (error) return context.skip('psql is missing')
    expect(status).toBe(0)
    expect(await names()).toEqual(['copied 0', 'copied 1'])
    await warehouse.sql(`INSERT INTO items (id, warehouse, name, stock)
      SELECT gen_random_uuid(), '2', name || ' again', stock FROM items`)
    expect(await names()).toEqual(['copied 0', 'copied 0 again', 'copied 1', 'copied 1 again'])
  })

  test('[FE-1] another library over the same tables', async () => {
    const pool = new Pool({ connectionString: warehouse.url })
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
    const id = newId()
    await db.insertInto('items').values({ id, warehouse: '1', name: 'made', stock: 0 }).execute()
    await db.transaction().execute(async (tx) => {
      await tx.updateTable('items').set({ name: 'changed', warehouse: '2' }).where('id', '=', id).execute()
    })
    expect(await names()).toEqual(['changed'])
    await db.deleteFrom('items').where('id', '=', id).execute()
    await db.destroy()
    expect(await names()).toEqual([])
  })

  test('[FE-2] a writer that sets version and times himself', async () => {
    const id = newId()
    await warehouse.sql(
      `INSERT INTO items (id, warehouse, name, stock, version, server_updated_at)
       VALUES ($1, '1', 'a', 0, 9007199254740991, '2001-01-01')`,
      [id],
    )
    await warehouse.sql(`UPDATE items SET name = 'b', version = 1, server_updated_at = '2001-01-01'`)
    const [row] = await warehouse.sql(
      "SELECT version::float8, server_updated_at > now() - interval '1 minute' AS recent FROM items",
    )
    expect(row?.['recent']).toBe(true)
    expect(row?.['version']).toBeGreaterThan(4_096)
    expect(row?.['version']).toBeLessThan(4_096_000)
    expect(await names()).toEqual(['b'])
  })

  test('[FE-4] TRUNCATE and hard deletes', async () => {
    await item('1', 'a')
    const b = await item('2', 'b')
    expect(await names()).toEqual(['a', 'b'])
    await warehouse.sql('DELETE FROM items WHERE id = $1', [b])
    expect(await names()).toEqual(['a'])
    await warehouse.sql('TRUNCATE items')
    expect(await names()).toEqual([])
    const [row] = await warehouse.sql(`SELECT count(*)::int AS count FROM holdfast.tombstones`)
    expect(row).toEqual({ count: 2 })
  })

  test('[FE-43] TRUNCATE is refused where the snapshot may be older than the rows that go', async () => {
    const job = await warehouse.connect()
    await job.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM items')
    await item('1', 'after the snapshot')
    expect(await names()).toHaveLength(1)
    await expect(job.query('TRUNCATE items')).rejects.toThrow('READ COMMITTED')
    await job.query('ROLLBACK')
    await expectSameAsTable()
  })

  test('[FE-1] REPEATABLE READ and SERIALIZABLE writers commit', async () => {
    const [a, b] = [await item('1', 'a'), await item('1', 'b')]
    for (const [level, id] of [
      ['REPEATABLE READ', a],
      ['SERIALIZABLE', b],
    ] as const) {
      const job = await warehouse.connect()
      await job.query(`BEGIN ISOLATION LEVEL ${level}; SELECT count(*) FROM items`)
      await item('2', 'meanwhile')
      await names()
      await job.query(`UPDATE items SET name = $1 WHERE id = $2`, [level, id])
      await job.query('COMMIT')
      expect(await names()).toContain(level)
    }
    await expectSameAsTable()
  })

  test('[FE-44] rows that return within one statement that deleted them are live', async () => {
    const id = await item('1', 'a')
    await names()
    await warehouse.sql(`WITH gone AS (DELETE FROM items RETURNING *)
      INSERT INTO items (id, warehouse, name, stock) SELECT id, '2', 'back', stock FROM gone`)
    expect(await names()).toEqual(['back'])
    const rows = await warehouse.sql(`SELECT scope, op FROM holdfast.feed WHERE record = $1 ORDER BY scope`, [
      id,
    ])
    expect(rows).toEqual([
      { scope: 'warehouse:1', op: expect.stringMatching(/^(leave|delete)$/) as unknown },
      { scope: 'warehouse:2', op: 'put' },
    ])
    expect(await warehouse.sql('SELECT 1 FROM holdfast.tombstones')).toEqual([])
  })

  test('[FE-44] two statements in one query, of which the first moves rows', async () => {
    await item('1', 'a')
    await names()
    await warehouse.sql(`WITH moved AS (UPDATE items SET warehouse = '3' RETURNING id)
      INSERT INTO items (id, warehouse, name, stock) SELECT gen_random_uuid(), '2', 'b', 0 FROM moved`)
    expect(await names()).toEqual(['b'])
  })

  test('[FE-44] triggers of the host that write to the same rows, before and after', async () => {
    await warehouse.sql(`CREATE FUNCTION upper_name() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN NEW.name := upper(NEW.name); RETURN NEW; END $$`)
    await warehouse.sql(
      'CREATE TRIGGER upper_name BEFORE INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION upper_name()',
    )
    await warehouse.sql(`CREATE FUNCTION send_on() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN UPDATE items SET warehouse = '2' WHERE id = NEW.id; RETURN NULL; END $$`)
    await warehouse.sql(`CREATE TRIGGER send_on AFTER INSERT OR UPDATE ON items FOR EACH ROW
      WHEN (NEW.warehouse = '1') EXECUTE FUNCTION send_on()`)
    const ones = warehouse.reader(['warehouse:1'])
    const id = await item('1', 'a')
    await ones.pull()
    expect(ones.rows.size).toBe(0)
    expect(await names()).toEqual(['A'])
    const [pushed] = await reader.push([
      {
        op: 'create',
        collection: 'items',
        record: newId(),
        changes: { warehouse: '1', name: 'pushed', stock: 0 },
      },
    ])
    expect(pushed?.status).toBe('applied')
    await warehouse.sql(`UPDATE items SET warehouse = '1', name = 'b' WHERE id = $1`, [id])
    await ones.pull()
    expect(ones.rows.size).toBe(0)
    expect(await names()).toEqual(['B', 'PUSHED'])
    const stray = `SELECT 1 FROM holdfast.feed WHERE scope = 'warehouse:1' AND op = 'put'`
    expect(await warehouse.sql(stray)).toEqual([])
  })

  test('[FE-44] a trigger of the host that removes what was just inserted', async () => {
    await warehouse.sql(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN DELETE FROM items WHERE id = NEW.id; RETURN NULL; END $$`)
    await warehouse.sql(`CREATE TRIGGER refuse AFTER INSERT ON items FOR EACH ROW
      WHEN (NEW.name = 'bad') EXECUTE FUNCTION refuse()`)
    await item('1', 'good')
    await item('1', 'bad')
    expect(await names()).toEqual(['good'])
    const [row] = await warehouse.sql('SELECT count(*)::int AS count FROM holdfast.tombstones')
    expect(row).toEqual({ count: 1 })
  })

  test('[FE-1] rows that go by a foreign key’s cascade, also inside a push', async () => {
    await warehouse.sql(
      'ALTER TABLE lines ADD FOREIGN KEY (item) REFERENCES items (id) ON DELETE CASCADE ON UPDATE CASCADE',
    )
    for (const name of ['a', 'b']) {
      const id = await item('1', name)
      await warehouse.sql(
        `INSERT INTO lines (id, warehouse, item, body) VALUES (gen_random_uuid(), '1', $1, $2)`,
        [id, name],
      )
    }
    await names()
    expect(reader.values('lines', 'body')).toEqual(['a', 'b'])
    await warehouse.sql(`DELETE FROM items WHERE name = 'a'`)
    await names()
    expect(reader.values('lines', 'body')).toEqual(['b'])
    const [left] = reader.rowsOf('lines').keys()
    await warehouse.sql('ALTER TABLE lines ADD COLUMN parent uuid REFERENCES lines (id) ON DELETE CASCADE')
    await warehouse.sql(
      `INSERT INTO lines (id, warehouse, body, parent) VALUES (gen_random_uuid(), '2', 'child', $1)`,
      [left],
    )
    await names()
    expect(reader.values('lines', 'body')).toEqual(['b', 'child'])
    const [row] = await warehouse.sql('SELECT version::float8 FROM lines WHERE id = $1', [left])
    const [result] = await reader.push([
      { op: 'delete', collection: 'lines', record: left ?? '', baseVersion: Number(row?.['version']) },
    ])
    expect(result?.status).toBe('applied')
    await names()
    expect(reader.values('lines', 'body')).toEqual([])
  })

  test('[FE-45] a role without any right on our schema writes, and its settings count for nothing', async () => {
    const role = `clerk_${newId().replaceAll('-', '')}`
    await warehouse.sql(
      `CREATE ROLE ${role} LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON items TO ${role}`,
    )
    const clerk = await warehouse.connect(role)
    try {
      const id = newId()
      await clerk.query(`INSERT INTO items (id, warehouse, name, stock) VALUES ($1, '1', 'a', 0)`, [id])
      expect(await names()).toEqual(['a'])
      await clerk.query(
        `SELECT set_config('holdfast.own', '7', false), set_config('holdfast.account', 'boss', false)`,
      )
      await clerk.query(`UPDATE items SET name = 'b'`)
      expect(await names()).toEqual(['b'])
      await clerk.query(`UPDATE items SET name = 'c' || set_config('holdfast.own', '0', true)`)
      expect(await names()).toEqual(['c0'])
      await clerk.query(`BEGIN; SELECT set_config('holdfast.tx', '1', true); UPDATE items SET warehouse = '2';
        SELECT set_config('holdfast.tx', '', true); UPDATE items SET name = 'd'; COMMIT`)
      expect(await names()).toEqual(['d'])
      await clerk.query('DELETE FROM items')
      expect(await names()).toEqual([])
      const lines = await warehouse.sql('SELECT account FROM holdfast.audit WHERE account IS NOT NULL')
      expect(lines).toEqual([])
    } finally {
      await clerk.end()
      await warehouse.sql(`DROP OWNED BY ${role}`)
      await warehouse.sql(`DROP ROLE ${role}`)
    }
  })
})
