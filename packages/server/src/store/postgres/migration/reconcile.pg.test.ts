import { collection, counter, defineSchema, text, timestamp } from '@holdfast/core'
import { hasPostgres, startPostgres } from '@holdfast/testing/services'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { doctor, reconcile, runMigration } from '../maintenance.ts'
import { type GivenDatabase, givenPrepared } from './given-database.ts'

const schema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: { place: text(), name: text(), stock: counter(), due: timestamp({ optional: true }) },
      scope: 'place:{place}',
      unique: [['name']],
    }),
    notes: collection({ fields: { body: text() }, deletes: 'hard' }),
  },
})

let db: GivenDatabase
beforeEach(async () => {
  db = await givenPrepared(schema)
  await db.ask('ALTER TABLE items ALTER COLUMN id SET DEFAULT gen_random_uuid()')
  await db.ask('ALTER TABLE notes ALTER COLUMN id SET DEFAULT gen_random_uuid()')
  await db.ask(
    `INSERT INTO items (place, name, stock) SELECT 'berlin', 'thing ' || n, n FROM generate_series(1, 6) n`,
  )
  await db.ask(`INSERT INTO notes (body) SELECT 'note ' || n FROM generate_series(1, 3) n`)
})
afterEach(() => db.close())

async function ills(): Promise<readonly string[]> {
  const found = await doctor({ url: db.url, schema })
  expect(found.filter(({ kind, remedy }) => kind === 'ill' && remedy === undefined)).toEqual([])
  return found.filter(({ kind }) => kind === 'ill').map(({ text: says }) => says)
}

/** As logical replication does, and whoever imports quickly. */
async function unseen(sql: string): Promise<void> {
  await db.ask(`SET session_replication_role = replica`)
  await db.ask(sql)
  await db.ask(`RESET session_replication_role`)
}

const feedOf = (name: string): Promise<readonly Record<string, unknown>[]> =>
  db.ask(
    `SELECT f.scope, f.op, f.version = r.version AS same FROM holdfast.feed f JOIN items r ON r.id = f.record
     WHERE r.name = $1 ORDER BY f.scope`,
    name,
  )

