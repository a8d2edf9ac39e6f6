import { type CollectionSchema, ruleOf } from '@holdfast/core'
import { hasDeletedAt, quoteName } from '../sql.ts'
import {
  auditOfDeletes,
  auditOfInserts,
  auditOfUpdates,
  type Capture,
  clocks,
  deletes,
  firstPuts,
  isDistinct,
  isInFeed,
  isOwn,
  leaves,
  noteUnique,
  puts,
  tombstones,
} from './capture-sql.ts'
import { type Naming, quoteText, realTime } from './columns.ts'

/** Above this many rows a statement is planned anew: a plan made for one row would take for ever with 100,000. */
const fewRows = 100

/**
 * Functions and triggers that put every change of a collection's table into the feed, whoever makes it: a row trigger
 * that gives versions and times whatever the writer says, and statement triggers that write feed, audit, clocks and notes
 * for all rows at once. A statement of the engine says so by a setting of its transaction; what triggers of the host do
 * inside it is foreign all the same. Rules: FE-1 to FE-8.
 */
export function captureStatements(naming: Naming, collection: CollectionSchema): readonly string[] {
  const capture = captureOf(naming, collection)
  return [
    rowFunction(capture),
    ...statementFunctions(capture),
    ...rowTrigger(capture),
    ...statementTriggers(capture, capture.table),
  ]
}

/**
 * What a partition needs beside its parent's capture, for statements that name the partition itself: row triggers are
 * inherited, statement triggers are not. `partition` is its quoted name.
 */
export function capturePartition(collection: CollectionSchema, partition: string): readonly string[] {
  return statementTriggers({ collection }, partition)
}

/** What the pieces share, of one collection. */
export function captureOf(naming: Naming, collection: CollectionSchema): Capture {
  return {
    naming,
    collection,
    name: quoteText(collection.name),
    table: naming.table(collection),
    latest: collection.fields.filter((field) => ruleOf(field).rule === 'latest').map(({ name }) => name),
  }
}

/** Names of our triggers on a table. */
export const triggerNames = {
  begin: 'a_holdfast_begin',
  // The last of all row triggers, which fire by name: it sees what the others made of the row.
  row: 'zzz_holdfast_row',
  inserted: 'zzz_holdfast_inserted',
  updated: 'zzz_holdfast_updated',
  deleted: 'zzz_holdfast_deleted',
  truncated: 'zzz_holdfast_truncated',
}

/** The triggers of a collection's table, each with the function that it calls. */
export function triggersOf(
  collection: CollectionSchema,
): readonly (readonly [name: string, calls: string])[] {
  return Object.entries(triggerNames).map(([what, name]) => [
    name,
    what === 'begin' ? 'holdfast.begin_statement' : functionName(collection, what),
  ])
}

/** Name of one of a collection's functions. */
function functionName({ name }: CollectionSchema, what: string): string {
  return `holdfast.${quoteName(`${name}_${what}`)}`
}

function replaceTrigger(name: string, table: string, event: string, what: string): readonly string[] {
  return [
    `DROP TRIGGER IF EXISTS ${name} ON ${table}`,
    `CREATE TRIGGER ${name} ${event.replace(' ON', ` ON ${table}`)} EXECUTE FUNCTION ${what}()`,
  ]
}

function rowTrigger({ collection, table }: Capture): readonly string[] {
  const event = 'BEFORE INSERT OR UPDATE ON FOR EACH ROW'
  return replaceTrigger(triggerNames.row, table, event, functionName(collection, 'row'))
}

function statementTriggers({ collection }: Pick<Capture, 'collection'>, table: string): readonly string[] {
  const { begin, inserted, updated, deleted, truncated } = triggerNames
  const statement = (name: string, event: string, rows: string, what: string): readonly string[] =>
    replaceTrigger(
      name,
      table,
      `AFTER ${event} ON REFERENCING ${rows} FOR EACH STATEMENT`,
      functionName(collection, what),
    )
  return [
    ...replaceTrigger(
      begin,
      table,
      'BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON FOR EACH STATEMENT',
      'holdfast.begin_statement',
    ),
    ...statement(inserted, 'INSERT', 'NEW TABLE AS new_rows', 'inserted'),
    ...statement(updated, 'UPDATE', 'OLD TABLE AS old_rows NEW TABLE AS new_rows', 'updated'),
    ...statement(deleted, 'DELETE', 'OLD TABLE AS old_rows', 'deleted'),
    ...replaceTrigger(
      truncated,
      table,
      'BEFORE TRUNCATE ON FOR EACH STATEMENT',
      functionName(collection, 'truncated'),
    ),
  ]
}

