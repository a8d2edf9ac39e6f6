import { collection, counter, defineSchema, integer, text } from '@holdfast/core'
import { hasPostgres } from '@holdfast/testing/services'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createEngine, type Engine } from '../../../index.ts'
import { doctor, planMigration, reconcile, runMigration } from '../maintenance.ts'
import { postgresStore } from '../postgres-store.ts'
import { postgresLayout } from '../system-tables.ts'
import { type GivenDatabase, givenThings } from './given-database.ts'

const fields = { place: text(), area: text(), name: text(), note: text({ optional: true }) }
const first = defineSchema({
  version: 1,
  collections: { items: collection({ fields, scope: 'place:{place}', unique: [['name']] }) },
})

let db: GivenDatabase
beforeEach(async () => {
  db = await givenThings(first)
})
afterEach(() => db.close())

const illTexts = async (schema: typeof first): Promise<readonly string[]> =>
  (await doctor({ url: db.url, schema })).filter(({ kind }) => kind === 'ill').map(({ text: says }) => says)

describe.skipIf(!hasPostgres())('a later schema', () => {
  test('[MI-3] [FE-12] one that keeps no promise is refused in the words of every store', async () => {
    const later = defineSchema({
      version: 2,
      collections: {
        items: collection({
          fields: {
            ...fields,
            area: text({ optional: true }),
            note: text(),
            name: counter(),
            size: integer(),
          },
          scope: 'place:{place}',
          deletes: 'hard',
        }),
      },
    })
    const before = await db.dump()
    const { refusals } = await planMigration({ url: db.url, schema: later })
    expect(refusals).toEqual(
      expect.arrayContaining([
        'items.area was required, and its column stays so; it must stay required',
        'items.note was optional and the rows may hold null; it must stay optional',
        'items.name was a text; a field keeps its kind, add a new one',
        'items: deletes was "soft" and must stay so',
      ]),
    )
    await expect(runMigration({ url: db.url, schema: later })).rejects.toMatchObject({
      code: 'SCHEMA_INVALID',
    })
    expect(await db.dump()).toBe(before)
    await runMigration({
      url: db.url,
      schema: defineSchema({ version: 2, collections: { items: collection({ fields }) } }),
    })
    await expect(planMigration({ url: db.url, schema: first })).rejects.toMatchObject({ code: 'STORE_NEWER' })
  })

  test('[FE-12] a database of the layout without readers of the audit is given them', async () => {
    await db.ask('ALTER TABLE holdfast.audit DROP COLUMN tx')
    await db.ask('DROP TABLE holdfast.parked, holdfast.consumers')
    await db.ask('UPDATE holdfast.state SET layout = 2')
    await runMigration({ url: db.url, schema: first })
    expect(await illTexts(first)).toEqual([])
    await db.ask(`INSERT INTO items (place, area, name) VALUES ('berlin', 'north', 'made later')`)
    expect(
      await db.ask(
        `SELECT a.tx IS NULL AS is_old, count(*)::int AS lines, count(t.position)::int AS placed
         FROM holdfast.audit a LEFT JOIN holdfast.transactions t ON t.n = a.tx GROUP BY 1 ORDER BY 1`,
      ),
    ).toEqual([
      { is_old: false, lines: 1, placed: 1 },
      { is_old: true, lines: 1_500, placed: 0 },
    ])
    expect(await db.ask('SELECT count(*)::int AS consumers FROM holdfast.consumers')).toEqual([
      { consumers: 0 },
    ])
  })

  test('[MI-4] [FE-12] rows leave the scopes they were in and enter their new ones, in batches', async () => {
    const later = defineSchema({
      version: 2,
      collections: { items: collection({ fields, scope: ['area:{area}', 'all'], unique: [['name']] }) },
    })
    await db.ask(`UPDATE items SET deleted_at = now() WHERE name = 'thing 7'`)
    expect(await runMigration({ url: db.url, schema: later })).toMatchObject({ rows: 1_499 })
    expect(
      await db.ask(
        'SELECT scope, op, count(*)::int AS entries FROM holdfast.feed GROUP BY 1, 2 ORDER BY 1, 2',
      ),
    ).toEqual([
      { scope: 'all', op: 'put', entries: 1_499 },
      { scope: 'area:north', op: 'put', entries: 1_499 },
      { scope: 'place:berlin', op: 'delete', entries: 1 },
      { scope: 'place:berlin', op: 'leave', entries: 1_499 },
    ])
    expect(await db.ask(`SELECT count(*)::int AS lines FROM holdfast.audit WHERE op = 'update'`)).toEqual([
      { lines: 0 },
    ])
    expect(await illTexts(later)).toEqual([])
    expect(await reconcile({ url: db.url, schema: later })).toMatchObject({
      collections: [{ entered: 0 }],
      stamped: 0,
    })
  })

  test('[MI-4] unique keys that changed are read again', async () => {
    const later = defineSchema({
      version: 2,
      collections: {
        items: collection({
          fields,
          scope: 'place:{place}',
          unique: [
            ['area', 'name'],
            ['place', 'name'],
          ],
        }),
      },
    })
    expect((await planMigration({ url: db.url, schema: later })).steps.map(({ says }) => says)).toEqual([
      'keep the unique keys of items that are new',
      expect.stringMatching(/^read the unique keys of the rows of "public"."items", in batches/),
      'note that the database is prepared for schema version 2',
    ])
    expect(await runMigration({ url: db.url, schema: later })).toMatchObject({ rows: 1_500 })
    expect(
      await db.ask(
        `SELECT n.says, count(*)::int AS keys FROM holdfast.unique_keys u
         LEFT JOIN holdfast.key_numbers n USING (collection, key) GROUP BY 1 ORDER BY 1`,
      ),
    ).toEqual([
      { says: '{"fields":["area","name"],"ignoreCase":false}', keys: 1_500 },
      { says: '{"fields":["place","name"],"ignoreCase":false}', keys: 1_500 },
    ])
    expect(await db.ask('SELECT count(*)::int AS notes FROM holdfast.foreign_writes')).toEqual([{ notes: 0 }])
  })

  test('[MI-5] [FE-9] new fields and collections are added, and nothing else', async () => {
    const later = defineSchema({
      version: 2,
      collections: {
        items: collection({
          fields: { ...fields, size: integer({ default: 3 }) },
          scope: 'place:{place}',
          unique: [['name']],
          indexes: [['size']],
        }),
        notes: collection({ fields: { body: text() } }),
      },
    })
    const [file] = await db.ask(`SELECT pg_relation_filenode('items') AS file`)
    await runMigration({ url: db.url, schema: later })
    expect(await db.ask(`SELECT pg_relation_filenode('items') AS file`)).toEqual([file])
    expect(await db.ask('SELECT DISTINCT size FROM items')).toEqual([{ size: '3' }])
    await expect(db.ask('UPDATE items SET size = 9007199254740992')).rejects.toThrow('holdfast_size')
    expect((await planMigration({ url: db.url, schema: later })).steps).toEqual([])
    expect(await illTexts(later)).toEqual([])
  })

  test('[MI-3] [FE-9] a new field over a column that is there: what it cannot hold is refused, then and from then on', async () => {
    await db.ask('ALTER TABLE items ADD COLUMN size bigint, ADD COLUMN hue text')
    await db.ask(`UPDATE items SET size = 1, hue = 'red'`)
    await db.ask(`UPDATE items SET size = 9007199254740993 WHERE name = 'thing 1'`)
    await db.ask(`UPDATE items SET hue = NULL WHERE name IN ('thing 2', 'thing 3')`)
    const later = defineSchema({
      version: 2,
      collections: {
        items: collection({
          fields: { ...fields, size: integer({ optional: true }), hue: text() },
          scope: 'place:{place}',
          unique: [['name']],
        }),
      },
    })
    const { refusals } = await planMigration({ url: db.url, schema: later })
    expect(refusals).toEqual([
      '"public"."items".size holds in 1 row a value that no integer can hold',
      '"public"."items".hue holds in 2 rows null, and the field is required',
    ])
    await db.ask(`UPDATE items SET size = NULL, hue = 'blue'`)
    await runMigration({ url: db.url, schema: later })
    for (const sets of ['size = 9007199254740993', 'hue = NULL'])
      await expect(db.ask(`UPDATE items SET ${sets}`)).rejects.toThrow('holdfast_')
    await db.ask(`UPDATE items SET size = NULL, hue = 'green'`)
    expect(await illTexts(later)).toEqual([])
  })

  test('[MI-14] what an older version prepared is brought to this one; until then a server refuses to start', async () => {
    const columns = (): Promise<unknown> =>
      db.ask(
        `SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'holdfast' ORDER BY 1, 2`,
      )
    const start = (): Promise<Engine> =>
      createEngine({ schema: first, store: postgresStore({ url: db.url, pollMs: 0 }), scopes: () => '*' })
    const indexes = (): Promise<unknown> =>
      db.ask(`SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'holdfast' ORDER BY 1, 2`)
    const now = await columns()
    const nowIndexed = await indexes()
    await db.ask('ALTER TABLE holdfast.audit DROP COLUMN was, DROP COLUMN tx, ADD PRIMARY KEY (n)')
    await db.ask('ALTER TABLE holdfast.audit REPLICA IDENTITY DEFAULT')
    await db.ask('CREATE INDEX outcomes_by_id ON holdfast.outcomes (id, device)')
    await db.ask('CREATE INDEX decided_keys_by_seq ON holdfast.decided_keys (device, seq)')
    await db.ask('DROP TABLE holdfast.consumers, holdfast.parked')
    await db.ask('UPDATE holdfast.state SET layout = 2')
    await expect(start()).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
    await runMigration({ url: db.url, schema: first })
    expect(await columns()).toEqual(now)
    expect(await indexes()).toEqual(nowIndexed)
    const identity = `SELECT relreplident FROM pg_class WHERE oid = 'holdfast.audit'::regclass`
    expect(await db.ask(identity)).toEqual([{ relreplident: 'f' }])
    await (await start()).close()
    await db.ask(`UPDATE holdfast.state SET layout = ${postgresLayout + 1}`)
    await expect(start()).rejects.toMatchObject({ code: 'STORE_NEWER' })
  })
})

