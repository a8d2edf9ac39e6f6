import { type CollectionSchema, globalScope, limits, ruleOf } from '@holdfast/core'
import { hasDeletedAt, quoteName } from '../sql.ts'
import { fieldsObject, quoteText, scopeExpressions, wireOf } from './columns.ts'

const now = `ifnull((SELECT now FROM holdfast_state), strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))`
const counter = '(SELECT counter FROM holdfast_state)'
const engine = '(SELECT engine FROM holdfast_state)'
const maker = '(SELECT maker FROM holdfast_state)'

/**
 * Triggers that put every change of a collection's table into the feed, whoever makes it. A change is the engine's own
 * when it carries a version the engine reserved in this transaction; any other one, also by a trigger of the host that
 * fires inside the engine's transaction, is given a version, times, clocks and an audit line here. They use nothing
 * but SQL, so that they work in every program that opens the file. Rules: FE-1 to FE-8.
 */
export function captureTriggers(collection: CollectionSchema): readonly string[] {
  const watched = [
    'id',
    ...collection.fields.map((field) => field.name),
    ...(hasDeletedAt(collection) ? ['deleted_at'] : []),
  ]
  const updateOf = `UPDATE OF ${watched.map(quoteName).join(', ')}`
  const isOwnInsert = `NEW.version >= ${engine}`
  const isOwnUpdate = `(NEW.version > OLD.version AND NEW.version >= ${engine})`
  const tombstone = `(SELECT version FROM holdfast_tombstones WHERE ${ofRecord(collection, 'OLD')})`
  const isOwnDelete = `${tombstone} >= ${engine}`
  const scopeFields = [...new Set(collection.scopes.flatMap(({ fields }) => fields))]
  const own = putEntries(collection, 'NEW.version', maker)
  const move = [own, leaveEntries(collection, 'NEW.version')]
  return [
    trigger(collection, 'id', 'BEFORE UPDATE OF id', 'NEW.id IS NOT OLD.id', [
      `SELECT RAISE(ABORT, 'holdfast: the id of a record never changes')`,
    ]),
    // The engine's own writes are most of all, and most of them move nothing: they do no more than they must.
    trigger(collection, 'own_insert', 'AFTER INSERT', isOwnInsert, [own]),
    trigger(collection, 'own_return', 'AFTER INSERT', `${isOwnInsert} AND ${hasTombstone(collection)}`, [
      ...move,
      forgetTombstone(collection),
    ]),
    trigger(collection, 'own_update', `AFTER ${updateOf}`, isOwnUpdate, [own]),
    ...(scopeFields.length === 0
      ? []
      : [
          trigger(
            collection,
            'own_move',
            `AFTER UPDATE OF ${scopeFields.map(quoteName).join(', ')}`,
            isOwnUpdate,
            move,
          ),
        ]),
    trigger(collection, 'own_delete', 'AFTER DELETE', isOwnDelete, [deletedFeed(collection, tombstone)]),
    trigger(collection, 'insert', 'AFTER INSERT', `(${isOwnInsert}) IS NOT 1`, foreignInsert(collection)),
    trigger(collection, 'update', `AFTER ${updateOf}`, `${isOwnUpdate} IS NOT 1`, foreignUpdate(collection)),
    trigger(collection, 'delete', 'AFTER DELETE', `(${isOwnDelete}) IS NOT 1`, foreignDelete(collection)),
  ]
}

function trigger(
  collection: CollectionSchema,
  name: string,
  event: string,
  when: string,
  body: readonly string[],
): string {
  const table = quoteName(collection.name)
  return (
    `CREATE TRIGGER ${quoteName(`holdfast_${collection.name}_${name}`)} ${event} ON ${table} WHEN ${when} BEGIN\n` +
    `${body.map((statement) => `  ${statement};\n`).join('')}END`
  )
}

/** `collection = … AND record = …` for a table of ours. */
function ofRecord(collection: CollectionSchema, row: 'OLD' | 'NEW'): string {
  return `collection = ${quoteText(collection.name)} AND record = ${row}.id`
}

/** One current entry per scope of NEW, unless a newer one is there. A row in no scope lies in ''. */
function putEntries(collection: CollectionSchema, version: string, madeBy: string): string {
  const op = hasDeletedAt(collection) ? `iif(NEW.deleted_at IS NULL, 'put', 'delete')` : `'put'`
  const at = hasDeletedAt(collection) ? `iif(NEW.deleted_at IS NULL, NULL, ${now})` : 'NULL'
  const values = `${quoteText(collection.name)}, NEW.id, ${version}, ${version}, ${op}, ${madeBy}, ${at}`
  return `INSERT INTO holdfast_feed (scope, collection, record, position, version, op, maker, at) ${entriesOf(collection, values)}
     ON CONFLICT (scope, collection, record) DO UPDATE SET position = excluded.position, version = excluded.version,
       op = excluded.op, maker = excluded.maker, at = excluded.at WHERE excluded.version > version`
}

