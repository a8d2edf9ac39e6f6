import { collection, counter, defineSchema, newUuid, reference, text, type Values } from '@holdfast/core'
import { execFileSync } from 'node:child_process'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type GivenDevice, type GivenEngine, givenEngine, item } from '../given-engine.ts'
import { systemEnvironment } from '../system-environment.ts'

let given: GivenEngine
let ben: GivenDevice

beforeEach(async () => {
  given = await givenEngine()
  ben = given.device('ben')
})

afterEach(() => given.close())

const uuid = (): string => newUuid(systemEnvironment())
const id = uuid()

/** SQL by another process, which knows nothing of Holdfast. */
function elsewhere(sql: string): void {
  const script = `const { DatabaseSync } = require('node:sqlite'); const db = new DatabaseSync(process.argv[1]); db.exec(process.argv[2]); db.close()`
  execFileSync(process.execPath, ['-e', script, given.path, sql], {
    env: { PATH: process.env['PATH'] },
    stdio: 'pipe',
  })
}

/** SQL by another connection of this process. */
function outside(sql: string): void {
  const db = new DatabaseSync(given.path)
  try {
    db.exec(sql)
  } finally {
    db.close()
  }
}

function read(sql: string): readonly Record<string, unknown>[] {
  const db = new DatabaseSync(given.path, { readOnly: true })
  try {
    return db.prepare(sql).all()
  } finally {
    db.close()
  }
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

describe('any writer', () => {
  test('[FE-1] what another process inserts, updates and deletes reaches a device', async () => {
    elsewhere(insert())
    await ben.pull()
    expect(ben.rows.get(`items/${id}`)).toMatchObject({ name: 'Crate', stock: 3, tags: ['new'], place: null })
    elsewhere(`UPDATE items SET name = 'Box', stock = stock - 1 WHERE id = '${id}'`)
    await ben.pull()
    expect(ben.rows.get(`items/${id}`)).toMatchObject({ name: 'Box', stock: 2 })
    elsewhere(`DELETE FROM items WHERE id = '${id}'`)
    expect(await ben.pull()).toMatchObject([{ op: 'delete', record: id }])
    expect(ben.rows.size).toBe(0)
  })

  test('[FE-1] the sqlite3 shell is a writer like any other', async () => {
    execFileSync('sqlite3', [given.path, insert({ name: 'by hand' })], { stdio: 'pipe' })
    await ben.pull()
    expect(ben.values('items', 'name')).toEqual(['by hand'])
  })

  test('[FE-2] the version is taken from the counter whatever the writer says, and times he leaves out are filled in', async () => {
    outside(insert())
    outside(`UPDATE items SET name = 'Box', version = 1, server_updated_at = 'never' WHERE id = '${id}'`)
    const [row] = read('SELECT version, created_at, updated_at, server_updated_at FROM items')
    expect(row?.['version']).toBe(2)
    for (const time of ['created_at', 'updated_at', 'server_updated_at']) {
      expect(row?.[time]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    }
    outside(`UPDATE items SET name = 'Case', updated_at = '2026-01-02 03:04:05' WHERE id = '${id}'`)
    expect(read('SELECT version, updated_at FROM items')).toEqual([
      { version: 3, updated_at: '2026-01-02T03:04:05.000Z' },
    ])
  })

  test('[FE-2] a device that edits what another writer changed meanwhile is merged with it', async () => {
    const laptop = ben.create('items', item({ name: 'base' }))
    await ben.push(laptop)
    outside(`UPDATE items SET name = 'by hand' WHERE id = '${laptop.record}'`)
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
    outside(insert())
    await ben.pull()
    outside(
      `UPDATE items SET warehouse = '2' WHERE id = '${id}'; UPDATE items SET warehouse = '1' WHERE id = '${id}'`,
    )
    expect(await ben.pull()).toMatchObject([{ op: 'put', record: id }])
    expect(read('SELECT scope, op FROM holdfast_feed ORDER BY scope')).toEqual([
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
      outside(sql)
      await ben.pull()
      outside(`DELETE FROM ${table} WHERE id = '${id}'`)
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
    outside(insert())
    await ben.pull()
    outside(`UPDATE items SET deleted_at = '2026-11-20T11:00:00.000Z' WHERE id = '${id}'`)
    expect(await ben.pull()).toMatchObject([{ op: 'delete', record: id }])
    outside(`UPDATE items SET deleted_at = NULL WHERE id = '${id}'`)
    expect(await ben.pull()).toMatchObject([{ op: 'put', record: id }])
    expect(read('SELECT op FROM holdfast_audit')).toEqual([
      { op: 'create' },
      { op: 'delete' },
      { op: 'restore' },
    ])
  })

  test('[FE-5, AU-1] other writers are in the timeline, with what they changed and no name', async () => {
    outside(insert())
    outside(`UPDATE items SET name = 'Box' WHERE id = '${id}'`)
    outside(`DELETE FROM items WHERE id = '${id}'`)
    const history = await given.engine.history(ben.caller, 'items', id)
    expect(history).toMatchObject([
      { op: 'delete', user: null, before: { name: 'Box', stock: 3, tags: ['new'] }, after: null, version: 3 },
      { op: 'update', user: null, before: { name: 'Crate' }, after: { name: 'Box' }, version: 2 },
      { op: 'create', user: null, before: null, after: { name: 'Crate', place: null }, version: 1 },
    ])
  })

  test('[FE-6] fields that merge by time are stamped with the edit of another writer', async () => {
    outside(insert())
    outside(`UPDATE items SET place = 'A1', updated_at = '2026-11-20T09:00:00.000Z' WHERE id = '${id}'`)
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
    outside(
      `CREATE TRIGGER host AFTER INSERT ON orders BEGIN UPDATE items SET stock = stock - 1 WHERE id = NEW.item; END`,
    )
    const laptop = ben.create('items', item({ stock: 10 }))
    await ben.push(laptop)
    const ann = given.device()
    await ann.pull()
    const order = ben.create('orders', { warehouse: '1', item: laptop.record, next: null })
    expect(await ben.pushOne(order)).toMatchObject({ status: 'applied', version: 2 })
    await Promise.all([ann.pull(), ben.pull()])
    expect([ann.values('items', 'stock'), ben.values('items', 'stock')]).toEqual([[9], [9]])
    expect(read(`SELECT version, user FROM holdfast_audit WHERE collection = 'items' ORDER BY n`)).toEqual([
      { version: 1, user: 'ben' },
      { version: 3, user: null },
    ])
  })

  test('[FE-8] REPLACE and upsert by others leave no row in a scope it is no longer in', async () => {
    outside(insert())
    await ben.pull()
    outside(insert({ warehouse: '2' }).replace('INSERT', 'INSERT OR REPLACE'))
    expect(await ben.pull()).toMatchObject([{ op: 'leave', record: id }])
    outside(
      `${insert({ warehouse: '1', name: 'upserted' })} ON CONFLICT (id) DO UPDATE SET warehouse = excluded.warehouse, name = excluded.name`,
    )
    await ben.pull()
    expect(ben.values('items', 'name')).toEqual(['upserted'])
    outside(`${insert({ warehouse: '2' })} ON CONFLICT (id) DO NOTHING`)
    expect(await ben.pull()).toEqual([])
  })

  test('[FE-8] the id of a record never changes', () => {
    outside(insert())
    expect(() => outside(`UPDATE items SET id = '${uuid()}'`)).toThrow('the id of a record never changes')
  })

  test('[FE-1] unique keys of other writers count, and are free when those let go', async () => {
    outside(insert({ sku: 'cafe\u0301' }))
    expect((await ben.pushOne(ben.create('items', item({ sku: 'caf\u00e9' })))).error?.code).toBe(
      'UNIQUE_VIOLATION',
    )
    outside(`UPDATE items SET sku = 'other' WHERE id = '${id}'`)
    expect(await ben.pushOne(ben.create('items', item({ sku: 'caf\u00e9' })))).toMatchObject({
      status: 'applied',
    })
    outside(`DELETE FROM items WHERE id = '${id}'`)
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
    outside(`UPDATE items SET name = 'by hand' WHERE id = '${laptop.record}'`)
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
    outside(`UPDATE items SET warehouse = '2' WHERE id = '${record}'`)
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

  test('[FE-10] while its record is deleted a conflict stays where it was', async () => {
    const { record, conflict } = await givenConflict()
    outside(`DELETE FROM items WHERE id = '${record}'`)
    await ben.pull()
    expect([...ben.rows.keys()]).toEqual([`_conflicts/${conflict}`])
  })
})

describe('the file', () => {
  const corpus: readonly (readonly [column: string, value: string])[] = [
    ['id', `'not-a-uuid'`],
    ['name', `x'00'`],
    ['name', 'NULL'],
    ['stock', `9007199254740992`],
    ['stock', `1.5`],
    ['stock', `'many'`],
    ['price', `'1e3'`],
    ['price', `'1.2.3'`],
    ['price', `''`],
    ['price', `'-'`],
    ['tags', `'new'`],
    ['tags', `'{}'`],
  ]

  test.each(corpus)(
    '[FE-9] B55: another writer cannot put into %s what it cannot hold: %s',
    (column, value) => {
      outside(insert())
      expect(() => outside(`UPDATE items SET ${column} = ${value} WHERE ${'id'} = '${id}'`)).toThrow(
        column === 'id' ? 'never changes' : column,
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

  test('[FE-11] a file of something else, of a newer version, or a damaged one is refused and not changed', async () => {
    const folder = given.path.replace(/server\.db$/, '')
    const foreign = `${folder}foreign.db`
    const db = new DatabaseSync(foreign)
    db.exec('CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)')
    db.close()
    await expect(givenEngine({}, foreign)).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
    const again = new DatabaseSync(foreign)
    expect(again.prepare('SELECT name FROM sqlite_master').all()).toEqual([{ name: 'theirs' }])
    again.close()
    const { writeFileSync, readFileSync } = await import('node:fs')
    const damaged = `${folder}damaged.db`
    writeFileSync(damaged, 'this is no database, but somebody may want it back'.repeat(40))
    await expect(givenEngine({}, damaged)).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
    expect(readFileSync(damaged, 'utf8')).toContain('somebody may want it back')
    outside('UPDATE holdfast_state SET schema_version = 9')
    await given.engine.close()
    await expect(givenEngine({}, given.path)).rejects.toMatchObject({ code: 'STORE_NEWER' })
    outside('UPDATE holdfast_state SET schema_version = 1')
    given = await given.reopen()
  })

  const notes = (version: number, more: Parameters<typeof collection>[0]['fields'] = {}, scope?: string) =>
    defineSchema({
      version,
      collections: {
        notes: collection({
          fields: { body: text(), room: text({ default: 'a' }), ...more },
          ...(scope === undefined ? {} : { scope }),
        }),
      },
    })

  test('[FE-12] a later schema adds columns and collections, and the rows stay', async () => {
    const bodies = ['one', 'two'].map((body) => ben.create('notes', { body }))
    await ben.push(...bodies)
    const schema = defineSchema({
      version: 2,
      collections: {
        notes: collection({
          fields: {
            body: text(),
            mood: text({ default: 'calm' }),
            reads: counter(),
            topic: reference('topics', { optional: true }),
          },
        }),
        topics: collection({ fields: { name: text() } }),
      },
    })
    given = await given.reopen({ schema })
    const late = given.device('late')
    await late.pull()
    expect([...late.rows.values()]).toMatchObject([
      { body: 'one', mood: 'calm', reads: 0, topic: null },
      { body: 'two', mood: 'calm', reads: 0, topic: null },
    ])
    expect(await late.pushOne(late.create('topics', { name: 't' }))).toMatchObject({ status: 'applied' })
  })

  test('[FE-12] a new scope template moves the rows there are', async () => {
    await given.close()
    given = await givenEngine({ schema: notes(1) })
    const [first, second] = [given.device('ann', ['room:a']), given.device('eve', [])]
    await first.push(first.create('notes', { body: 'one', room: 'a' }))
    given = await given.reopen({ schema: notes(2, {}, 'room:{room}') })
    const [ann, eve] = [given.device('ann', ['room:a']), given.device('eve', [])]
    await Promise.all([ann.pull(), eve.pull()])
    expect([ann.values('notes', 'body'), eve.values('notes', 'body')]).toEqual([['one'], []])
    void second
  })

  test('[FE-12] a schema that would have to rewrite rows is refused', async () => {
    await given.close()
    given = await givenEngine({ schema: notes(1) })
    await given.device().push(given.device().create('notes', { body: 'one', room: 'a' }))
    await given.engine.close()
    await expect(givenEngine({ schema: notes(2, { size: text() }) }, given.path)).rejects.toMatchObject({
      code: 'SCHEMA_INVALID',
      at: 'notes.size',
    })
    await expect(givenEngine({ schema: notes(2, { body: counter() }) }, given.path)).rejects.toMatchObject({
      code: 'SCHEMA_INVALID',
      at: 'notes.body',
    })
    given = await givenEngine({ schema: notes(1) }, given.path)
  })

  test('[FE-13] who listens is told after the commit which scopes moved', async () => {
    const events: unknown[] = []
    const stop = given.engine.subscribe((event) =>
      events.push({ ...event, rows: read('SELECT count(*) AS n FROM items')[0]?.['n'] }),
    )
    await ben.push(ben.create('items', item()))
    await ben.push(ben.create('items', item({ warehouse: '9' })))
    stop()
    await ben.push(ben.create('items', item()))
    expect(events).toEqual([{ scopes: ['warehouse:1'], user: 'ben', device: ben.id, rows: 1 }])
    const event = { scopes: ['warehouse:1'], user: 'ben', device: ben.id }
    expect(given.engine.concerns(given.device().caller, event)).toBe(true)
    expect(given.engine.concerns(given.device('eve', []).caller, event)).toBe(false)
  })

  test('[FE-13] commits of other processes are noticed', async () => {
    await given.close()
    given = await givenEngine({ store: { pollMs: 10 } })
    const told = new Promise((resolve) => {
      given.engine.subscribe(resolve)
    })
    elsewhere(insert())
    expect(await told).toEqual({ scopes: ['warehouse:1'], user: null, device: null })
  })
})
