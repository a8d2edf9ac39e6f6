import {
  boolean,
  collection,
  counter,
  decimal,
  defineSchema,
  integer,
  json,
  real,
  reference,
  type Schema,
  set,
  text,
  timestamp,
} from '@holdfast/core'
import { hasPostgres } from '@holdfast/testing/services'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { planMigration, runMigration } from '../maintenance.ts'
import type { TableMappings } from '../columns.ts'
import { type GivenDatabase, givenDatabase } from './given-database.ts'

let db: GivenDatabase
beforeAll(async () => {
  db = await givenDatabase()
})
afterEach(() => db.clear())
afterAll(() => db.close())

const one = (fields: Parameters<typeof collection>[0]['fields'], deletes: 'soft' | 'hard' = 'hard'): Schema =>
  defineSchema({ version: 1, collections: { things: collection({ fields, deletes }) } })

const named = one({ name: text() })

/** What a plan refuses, after it changed nothing. */
async function refused(
  sql: string,
  schema: Schema = named,
  tables: TableMappings = {},
): Promise<readonly string[]> {
  if (sql !== '') await db.ask(sql)
  const before = await db.dump()
  const { refusals } = await planMigration({ url: db.url, schema, tables })
  if (refusals.length > 0)
    await expect(runMigration({ url: db.url, schema, tables })).rejects.toMatchObject({
      code: 'SCHEMA_INVALID',
      message: refusals.join('; '),
    })
  expect(await db.dump()).toBe(before)
  return refusals
}