/** Rows of a scope of NEW and the same values; a row in no scope lies in '', which only those who see everything are served. */
function entriesOf(collection: CollectionSchema, values: string): string {
  const [first, ...others] = scopeExpressions(collection, 'NEW', limits.scopeLength)
  if (first === undefined) return `VALUES (${quoteText(globalScope)}, ${values})`
  if (others.length === 0) return `VALUES (ifnull(${first}, ''), ${values})`
  const scopes = [first, ...others].map((scope) => `SELECT ${scope} AS scope WHERE ${scope} IS NOT NULL`)
  const none = `SELECT '' WHERE coalesce(${[first, ...others].join(', ')}) IS NULL`
  return `SELECT scope, ${values} FROM (${scopes.join(' UNION ')} UNION ${none}) WHERE true`
}

/** After the current entries were written, what is older lies in scopes the row is no longer in. */
function leaveEntries(collection: CollectionSchema, version: string): string {
  return `UPDATE holdfast_feed SET op = 'leave', position = ${version}, version = ${version}, maker = NULL, at = ${now}
     WHERE ${ofRecord(collection, 'NEW')} AND op <> 'leave' AND version < ${version}`
}

function feedOf(collection: CollectionSchema, version: string): readonly string[] {
  return [putEntries(collection, version, 'NULL'), leaveEntries(collection, version)]
}

function deletedFeed(collection: CollectionSchema, version: string): string {
  return `UPDATE holdfast_feed SET op = 'delete', position = ${version}, version = ${version}, maker = NULL, at = ${now}
     WHERE ${ofRecord(collection, 'OLD')} AND op = 'put'`
}

function hasTombstone(collection: CollectionSchema): string {
  return `EXISTS (SELECT 1 FROM holdfast_tombstones WHERE ${ofRecord(collection, 'NEW')})`
}

function forgetTombstone(collection: CollectionSchema): string {
  return `DELETE FROM holdfast_tombstones WHERE ${ofRecord(collection, 'NEW')}`
}

/** A time another writer gave, in our spelling; what is no time counts as not given. */
function timeOr(value: string, otherwise: string): string {
  return `ifnull(strftime('%Y-%m-%dT%H:%M:%fZ', ${value}), ${otherwise})`
}

function foreignInsert(collection: CollectionSchema): readonly string[] {
  const table = quoteName(collection.name)
  const version = `(SELECT version FROM ${table} WHERE id = NEW.id)`
  const latest = collection.fields.filter((field) => ruleOf(field).rule === 'latest')
  return [
    `UPDATE holdfast_state SET counter = counter + 1`,
    `UPDATE ${table} SET version = ${counter}, server_updated_at = ${now},
       created_at = ${timeOr('NEW.created_at', now)}, updated_at = ${timeOr('NEW.updated_at', now)} WHERE id = NEW.id`,
    ...feedOf(collection, version),
    auditLine(collection, 'NEW', {
      op: `'create'`,
      version,
      before: 'NULL',
      after: fieldsObject(collection, 'NEW'),
    }),
    forgetTombstone(collection),
    ...(latest.length === 0
      ? []
      : [
          stampClocks(
            collection,
            latest.map((field) => field.name),
          ),
        ]),
    ...noteUnique(collection, 'NEW', 'NULL'),
  ]
}

function foreignUpdate(collection: CollectionSchema): readonly string[] {
  const table = quoteName(collection.name)
  const version = `(SELECT version FROM ${table} WHERE id = NEW.id)`
  const latest = collection.fields.filter((field) => ruleOf(field).rule === 'latest')
  const op = hasDeletedAt(collection)
    ? `CASE WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL THEN 'delete' WHEN OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL THEN 'restore' ELSE 'update' END`
    : `'update'`
  return [
    `UPDATE holdfast_state SET counter = counter + 1`,
    `UPDATE ${table} SET version = ${counter}, server_updated_at = ${now},
       updated_at = iif(NEW.updated_at IS OLD.updated_at, ${now}, ${timeOr('NEW.updated_at', now)}) WHERE id = NEW.id`,
    ...feedOf(collection, version),
    // Also when nothing differs: every version has its line, which is how a gap in the audit shows.
    auditLine(collection, 'NEW', {
      op,
      version,
      before: changedFields(collection, 'OLD'),
      after: changedFields(collection, 'NEW'),
    }),
    ...latest.map(
      (field) =>
        `${stampClocks(collection, [field.name], `OLD.${quoteName(field.name)} IS NOT NEW.${quoteName(field.name)}`)}`,
    ),
    ...noteUnique(collection, 'NEW', fieldsObject(collection, 'OLD')),
  ]
}

function foreignDelete(collection: CollectionSchema): readonly string[] {
  const wasLive = hasDeletedAt(collection) ? 'OLD.deleted_at IS NULL' : 'true'
  const name = quoteText(collection.name)
  const version = `(SELECT version FROM holdfast_tombstones WHERE ${ofRecord(collection, 'OLD')})`
  const data = fieldsObject(collection, 'OLD')
  return [
    `UPDATE holdfast_state SET counter = counter + 1`,
    `INSERT OR REPLACE INTO holdfast_tombstones (collection, record, version, deleted_at, created_at, updated_at, server_updated_at, data)
     VALUES (${name}, OLD.id, iif(${wasLive}, ${counter}, OLD.version), ${wasLive === 'true' ? now : `ifnull(OLD.deleted_at, ${now})`}, OLD.created_at, OLD.updated_at, ${now}, ${data})`,
    deletedFeed(collection, version),
    `${auditLine(collection, 'OLD', { op: `'delete'`, version, before: data, after: 'NULL' }, now)} WHERE ${wasLive}`,
    ...noteUnique(collection, 'OLD', data),
  ]
}

