import type { Schema } from '@holdfast/core'
import { createServer, postgresStore } from '@holdfast/server'
import { Client } from 'pg'

import { type FreshDatabase, freshDatabase } from '../services/fresh-database.ts'
import { createVirtualEnvironment } from '../virtual-environment.ts'

/**
 * What a run adds to a prepared database: a table of what commits brought, in the order in which it was written, and a
 * clock in the place of PostgreSQL's own.
 */
const witnessSql = `
CREATE SCHEMA sim;
CREATE TABLE sim.seen (n bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, kind text NOT NULL, body json NOT NULL);
CREATE FUNCTION sim.iso(t timestamptz) RETURNS text LANGUAGE sql IMMUTABLE AS
  $$ SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;
CREATE FUNCTION sim.now() RETURNS timestamptz LANGUAGE sql STABLE AS
  $$ SELECT coalesce(nullif(current_setting('sim.now', true), '')::timestamptz, statement_timestamp()) $$;
CREATE FUNCTION sim.see_outcome() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
  INSERT INTO sim.seen (kind, body) SELECT 'outcome', json_build_array(d.account, d.device, NEW.seq, NEW.covers, NEW.id,
    NEW.status, NEW.version, NEW.code) FROM holdfast.devices d WHERE d.n = NEW.device;
  RETURN NULL; END $$;
CREATE TRIGGER sim_outcome AFTER INSERT ON holdfast.outcomes FOR EACH ROW EXECUTE FUNCTION sim.see_outcome();
CREATE FUNCTION sim.see_line() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
  INSERT INTO sim.seen (kind, body) VALUES ('audit', json_build_array(NEW.n, NEW.collection, NEW.record, NEW.version, NEW.op,
    NEW.account, NEW.device, NEW.mutation, sim.iso(NEW.at), NEW.before::text, NEW.after::text, NEW.status,
    NEW.decisions::text, NEW.code, NEW.accepted_by));
  RETURN NULL; END $$;
CREATE FUNCTION sim.see_ruled() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
  INSERT INTO sim.seen (kind, body) VALUES ('escrow', json_build_array(NEW.account, NEW.device, NEW.id, NEW.status,
    NEW.verdict, NEW.version));
  RETURN NULL; END $$;
CREATE TRIGGER sim_ruled AFTER UPDATE OF status ON holdfast.escrow FOR EACH ROW EXECUTE FUNCTION sim.see_ruled();
CREATE TRIGGER sim_line AFTER INSERT ON holdfast.audit FOR EACH ROW EXECUTE FUNCTION sim.see_line();
DO $$ DECLARE each record; BEGIN
  FOR each IN SELECT oid FROM pg_proc WHERE pronamespace = 'holdfast'::regnamespace AND prosrc LIKE '%statement_timestamp()%' LOOP
    EXECUTE replace(pg_get_functiondef(each.oid), 'statement_timestamp()', 'sim.now()');
  END LOOP;
END $$`

const templates = new Map<Schema, Promise<FreshDatabase>>()

/** An empty database that is prepared for a schema, with what a run looks through; in the PostgreSQL at `serverUrl`. */
export async function givenPostgres(serverUrl: string, schema: Schema): Promise<FreshDatabase> {
  let template = templates.get(schema)
  if (template === undefined) templates.set(schema, (template = prepare(serverUrl, schema)))
  return freshDatabase(serverUrl, (await template).name)
}

/** Drops what databases were copied from. */
export async function dropTemplates(): Promise<void> {
  const made = [...templates.values()]
  templates.clear()
  for (const template of made) await (await template).drop()
}

async function prepare(serverUrl: string, schema: Schema): Promise<FreshDatabase> {
  const database = await freshDatabase(serverUrl)
  const store = postgresStore({ url: database.url, migrate: true, pollMs: 0, listen: false })
  const env = createVirtualEnvironment()
  const nobody = { authenticate: () => null, scopes: () => [], mayReview: () => false }
  const server = await createServer({ schema, store, env, ...nobody })
  await server.close()
  const client = new Client({ connectionString: database.url })
  await client.connect()
  await client.query(witnessSql)
  await client.end()
  return database
}