describe.skipIf(!hasPostgres())('tables that cannot be adopted', () => {
  test.each([
    [
      'CREATE TABLE things (a uuid, b uuid, name text NOT NULL, PRIMARY KEY (a, b))',
      /no column id, but the primary key \(a, b\)/,
    ],
    [
      'CREATE TABLE things (id uuid, b uuid, name text NOT NULL, PRIMARY KEY (id, b))',
      /primary key is \(id, b\), and a record has one id of its own/,
    ],
    [
      'CREATE TABLE things (id bigint PRIMARY KEY, name text NOT NULL)',
      /things"\.id is bigint: devices make ids while they are offline/,
    ],
    [
      'CREATE TABLE things (n bigint PRIMARY KEY, name text NOT NULL)',
      /no column id, but the primary key n: add a column id uuid/,
    ],
    ['CREATE TABLE things (name text NOT NULL)', /no column id, but no primary key/],
    ['CREATE TABLE things (id uuid UNIQUE, name text NOT NULL)', /id may be null/],
    [
      'CREATE TABLE base (id uuid PRIMARY KEY, name text NOT NULL); CREATE VIEW things AS SELECT * FROM base',
      /is a view/,
    ],
    ['CREATE MATERIALIZED VIEW things AS SELECT gen_random_uuid() AS id', /is a materialized view/],
    ['CREATE UNLOGGED TABLE things (id uuid PRIMARY KEY, name text NOT NULL)', /is unlogged/],
    [
      'CREATE TABLE things (id uuid PRIMARY KEY, name text NOT NULL); CREATE TABLE more () INHERITS (things)',
      /inheritance/,
    ],
  ])('[MI-3] %s', async (sql, reason) => {
    for (const each of sql.split('; ').slice(0, -1)) await db.ask(each)
    expect(await refused(sql.split('; ').at(-1) ?? '')).toEqual([expect.stringMatching(reason)])
  })

  test('[MI-3] a unique uuid beside another primary key is an id', async () => {
    expect(
      await refused(
        'CREATE TABLE things (n bigint PRIMARY KEY, id uuid NOT NULL UNIQUE, name varchar(9) NOT NULL)',
      ),
    ).toEqual([])
  })

  test('[MI-3] a foreign table, and a table of ours', async () => {
    expect(await refused('', named, { things: { table: 'holdfast.feed' } })).toEqual(
      [
        expect.stringMatching(/lies in a schema that is not the host's/),
        expect.stringMatching(/there is no schema holdfast/),
      ].toReversed(),
    )
    await db.ask('CREATE FOREIGN DATA WRAPPER nothing')
    await db.ask('CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing')
    expect(await refused('CREATE FOREIGN TABLE things (id uuid, name text) SERVER elsewhere')).toEqual([
      expect.stringMatching(/is a foreign table/),
    ])
  })

  test('[MI-3] types that would change what is written; all reasons at once', async () => {
    const schema = one({
      words: text(),
      mood: text(),
      code: text(),
      count: integer(),
      stock: counter(),
      size: real(),
      price: decimal(),
      seen: timestamp(),
      more: json(),
      tags: set(text()),
      owner: reference('things', { optional: true }),
      done: boolean(),
    })
    await db.ask(`CREATE TYPE mood AS ENUM ('well', 'ill')`)
    const refusals = await refused(
      `CREATE TABLE things (id uuid PRIMARY KEY, words char(9) NOT NULL, mood mood NOT NULL, code uuid NOT NULL, count numeric NOT NULL,
       stock text NOT NULL, size real NOT NULL, price double precision NOT NULL, seen timestamp NOT NULL, more json NOT NULL,
       tags text[] NOT NULL, owner bigint, done int NOT NULL, version int, created_at timestamp, updated_at date)`,
      schema,
    )
    expect(refusals.map((text) => text.replace('"public"."things".', ''))).toEqual([
      'words is character(9), which pads what is written with blanks; the text words fits text, character varying',
      'mood is mood, which takes no text: use text with a CHECK; the text mood fits text, character varying',
      'code is uuid; the text code fits text, character varying',
      'count is numeric; the integer count fits smallint, integer, bigint',
      'stock is text; the counter stock fits smallint, integer, bigint',
      'size is real, which rounds what is written; the real size fits double precision',
      'price is double precision; the decimal price fits numeric',
      "seen is timestamp without time zone, which does not say which moment it means: ALTER it to timestamptz USING … AT TIME ZONE 'UTC', or the zone it was written in; the timestamp seen fits timestamp with time zone",
      'more is json, which keeps a value as it was typed, so that equal values differ: ALTER it to jsonb; the json more fits jsonb',
      'tags is text[]; the set tags fits jsonb',
      'owner is bigint; the reference owner fits uuid',
      'done is integer; the boolean done fits boolean',
      'version is integer; a column of ours fits bigint',
      expect.stringMatching(/^created_at is timestamp without time zone, which does not say/),
      'updated_at is date; a column of ours fits timestamp with time zone',
    ])
  })

  test('[MI-3] types that hold the field as it is', async () => {
    const schema = one({
      words: text(),
      short: integer(),
      middle: integer(),
      price: decimal(),
      code: text(),
    })
    await db.ask(`CREATE DOMAIN code AS varchar(5)`)
    expect(
      await refused(
        `CREATE TABLE things (id uuid PRIMARY KEY, words varchar(9) NOT NULL, short smallint NOT NULL, middle int NOT NULL,
         price numeric(10, 2) NOT NULL, code code NOT NULL)`,
        schema,
      ),
    ).toEqual([])
  })

  test('[MI-3] rows that hold what no field can', async () => {
    const schema = one({
      name: text(),
      price: decimal(),
      size: real(),
      seen: timestamp({ optional: true }),
      tags: set(text()),
    })
    await db.ask(
      `CREATE TABLE things (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text, price numeric NOT NULL, size float NOT NULL,
       seen timestamptz, tags jsonb NOT NULL, updated_at timestamptz)`,
    )
    await db.ask(
      `INSERT INTO things (name, price, size, seen, tags, updated_at) VALUES
      (NULL, 'NaN', 'Infinity', 'infinity', '{}', NULL), ('x', 'Infinity', 'NaN', '12000-01-01', '1', now()),
      ('x', 1, 1, '44 BC-01-01', '[]', now())`.replace('44 BC-01-01', '0044-01-01 BC'),
    )
    expect((await refused('', schema)).map((line) => line.replace('"public"."things".', ''))).toEqual([
      'name holds in 1 row null, and the field is required',
      'price holds in 2 rows a value that no decimal can hold',
      'size holds in 2 rows a value that no real can hold',
      'seen holds in 3 rows a value that no timestamp can hold',
      'tags holds in 2 rows a value that no set can hold',
      'updated_at holds in 1 row null: set it',
    ])
  })

  test('[MI-3] a unique index in which softly deleted rows would keep their keys', async () => {
    const soft = one({ name: text() }, 'soft')
    expect(
      await refused(
        'CREATE TABLE things (id uuid PRIMARY KEY, name text NOT NULL UNIQUE, code int UNIQUE)',
        soft,
      ),
    ).toEqual([
      expect.stringMatching(
        /unique index things_name_key, in which deleted rows would keep their keys: CREATE UNIQUE INDEX CONCURRENTLY … ON "public"."things" \("name"\) WHERE deleted_at IS NULL/,
      ),
    ])
    expect(await refused('', named)).toEqual([])
    await db.ask('ALTER TABLE things DROP CONSTRAINT things_name_key, ADD COLUMN deleted_at timestamptz')
    expect(await refused('CREATE UNIQUE INDEX ON things (name) WHERE deleted_at IS NULL', soft)).toEqual([])
  })

  test.each([
    ['deleted_at IS NULL AND size > 1', []],
    [`size > 1 AND name <> ') AND (deleted_at IS NULL)' AND deleted_at IS NULL`, []],
    ['size > 1', ['deleted_at IS NULL AND (size > 1) and drop']],
    ['deleted_at IS NOT NULL', ['deleted_at IS NULL AND (deleted_at IS NOT NULL)']],
    ['deleted_at IS NULL OR size > 1', ['deleted_at IS NULL AND ((deleted_at IS NULL) OR (size > 1))']],
    [`name <> ' AND (deleted_at IS NULL) AND ' AND size > 1`, ['deleted_at IS NULL AND ((name <>']],
  ])('[MI-3] a unique index WHERE %s', async (where, reasons) => {
    await db.ask(
      'CREATE TABLE things (id uuid PRIMARY KEY, name text NOT NULL, size int, deleted_at timestamptz)',
    )
    const found = await refused(
      `CREATE UNIQUE INDEX partly ON things (name) WHERE ${where}`,
      one({ name: text() }, 'soft'),
    )
    expect(found.length).toBe(reasons.length)
    for (const [at, reason] of reasons.entries()) expect(found[at]).toContain(reason)
  })

  test('[MI-3] columns that the field cannot be written to', async () => {
    const schema = one({ name: text({ optional: true }), loud: text({ optional: true }) })
    expect(
      await refused(
        `CREATE TABLE things (id uuid PRIMARY KEY, name text NOT NULL, loud text GENERATED ALWAYS AS ('a') STORED)`,
        schema,
      ),
    ).toEqual([
      expect.stringMatching(/name is NOT NULL, and the field is optional/),
      expect.stringMatching(/loud is GENERATED ALWAYS/),
    ])
  })

  test('[MI-3] two collections in one table, and a new required field over rows', async () => {
    const two = defineSchema({
      version: 1,
      collections: {
        things: collection({ fields: { name: text(), size: integer() }, deletes: 'hard' }),
        others: collection({ fields: { name: text() }, deletes: 'hard' }),
      },
    })
    await db.ask('CREATE TABLE things (id uuid PRIMARY KEY, name text NOT NULL)')
    await db.ask(`INSERT INTO things VALUES (gen_random_uuid(), 'x')`)
    expect(await refused('', two, { others: { table: 'things' } })).toEqual([
      '"public"."things" is the table of things and others: map each to its own',
      '"public"."things".size is new and required: give it a default for the rows there are, or make it optional',
    ])
  })

  test('[MI-2] columns that devices cannot fill are told of', async () => {
    await db.ask('CREATE TABLE things (id uuid PRIMARY KEY, name text NOT NULL, branch int NOT NULL)')
    expect((await planMigration({ url: db.url, schema: named })).notes).toEqual([
      '"public"."things".branch is NOT NULL without a default and no field: no device can create a record until it has one',
    ])
  })
})