interface AuditParts {
  readonly op: string
  readonly version: string
  readonly before: string
  readonly after: string
}

function auditLine(collection: CollectionSchema, row: 'OLD' | 'NEW', parts: AuditParts, at?: string): string {
  const edited = at ?? `(SELECT updated_at FROM ${quoteName(collection.name)} WHERE id = ${row}.id)`
  return `INSERT INTO holdfast_audit (collection, record, version, op, at, received_at, before, after, status, decisions)
     SELECT ${quoteText(collection.name)}, ${row}.id, ${parts.version}, ${parts.op}, ${edited}, ${now}, ${parts.before}, ${parts.after}, 'applied', '[]'`
}

/** The values of the fields in which OLD and NEW differ, as a JSON object. */
function changedFields(collection: CollectionSchema, row: 'OLD' | 'NEW'): string {
  const each = collection.fields.map((field) => {
    const column = quoteName(field.name)
    return `SELECT ${quoteText(field.name)} AS name, json_quote(${wireOf(field, row)}) AS value WHERE OLD.${column} IS NOT NEW.${column}`
  })
  return `(SELECT json_group_object(name, json(value)) FROM (${each.join(' UNION ALL ')}))`
}

/** The stamp of a writer without a clock of ours: the row's `updated_at`, before any device's stamp of that ms. */
function stampClocks(collection: CollectionSchema, fields: readonly string[], when = 'true'): string {
  const stamp = `(SELECT updated_at || '-0000--' FROM ${quoteName(collection.name)} WHERE id = NEW.id)`
  const stamps = fields.map((field) => `${quoteText(field)}, ${stamp}`).join(', ')
  return `INSERT INTO holdfast_clocks (collection, record, clocks)
     SELECT ${quoteText(collection.name)}, NEW.id, json_object(${stamps}) WHERE ${when}
     ON CONFLICT (collection, record) DO UPDATE SET clocks = json_patch(clocks, excluded.clocks)`
}

/** Unique keys compare text as SQL cannot; the engine reads these notes before its next decision. */
function noteUnique(collection: CollectionSchema, row: 'OLD' | 'NEW', before: string): readonly string[] {
  if (collection.unique.length === 0) return []
  return [
    `INSERT INTO holdfast_foreign (collection, record, before) VALUES (${quoteText(collection.name)}, ${row}.id, ${before})`,
  ]
}

/**
 * Triggers on the feed itself: the conflicts of a record lie in the scopes that all their records share, and move when
 * one of the records moves, whoever moves it. A conflict never leaves its author. Rules: FE-10.
 */
export function conflictTriggers(): readonly string[] {
  const concerned = `SELECT conflict FROM holdfast_conflict_records WHERE collection = NEW.collection AND record = NEW.record`
  const isOutside = `EXISTS (SELECT 1 FROM holdfast_conflict_records r LEFT JOIN holdfast_feed f
       ON f.scope = NEW.scope AND f.collection = r.collection AND f.record = r.record
       WHERE r.conflict = c.id AND ifnull(f.op, 'leave') = 'leave')`
  const body = `BEGIN
  UPDATE holdfast_state SET counter = counter + 1;
  INSERT INTO holdfast_feed (scope, collection, record, position, version, op)
    SELECT NEW.scope, '_conflicts', c.id, ${counter}, c.version, 'put' FROM holdfast_conflicts c
    WHERE c.id IN (${concerned}) AND NOT ${isOutside}
    AND NOT EXISTS (SELECT 1 FROM holdfast_feed f WHERE f.scope = NEW.scope AND f.collection = '_conflicts' AND f.record = c.id AND f.op = 'put')
    ON CONFLICT (scope, collection, record) DO UPDATE SET position = excluded.position, version = excluded.version, op = 'put', at = NULL;
  UPDATE holdfast_feed SET op = 'leave', position = ${counter}, version = ${counter}, at = ${now}
    WHERE scope = NEW.scope AND collection = '_conflicts' AND op <> 'leave'
    AND record IN (SELECT c.id FROM holdfast_conflicts c WHERE c.id IN (${concerned}) AND ${isOutside});
END`
  return [
    `CREATE TRIGGER holdfast_feed_entered AFTER INSERT ON holdfast_feed WHEN EXISTS (${concerned}) ${body}`,
    `CREATE TRIGGER holdfast_feed_moved AFTER UPDATE OF op ON holdfast_feed
     WHEN (OLD.op = 'leave') IS NOT (NEW.op = 'leave') AND EXISTS (${concerned}) ${body}`,
  ]
}