/** Settings can be made up by anybody; those that say who writes count from whoever may use our schema. */
const isServer = `has_schema_privilege(session_user, 'holdfast', 'USAGE')`

/** Runs with the writer's rights and touches nothing but the row and settings. A time that is none counts as not given. */
function rowFunction(capture: Capture): string {
  const { collection } = capture
  const fields = collection.fields.map(({ name }) => name)
  const differs = isDistinct(capture, fields, ['NEW', 'OLD'])
  const changed = hasDeletedAt(collection)
    ? `${differs} OR NEW.deleted_at IS DISTINCT FROM OLD.deleted_at`
    : differs
  const places = [...new Set(collection.scopes.flatMap((scope) => scope.fields))]
  const moved = `IF ${isDistinct(capture, places, ['NEW', 'OLD'])} THEN PERFORM set_config('holdfast.moved', '1', true); END IF;`
  const isReal = (time: string): string => `(${time} ${realTime}) IS TRUE`
  const given = (time: string): string =>
    `CASE WHEN ${isReal(`NEW.${time}`)} THEN date_trunc('milliseconds', NEW.${time}) ELSE now_ms END`
  const deletedAt = hasDeletedAt(collection)
    ? `IF NEW.deleted_at IS NOT NULL AND NOT ${isReal('NEW.deleted_at')} THEN NEW.deleted_at := now_ms; END IF;`
    : ''
  return `CREATE OR REPLACE FUNCTION ${functionName(collection, 'row')}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  now_ms timestamptz := date_trunc('milliseconds', statement_timestamp());
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF NEW.id IS DISTINCT FROM OLD.id THEN RAISE EXCEPTION 'holdfast: the id of a record never changes'; END IF;
    ${moved}
  END IF;
  IF coalesce(current_setting('holdfast.own', true), '') <> '' AND pg_trigger_depth() = 1 AND ${isServer} THEN RETURN NEW; END IF;
  ${deletedAt}
  IF TG_OP = 'INSERT' THEN
    NEW.version := current_setting('holdfast.version')::bigint;
    NEW.created_at := ${given('created_at')};
    NEW.updated_at := ${given('updated_at')};
    NEW.server_updated_at := now_ms;
    RETURN NEW;
  END IF;
  IF NOT ${isReal('NEW.created_at')} THEN
    NEW.created_at := CASE WHEN ${isReal('OLD.created_at')} THEN OLD.created_at ELSE now_ms END;
  END IF;
  IF ${changed} OR current_setting('holdfast.touch', true) = '1' THEN
    NEW.version := greatest(current_setting('holdfast.version')::bigint, OLD.version + 1);
    IF NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at OR NOT ${isReal('NEW.updated_at')} THEN NEW.updated_at := now_ms; END IF;
    NEW.server_updated_at := now_ms;
    RETURN NEW;
  END IF;
  NEW.version := OLD.version;
  NEW.server_updated_at := OLD.server_updated_at;
  IF NOT ${isReal('NEW.updated_at')} THEN NEW.updated_at := OLD.updated_at; END IF;
  RETURN NEW;
END $$`
}

/** The frame of a trigger function: `body` has the transaction's number, the time and who writes. */
function defineFunction(
  { collection, name }: Capture,
  what: string,
  { seen, body }: { readonly seen: string; readonly body: readonly string[] },
): string {
  const others = `ARRAY(SELECT k.key FROM holdfast.key_numbers k WHERE k.collection = ${name}
    AND k.key <> ALL (coalesce(nullif(split_part(own, ':', 3), ''), '{}')::integer[]))`
  return `CREATE OR REPLACE FUNCTION ${functionName(collection, what)}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_at timestamptz := date_trunc('milliseconds', statement_timestamp());
  is_server boolean := ${isServer};
  own text := CASE WHEN is_server THEN nullif(current_setting('holdfast.own', true), '') END;
  v_maker integer := nullif(split_part(own, ':', 1), '0')::integer;
  v_first bigint := split_part(own, ':', 2)::bigint;
  -- Unique keys that whoever writes through a server leaves to servers of another schema.
  v_others integer[] := ${collection.unique.length === 0 ? "'{}'" : `CASE WHEN own IS NULL THEN '{}' ELSE ${others} END`};
  -- Whoever writes through the server itself is named; others are nobody we know.
  v_account text := CASE WHEN is_server THEN nullif(current_setting('holdfast.account', true), '') END;
  v_this bigint;
  seen bigint;
  is_large boolean;
  is_so boolean;
BEGIN
  ${seen}
  IF seen = 0 THEN RETURN NULL; END IF;
  is_large := seen > ${fewRows};
  v_this := holdfast.this_transaction();
${body.map((line) => `  ${line}\n`).join('')}  IF EXISTS (SELECT 1 FROM holdfast.conflict_records r WHERE r.collection = ${name}) THEN PERFORM holdfast.move_conflicts(v_this); END IF;
  PERFORM holdfast.ask_stamp(v_this);
  RETURN NULL;
END $$`
}

