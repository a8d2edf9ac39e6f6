import { conflictsCollection, personalScope } from '@holdfast/core'
import { quoteName } from '../sql.ts'
import { columnOf, quoteText } from './columns.ts'
import { escrowTable } from './escrow.ts'
import { eventTables } from './events.ts'
import { receiptTables } from './receipts.ts'

/**
 * Version of our own tables' layout, kept in `holdfast.state`: another number for every change of `systemTables`, which
 * must also bring the tables of every layout before to this one.
 */
export const postgresLayout = 7

/** Versions and positions come from one sequence in steps of this: a batch numbers its versions inside a step. */
export const numberStep = 4_096

/** Class of our advisory locks, "Ho": whoever takes positions in a scope. */
export const scopeLockClass = 0x486f

/** Above this many scopes a transaction locks all of them at once: locks are shared memory, and there is not much. */
const manyScopes = 64

const conflictColumns = conflictsCollection.fields.map((field) => columnOf(field, quoteName(field.name)))

/**
 * Our own tables, in a schema of their own, for statements that are each safe to repeat.
 * Rules: FE-40 to FE-42. Design: a change is written down at statement time under a number of its transaction, and
 * the transaction gets its position at commit, behind a lock for each scope it touched.
 */
export const systemTables: readonly string[] = [
  'CREATE SCHEMA IF NOT EXISTS holdfast',
  `CREATE SEQUENCE IF NOT EXISTS holdfast.numbers AS bigint INCREMENT BY ${numberStep} START WITH ${numberStep}`,
  'CREATE SEQUENCE IF NOT EXISTS holdfast.transaction_numbers AS bigint',
  `CREATE TABLE IF NOT EXISTS holdfast.state (
    one integer PRIMARY KEY CHECK (one = 1), epoch text NOT NULL, horizon bigint NOT NULL DEFAULT 0, layout integer NOT NULL,
    schema_version integer NOT NULL, described text NOT NULL, made_at timestamptz NOT NULL DEFAULT now())`,
  // Schemas whose migration was begun and none ended since, in that order.
  `CREATE TABLE IF NOT EXISTS holdfast.begun (
    n bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, schema_version integer NOT NULL, described text NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS holdfast.transactions (
    n bigint PRIMARY KEY, xid xid8 NOT NULL, position bigint UNIQUE, bound xid8, tag text,
    is_open boolean NOT NULL DEFAULT true)`,
  'CREATE INDEX IF NOT EXISTS transactions_by_bound ON holdfast.transactions (bound, position) WHERE bound IS NOT NULL',
  `CREATE TABLE IF NOT EXISTS holdfast.stamps (
    scope text COLLATE "C" NOT NULL, position bigint NOT NULL, tx bigint NOT NULL, PRIMARY KEY (scope, position))`,
  'CREATE INDEX IF NOT EXISTS stamps_by_position ON holdfast.stamps (position)',
  `CREATE TABLE IF NOT EXISTS holdfast.feed (
    scope text COLLATE "C" NOT NULL, collection text COLLATE "C" NOT NULL, record uuid NOT NULL, tx bigint NOT NULL,
    version bigint NOT NULL, op text NOT NULL, maker integer, at timestamptz, PRIMARY KEY (collection, record, scope))`,
  'CREATE INDEX IF NOT EXISTS feed_by_tx ON holdfast.feed (tx, scope, collection, record)',
  `CREATE INDEX IF NOT EXISTS feed_by_scope ON holdfast.feed (scope, collection, record) WHERE op = 'put'`,
  `CREATE TABLE IF NOT EXISTS holdfast.tombstones (
    collection text NOT NULL, record uuid NOT NULL, version bigint NOT NULL, deleted_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL, server_updated_at timestamptz NOT NULL,
    data json NOT NULL, PRIMARY KEY (collection, record))`,
  `CREATE TABLE IF NOT EXISTS holdfast.clocks (
    collection text NOT NULL, record uuid NOT NULL, clocks jsonb NOT NULL, PRIMARY KEY (collection, record))`,
  `CREATE TABLE IF NOT EXISTS holdfast.devices (
    n integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY, account text NOT NULL, device text NOT NULL, finals text NOT NULL,
    acked text NOT NULL, pending text, first_seen_at timestamptz NOT NULL, last_seen_at timestamptz NOT NULL,
    UNIQUE (account, device))`,
  `CREATE TABLE IF NOT EXISTS holdfast.outcomes (
    device integer NOT NULL, seq bigint NOT NULL, covers text NOT NULL, folded json, id text NOT NULL, hash text NOT NULL,
    status text NOT NULL, version bigint, stood_on bigint, server_updated_at timestamptz, code text, body json,
    exact boolean NOT NULL, op text NOT NULL, fields json NOT NULL, at timestamptz NOT NULL, PRIMARY KEY (device, seq))`,
  // Outcomes are found by key through the keys that were decided.
  'DROP INDEX IF EXISTS holdfast.outcomes_by_id',
  `CREATE TABLE IF NOT EXISTS holdfast.decided_keys (
    id text NOT NULL, account text NOT NULL, device integer NOT NULL, seq bigint NOT NULL, PRIMARY KEY (id, account))`,
  'DROP INDEX IF EXISTS holdfast.decided_keys_by_seq',
  `CREATE TABLE IF NOT EXISTS holdfast.audit (
    n bigint GENERATED ALWAYS AS IDENTITY, collection text NOT NULL, record uuid NOT NULL, version bigint,
    op text NOT NULL, account text, device text, mutation text, at timestamptz NOT NULL, received_at timestamptz NOT NULL,
    before json, after json, status text NOT NULL, decisions json NOT NULL DEFAULT '[]', code text, trace text, was json, tx bigint, accepted_by text)`,
  'ALTER TABLE holdfast.audit ADD COLUMN IF NOT EXISTS was json, ADD COLUMN IF NOT EXISTS tx bigint, ADD COLUMN IF NOT EXISTS accepted_by text',
  // Nobody looks for a line by its number alone. Without a key a table that is published must say how a row is known.
  'ALTER TABLE holdfast.audit DROP CONSTRAINT IF EXISTS audit_pkey, REPLICA IDENTITY FULL',
  // An id is of one record: with the names of collections to compare, each line of the audit costs half as much again.
  'DROP INDEX IF EXISTS holdfast.audit_by_record',
  'CREATE INDEX IF NOT EXISTS audit_by_id ON holdfast.audit (record, n)',
  `CREATE TABLE IF NOT EXISTS holdfast.unique_keys (
    collection text NOT NULL, key integer NOT NULL, text text NOT NULL, record uuid NOT NULL, is_sole boolean NOT NULL,
    PRIMARY KEY (collection, key, text, record))`,
  // Two transactions that each saw nobody there cannot both commit.
  'CREATE UNIQUE INDEX IF NOT EXISTS unique_keys_sole ON holdfast.unique_keys (collection, key, text) WHERE is_sole',
  `CREATE TABLE IF NOT EXISTS holdfast.foreign_writes (
    n bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, collection text NOT NULL, record uuid NOT NULL, before json,
    keys integer[])`,
  // Which keys a note is still to be read for; all of them where it says none.
  'ALTER TABLE holdfast.foreign_writes ADD COLUMN IF NOT EXISTS keys integer[]',
  // Keys that are kept. Before there were numbers a key had its place in its collection's list, which is below a thousand.
  `CREATE TABLE IF NOT EXISTS holdfast.key_numbers (
    collection text NOT NULL, says text NOT NULL, key integer NOT NULL GENERATED BY DEFAULT AS IDENTITY (START WITH 1000),
    is_read boolean NOT NULL DEFAULT false, PRIMARY KEY (collection, says))`,
  `CREATE TABLE IF NOT EXISTS holdfast.conflict_records (
    collection text NOT NULL, record uuid NOT NULL, conflict uuid NOT NULL, PRIMARY KEY (collection, record, conflict))`,
  'CREATE INDEX IF NOT EXISTS conflict_records_by_conflict ON holdfast.conflict_records (conflict)',
  `CREATE TABLE IF NOT EXISTS holdfast.keys (
    account text NOT NULL, key text NOT NULL, hash text NOT NULL, body text NOT NULL, at timestamptz NOT NULL,
    PRIMARY KEY (account, key))`,
  `CREATE TABLE IF NOT EXISTS holdfast.times (
    account text NOT NULL, collection text NOT NULL, time timestamptz NOT NULL, position bigint NOT NULL, scopes text NOT NULL,
    PRIMARY KEY (account, collection, time))`,
  'CREATE TABLE IF NOT EXISTS holdfast.scope_sets (hash text PRIMARY KEY, scopes json NOT NULL)',
  `CREATE TABLE IF NOT EXISTS holdfast.conflicts (
    id uuid PRIMARY KEY, ${conflictColumns.join(', ')}, version bigint NOT NULL, created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL, server_updated_at timestamptz NOT NULL)`,
  `CREATE INDEX IF NOT EXISTS conflicts_by_status ON holdfast.conflicts (status, "createdAt", id)`,
  'CREATE INDEX IF NOT EXISTS conflicts_by_author ON holdfast.conflicts (author, device)',
  ...receiptTables,
  ...eventTables,
  ...escrowTable,
]

