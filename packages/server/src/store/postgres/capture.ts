import { type CollectionSchema, globalScope, ruleOf } from '@holdfast/core'
import {
  fieldMembers,
  hasDeletedAt,
  iso,
  jsonObject,
  type Naming,
  quoteName,
  quoteText,
  scopeExpressions,
  wireOf,
} from './columns.ts'

/** Above this many rows a statement is planned anew: a plan made for one row would take for ever with 100,000. */
const fewRows = 100

/** What the pieces of one collection's capture share. */
export interface Capture {
  readonly naming: Naming
  readonly collection: CollectionSchema
  /** The collection's name as a literal. */
  readonly name: string
  readonly table: string
  readonly latest: readonly string[]
}

/**
 * Functions and triggers that put every change of a collection's table into the feed, whoever makes it: a row trigger
 * that gives versions and times whatever the writer says, and statement triggers that write feed, audit, clocks and notes
 * for all rows at once. A statement of the engine says so by a setting of its transaction; what triggers of the host do
 * inside it is foreign all the same. Rules: FE-1 to FE-8.
 */
export function captureStatements(naming: Naming, collection: CollectionSchema): readonly string[] {
  const capture = captureOf(naming, collection)
  return [rowFunction(capture), ...statementFunctions(capture), ...triggers(capture)]
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

/** Name of one of a collection's functions. */
export function functionName({ name }: CollectionSchema, what: string): string {
  return `holdfast.${quoteName(`${name}_${what}`)}`
}

function triggers({ collection, table }: Capture): readonly string[] {
  const on = (name: string, event: string, what: string): readonly string[] => [
    `DROP TRIGGER IF EXISTS ${name} ON ${table}`,
    `CREATE TRIGGER ${name} ${event.replace(' ON', ` ON ${table}`)} EXECUTE FUNCTION ${what}()`,
  ]
  const { begin, row, inserted, updated, deleted, truncated } = triggerNames
  const statement = (name: string, event: string, rows: string, what: string): readonly string[] =>
    on(name, `AFTER ${event} ON REFERENCING ${rows} FOR EACH STATEMENT`, functionName(collection, what))
  return [
    ...on(
      begin,
      'BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON FOR EACH STATEMENT',
      'holdfast.begin_statement',
    ),
    ...on(row, 'BEFORE INSERT OR UPDATE ON FOR EACH ROW', functionName(collection, 'row')),
    ...statement(inserted, 'INSERT', 'NEW TABLE AS new_rows', 'inserted'),
    ...statement(updated, 'UPDATE', 'OLD TABLE AS old_rows NEW TABLE AS new_rows', 'updated'),
    ...statement(deleted, 'DELETE', 'OLD TABLE AS old_rows', 'deleted'),
    ...on(truncated, 'BEFORE TRUNCATE ON FOR EACH STATEMENT', functionName(collection, 'truncated')),
  ]
}

function isDistinct(
  { naming, collection }: Capture,
  fields: readonly string[],
  rows: readonly [string, string],
): string {
  const row = (alias: string): string =>
    `ROW(${fields.map((field) => `${alias}.${naming.column(collection, field)}`).join(', ')})`
  return fields.length === 0 ? 'false' : `${row(rows[0])} IS DISTINCT FROM ${row(rows[1])}`
}

/** Runs with the writer's rights and touches nothing but the row and settings. */
function rowFunction(capture: Capture): string {
  const { collection } = capture
  const fields = collection.fields.map(({ name }) => name)
  const differs = isDistinct(capture, fields, ['NEW', 'OLD'])
  const changed = hasDeletedAt(collection)
    ? `${differs} OR NEW.deleted_at IS DISTINCT FROM OLD.deleted_at`
    : differs
  const places = [...new Set(collection.scopes.flatMap((scope) => scope.fields))]
  const moved = `IF ${isDistinct(capture, places, ['NEW', 'OLD'])} THEN PERFORM set_config('holdfast.moved', '1', true); END IF;`
  const updatedAt = 'NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at OR NEW.updated_at IS NULL'
  return `CREATE OR REPLACE FUNCTION ${functionName(collection, 'row')}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  now_ms timestamptz := date_trunc('milliseconds', statement_timestamp());
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF NEW.id IS DISTINCT FROM OLD.id THEN RAISE EXCEPTION 'holdfast: the id of a record never changes'; END IF;
    ${moved}
  END IF;
  IF coalesce(current_setting('holdfast.own', true), '') <> '' AND pg_trigger_depth() = 1 THEN RETURN NEW; END IF;
  IF TG_OP = 'INSERT' THEN
    NEW.version := current_setting('holdfast.version')::bigint;
    NEW.created_at := coalesce(date_trunc('milliseconds', NEW.created_at), now_ms);
    NEW.updated_at := coalesce(date_trunc('milliseconds', NEW.updated_at), now_ms);
  ELSIF ${changed} OR current_setting('holdfast.touch', true) = '1' THEN
    NEW.version := greatest(current_setting('holdfast.version')::bigint, OLD.version + 1);
    IF ${updatedAt} THEN NEW.updated_at := now_ms; END IF;
  ELSE
    NEW.version := OLD.version;
    NEW.server_updated_at := OLD.server_updated_at;
    RETURN NEW;
  END IF;
  NEW.server_updated_at := now_ms;
  RETURN NEW;
END $$`
}

function statementFunctions(capture: Capture): readonly string[] {
  const { collection, table, name } = capture
  const define = (what: string, rows: string, body: readonly string[]): string =>
    `CREATE OR REPLACE FUNCTION ${functionName(collection, what)}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_at timestamptz := date_trunc('milliseconds', statement_timestamp());
  own text := CASE WHEN pg_trigger_depth() = 1 THEN nullif(current_setting('holdfast.own', true), '') END;
  v_maker integer := nullif(own, '0')::integer;
  v_this bigint;
  seen bigint;
  is_large boolean;
BEGIN
  SELECT count(*) INTO seen FROM (SELECT 1 FROM ${rows} LIMIT ${fewRows + 1}) few;
  IF seen = 0 THEN RETURN NULL; END IF;
  is_large := seen > ${fewRows};
  v_this := holdfast.this_transaction();
${body.map((line) => `  ${line}\n`).join('')}  IF EXISTS (SELECT 1 FROM holdfast.conflict_records r WHERE r.collection = ${name}) THEN PERFORM holdfast.move_conflicts(v_this); END IF;
  RETURN NULL;
END $$`
  const moved = `IF current_setting('holdfast.moved', true) = '1' THEN ${run(leaves(capture))} END IF;`
  const changedRows = 'new_rows n JOIN old_rows o ON o.id = n.id AND n.version <> o.version'
  const wasDeleted = (rows: string): readonly string[] => [
    'IF own IS NULL THEN',
    run(tombstones(capture, rows)),
    run(auditOfDeletes(capture, rows)),
    ...noteUnique(capture, `${rows} o`, 'o').map(run),
    'END IF;',
    run(deletes(capture, rows)),
  ]
  return [
    define('inserted', 'new_rows', [
      run(puts(capture, 'new_rows n')),
      `IF EXISTS (SELECT 1 FROM holdfast.tombstones t WHERE t.collection = ${name}) THEN`,
      run(leaves(capture)),
      afterTombstones(capture),
      'END IF;',
      'IF own IS NULL THEN',
      run(auditOfInserts(capture)),
      ...clocks(capture, 'new_rows n').map(run),
      ...noteUnique(capture, 'new_rows n', 'n').map(run),
      'END IF;',
    ]),
    define('updated', 'new_rows', [
      'IF own IS NOT NULL THEN',
      run(puts(capture, 'new_rows n')),
      'ELSE',
      run(puts(capture, changedRows)),
      run(auditOfUpdates(capture, changedRows)),
      ...clocks(capture, changedRows).map(run),
      ...noteUnique(capture, changedRows, 'o').map(run),
      'END IF;',
      moved,
    ]),
    define('deleted', 'old_rows', wasDeleted('old_rows')),
    define('truncated', table, wasDeleted(table)),
  ]
}

/** A statement of a trigger function, planned once for few rows and each time for many. `{this}`, `{at}`, `{maker}` are its own. */
function run(sql: string): string {
  const bound = sql.replaceAll('{this}', '$1').replaceAll('{at}', '$2').replaceAll('{maker}', '$3')
  const named = sql.replaceAll('{this}', 'v_this').replaceAll('{at}', 'v_at').replaceAll('{maker}', 'v_maker')
  return `IF is_large THEN EXECUTE $sql$${bound}$sql$ USING v_this, v_at, v_maker; ELSE ${named}; END IF;`
}

/** One current entry per scope of a row, unless a newer one is there. A row in no scope lies in ''. */
export function puts({ naming, collection, name }: Capture, rows: string): string {
  const isGone = hasDeletedAt(collection) ? 'n.deleted_at IS NOT NULL' : 'false'
  const [first, ...others] = scopeExpressions(naming, collection, 'n')
  const all = [first, ...others].map((scope) => `(${scope})`).join(', ')
  const scopes =
    others.length === 0
      ? ''
      : `CROSS JOIN LATERAL (SELECT DISTINCT s.scope FROM (VALUES ${all}) s (scope) WHERE s.scope IS NOT NULL
        UNION ALL SELECT '' WHERE coalesce(${all}) IS NULL) s`
  const scope =
    first === undefined ? quoteText(globalScope) : others.length === 0 ? `coalesce(${first}, '')` : 's.scope'
  return `INSERT INTO holdfast.feed AS f (scope, collection, record, tx, version, op, maker, at)
    SELECT ${scope}, ${name}, n.id, {this}, n.version, CASE WHEN ${isGone} THEN 'delete' ELSE 'put' END, {maker}::integer,
      CASE WHEN ${isGone} THEN {at}::timestamptz END FROM ${rows} ${scopes}
    ON CONFLICT (collection, record, scope) DO UPDATE SET tx = excluded.tx, version = excluded.version, op = excluded.op,
      maker = excluded.maker, at = excluded.at WHERE excluded.version > f.version`
}

/** After the current entries were written, what is older lies in scopes the row is no longer in. */
function leaves({ name }: Capture): string {
  return `UPDATE holdfast.feed f SET op = 'leave', tx = {this}, version = n.version, maker = NULL, at = {at}
    FROM new_rows n WHERE f.collection = ${name} AND f.record = n.id AND f.op <> 'leave' AND f.version < n.version`
}

/** A row that returns takes its tombstone away. One whose deletion was numbered later writes itself again. */
function afterTombstones({ name, table }: Capture): string {
  const older = `SELECT n.id FROM new_rows n JOIN holdfast.tombstones t ON t.collection = ${name} AND t.record = n.id AND t.version >= n.version`
  return `IF EXISTS (${older}) THEN
    PERFORM set_config('holdfast.touch', '1', true);
    UPDATE ${table} SET id = id WHERE id IN (${older});
    PERFORM set_config('holdfast.touch', '', true);
  END IF;
  DELETE FROM holdfast.tombstones t USING new_rows n WHERE t.collection = ${name} AND t.record = n.id;`
}

function deletes({ name }: Capture, rows: string): string {
  return `UPDATE holdfast.feed f SET op = 'delete', tx = {this}, version = t.version, maker = NULL, at = {at}
    FROM ${rows} o, holdfast.tombstones t WHERE f.collection = ${name} AND f.record = o.id AND f.op = 'put'
    AND t.collection = ${name} AND t.record = o.id`
}

function tombstones({ naming, collection, name }: Capture, rows: string): string {
  const version = `greatest(current_setting('holdfast.version')::bigint, o.version + 1)`
  const [at, kept] = hasDeletedAt(collection)
    ? ['coalesce(o.deleted_at, {at})', `CASE WHEN o.deleted_at IS NULL THEN ${version} ELSE o.version END`]
    : ['{at}', version]
  return `INSERT INTO holdfast.tombstones (collection, record, version, deleted_at, created_at, updated_at, server_updated_at, data)
    SELECT ${name}, o.id, ${kept}, ${at}::timestamptz, o.created_at, o.updated_at, {at}::timestamptz,
      ${jsonObject(fieldMembers(naming, collection, 'o'))} FROM ${rows} o
    ON CONFLICT (collection, record) DO UPDATE SET version = excluded.version, deleted_at = excluded.deleted_at,
      created_at = excluded.created_at, updated_at = excluded.updated_at, server_updated_at = excluded.server_updated_at,
      data = excluded.data`
}

const auditInto =
  'INSERT INTO holdfast.audit (collection, record, version, op, account, at, received_at, before, after, status) SELECT'
/** Whoever writes through the server's own `write` is named; others are nobody we know. */
const account = `nullif(current_setting('holdfast.account', true), '')`

function auditOfInserts({ naming, collection, name }: Capture): string {
  return `${auditInto} ${name}, n.id, n.version, 'create', ${account}, n.updated_at, {at}::timestamptz, NULL,
    ${jsonObject(fieldMembers(naming, collection, 'n'))}, 'applied' FROM new_rows n`
}

function auditOfUpdates(capture: Capture, rows: string): string {
  const { collection, name } = capture
  const op = hasDeletedAt(collection)
    ? `CASE WHEN o.deleted_at IS NULL AND n.deleted_at IS NOT NULL THEN 'delete'
      WHEN o.deleted_at IS NOT NULL AND n.deleted_at IS NULL THEN 'restore' ELSE 'update' END`
    : `'update'`
  return `${auditInto} ${name}, n.id, n.version, ${op}, ${account}, n.updated_at, {at}::timestamptz,
    ${changedFields(capture, 'o')}, ${changedFields(capture, 'n')}, 'applied' FROM ${rows}`
}

function auditOfDeletes({ naming, collection, name }: Capture, rows: string): string {
  const wasLive = hasDeletedAt(collection) ? 'o.deleted_at IS NULL' : 'true'
  return `${auditInto} ${name}, o.id, t.version, 'delete', ${account}, {at}::timestamptz, {at}::timestamptz,
    ${jsonObject(fieldMembers(naming, collection, 'o'))}, NULL, 'applied'
    FROM ${rows} o JOIN holdfast.tombstones t ON t.collection = ${name} AND t.record = o.id WHERE ${wasLive}`
}

/** The values of the fields in which `o` and `n` differ, as a JSON object; as text, which is several times as fast. */
function changedFields({ naming, collection }: Capture, row: 'o' | 'n'): string {
  const members = collection.fields.map((field) => {
    const column = naming.column(collection, field.name)
    const label = quoteText(`${JSON.stringify(field.name)}:`)
    const value = `coalesce(to_json(${wireOf(field, `${row}.${column}`)})::text, 'null')`
    return `CASE WHEN o.${column} IS DISTINCT FROM n.${column} THEN ${label} || ${value} END`
  })
  return `('{' || concat_ws(',', ${members.join(', ')}) || '}')::json`
}

/** The stamp of a writer without a clock of ours: the row's `updated_at`, before any device's stamp of that ms. */
function clocks(capture: Capture, rows: string): readonly string[] {
  const { naming, collection, name, latest } = capture
  if (latest.length === 0) return []
  const stamp = `(${iso('n.updated_at')} || '-0000--')`
  const isUpdate = rows.includes('old_rows')
  const stamps = latest.map((field) => {
    const column = naming.column(collection, field)
    const one = `jsonb_build_object(${quoteText(field)}, ${stamp})`
    return isUpdate ? `CASE WHEN o.${column} IS DISTINCT FROM n.${column} THEN ${one} ELSE '{}' END` : one
  })
  const changed = isUpdate ? `WHERE ${isDistinct(capture, latest, ['o', 'n'])}` : ''
  return [
    `INSERT INTO holdfast.clocks AS c (collection, record, clocks) SELECT ${name}, n.id, ${stamps.join(' || ')}
    FROM ${rows} ${changed}
    ON CONFLICT (collection, record) DO UPDATE SET clocks = c.clocks || excluded.clocks`,
  ]
}

/** Unique keys compare text as SQL cannot; the engine reads these notes before its next decision. */
export function noteUnique(
  { naming, collection, name }: Capture,
  rows: string,
  row: 'n' | 'o',
): readonly string[] {
  if (collection.unique.length === 0) return []
  const before = row === 'n' ? 'NULL::json' : jsonObject(fieldMembers(naming, collection, 'o'))
  return [
    `INSERT INTO holdfast.foreign_writes (collection, record, before) SELECT ${name}, ${row}.id, ${before} FROM ${rows}`,
  ]
}