function statementFunctions(capture: Capture): readonly string[] {
  const { name } = capture
  const count = (rows: string): string =>
    `SELECT count(*) INTO seen FROM (SELECT 1 FROM ${rows} LIMIT ${fewRows + 1}) few;`
  const define = (what: string, rows: string, body: readonly string[]): string =>
    defineFunction(capture, what, { seen: count(rows), body })
  const isMoved = `IF current_setting('holdfast.moved', true) = '1' THEN`
  const leave = [isMoved, run(leaves(capture)), 'END IF;']
  const removed = run(deletes(capture, removedSince(capture)))
  const changedRows = 'new_rows n JOIN old_rows o ON o.id = n.id AND n.version <> o.version'
  const ifForeign = [
    `IF own IS NULL OR v_others <> '{}' OR EXISTS (SELECT 1 FROM new_rows n WHERE NOT ${inline(isOwn)}) THEN`,
  ]
  const gone = (rows: string): readonly string[] => [
    auditOfDeletes(capture, rows),
    ...noteUnique(capture, `${rows} o`, 'o'),
    tombstones(capture, rows),
    deletes(capture, rows),
  ]
  return [
    define('inserted', 'new_rows', [
      ...putNew(capture),
      `IF EXISTS (SELECT 1 FROM holdfast.tombstones t WHERE t.collection = ${name}) THEN`,
      run(leaves(capture)),
      removed,
      ...afterTombstones(capture),
      'ELSE',
      ...leave,
      'END IF;',
      ...ifForeign,
      run(auditOfInserts(capture)),
      ...clocks(capture, 'new_rows n').map(run),
      ...noteUnique(capture, 'new_rows n', 'n').map(run),
      'END IF;',
    ]),
    define('updated', 'new_rows', [
      ...enterUnseen(capture),
      'IF own IS NOT NULL THEN',
      run(puts(capture, 'new_rows n')),
      'ELSE',
      run(puts(capture, changedRows)),
      'END IF;',
      ...ifForeign,
      run(auditOfUpdates(capture, changedRows)),
      ...clocks(capture, changedRows).map(run),
      ...noteUnique(capture, changedRows, 'o').map(run),
      'END IF;',
      isMoved,
      run(leaves(capture)),
      removed,
      'END IF;',
    ]),
    define('deleted', 'old_rows', [
      ...enterUnseen(capture),
      ...gone('old_rows').map(run),
      ...afterReturn(capture),
    ]),
    truncateFunction(capture, gone(truncated)),
  ]
}

/** Of a partitioned table each partition answers for its own rows. */
const truncated = 'ONLY {truncated}'

/** A snapshot from before the lock does not show all rows that go: there TRUNCATE is refused. */
function truncateFunction(capture: Capture, statements: readonly string[]): string {
  const dynamic = (sql: string): string =>
    `EXECUTE replace($sql$${bind(sql)}$sql$, '{truncated}', TG_RELID::regclass::text)`
  const using = 'USING v_this, v_at, v_maker, v_account, v_first, v_others;'
  const seen = `IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
    RAISE EXCEPTION 'holdfast: TRUNCATE of a captured table needs READ COMMITTED' USING HINT = 'Use DELETE, or another isolation level.';
  END IF;
  ${dynamic(`SELECT count(*) FROM (SELECT 1 FROM ${truncated} LIMIT 1) few`)} INTO seen;`
  return defineFunction(capture, 'truncated', {
    seen,
    body: statements.map((sql) => `${dynamic(sql)} ${using}`),
  })
}

function bind(sql: string): string {
  const names = ['{this}', '{at}', '{maker}', '{account}', '{first}', '{others}']
  return names.reduce((bound, name, index) => bound.replaceAll(name, `$${index + 1}`), sql)
}

function inline(sql: string): string {
  return sql.replaceAll(/\{(this|at|maker|account|first|others)\}/g, 'v_$1')
}