const header = 'LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp'

/** What every collection's triggers share. */
export const systemFunctions: readonly string[] = [
  // The number of this transaction. The setting names it; a setting that somebody made up names no row of this xid.
  `CREATE OR REPLACE FUNCTION holdfast.this_transaction() RETURNS bigint ${header} AS $$
DECLARE
  known bigint := nullif(current_setting('holdfast.tx', true), '')::bigint;
BEGIN
  IF known IS NOT NULL AND EXISTS (
    SELECT 1 FROM holdfast.transactions t WHERE t.n = known AND t.xid = pg_current_xact_id()) THEN RETURN known; END IF;
  known := nextval('holdfast.transaction_numbers');
  INSERT INTO holdfast.transactions (n, xid, is_open) VALUES (known, pg_current_xact_id(), false);
  PERFORM set_config('holdfast.tx', known::text, true);
  RETURN known;
END $$`,
  // Asks for a stamp, last in a statement: where constraints are immediate it comes at once, and must see all entries.
  `CREATE OR REPLACE FUNCTION holdfast.ask_stamp(this bigint) RETURNS void ${header} AS $$
BEGIN
  UPDATE holdfast.transactions t SET is_open = true WHERE t.n = this AND NOT t.is_open;
END $$`,
  // At commit: a lock per scope, in one order, then the position. Whoever sees a position in a scope sees all before it.
  `CREATE OR REPLACE FUNCTION holdfast.stamp() RETURNS trigger ${header} AS $$
DECLARE
  touched text[];
  lock_key integer;
  given bigint;
  earlier bigint;
  later bigint;
  this_xid bigint := pg_current_xact_id()::text::bigint;
BEGIN
  SELECT t.position INTO earlier FROM holdfast.transactions t WHERE t.n = NEW.n AND t.is_open;
  IF NOT FOUND THEN RETURN NULL; END IF;
  -- One probe of the index per scope, however many rows.
  WITH RECURSIVE found (scope) AS (
    (SELECT f.scope FROM holdfast.feed f WHERE f.tx = NEW.n ORDER BY f.scope LIMIT 1)
    UNION ALL
    SELECT (SELECT f.scope FROM holdfast.feed f WHERE f.tx = NEW.n AND f.scope > found.scope ORDER BY f.scope LIMIT 1)
    FROM found WHERE found.scope IS NOT NULL)
  SELECT array_agg(found.scope) INTO touched FROM found WHERE found.scope IS NOT NULL;
  IF coalesce(array_length(touched, 1), 0) > ${manyScopes} THEN
    PERFORM pg_advisory_xact_lock(${scopeLockClass + 1}, 0);
  ELSE
    PERFORM pg_advisory_xact_lock_shared(${scopeLockClass + 1}, 0);
    FOR lock_key IN SELECT DISTINCT hashtext(s) FROM unnest(touched) s ORDER BY 1 LOOP
      PERFORM pg_advisory_xact_lock(${scopeLockClass}, lock_key);
    END LOOP;
  END IF;
  given := nextval('holdfast.numbers');
  IF earlier IS NOT NULL THEN DELETE FROM holdfast.stamps s WHERE s.position = earlier; END IF;
  -- The bound: whoever took an earlier position has a lower xid. Only an xid that is given out after the position can
  -- tell, and a block with a handler gets one of its own; the xmax of a snapshot passes over those still at work.
  BEGIN
    WITH made AS (INSERT INTO holdfast.stamps (scope, position, tx) SELECT s, given, NEW.n FROM unnest(touched) s
      RETURNING stamps.xmin AS xid)
    SELECT made.xid::text::bigint INTO later FROM made LIMIT 1;
  EXCEPTION WHEN assert_failure THEN RAISE;
  END;
  UPDATE holdfast.transactions t SET position = given, is_open = false,
    tag = substr(replace(gen_random_uuid()::text, '-', ''), 1, 16),
    -- An xid in a row has no epoch; it is less than one round after this transaction's own.
    bound = (this_xid + (later - this_xid % 4294967296 + 4294967296) % 4294967296)::text::xid8
    WHERE t.n = NEW.n;
  RETURN NULL;
END $$`,
  // Foreign statements give their rows a version above every one that was given before them.
  `CREATE OR REPLACE FUNCTION holdfast.begin_statement() RETURNS trigger ${header} AS $$
BEGIN
  PERFORM set_config('holdfast.version', nextval('holdfast.numbers')::text, true);
  -- What a trigger of the host does inside another statement may have moved the rows of that one.
  IF pg_trigger_depth() > 1 THEN PERFORM set_config('holdfast.moved', '1', true); END IF;
  RETURN NULL;
END $$`,
  // The conflicts of a record lie in the scopes that all their records share, and move with them; one never leaves its
  // author, whose own scope no record enters or leaves.
  `CREATE OR REPLACE FUNCTION holdfast.move_conflicts(this bigint) RETURNS void ${header} AS $$
DECLARE
  number bigint;
BEGIN
  -- Whoever moves another record of the same conflict goes first or comes after, and sees what became of it; one whose
  -- snapshot is older fails.
  UPDATE holdfast.conflicts c SET version = c.version WHERE c.id IN (
    SELECT r.conflict FROM holdfast.feed f
    JOIN holdfast.conflict_records r ON r.collection = f.collection AND r.record = f.record
    WHERE f.tx = this AND f.collection <> '_conflicts');
  number := nextval('holdfast.numbers');
  INSERT INTO holdfast.feed (scope, collection, record, tx, version, op)
    SELECT DISTINCT f.scope, '_conflicts', c.id, this, c.version, 'put'
    FROM holdfast.feed f JOIN holdfast.conflict_records r ON r.collection = f.collection AND r.record = f.record
    JOIN holdfast.conflicts c ON c.id = r.conflict
    WHERE f.tx = this AND f.op <> 'leave' AND f.collection <> '_conflicts' AND NOT holdfast.is_outside(c.id, f.scope)
      AND NOT EXISTS (SELECT 1 FROM holdfast.feed o WHERE o.scope = f.scope AND o.collection = '_conflicts'
        AND o.record = c.id AND o.op = 'put')
    ON CONFLICT (collection, record, scope) DO UPDATE SET tx = this, version = excluded.version, op = 'put', at = NULL;
  UPDATE holdfast.feed o SET op = 'leave', tx = this, version = number, at = statement_timestamp()
    WHERE o.collection = '_conflicts' AND o.op <> 'leave' AND o.record IN (
      SELECT r.conflict FROM holdfast.feed f
      JOIN holdfast.conflict_records r ON r.collection = f.collection AND r.record = f.record
      WHERE f.tx = this AND f.collection <> '_conflicts')
    AND o.scope <> (SELECT ${quoteText(personalScope(''))} || c.author FROM holdfast.conflicts c WHERE c.id = o.record)
    AND holdfast.has_left(o.record, o.scope);
END $$`,
  // A record without any entry was deleted long ago, or never made: that says nothing until it is somewhere again.
  `CREATE OR REPLACE FUNCTION holdfast.has_left(asked uuid, place text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (SELECT 1 FROM holdfast.conflict_records r LEFT JOIN holdfast.feed f
    ON f.collection = r.collection AND f.record = r.record AND f.scope = place
    WHERE r.conflict = asked AND (f.op = 'leave' OR f.op IS NULL AND EXISTS (
      SELECT 1 FROM holdfast.feed o WHERE o.collection = r.collection AND o.record = r.record AND o.op = 'put')))
$$`,
  `CREATE OR REPLACE FUNCTION holdfast.is_outside(asked uuid, place text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (SELECT 1 FROM holdfast.conflict_records r WHERE r.conflict = asked AND NOT EXISTS (
    SELECT 1 FROM holdfast.feed f WHERE f.collection = r.collection AND f.record = r.record AND f.scope = place
      AND f.op <> 'leave'))
$$`,
  'DROP TRIGGER IF EXISTS stamp ON holdfast.transactions',
  `CREATE CONSTRAINT TRIGGER stamp AFTER UPDATE OF is_open ON holdfast.transactions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.is_open) EXECUTE FUNCTION holdfast.stamp()`,
]