describe.skipIf(!hasPostgres())('doctor and reconcile', () => {
  test('[MI-8] a database that is as it should be', async () => {
    expect((await doctor({ url: db.url, schema })).map(({ kind, text: says }) => `${kind}: ${says}`)).toEqual(
      [
        expect.stringMatching(/^well: PostgreSQL \d+/),
        'well: tables, columns, indexes and triggers are those of the schema',
        'well: every row is in the feed as it is',
        'well: every transaction has its position',
        'well: the settings of the server are right',
      ],
    )
  })

  test('[MI-9] [MI-12] what was written with triggers off is found and brought into the feed', async () => {
    await unseen(`INSERT INTO items (place, name) VALUES ('rome', 'unknown'), ('', 'nowhere')`)
    await unseen(`UPDATE items SET version = version + 7 WHERE name = 'thing 1'`)
    await unseen(`UPDATE items SET place = 'oslo' WHERE name = 'thing 2'`)
    await unseen(`UPDATE items SET deleted_at = now() WHERE name = 'thing 3'`)
    await unseen(`UPDATE items SET version = 0 WHERE name = 'thing 4'`)
    expect(await ills()).toEqual([
      '2 rows of "public"."items" are not in the feed: no device hears of them',
      '2 rows of "public"."items" have another version than the feed says',
      '2 rows of "public"."items" lie in other scopes than the feed says, or are deleted',
    ])
    const before = await db.dump()
    const counted = {
      collections: [
        { name: 'items', entered: 6, deleted: 0 },
        { name: 'notes', entered: 0, deleted: 0 },
      ],
      stamped: 0,
    }
    expect(await reconcile({ url: db.url, schema, dryRun: true })).toEqual(counted)
    expect(await db.dump()).toBe(before)
    expect(await reconcile({ url: db.url, schema })).toEqual(counted)
    expect(await ills()).toEqual([])
    expect(await feedOf('unknown')).toEqual([{ scope: 'place:rome', op: 'put', same: true }])
    expect(await feedOf('thing 2')).toEqual([
      { scope: 'place:berlin', op: 'leave', same: true },
      { scope: 'place:oslo', op: 'put', same: true },
    ])
    expect(await feedOf('thing 3')).toEqual([{ scope: 'place:berlin', op: 'delete', same: true }])
    expect(await db.ask(`SELECT count(*)::int AS keys FROM holdfast.unique_keys`)).toEqual([{ keys: 7 }])
    expect(await reconcile({ url: db.url, schema })).toMatchObject({
      collections: [{ entered: 0 }, { entered: 0 }],
    })
  })

  test('[MI-12] a row with a version that this database never gave can be written to again', async () => {
    await unseen(`UPDATE items SET version = 999999999999 WHERE name = 'thing 1'`)
    expect(await ills()).toContain(
      '1 row of "public"."items" have a version that was never given: devices could not write to them',
    )
    await reconcile({ url: db.url, schema })
    expect(await ills()).toEqual([])
    await db.ask(`UPDATE items SET stock = 5 WHERE name = 'thing 1'`)
    expect(await ills()).toEqual([])
    expect(await db.ask(`SELECT version > 999999999999 AS grew FROM items WHERE name = 'thing 1'`)).toEqual([
      { grew: true },
    ])
  })

  test('[MI-13] records whose rows went away unseen are deleted, with the last values that are known', async () => {
    const [row] = await db.ask(
      `UPDATE notes SET body = 'corrected' WHERE body = 'note 2' RETURNING id, version`,
    )
    await unseen(`DELETE FROM notes WHERE body <> 'note 1'`)
    await unseen(`TRUNCATE items`)
    expect(await ills()).toEqual([
      '6 rows of "public"."items" are in the feed and gone from the table',
      '2 rows of "public"."notes" are in the feed and gone from the table',
    ])
    expect(await reconcile({ url: db.url, schema })).toEqual({
      collections: [
        { name: 'items', entered: 0, deleted: 6 },
        { name: 'notes', entered: 0, deleted: 2 },
      ],
      stamped: 0,
    })
    expect(await ills()).toEqual([])
    expect(
      await db.ask(
        `SELECT f.op, t.data, t.version > $2::bigint AS grew, s.position > 0 AS stamped FROM holdfast.feed f
         JOIN holdfast.tombstones t USING (collection, record) JOIN holdfast.stamps s ON s.tx = f.tx AND s.scope = f.scope WHERE f.record = $1`,
        row?.['id'],
        row?.['version'],
      ),
    ).toEqual([{ op: 'delete', data: { body: 'corrected' }, grew: true, stamped: true }])
    expect(await db.ask('SELECT count(*)::int AS keys FROM holdfast.unique_keys')).toEqual([{ keys: 0 }])
  })

  test('[MI-13] what was committed without a position gets one', async () => {
    await db.ask('ALTER TABLE holdfast.transactions DISABLE TRIGGER stamp')
    await db.ask(`UPDATE items SET stock = 7 WHERE name = 'thing 1'`)
    expect(await ills()).toEqual([
      'it remains to enable the trigger stamp on holdfast.transactions',
      '1 transaction was committed without a position: no device hears of it',
    ])
    await expect(reconcile({ url: db.url, schema })).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
    await runMigration({ url: db.url, schema })
    expect(await reconcile({ url: db.url, schema })).toMatchObject({ stamped: 1 })
    expect(await ills()).toEqual([])
    expect(
      await db.ask(`SELECT s.scope, s.position = (SELECT max(position) FROM holdfast.stamps) AS newest FROM holdfast.stamps s
        JOIN holdfast.feed f ON f.tx = s.tx AND f.scope = s.scope JOIN items r ON r.id = f.record AND r.name = 'thing 1'`),
    ).toEqual([{ scope: 'place:berlin', newest: true }])
  })

  test('[MI-8] triggers that are missing, disabled or other, and functions of another text', async () => {
    await db.ask('DROP TRIGGER zzz_holdfast_updated ON items')
    await db.ask('ALTER TABLE items DISABLE TRIGGER zzz_holdfast_row')
    await db.ask('ALTER TABLE notes DISABLE TRIGGER ALL')
    await db.ask('CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$')
    await db.ask('DROP TRIGGER zzz_holdfast_deleted ON items')
    await db.ask('CREATE TRIGGER zzz_holdfast_deleted AFTER DELETE ON items EXECUTE FUNCTION nothing()')
    await db.ask(
      'CREATE OR REPLACE FUNCTION holdfast.notes_row() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$',
    )
    const found = await ills()
    expect(found).toEqual([
      'it remains to enable the trigger zzz_holdfast_row on "public"."items"',
      'it remains to put the trigger zzz_holdfast_updated on "public"."items"',
      'it remains to renew the trigger zzz_holdfast_deleted on "public"."items"',
      'it remains to renew the function holdfast.notes_row',
      ...[
        'zzz_holdfast_row',
        'a_holdfast_begin',
        'zzz_holdfast_inserted',
        'zzz_holdfast_updated',
        'zzz_holdfast_deleted',
        'zzz_holdfast_truncated',
      ].map((name) => `it remains to enable the trigger ${name} on "public"."notes"`),
    ])
    await runMigration({ url: db.url, schema })
    expect(await ills()).toEqual([])
  })

  test('[MI-3] [MI-8] a trigger that fires after ours is refused, and found when it came later', async () => {
    await db.ask(
      `CREATE FUNCTION moves() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.place := 'paris'; RETURN NEW; END$$`,
    )
    const put = (name: string, when: string): Promise<unknown> =>
      db.ask(`CREATE TRIGGER ${name} ${when} ON items FOR EACH ROW EXECUTE FUNCTION moves()`)
    await put('zzz_after', 'AFTER INSERT OR UPDATE')
    await put('zzz_a', 'BEFORE INSERT OR UPDATE')
    expect(await ills()).toEqual([])
    await put('zzz_moves', 'BEFORE UPDATE')
    const found = '"public"."items" has the trigger zzz_moves, which fires after zzz_holdfast_row'
    expect(await ills()).toEqual([expect.stringContaining(found)])
    await expect(runMigration({ url: db.url, schema })).rejects.toMatchObject({ code: 'SCHEMA_INVALID' })
    await db.ask('ALTER TRIGGER zzz_moves ON items RENAME TO moves')
    expect(await ills()).toEqual([])
    await db.ask(`UPDATE items SET name = 'moved' WHERE name = 'thing 1'`)
    expect(await ills()).toEqual([])
  })

  test('[MI-11] values that no field can hold, where a constraint is gone', async () => {
    await db.ask('ALTER TABLE items DROP CONSTRAINT items_due_check, DROP CONSTRAINT items_stock_check')
    await db.ask(`UPDATE items SET due = 'infinity', stock = 9007199254740992 WHERE name = 'thing 1'`)
    expect(await ills()).toEqual([
      '"public"."items".stock holds in 1 row a value that no counter can hold',
      '"public"."items".due holds in 1 row a value that no timestamp can hold',
    ])
    await db.ask(`SET session_replication_role = replica`)
    await db.ask(`UPDATE items SET due = NULL, stock = 1, updated_at = 'infinity' WHERE name = 'thing 1'`)
    await db.ask(`SET session_replication_role = origin`)
    expect(await ills()).toEqual([
      '"public"."items".updated_at holds in 1 row a time that no device can hold',
    ])
  })

  test('[MI-11] settings that matter are told of', async () => {
    const server = await startPostgres({
      flavour: 'embedded',
      fast: true,
      settings: { max_prepared_transactions: '4', synchronous_commit: 'off' },
    })
    try {
      await runMigration({ url: server.url, schema })
      const client = await db.session(server.url)
      await client.query(
        `BEGIN; INSERT INTO notes (id, body) VALUES (gen_random_uuid(), 'x'); PREPARE TRANSACTION 'one'`,
      )
      await client.query(`ALTER DATABASE postgres SET default_transaction_isolation = 'repeatable read'`)
      await client.query(`ALTER DATABASE postgres SET session_replication_role = 'replica'`)
      const found = (await doctor({ url: server.url, schema })).map(
        ({ kind, text: says }) => `${kind}: ${says.split(/[:,]/)[0] ?? ''}`,
      )
      expect(found).toEqual(
        expect.arrayContaining([
          'ill: 1 prepared transactions are waiting',
          'note: max_prepared_transactions is 4',
          'note: synchronous_commit is off',
          'note: default_transaction_isolation is repeatable read',
          'ill: session_replication_role is replica',
        ]),
      )
      await client.query(`ROLLBACK PREPARED 'one'`)
      await client.end()
    } finally {
      await server.stop()
    }
  })
})
