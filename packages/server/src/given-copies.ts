import { describeSchema, type Schema } from '@holdfast/core'
import type { FreshDatabase } from '@holdfast/testing/services'
import type { Pool } from 'pg'
import { postgresStore } from './store/postgres/postgres-store.ts'
import { systemEnvironment } from './system-environment.ts'

/** A database that is prepared for a schema and empty. */
export interface Copy {
  readonly url: string
  readonly name: string
  /** Ends the use of it, through a pool of connections to it: emptied, if its tables are as they were made, or dropped. */
  giveBack(pool: Pool): Promise<void>
  drop(): Promise<void>
}

/** To copy a prepared database is faster than to prepare another; to empty one is faster than to copy. */
interface Spares {
  /** What a database has whose tables, triggers and functions nobody has touched. */
  shape: string | undefined
  readonly databases: FreshDatabase[]
}

const sparesByKey = new Map<string, Spares>()

/** A copy of what is prepared for this schema, which nobody else uses. */
export async function takeCopy(schema: Schema): Promise<Copy> {
  const key = `${schema.version} ${describeSchema(schema)}`
  const spares = sparesByKey.get(key) ?? { shape: undefined, databases: [] }
  sparesByKey.set(key, spares)
  const { preparedDatabase } = await import('@holdfast/testing/services')
  const prepare = (url: string): Promise<void> => prepareFor(schema, url)
  const database = spares.databases.pop() ?? (await preparedDatabase({ key, prepare }))
  spares.shape ??= await shapeOf(database.url)
  const { shape } = spares
  return {
    ...database,
    giveBack: async (pool) => {
      // A connection that is still closing when its database is dropped is told so, and nobody else listens.
      pool.on('error', () => undefined)
      const isEmptied = await empty(pool, shape)
      await pool.end()
      if (isEmptied) spares.databases.push(database)
      else await database.drop()
    },
  }
}

/** Drops what no test has dropped. */
export async function dropCopies(): Promise<void> {
  for (const { databases } of sparesByKey.values()) for (const each of databases) await each.drop()
  sparesByKey.clear()
}

async function prepareFor(schema: Schema, url: string): Promise<void> {
  const store = postgresStore({ url, migrate: true, pollMs: 0, listen: false })
  await store.open({ schema, env: systemEnvironment() })
  await store.close()
}

async function shapeOf(url: string): Promise<string> {
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query<{ shape: string }>(shapeSql)
  await client.end()
  return rows[0]?.shape ?? ''
}

const ours = `IN ('public'::regnamespace, 'holdfast'::regnamespace)`

const shapeSql = `SELECT md5(concat(
  (SELECT string_agg(concat_ws(' ', c.oid, c.relname, c.relkind), ',' ORDER BY c.oid) FROM pg_class c WHERE c.relnamespace ${ours}),
  (SELECT string_agg(concat_ws(' ', a.attrelid, a.attname, a.atttypid, a.attnotnull, a.atthasdef), ',' ORDER BY a.attrelid, a.attnum)
   FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace ${ours}),
  (SELECT string_agg(concat_ws(' ', t.oid, t.tgname, t.tgenabled), ',' ORDER BY t.oid) FROM pg_trigger t),
  (SELECT string_agg(concat_ws(' ', p.oid, md5(p.prosrc)), ',' ORDER BY p.oid) FROM pg_proc p WHERE p.pronamespace ${ours}),
  (SELECT string_agg(concat_ws(' ', c.oid, c.conname), ',' ORDER BY c.oid) FROM pg_constraint c WHERE c.connamespace ${ours}),
  (SELECT concat_ws(' ', layout, schema_version, described) FROM holdfast.state))) AS shape`

/** As the template is, but for the epoch. Without triggers: they would write down what is removed. */
const emptySql = `DO $$
DECLARE
  each record;
BEGIN
  SET LOCAL session_replication_role = replica;
  SET LOCAL lock_timeout = '1s';
  FOR each IN SELECT c.oid::regclass AS name, c.relkind AS kind, s.seqstart AS first FROM pg_class c
      LEFT JOIN pg_sequence s ON s.seqrelid = c.oid
      WHERE c.relnamespace ${ours} AND c.relkind IN ('r', 'S') AND c.relname !~ '^(state|key_numbers.*)$' LOOP
    IF each.kind = 'S' THEN PERFORM setval(each.name, each.first, false);
    ELSE EXECUTE format('DELETE FROM %s', each.name); END IF;
  END LOOP;
  UPDATE holdfast.state SET horizon = 0;
END $$`

/** False where a test made something of its own, or has left a transaction open. */
async function empty(pool: Pool, shape: string): Promise<boolean> {
  try {
    const { rows } = await pool.query<{ shape: string }>(shapeSql)
    if (rows[0]?.shape !== shape) return false
    await pool.query(emptySql)
    return true
  } catch {
    return false
  }
}
