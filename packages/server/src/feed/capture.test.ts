import { collection, defineSchema, newUuid, text, type Values } from '@holdfast/core'
import { execFileSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isOnPostgres, type Sql } from '../given-database.ts'
import { type GivenDevice, type GivenEngine, givenEngine, item } from '../given-engine.ts'
import { iso } from '../store/postgres/columns.ts'
import { systemEnvironment } from '../system-environment.ts'
import type { CommitEvent } from '../engine.ts'

let given: GivenEngine
let ben: GivenDevice

beforeEach(async () => {
  given = await givenEngine()
  ben = given.device('ben')
})

afterEach(() => given.close())

const uuid = (): string => newUuid(systemEnvironment())
const id = uuid()

/** SQL by another process, which knows nothing of Holdfast. A connection of its own is that to a PostgreSQL. */
async function elsewhere(sql: string): Promise<void> {
  if (isOnPostgres) return given.run(sql)
  const script = `const { DatabaseSync } = require('node:sqlite'); const db = new DatabaseSync(process.argv[1]); db.exec(process.argv[2]); db.close()`
  execFileSync(process.execPath, ['-e', script, given.path, sql], {
    env: { PATH: process.env['PATH'] },
    stdio: 'pipe',
  })
}

const insert = (
  values: {
    readonly id?: string
    readonly warehouse?: string
    readonly sku?: string
    readonly name?: string
  } = {},
): string => {
  const { id: row = id, warehouse = '1', sku = 'X-1', name = 'Crate' } = values
  return `INSERT INTO items (id, warehouse, sku, name, stock, tags) VALUES ('${row}', '${warehouse}', '${sku}', '${name}', 3, '["new"]')`
}

const times = ['created_at', 'updated_at', 'server_updated_at']
const itemTimes: Sql = {
  sqlite: `SELECT version, ${times.join(', ')} FROM items`,
  postgres: `SELECT version, ${times.map((name) => `${iso(name)} AS ${name}`).join(', ')} FROM items`,
}