describe.skipIf(!hasPostgres())('a partitioned table', () => {
  const feed = (): Promise<readonly Record<string, unknown>[]> =>
    db.ask(
      `SELECT op, count(*)::int AS entries FROM holdfast.feed WHERE collection = 'parts' GROUP BY op ORDER BY op`,
    )

  test('[MI-10] is captured whichever of its tables is named', async () => {
    await db.ask(
      'CREATE TABLE parts (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, name text NOT NULL) PARTITION BY HASH (id)',
    )
    for (const n of [0, 1])
      await db.ask(`CREATE TABLE parts_${n} PARTITION OF parts FOR VALUES WITH (MODULUS 3, REMAINDER ${n})`)
    const part = `SELECT id FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 400)) g WHERE satisfies_hash_partition('parts'::regclass, 3, 0, id)`
    await db.ask(`INSERT INTO parts SELECT id, 'x' FROM (${part}) p LIMIT 10`)
    const later = defineSchema({
      version: 2,
      collections: {
        items: collection({ fields, scope: 'place:{place}', unique: [['name']] }),
        parts: collection({ fields: { name: text() }, deletes: 'hard' }),
      },
    })
    expect(await runMigration({ url: db.url, schema: later })).toMatchObject({ rows: 10 })
    await db.ask(`INSERT INTO parts_0 SELECT id, 'y' FROM (${part}) p LIMIT 5`)
    expect(await feed()).toEqual([{ op: 'put', entries: 15 }])
    await db.ask(`UPDATE parts SET name = 'z' WHERE name = 'y'`)
    await db.ask(`DELETE FROM parts_0 WHERE name = 'z'`)
    expect(await feed()).toEqual([
      { op: 'delete', entries: 5 },
      { op: 'put', entries: 10 },
    ])
    expect(await illTexts(later)).toEqual([])
    await db.ask('CREATE TABLE parts_2 PARTITION OF parts FOR VALUES WITH (MODULUS 3, REMAINDER 2)')
    expect(await illTexts(later)).toEqual(
      [
        'a_holdfast_begin',
        'zzz_holdfast_inserted',
        'zzz_holdfast_updated',
        'zzz_holdfast_deleted',
        'zzz_holdfast_truncated',
      ].map((name) => `it remains to put the trigger ${name} on "public"."parts_2"`),
    )
    await runMigration({ url: db.url, schema: later })
    await db.ask(`INSERT INTO parts SELECT gen_random_uuid(), 'w' FROM generate_series(1, 50)`)
    await db.ask(`TRUNCATE parts_1`)
    const [{ left } = {}] = await db.ask('SELECT count(*)::int AS left FROM parts')
    expect(await feed()).toEqual([
      { op: 'delete', entries: 65 - Number(left) },
      { op: 'put', entries: left },
    ])
    await db.ask('TRUNCATE parts')
    expect(await feed()).toEqual([{ op: 'delete', entries: 65 }])
    expect(
      await db.ask(
        `SELECT count(*)::int AS lines FROM holdfast.audit WHERE collection = 'parts' AND op = 'delete'`,
      ),
    ).toEqual([{ lines: 65 }])
    expect(await illTexts(later)).toEqual([])
  })
})
