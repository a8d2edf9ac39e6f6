import { type Change, collection, counter, defineSchema, type Schema, text, timestamp } from '@holdfast/core'
import { hasPostgres, startPostgres, startUnlessMissing } from '@holdfast/testing/services'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createEngine, type Engine } from '../../../index.ts'
import { doctor, planMigration, runMigration } from '../maintenance.ts'
import { postgresStore } from '../postgres-store.ts'
import { type GivenDatabase, givenDatabase } from './given-database.ts'

const schema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: {
        place: text(),
        name: text({ merge: 'latest' }),
        stock: counter(),
        due: timestamp({ optional: true }),
      },
      scope: 'place:{place}',
      unique: [['name']],
      indexes: [['name']],
    }),
  },
})

const system = hasPostgres()
  ? await startUnlessMissing(() => startPostgres({ flavour: 'system', fast: true }))
  : undefined
afterAll(() => system?.stop())

const servers = [
  { name: 'PostgreSQL 18', serverUrl: undefined },
  ...(system === undefined ? [] : [{ name: 'PostgreSQL 15', serverUrl: system.url }]),
]

let db: GivenDatabase
afterEach(() => db.close())

const table = `CREATE TABLE items (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), place varchar(40) NOT NULL,
  name text NOT NULL, stock int NOT NULL DEFAULT 0, due timestamptz, updated_at timestamptz DEFAULT now(), extra text)`

const insert = (from: number, to: number, place = 'berlin'): string =>
  `INSERT INTO items (place, name, stock, updated_at) SELECT '${place}', 'thing ' || n, n, '2020-01-01Z' FROM generate_series(${from}, ${to}) n`

async function withEngine<Result>(of: Schema, work: (engine: Engine) => Promise<Result>): Promise<Result> {
  const engine = await createEngine({
    schema: of,
    store: postgresStore({ url: db.url, pollMs: 0 }),
    scopes: () => '*',
  })
  try {
    return await work(engine)
  } finally {
    await engine.close()
  }
}

const caller = {
  user: { id: 'ann' },
  grants: '*',
  device: null,
  schemaVersion: 1,
  requestId: 'r',
} as const

/** Everything a device is told from the start. */
function pullAll(of: Schema): Promise<readonly Change[]> {
  return withEngine(of, async (engine) => {
    const changes: Change[] = []
    let since: string | undefined
    for (;;) {
      const page = await engine.pull(caller, { since, limit: 500 })
      // The text of a PullResponse.
      const {
        changes: more,
        cursor,
        more: isMore,
      } = JSON.parse(page.text) as {
        changes: Change[]
        cursor: string
        more: boolean
      }
      changes.push(...more)
      since = cursor
      if (!isMore) return changes
    }
  })
}

async function ills(of: Schema = schema): Promise<readonly string[]> {
  return (await doctor({ url: db.url, schema: of }))
    .filter(({ kind }) => kind === 'ill')
    .map(({ text: says }) => says)
}