/** A statement of a trigger function, planned once for few rows and each time for many. `{this}`, `{at}`, `{maker}`, `{account}`, `{first}`, `{others}` are its own. */
function run(sql: string): string {
  return `IF is_large THEN ${runLarge(sql)} ELSE ${inline(sql)}; END IF;`
}

/** The same of a statement that is run for many rows alone. */
function runLarge(sql: string): string {
  return `EXECUTE $sql$${bind(sql)}$sql$ USING v_this, v_at, v_maker, v_account, v_first, v_others;`
}

/** A question of a trigger function, planned in the same way. */
function runIf(condition: string, then: readonly string[]): readonly string[] {
  const asked = `SELECT EXISTS (${condition})`
  return [
    `IF is_large THEN EXECUTE $sql$${asked}$sql$ INTO is_so; ELSE is_so := (${asked}); END IF;`,
    'IF is_so THEN',
    ...then,
    'END IF;',
  ]
}

/**
 * Entries of rows that are new in the table. Where the feed has nothing of any of them, an insert need not look for each: it
 * does so where the statement sees all that was committed.
 */
function putNew(capture: Capture): readonly string[] {
  return [
    ...buryUnseen(capture),
    'is_so := true;',
    `IF is_large AND current_setting('transaction_isolation') = 'read committed' THEN`,
    `EXECUTE $sql$SELECT EXISTS (${isInFeed(capture)})$sql$ INTO is_so;`,
    'END IF;',
    `IF NOT is_so THEN ${runLarge(firstPuts(capture, 'new_rows n'))}`,
    `ELSE ${run(puts(capture, 'new_rows n'))}`,
    'END IF;',
  ]
}

/**
 * Where a snapshot may be older than the entries of rows that were adopted meanwhile, which nobody wrote to, they are entered
 * as they were. PostgreSQL refuses that with a serialization failure when there are entries that the snapshot does not show:
 * otherwise those would stay as they are.
 */
function enterUnseen(capture: Capture): readonly string[] {
  return [
    `IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN`,
    run(`${firstPuts(capture, 'old_rows n')} ON CONFLICT DO NOTHING`),
    'END IF;',
  ]
}

/**
 * In the same way a row that is inserted again fails where its deletion is newer than the snapshot: its tombstone would stay
 * beside it. The one that is made here goes with those that are seen.
 */
function buryUnseen({ name }: Capture): readonly string[] {
  return [
    `IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN`,
    run(`INSERT INTO holdfast.tombstones (collection, record, version, deleted_at, created_at, updated_at, server_updated_at, data)
      SELECT ${name}, n.id, 0, {at}::timestamptz, {at}::timestamptz, {at}::timestamptz, {at}::timestamptz, '{}' FROM new_rows n
      WHERE EXISTS (SELECT 1 FROM holdfast.feed f WHERE f.collection = ${name} AND f.record = n.id) ON CONFLICT DO NOTHING`),
    'END IF;',
  ]
}

/** Gives rows a new version without a change, so that they write their entries again. */
function touch({ table }: Capture, ids: string): readonly string[] {
  return [
    `PERFORM set_config('holdfast.touch', '1', true);`,
    run(`UPDATE ${table} SET id = id WHERE id IN (${ids})`),
    `PERFORM set_config('holdfast.touch', '', true);`,
  ]
}

/** Rows that a trigger of the host removed inside the statement that wrote them: their deletion was written down first. */
function removedSince({ table }: Capture): string {
  return `(SELECT n.id FROM new_rows n WHERE NOT EXISTS (SELECT 1 FROM ${table} r WHERE r.id = n.id))`
}

/** A row that returns takes its tombstone away. One whose deletion was numbered later writes itself again. */
function afterTombstones(capture: Capture): readonly string[] {
  const { name, table } = capture
  const older = `SELECT n.id FROM new_rows n JOIN holdfast.tombstones t ON t.collection = ${name} AND t.record = n.id AND t.version >= n.version`
  return [
    ...runIf(older, touch(capture, older)),
    run(
      `DELETE FROM holdfast.tombstones t USING new_rows n JOIN ${table} r ON r.id = n.id WHERE t.collection = ${name} AND t.record = n.id`,
    ),
  ]
}

/** Rows that were deleted and inserted again by one statement, whichever of its triggers came first. */
function afterReturn(capture: Capture): readonly string[] {
  const { name, table } = capture
  const returned = `SELECT o.id FROM old_rows o JOIN ${table} r ON r.id = o.id`
  return runIf(returned, [
    ...touch(capture, returned),
    run(`DELETE FROM holdfast.tombstones t WHERE t.collection = ${name} AND t.record IN (${returned})`),
  ])
}
