import { collection, defineSchema, type PushResult, type Schema, text } from '@holdfast/core'
import { hasPostgres } from '@holdfast/testing/services'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { GivenDevice } from '../../../given-engine.ts'
import { waitingForLocks } from '../../../given-locks.ts'
import { createEngine, type Engine } from '../../../index.ts'
import { doctor, runMigration } from '../maintenance.ts'
import { postgresStore, type PostgresStoreOptions } from '../postgres-store.ts'
import { type GivenDatabase, givenPrepared } from './given-database.ts'

const fields = { place: text(), name: text(), code: text({ default: '' }) }
const schemaOf = (version: number, unique: readonly (readonly string[])[]): Schema =>
  defineSchema({ version, collections: { items: collection({ fields, scope: 'place:{place}', unique }) } })
const first = schemaOf(1, [['name']])

interface Server {
  readonly create: (name: string, place?: string) => Promise<PushResult>
  readonly rename: (from: string, name: string) => Promise<PushResult>
}

let db: GivenDatabase
let engines: Engine[] = []
beforeEach(async () => {
  db = await givenPrepared(first)
  await db.ask('ALTER TABLE items ALTER COLUMN id SET DEFAULT gen_random_uuid()')
})
afterEach(async () => {
  for (const engine of engines) await engine.close()
  engines = []
  await db.close()
})

async function start(schema: Schema): Promise<Server> {
  const store = postgresStore({ url: db.url, pollMs: 0, listen: false })
  const engine = await createEngine({ schema, store, scopes: () => '*' })
  engines.push(engine)
  const now = (): number => Date.now()
  const device = new GivenDevice({ engine, user: 'ann', grants: '*', now, version: schema.version })
  return {
    create: (name, place = 'berlin') => device.pushOne(device.create('items', { place, name, code: '' })),
    rename: async (from, name) => {
      const [row] = await db.ask('SELECT id FROM items WHERE name = $1', from)
      const record = { collection: 'items', record: String(row?.['id']) }
      return device.pushOne(device.update(record, { name }, { base: { name: from } }))
    },
  }
}

/** Does something while a migration waits for the first of its rows, which another program holds. */
async function during(schema: Schema, work: () => Promise<void>): Promise<void> {
  const holder = await db.session()
  await holder.query(`BEGIN; SELECT FROM items WHERE name = 'held' FOR UPDATE`)
  const migrating = runMigration({ url: db.url, schema })
  await waitingForLocks(db.ask, 1, '%FOR NO KEY UPDATE%')
  try {
    await work()
  } finally {
    await holder.query('COMMIT')
    await migrating
  }
}

const status = async (result: Promise<PushResult>): Promise<string> => (await result).status
const applied = 'applied'
const taken = 'rejected'