describe.skipIf(!hasPostgres()).each(servers)('adopting on $name', ({ serverUrl }) => {
  beforeEach(async () => {
    db = await givenDatabase(serverUrl)
  })

  test('[MI-1] a plan says what it will do and changes nothing', async () => {
    await db.ask(table)
    await db.ask(insert(1, 20))
    const before = await db.dump()
    const { steps, refusals } = await planMigration({ url: db.url, schema })
    expect(refusals).toEqual([])
    expect(steps.map(({ kind, says }) => `${kind}: ${says}`)).toEqual([
      'structure: make the schema holdfast with our own tables: feed, outcomes, audit, conflicts, devices, clocks',
      'structure: make the functions that number and stamp transactions',
      'structure: let "public"."items".stock take only what a counter can hold, from now on',
      'structure: let "public"."items".due take only what a timestamp can hold, from now on',
      'structure: add the column "public"."items".version',
      'structure: add the column "public"."items".created_at',
      'structure: add the column "public"."items".server_updated_at',
      'structure: add the column "public"."items".deleted_at',
      'structure: capture every change of "public"."items" by functions of ours and triggers',
      'index: index "public"."items" by name, while others go on writing',
      'structure: keep the unique keys of items that are new',
      'rows: bring the rows of "public"."items" into the feed, in batches',
      'state: note that the database is prepared for schema version 1',
    ])
    expect(await db.dump()).toBe(before)
  })

  test('[MI-4] rows that were there come into the feed, and their table is not written to', async () => {
    await db.ask(table)
    await db.ask(insert(1, 2_500))
    await db.ask(insert(3_000, 3_000, 'rome'))
    const file = await db.ask(
      `SELECT pg_relation_filenode('items') AS file, (SELECT min(xmin::text) || max(xmin::text) FROM items) AS writers`,
    )
    expect(await runMigration({ url: db.url, schema })).toMatchObject({ rows: 2_501 })
    expect(
      await db.ask(
        `SELECT pg_relation_filenode('items') AS file, (SELECT min(xmin::text) || max(xmin::text) FROM items) AS writers`,
      ),
    ).toEqual(file)
    expect(await db.ask('SELECT count(*) AS lines FROM holdfast.audit')).toEqual([{ lines: '0' }])
    expect(
      await db.ask(
        'SELECT scope, count(*)::int AS stamps FROM holdfast.stamps GROUP BY scope ORDER BY scope',
      ),
    ).toEqual([
      { scope: 'place:berlin', stamps: 3 },
      { scope: 'place:rome', stamps: 1 },
    ])
    expect(await db.ask('SELECT DISTINCT clocks FROM holdfast.clocks')).toEqual([
      { clocks: { name: '2020-01-01T00:00:00.000Z-0000--' } },
    ])
    const changes = await pullAll(schema)
    expect(new Set(changes.map(({ data }) => data?.['stock'])).size).toBe(2_501)
    expect(changes).toHaveLength(2_501)
    expect(await ills()).toEqual([])
  })

  test('[MI-4] their unique keys count, and a later version is newer than the one they were adopted with', async () => {
    await db.ask(table)
    await db.ask(insert(1, 3))
    await runMigration({ url: db.url, schema })
    const [first] = await db.ask(`SELECT id, version::int FROM items WHERE name = 'thing 1'`)
    const id = String(first?.['id'])
    await withEngine(schema, async (engine) => {
      const results = await engine.apply(caller, [
        {
          op: 'create',
          collection: 'items',
          record: '0197a1b2-0000-7000-8000-000000000001',
          values: { place: 'rome', name: 'thing 2', stock: 1 },
          precondition: { kind: 'none' },
        },
      ])
      expect(JSON.stringify(results)).toContain('UNIQUE_VIOLATION')
    })
    await db.ask('UPDATE items SET stock = 9 WHERE id = $1', id)
    const [second] = await db.ask('SELECT version::int FROM items WHERE id = $1', id)
    expect(Number(second?.['version'])).toBeGreaterThan(Number(first?.['version']))
    expect(await ills()).toEqual([])
  })

  test('[MI-3] [PU-22] a bigint key beside the id goes on counting, and a partial unique index holds for devices too', async () => {
    await db.ask(`CREATE TABLE items (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(), place text NOT NULL, name text NOT NULL, stock bigint NOT NULL DEFAULT 0,
      due timestamptz, deleted_at timestamptz)`)
    await db.ask(
      'CREATE UNIQUE INDEX sole ON items (place, lower(name)) WHERE deleted_at IS NULL AND stock > 0',
    )
    await db.ask(`INSERT INTO items (place, name, stock) VALUES ('berlin', 'old', 1)`)
    expect(await runMigration({ url: db.url, schema })).toMatchObject({ rows: 1 })
    const statuses = await withEngine(schema, async (engine) => {
      const create = async (name: string, stock: number): Promise<unknown> => {
        const values = { place: 'berlin', name, stock, due: null }
        const write = { collection: 'items', record: crypto.randomUUID(), op: 'create', values } as const
        const { results } = await engine.apply(caller, [{ ...write, precondition: { kind: 'none' } }])
        return [results[0]?.status, results[0]?.error?.code]
      }
      return [await create('new', 1), await create('OLD', 1), await create('Old', 0)]
    })
    expect(statuses).toEqual([
      ['applied', undefined],
      ['rejected', 'CONSTRAINT_FAILED'],
      ['applied', undefined],
    ])
    const numbers = await db.ask('SELECT number::int AS number, name FROM items ORDER BY number')
    expect(numbers.map(({ name }) => name)).toEqual(['old', 'new', 'Old'])
    expect(numbers[0]).toEqual({ number: 1, name: 'old' })
    expect(await ills()).toEqual([])
  })

  test('[MI-5] repeated there is nothing to do, and nothing is changed', async () => {
    await db.ask(table)
    await db.ask(insert(1, 10))
    await runMigration({ url: db.url, schema })
    const before = await db.dump()
    expect(await planMigration({ url: db.url, schema })).toEqual({ steps: [], refusals: [], notes: [] })
    expect(await runMigration({ url: db.url, schema })).toMatchObject({ plan: { steps: [] }, rows: 0 })
    expect(await db.dump()).toBe(before)
  })

  test('[MI-5] one that died between its batches goes on where it was', async () => {
    await db.ask(table)
    await db.ask(insert(1, 2_500))
    let batches = 0
    const dying = runMigration({
      url: db.url,
      schema,
      onRows: () => {
        if (++batches === 2) throw new Error('died')
      },
    })
    await expect(dying).rejects.toThrow('died')
    expect(await db.ask('SELECT count(*)::int AS rows FROM holdfast.feed')).toEqual([{ rows: 2_000 }])
    await expect(pullAll(schema)).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
    // 500 rows enter the feed, and the keys of all are read.
    expect(await runMigration({ url: db.url, schema })).toMatchObject({ rows: 3_000 })
    expect(await pullAll(schema)).toHaveLength(2_500)
    expect(await ills()).toEqual([])
  })

  test('[MI-5] an index that was never finished is made again', async () => {
    await db.ask(table)
    await db.ask(insert(1, 3))
    await db.ask('CREATE INDEX holdfast_items_name ON items (name, id)')
    await db.ask(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'holdfast_items_name'::regclass`)
    await runMigration({ url: db.url, schema })
    expect(
      await db.ask(`SELECT indisvalid FROM pg_index WHERE indexrelid = 'holdfast_items_name'::regclass`),
    ).toEqual([{ indisvalid: true }])
  })

  test('[MI-6] writers go on while rows are adopted: none is lost, none is in a place it has left', async () => {
    await db.ask(table)
    await db.ask(insert(1, 4_000))
    const done = { isDone: false }
    const failures: unknown[] = []
    const writers = [1, 2].map(async (writer) => {
      const client = await db.session()
      for (let turn = 0; !done.isDone; turn++) {
        const some = `SELECT id FROM items ORDER BY md5(id::text || ${turn} || ${writer}) LIMIT 5`
        const statements = [
          `UPDATE items SET place = CASE place WHEN 'berlin' THEN 'rome' ELSE 'berlin' END WHERE id IN (SELECT id FROM (${some}) s ORDER BY id FOR UPDATE)`,
          `DELETE FROM items WHERE id = (${some} OFFSET 5)`.replace('LIMIT 5', 'LIMIT 1'),
          `INSERT INTO items (place, name) VALUES ('oslo', 'new ${writer} ${turn}')`,
        ]
        // Two writers that lock each other out are a matter of theirs.
        await client.query(statements[turn % 3] ?? '').catch((error: unknown) => {
          if (!String(error).includes('deadlock detected')) failures.push(error)
        })
      }
    })
    await new Promise((resolve) => setTimeout(resolve, 100))
    await runMigration({ url: db.url, schema })
    await new Promise((resolve) => setTimeout(resolve, 100))
    done.isDone = true
    await Promise.all(writers)
    expect(failures).toEqual([])
    expect(await ills()).toEqual([])
    const [count] = await db.ask(`SELECT count(*)::int AS rows FROM items`)
    const live = new Map<string, string>()
    for (const { record, op, scope } of await pullAll(schema)) {
      if (op === 'put' || op === 'have') live.set(record, scope ?? '')
      else if (live.get(record) === scope) live.delete(record)
    }
    expect(live.size).toBe(count?.['rows'])
  })

  test('[MI-7] the owner of the tables needs no superuser, and other writers need nothing of ours', async () => {
    const suffix = db.url.slice(-8)
    const [owner, clerk] = [`owner_${suffix}`, `clerk_${suffix}`]
    await db.ask(`CREATE ROLE ${owner} LOGIN`)
    await db.ask(`CREATE ROLE ${clerk} LOGIN`)
    try {
      await db.ask(table)
      await db.ask(insert(1, 3))
      await db.ask(`ALTER TABLE items OWNER TO ${owner}`)
      // As it is by itself from 15 on.
      await db.ask('REVOKE CREATE ON SCHEMA public FROM PUBLIC')
      await db.ask(`GRANT INSERT, SELECT, UPDATE ON items TO ${clerk}`)
      const url = new URL(db.url)
      url.username = owner
      const asOwner = { url: url.href, schema }
      const { refusals } = await planMigration(asOwner)
      expect(refusals).toEqual([
        expect.stringMatching(/may not make our schema holdfast: GRANT CREATE ON DATABASE/),
        expect.stringMatching(/may not add to the schema public: GRANT CREATE ON SCHEMA public/),
      ])
      url.username = clerk
      expect((await planMigration({ url: url.href, schema })).refusals).toContainEqual(
        expect.stringMatching(/items" belongs to the role owner_\w+: run migrate as that role/),
      )
      const [{ name } = {}] = await db.ask('SELECT current_database() AS name')
      await db.ask(`GRANT CREATE ON DATABASE ${String(name)} TO ${owner}`)
      await db.ask(`GRANT CREATE ON SCHEMA public TO ${owner}`)
      expect(await runMigration(asOwner)).toMatchObject({ rows: 3 })
      const client = await db.session(url.href)
      await client.query(`INSERT INTO items (place, name) VALUES ('oslo', 'of a clerk')`)
      await client.query(`UPDATE items SET stock = 4 WHERE name = 'of a clerk'`)
      await client.end()
      expect((await doctor(asOwner)).filter(({ kind }) => kind === 'ill')).toEqual([])
      expect(await db.ask(`SELECT scope FROM holdfast.feed WHERE scope = 'place:oslo'`)).toHaveLength(1)
      expect((await planMigration({ url: url.href, schema })).refusals).toContainEqual(
        expect.stringMatching(/our schema holdfast, or a table in it, belongs to another role/),
      )
    } finally {
      const session = await db.session()
      await session.query(`DROP OWNED BY ${owner}, ${clerk} CASCADE; DROP ROLE ${owner}, ${clerk}`)
    }
  })
})