describe('any writer', () => {
  test('[FE-1] what another process inserts, updates and deletes reaches a device', async () => {
    await elsewhere(insert())
    await ben.pull()
    expect(ben.rows.get(`items/${id}`)).toMatchObject({ name: 'Crate', stock: 3, tags: ['new'], place: null })
    await elsewhere(`UPDATE items SET name = 'Box', stock = stock - 1 WHERE id = '${id}'`)
    await ben.pull()
    expect(ben.rows.get(`items/${id}`)).toMatchObject({ name: 'Box', stock: 2 })
    await elsewhere(`DELETE FROM items WHERE id = '${id}'`)
    expect(await ben.pull()).toMatchObject([{ op: 'delete', record: id }])
    expect(ben.rows.size).toBe(0)
  })

  test('[FE-68] what the host writes through the server is one transaction of another writer, told of once it is there', async () => {
    const told: CommitEvent[] = []
    given.engine.subscribe((event) => told.push(event))
    const mark = isOnPostgres ? '$1' : '?'
    const name = await given.engine.write(async (tx) => {
      await tx.all(insert())
      const [row] = await tx.all(`UPDATE items SET name = ${mark} WHERE sku = 'X-1' RETURNING name`, 'Box')
      expect(await given.rows('SELECT id FROM items')).toEqual([])
      expect(told).toEqual([])
      return row?.['name']
    })
    expect(name).toBe('Box')
    expect(told).toEqual([{ scopes: ['warehouse:1'], user: null, device: null }])
    await ben.pull()
    expect(ben.rows.get(`items/${id}`)).toMatchObject({ name: 'Box' })
    const entries = await given.engine.history(ben.caller, 'items', id)
    expect(entries?.map(({ op, user }) => [op, user])).toEqual([
      ['update', null],
      ['create', null],
    ])
  })

  test('[FE-68] what fails in it undoes all of it, and a constraint is told by its code', async () => {
    const failing = given.engine.write(async (tx) => {
      await tx.all(insert())
      throw new Error('changed our mind')
    })
    await expect(failing).rejects.toThrow('changed our mind')
    const refused = given.engine.write(async (tx) => {
      await tx.all(insert())
      await tx.all(insert())
    })
    await expect(refused).rejects.toMatchObject({ code: 'CONSTRAINT_FAILED' })
    expect(await given.rows('SELECT id FROM items')).toEqual([])
    expect(await ben.pull()).toEqual([])
  })

  test('[FE-2] the version is taken from the counter whatever the writer says, and times he leaves out are filled in', async () => {
    await given.run(insert())
    const claimed = (time: string): string =>
      `UPDATE items SET name = 'Box', version = 1, server_updated_at = '${time}' WHERE id = '${id}'`
    await given.run({ sqlite: claimed('never'), postgres: claimed('infinity') })
    const [row] = await given.rows(itemTimes)
    expect(row?.['version']).toBe(2)
    for (const time of times) {
      expect(row?.[time]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    }
    await given.run(`UPDATE items SET name = 'Case', updated_at = '2026-01-02 03:04:05Z' WHERE id = '${id}'`)
    expect(await given.rows(itemTimes)).toMatchObject([
      { version: 3, updated_at: '2026-01-02T03:04:05.000Z' },
    ])
  })

  test('[FE-2] a device that edits what another writer changed meanwhile is merged with it', async () => {
    const laptop = ben.create('items', item({ name: 'base' }))
    await ben.push(laptop)
    await given.run(`UPDATE items SET name = 'by hand' WHERE id = '${laptop.record}'`)
    const result = await ben.pushOne(
      ben.update(laptop, { name: 'ben' }, { base: { name: 'base' }, baseVersion: 1 }),
    )
    expect(result).toMatchObject({ status: 'conflict', conflict: { theirs: { name: 'by hand' } } })
  })

  test('[FE-3] B37: a row that leaves a scope is left, also by the device that moved it', async () => {
    const eve = given.device('eve', ['warehouse:2'])
    const laptop = ben.create('items', item({ name: 'moving' }))
    const ann = given.device()
    await ben.push(laptop)
    await Promise.all([ann.pull(), ben.pull()])
    await ben.push(ben.update(laptop, { warehouse: '2' }, { base: { warehouse: '1' }, baseVersion: 1 }))
    for (const device of [ann, ben]) {
      expect(await device.pull()).toMatchObject([
        { op: 'leave', scope: 'warehouse:1', record: laptop.record },
      ])
      expect(device.rows.size).toBe(0)
    }
    await eve.pull()
    expect(eve.values('items', 'name')).toEqual(['moving'])
  })

  test('[FE-3] a row that comes back to a scope is put again', async () => {
    await given.run(insert())
    await ben.pull()
    await given.run(
      `UPDATE items SET warehouse = '2' WHERE id = '${id}'; UPDATE items SET warehouse = '1' WHERE id = '${id}'`,
    )
    expect(await ben.pull()).toMatchObject([{ op: 'put', record: id }])
    expect(await given.rows('SELECT scope, op FROM holdfast_feed ORDER BY scope')).toEqual([
      { scope: 'warehouse:1', op: 'put' },
      { scope: 'warehouse:2', op: 'leave' },
    ])
  })

  test.each([
    ['soft', 'items', insert()],
    ['hard', 'orders', `INSERT INTO orders (id, warehouse, item) VALUES ('${id}', '1', '${uuid()}')`],
  ])(
    '[FE-4] a physical delete of a %s collection leaves a tombstone, and the record can be brought back',
    async (_, table, sql) => {
      await given.run(sql)
      await ben.pull()
      await given.run(`DELETE FROM ${table} WHERE id = '${id}'`)
      expect(await ben.pull()).toMatchObject([{ op: 'delete', collection: table, record: id, version: 2 }])
      const restored = await given.engine.apply(ben.caller, [
        { collection: table, record: id, op: 'restore', values: {}, precondition: { kind: 'none' } },
      ])
      expect(restored.results).toMatchObject([
        table === 'items' ? { status: 'applied', record: { id, name: 'Crate' } } : { status: 'rejected' },
      ])
    },
  )

  test('[FE-4] setting deleted_at is a soft delete, and clearing it a restore', async () => {
    await given.run(insert())
    await ben.pull()
    await given.run(`UPDATE items SET deleted_at = '2026-11-20T11:00:00.000Z' WHERE id = '${id}'`)
    expect(await ben.pull()).toMatchObject([{ op: 'delete', record: id }])
    await given.run(`UPDATE items SET deleted_at = NULL WHERE id = '${id}'`)
    expect(await ben.pull()).toMatchObject([{ op: 'put', record: id }])
    expect(await given.rows('SELECT op FROM holdfast_audit')).toEqual([
      { op: 'create' },
      { op: 'delete' },
      { op: 'restore' },
    ])
  })

  test('[FE-5, AU-1] other writers are in the timeline, with what they changed and no name', async () => {
    await given.run(insert())
    await given.run(`UPDATE items SET name = 'Box' WHERE id = '${id}'`)
    await given.run(`DELETE FROM items WHERE id = '${id}'`)
    const history = await given.engine.history(ben.caller, 'items', id)
    expect(history).toMatchObject([
      { op: 'delete', user: null, before: { name: 'Box', stock: 3, tags: ['new'] }, after: null, version: 3 },
      { op: 'update', user: null, before: { name: 'Crate' }, after: { name: 'Box' }, version: 2 },
      { op: 'create', user: null, before: null, after: { name: 'Crate', place: null }, version: 1 },
    ])
  })

  test('[FE-6] fields that merge by time are stamped with the edit of another writer', async () => {
    await given.run(insert())
    await given.run(
      `UPDATE items SET place = 'A1', updated_at = '2026-11-20T09:00:00.000Z' WHERE id = '${id}'`,
    )
    const early = ben.update(
      { collection: 'items', record: id },
      { place: 'early' },
      { base: { place: null }, baseVersion: 1, at: `2026-11-20T08:59:59.999Z-0000-${ben.id}` },
    )
    const late = ben.update(
      { collection: 'items', record: id },
      { place: 'late' },
      { base: { place: null }, baseVersion: 1, at: `2026-11-20T09:00:00.000Z-0000-${ben.id}` },
    )
    expect(await ben.pushOne(early)).toMatchObject({ status: 'merged', record: { place: 'A1' } })
    expect(await ben.pushOne(late)).toMatchObject({ status: 'merged', record: { place: 'late' } })
  })

  test("[FE-7] a host's trigger that writes another synced row inside a push is captured like any writer", async () => {
    const sell = 'UPDATE items SET stock = stock - 1 WHERE id = NEW.item'
    await given.run({
      sqlite: `CREATE TRIGGER host AFTER INSERT ON orders BEGIN ${sell}; END`,
      postgres: `CREATE FUNCTION sell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${sell}; RETURN NULL; END $$;
        CREATE TRIGGER host AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION sell()`,
    })
    const laptop = ben.create('items', item({ stock: 10 }))
    await ben.push(laptop)
    const ann = given.device()
    await ann.pull()
    const order = ben.create('orders', { warehouse: '1', item: laptop.record, next: null })
    expect(await ben.pushOne(order)).toMatchObject({ status: 'applied', version: 2 })
    await Promise.all([ann.pull(), ben.pull()])
    expect([ann.values('items', 'stock'), ben.values('items', 'stock')]).toEqual([[9], [9]])
    expect(
      await given.rows(`SELECT version, user FROM holdfast_audit WHERE collection = 'items' ORDER BY n`),
    ).toEqual([
      { version: 1, user: 'ben' },
      { version: 3, user: null },
    ])
  })

  test('[FE-8] REPLACE and upsert by others leave no row in a scope it is no longer in', async () => {
    await given.run(insert())
    await ben.pull()
    const replaced = insert({ warehouse: '2' })
    await given.run({
      sqlite: replaced.replace('INSERT', 'INSERT OR REPLACE'),
      postgres: `DELETE FROM items WHERE id = '${id}'; ${replaced}`,
    })
    expect(await ben.pull()).toMatchObject([{ op: 'leave', record: id }])
    await given.run(
      `${insert({ warehouse: '1', name: 'upserted' })} ON CONFLICT (id) DO UPDATE SET warehouse = excluded.warehouse, name = excluded.name`,
    )
    await ben.pull()
    expect(ben.values('items', 'name')).toEqual(['upserted'])
    await given.run(`${insert({ warehouse: '2' })} ON CONFLICT (id) DO NOTHING`)
    expect(await ben.pull()).toEqual([])
  })

  test('[FE-8] the id of a record never changes', async () => {
    await given.run(insert())
    await expect(given.run(`UPDATE items SET id = '${uuid()}'`)).rejects.toThrow(
      'the id of a record never changes',
    )
  })

  test('[FE-1] unique keys of other writers count, and are free when those let go', async () => {
    await given.run(insert({ sku: 'cafe\u0301' }))
    expect((await ben.pushOne(ben.create('items', item({ sku: 'caf\u00e9' })))).error?.code).toBe(
      'UNIQUE_VIOLATION',
    )
    await given.run(`UPDATE items SET sku = 'other' WHERE id = '${id}'`)
    expect(await ben.pushOne(ben.create('items', item({ sku: 'caf\u00e9' })))).toMatchObject({
      status: 'applied',
    })
    await given.run(`DELETE FROM items WHERE id = '${id}'`)
    expect(await ben.pushOne(ben.create('items', item({ sku: 'other' })))).toMatchObject({
      status: 'applied',
    })
  })
})

describe('conflicts', () => {
  async function givenConflict(): Promise<{
    readonly record: string
    readonly conflict: string
    readonly ann: GivenDevice
  }> {
    const ann = given.device()
    const laptop = ann.create('items', item({ name: 'base' }))
    await ann.push(laptop)
    await given.run(`UPDATE items SET name = 'by hand' WHERE id = '${laptop.record}'`)
    const { conflict } = await ann.pushOne(
      ann.update(laptop, { name: 'ann' }, { base: { name: 'base' }, baseVersion: 1 }),
    )
    return { record: laptop.record, conflict: conflict?.id ?? '', ann }
  }

  test('[FE-10] a conflict follows its record to another scope, whoever moves it, and stays with its author', async () => {
    const { record, conflict, ann } = await givenConflict()
    const eve = given.device('eve', ['warehouse:2'])
    await Promise.all([ann.pull(), ben.pull(), eve.pull()])
    expect([ben.rows.has(`_conflicts/${conflict}`), eve.rows.has(`_conflicts/${conflict}`)]).toEqual([
      true,
      false,
    ])
    await given.run(`UPDATE items SET warehouse = '2' WHERE id = '${record}'`)
    await Promise.all([ann.pull(), ben.pull(), eve.pull()])
    expect([ann, ben, eve].map((device) => device.rows.has(`_conflicts/${conflict}`))).toEqual([
      true,
      false,
      true,
    ])
  })

  test('[FE-10] a settled conflict moves with its record too', async () => {
    const { record, conflict } = await givenConflict()
    await given.engine.resolve(ben.caller, conflict, { kind: 'theirs' })
    await ben.pull()
    expect(ben.rows.get(`_conflicts/${conflict}`)).toMatchObject({ status: 'resolved' })
    const target = { collection: 'items', record }
    await ben.push(ben.update(target, { warehouse: '2' }, { base: { warehouse: '1' }, baseVersion: 2 }))
    await ben.pull()
    expect(ben.rows.size).toBe(0)
  })

  test('[FE-10] a conflict leaves where its record was, also when the deletion of that is long forgotten', async () => {
    const { record, conflict, ann } = await givenConflict()
    const kim = given.device('kim', ['warehouse:1', 'warehouse:2'])
    const target = { collection: 'items', record }
    expect(await kim.pushOne(kim.delete(target, { baseVersion: 2 }))).toMatchObject({ status: 'applied' })
    given.advance(1_000)
    await given.engine.collectTombstones({ olderThanMs: 0 })
    await kim.pull()
    expect(kim.rows.has(`_conflicts/${conflict}`)).toBe(true)
    const back = { collection: 'items', record, op: 'restore' } as const
    const values = { warehouse: '2' }
    await given.engine.apply(kim.caller, [{ ...back, values, precondition: { kind: 'none' } }])
    const eve = given.device('eve', ['warehouse:2'])
    await Promise.all([ann.pull(), ben.pull(), eve.pull()])
    const seen = [ann, ben, eve].map((device) => device.rows.has(`_conflicts/${conflict}`))
    expect(seen).toEqual([true, false, true])
  })

  test('[FE-10] [SC-4] of a transaction in dispute the conflict stays although the deletion of a record is long forgotten', async () => {
    const ann = given.device()
    const [first, second] = [ann.create('items', item({ name: 'base' })), ann.create('items', item())]
    await ann.push(first, second)
    await given.run(`UPDATE items SET name = 'by hand' WHERE id = '${first.record}'`)
    const group = newUuid(systemEnvironment())
    const [{ conflict } = {}] = await ann.push(
      ann.update(first, { name: 'ann' }, { base: { name: 'base' }, baseVersion: 1, group }),
      ann.update(second, { name: 'ann' }, { base: { name: 'Laptop' }, baseVersion: 2, group }),
    )
    const write = { collection: 'items', values: {}, precondition: { kind: 'none' } } as const
    for (const { record } of [first, second])
      await given.engine.apply(ben.caller, [{ ...write, record, op: 'delete' }])
    given.advance(1_000)
    await given.engine.collectTombstones({ olderThanMs: 0 })
    await given.engine.apply(ben.caller, [{ ...write, record: first.record, op: 'restore' }])
    await ben.pull()
    expect(ben.rows.has(`_conflicts/${conflict?.id}`)).toBe(true)
  })

  test('[SC-4] a conflict lies where its record stands, also when its own transaction was to move that first', async () => {
    const kim = given.device('kim', ['warehouse:1', 'warehouse:2'])
    const laptop = kim.create('items', item({ name: 'base' }))
    await kim.push(laptop)
    await given.run(`UPDATE items SET name = 'by hand' WHERE id = '${laptop.record}'`)
    const group = newUuid(systemEnvironment())
    const results = await kim.push(
      kim.update(laptop, { warehouse: '2' }, { base: { warehouse: '1' }, baseVersion: 1, group }),
      kim.update(laptop, { name: 'kim' }, { base: { name: 'base' }, baseVersion: 1, group }),
    )
    await ben.pull()
    expect(ben.rows.has(`_conflicts/${results[0]?.conflict?.id}`)).toBe(true)
  })

  test('[SC-4] [FE-10] nor where the same batch moves it on the way', async () => {
    const kim = given.device('kim', ['warehouse:1', 'warehouse:2'])
    const eve = given.device('eve', ['warehouse:2'])
    const laptop = kim.create('items', item({ name: 'base' }))
    await kim.push(laptop)
    await given.run(`UPDATE items SET name = 'by hand' WHERE id = '${laptop.record}'`)
    const results = await kim.push(
      kim.update(laptop, { warehouse: '2' }, { base: { warehouse: '1' }, baseVersion: 1 }),
      kim.update(laptop, { name: 'kim' }, { base: { name: 'base' }, baseVersion: 1 }),
      kim.update(laptop, { warehouse: '1' }, { base: { warehouse: '2' }, baseVersion: 1 }),
    )
    expect(results.map(({ status }) => status)).toEqual(['applied', 'conflict', 'applied'])
    await Promise.all([ben.pull(), eve.pull()])
    const conflict = `_conflicts/${results[1]?.conflict?.id}`
    expect([ben, eve].map(({ rows }) => rows.has(conflict))).toEqual([true, false])
  })

  test('[FE-10] a conflict over a unique key lies where both records do, whichever of them moves', async () => {
    const fields = { warehouse: text(), sku: text() }
    const unique = [{ fields: ['sku'], onConflict: 'ask' }] as const
    const items = collection({ fields, scope: 'warehouse:{warehouse}', unique: [...unique] })
    const shop = await givenEngine({ schema: defineSchema({ version: 1, collections: { items } }) })
    const kim = shop.device('kim', ['warehouse:1', 'warehouse:2'])
    const [one, two] = [shop.device('ann', ['warehouse:1']), shop.device('eve', ['warehouse:2'])]
    const seen = async (): Promise<readonly boolean[]> => {
      await Promise.all([one.pull(), two.pull()])
      return [one, two].map(({ rows }) => [...rows.keys()].some((key) => key.startsWith('_conflicts/')))
    }
    const first = kim.create('items', { warehouse: '1', sku: 'X' })
    const second = kim.create('items', { warehouse: '2', sku: 'Y' })
    await kim.push(first, second)
    const edit = { base: { sku: 'Y' }, baseVersion: 2 }
    expect(await kim.pushOne(kim.update(second, { sku: 'X' }, edit))).toMatchObject({ status: 'conflict' })
    expect(await seen()).toEqual([false, false])
    // What the other record says is of warehouse 1.
    await shop.run(`UPDATE items SET warehouse = '3' WHERE id = '${second.record}'`)
    await shop.run(`UPDATE items SET warehouse = '2' WHERE id = '${second.record}'`)
    expect(await seen()).toEqual([false, false])
    await shop.run(`UPDATE items SET warehouse = '2' WHERE id = '${first.record}'`)
    expect(await seen()).toEqual([false, true])
    await shop.run(`UPDATE items SET warehouse = '1' WHERE id = '${first.record}'`)
    expect(await seen()).toEqual([false, false])
    await shop.close()
  })

  test('[FE-10] while its record is deleted a conflict stays where it was', async () => {
    const { record, conflict } = await givenConflict()
    await given.run(`DELETE FROM items WHERE id = '${record}'`)
    await ben.pull()
    expect([...ben.rows.keys()]).toEqual([`_conflicts/${conflict}`])
  })
})

describe('what columns hold', () => {
  type Refused = readonly [column: string, value: string, why?: string]
  const corpus: readonly Refused[] = [
    ['id', `'not-a-uuid'`, isOnPostgres ? 'uuid' : 'never changes'],
    ['name', 'NULL'],
    ['stock', `9007199254740992`],
    ['tags', `'{}'`],
    ...(isOnPostgres
      ? ([
          ['name', String.raw`E'\0'`, '0x00'],
          ['stock', `'many'`, 'bigint'],
          ['price', `'1.2.3'`, 'numeric'],
          ['price', `''`, 'numeric'],
          ['price', `'NaN'`],
          ['price', `'-Infinity'`],
          ['tags', `'new'`, 'json'],
        ] as const)
      : ([
          ['name', `x'00'`],
          ['stock', `1.5`],
          ['stock', `'many'`],
          ['price', `'1e3'`],
          ['price', `'1.2.3'`],
          ['price', `''`],
          ['price', `'-'`],
          ['tags', `'new'`],
        ] as const)),
  ]

  test.each(corpus)(
    '[FE-9] B55: another writer cannot put into %s what it cannot hold: %s',
    async (column, value, why) => {
      await given.run(insert())
      await expect(given.run(`UPDATE items SET ${column} = ${value} WHERE id = '${id}'`)).rejects.toThrow(
        why ?? column,
      )
    },
  )

  test('[FE-9] B55: numbers at their edges travel unchanged', async () => {
    const edges: Values = { stock: Number.MAX_SAFE_INTEGER, price: '-12345678901234567890.1234567890123' }
    const laptop = ben.create('items', item(edges))
    expect(await ben.pushOne(laptop)).toMatchObject({ status: 'applied' })
    const ann = given.device()
    await ann.pull()
    expect(ann.rows.get(`items/${laptop.record}`)).toMatchObject(edges)
  })
})

describe('who listens', () => {
  test('[FE-13] who listens is told after the commit which scopes moved', async () => {
    const events: Promise<unknown>[] = []
    const stop = given.engine.subscribe((event) =>
      events.push(given.rows('SELECT count(*) AS n FROM items').then(([row]) => ({ ...event, ...row }))),
    )
    await ben.push(ben.create('items', item()))
    await ben.push(ben.create('items', item({ warehouse: '9' })))
    stop()
    await ben.push(ben.create('items', item()))
    expect(await Promise.all(events)).toEqual([
      { scopes: ['warehouse:1'], user: 'ben', device: ben.id, n: 1 },
    ])
    const event = { scopes: ['warehouse:1'], user: 'ben', device: ben.id }
    expect(given.engine.concerns(given.device().caller, event)).toBe(true)
    expect(given.engine.concerns(given.device('eve', []).caller, event)).toBe(false)
  })

  test('[FE-13] a listener that throws or rejects fails no write, and the others are told', async () => {
    const told: unknown[] = []
    given.engine.subscribe(() => {
      throw new Error('not now')
    })
    given.engine.subscribe((): unknown => Promise.reject(new Error('not later')))
    given.engine.subscribe(({ scopes }) => told.push(scopes))
    expect(await ben.pushOne(ben.create('items', item()))).toMatchObject({ status: 'applied' })
    expect(told).toEqual([['warehouse:1']])
  })

  test('[FE-13] commits of other processes are noticed', async () => {
    await given.close()
    given = await givenEngine({ store: { pollMs: 10 } })
    const told = new Promise((resolve) => {
      given.engine.subscribe(resolve)
    })
    await elsewhere(insert())
    expect(await told).toEqual({ scopes: ['warehouse:1'], user: null, device: null })
  })
})