describe.skipIf(!hasPostgres())('a change of unique keys beside a server', () => {
  test('[MI-15] a key that stays is kept at every moment, by servers of either schema', async () => {
    const old = await start(first)
    await old.create('held')
    await old.create('mine')
    const later = schemaOf(2, [['place', 'name'], ['code', 'name'], ['name']])
    await during(later, async () => {
      expect(await status(old.create('mine'))).toBe(taken)
      await db.ask(`INSERT INTO items (place, name) VALUES ('oslo', 'of a job')`)
      expect(await status(old.create('of a job'))).toBe(taken)
      expect(await status(old.create('fresh'))).toBe(applied)
    })
    const young = await start(later)
    await db.ask(`INSERT INTO items (place, name) VALUES ('oslo', 'of another')`)
    expect(await status(young.create('of young'))).toBe(applied)
    expect(await status(old.create('of old'))).toBe(applied)
    for (const server of [old, young])
      for (const name of ['held', 'mine', 'of a job', 'fresh', 'of another', 'of young', 'of old'])
        expect([name, await status(server.create(name, 'rome'))]).toEqual([name, taken])
    expect(await db.ask('SELECT name FROM items GROUP BY 1 HAVING count(*) > 1')).toEqual([])
    expect((await doctor({ url: db.url, schema: later })).filter(({ kind }) => kind === 'ill')).toEqual([])
  })

  test('[MI-15] a new key counts of what a server of the schema before writes, whenever it does', async () => {
    const old = await start(first)
    for (const name of ['held', 'a', 'b']) await old.create(name)
    const later = schemaOf(2, [['name'], ['place', 'code']])
    await db.ask(`UPDATE items SET code = name`)
    await during(later, async () => {
      await old.create('c', 'oslo')
    })
    const young = await start(later)
    // Its code is ''.
    expect(await status(young.create('d', 'oslo'))).toBe(taken)
    await db.ask(`UPDATE items SET place = 'rome' WHERE name = 'c'`)
    await old.rename('c', 'e')
    expect(await status(young.create('f', 'oslo'))).toBe(applied)
    expect(await status(young.create('g', 'rome'))).toBe(taken)
    await old.create('h', 'paris')
    expect(await status(young.create('i', 'paris'))).toBe(taken)
  })

  test('[MI-15] a server whose key is given up decides nothing by it, and is asked to be replaced', async () => {
    const old = await start(first)
    for (const name of ['held', 'mine']) await old.create(name)
    const later = schemaOf(2, [['place', 'name']])
    await during(later, async () => {
      expect(await status(old.create('mine', 'oslo'))).toBe(taken)
    })
    await expect(old.create('mine', 'oslo')).rejects.toMatchObject({ code: 'STORE_BUSY' })
    expect(await db.ask('SELECT name FROM items ORDER BY 1')).toEqual([{ name: 'held' }, { name: 'mine' }])
    const young = await start(later)
    expect(await status(young.create('mine'))).toBe(taken)
    expect(await status(young.create('mine', 'oslo'))).toBe(applied)
    expect(await db.ask('SELECT count(DISTINCT key)::int AS keys FROM holdfast.unique_keys')).toEqual([
      { keys: 1 },
    ])
  })

  test('[MI-15] of a collection that a schema left out, the keys of the next one are read of every row', async () => {
    const old = await start(first)
    await old.create('mine')
    const notes = collection({ fields: { body: text() } })
    await runMigration({ url: db.url, schema: defineSchema({ version: 2, collections: { notes } }) })
    const later = schemaOf(3, [['place', 'name']])
    await runMigration({ url: db.url, schema: later })
    const young = await start(later)
    expect(await status(young.create('mine'))).toBe(taken)
    expect(await status(young.create('mine', 'oslo'))).toBe(applied)
  })

  test('[MI-14] [MI-15] keys of a layout that knew them by their places keep those for numbers', async () => {
    const old = await start(first)
    await old.create('mine')
    await db.ask(`INSERT INTO items (place, name) VALUES ('oslo', 'of a job')`)
    await db.ask('UPDATE holdfast.unique_keys SET key = 0')
    await db.ask('DROP TABLE holdfast.key_numbers')
    await db.ask('ALTER TABLE holdfast.foreign_writes DROP COLUMN keys')
    await db.ask('UPDATE holdfast.state SET layout = 5')
    const later = schemaOf(2, [['code', 'name'], ['name']])
    await runMigration({ url: db.url, schema: later })
    const young = await start(later)
    for (const name of ['mine', 'of a job'])
      expect([name, await status(young.create(name))]).toEqual([name, taken])
    expect(
      await db.ask(
        `SELECT n.says, n.key = 0 AS same, count(*)::int AS keys FROM holdfast.key_numbers n
         JOIN holdfast.unique_keys u USING (collection, key) GROUP BY 1, 2 ORDER BY 1`,
      ),
    ).toEqual([
      { says: '{"fields":["code","name"],"ignoreCase":false}', same: false, keys: 2 },
      { says: '{"fields":["name"],"ignoreCase":false}', same: true, keys: 2 },
    ])
  })
})

describe.skipIf(!hasPostgres())('a server on tables that are not captured', () => {
  const open = async (options: Partial<PostgresStoreOptions> = {}): Promise<void> => {
    const store = postgresStore({ url: db.url, pollMs: 0, listen: false, ...options })
    const engine = await createEngine({ schema: first, store, scopes: () => '*' })
    await engine.close()
  }

  test.each([
    ['a trigger that is gone', 'DROP TRIGGER zzz_holdfast_inserted ON items'],
    ['one that is off', 'ALTER TABLE items DISABLE TRIGGER zzz_holdfast_row'],
    [
      'a table that was copied to its place',
      `ALTER TABLE items RENAME TO kept; CREATE TABLE items (LIKE kept INCLUDING ALL)`,
    ],
    ['a table that is gone', 'DROP TABLE items'],
  ])('[MI-17] with %s does not start, and with migrate: true brings it there first', async (_, sql) => {
    await open()
    for (const each of sql.split('; ')) await db.ask(each)
    await expect(open()).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
    await open({ migrate: true })
    await open()
  })

  test('[MI-17] nor with another table that the same collection is mapped to', async () => {
    await db.ask('CREATE TABLE things (LIKE items INCLUDING ALL)')
    await expect(open({ tables: { items: { table: 'things' } } })).rejects.toMatchObject({
      code: 'STORE_FOREIGN',
    })
  })
})
