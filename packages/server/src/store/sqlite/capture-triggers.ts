import { type CollectionSchema, globalScope, limits, personalScope, ruleOf } from '@holdfast/core'
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
 * but SQL, so that they work in every program that opens the file. In which order triggers of one event fire is not
 * defined: a trigger of the host may have written the row again, or removed it, before ours is run. So what goes into the
 * feed is the row as it stands in its table, not NEW. Rules: FE-1 to FE-8, FE-44.
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
  const isReturn = `${isOwnInsert} AND ${hasTombstone(collection)} AND ${isThere(collection, 'NEW')}`
  const isForeignInsert = `(${isOwnInsert}) IS NOT 1 AND ${isThere(collection, 'NEW')}`
  const isForeignUpdate = `${isOwnUpdate} IS NOT 1 AND ${isThere(collection, 'NEW')}`
  const isForeignDelete = `(${isOwnDelete}) IS NOT 1 AND NOT ${isThere(collection, 'OLD')}`
  const own = putEntries(collection, maker)
  const move = [own, leaveEntries(collection)]
  return [
    trigger(collection, 'id', 'BEFORE UPDATE OF id', 'NEW.id IS NOT OLD.id', [
      `SELECT RAISE(ABORT, 'holdfast: the id of a record never changes')`,
    ]),
    // The engine's own writes are most of all, and most of them move nothing: they do no more than they must.
    trigger(collection, 'own_insert', 'AFTER INSERT', isOwnInsert, [own]),
    trigger(collection, 'own_return', 'AFTER INSERT', isReturn, [...move, forgetTombstone(collection)]),
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
    trigger(collection, 'insert', 'AFTER INSERT', isForeignInsert, foreignInsert(collection)),
    trigger(collection, 'update', `AFTER ${updateOf}`, isForeignUpdate, foreignUpdate(collection)),
    trigger(collection, 'delete', 'AFTER DELETE', isForeignDelete, foreignDelete(collection)),
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

/** The row `r`, as it stands in its table. */
function asItStands(collection: CollectionSchema): string {
  return `FROM ${quoteName(collection.name)} r WHERE r.id = NEW.id`
}

function isThere(collection: CollectionSchema, row: 'OLD' | 'NEW'): string {
  return `EXISTS (SELECT 1 FROM ${quoteName(collection.name)} WHERE id = ${row}.id)`
}

/** One current entry per scope of the row, unless a newer one is there. A row in no scope lies in ''. */
function putEntries(collection: CollectionSchema, madeBy: string): string {
  const op = hasDeletedAt(collection) ? `iif(r.deleted_at IS NULL, 'put', 'delete')` : `'put'`
  const at = hasDeletedAt(collection) ? `iif(r.deleted_at IS NULL, NULL, ${now})` : 'NULL'
  const values = `${quoteText(collection.name)}, r.id, r.version, r.version, ${op}, ${madeBy}, ${at}`
  return `INSERT INTO holdfast_feed (scope, collection, record, position, version, op, maker, at) ${entriesOf(collection, values)}
     ON CONFLICT (scope, collection, record) DO UPDATE SET position = excluded.position, version = excluded.version,
       op = excluded.op, maker = excluded.maker, at = excluded.at WHERE excluded.version > version`
}

/** Each scope of the row and the same values; a row in no scope lies in '', which only those who see everything are served. */
function entriesOf(collection: CollectionSchema, values: string): string {
  const row = asItStands(collection)
  const [first, ...others] = scopeExpressions(collection, 'r', limits.scopeLength)
  if (first === undefined) return `SELECT ${quoteText(globalScope)}, ${values} ${row}`
  if (others.length === 0) return `SELECT ifnull(${first}, ''), ${values} ${row}`
  const all = [first, ...others]
  const scopes = all.map((scope) => `SELECT ${scope}, ${values} ${row} AND ${scope} IS NOT NULL`)
  const none = `SELECT '', ${values} ${row} AND coalesce(${all.join(', ')}) IS NULL`
  return [...scopes, none].join(' UNION ')
}

/** After the current entries were written, what is older lies in scopes the row is no longer in. */
function leaveEntries(collection: CollectionSchema): string {
  const version = `(SELECT r.version ${asItStands(collection)})`
  return `UPDATE holdfast_feed SET op = 'leave', position = ${version}, version = ${version}, maker = NULL, at = ${now}
     WHERE ${ofRecord(collection, 'NEW')} AND op <> 'leave' AND version < ${version}`
}

function feedOf(collection: CollectionSchema): readonly string[] {
  return [putEntries(collection, 'NULL'), leaveEntries(collection)]
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
  const latest = collection.fields.filter((field) => ruleOf(field).rule === 'latest')
  return [
    `UPDATE holdfast_state SET counter = counter + 1`,
    `UPDATE ${table} SET version = ${counter}, server_updated_at = ${now},
       created_at = ${timeOr('NEW.created_at', now)}, updated_at = ${timeOr('NEW.updated_at', now)} WHERE id = NEW.id`,
    ...feedOf(collection),
    auditLine(collection, { op: `'create'`, before: 'NULL', after: fieldsObject(collection, 'r') }),
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
  const latest = collection.fields.filter((field) => ruleOf(field).rule === 'latest')
  const op = hasDeletedAt(collection)
    ? `CASE WHEN OLD.deleted_at IS NULL AND r.deleted_at IS NOT NULL THEN 'delete' WHEN OLD.deleted_at IS NOT NULL AND r.deleted_at IS NULL THEN 'restore' ELSE 'update' END`
    : `'update'`
  return [
    `UPDATE holdfast_state SET counter = counter + 1`,
    `UPDATE ${table} SET version = ${counter}, server_updated_at = ${now},
       updated_at = iif(NEW.updated_at IS OLD.updated_at, ${now}, ${timeOr('NEW.updated_at', now)}) WHERE id = NEW.id`,
    ...feedOf(collection),
    // Also when nothing differs: every version has its line, which is how a gap in the audit shows.
    auditLine(collection, {
      op,
      before: changedFields(collection, 'OLD'),
      after: changedFields(collection, 'r'),
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
    `INSERT INTO holdfast_audit ${auditColumns}
     SELECT ${name}, OLD.id, ${version}, 'delete', ${now}, ${now}, ${data}, NULL, 'applied', '[]' WHERE ${wasLive}`,
    ...noteUnique(collection, 'OLD', data),
  ]
}

const auditColumns = '(collection, record, version, op, at, received_at, before, after, status, decisions)'

interface AuditParts {
  readonly op: string
  readonly before: string
  readonly after: string
}

/** What became of the row `r`. */
function auditLine(collection: CollectionSchema, { op, before, after }: AuditParts): string {
  return `INSERT INTO holdfast_audit ${auditColumns}
     SELECT ${quoteText(collection.name)}, r.id, r.version, ${op}, r.updated_at, ${now}, ${before}, ${after}, 'applied', '[]' ${asItStands(collection)}`
}

/** The values of the fields in which the row differs from OLD, as a JSON object. */
function changedFields(collection: CollectionSchema, row: 'OLD' | 'r'): string {
  const each = collection.fields.map((field) => {
    const column = quoteName(field.name)
    return `SELECT ${quoteText(field.name)} AS name, json_quote(${wireOf(field, row)}) AS value WHERE OLD.${column} IS NOT r.${column}`
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
 * one of the records moves, whoever moves it. A conflict never leaves its author. Where a record has no entry at all, its
 * deletion was collected, or it was never made: that says nothing until it is somewhere again. Rules: FE-10, SC-4.
 */
export function conflictTriggers(): readonly string[] {
  const concerned = `SELECT conflict FROM holdfast_conflict_records WHERE collection = NEW.collection AND record = NEW.record`
  const isOutside = `EXISTS (SELECT 1 FROM holdfast_conflict_records r LEFT JOIN holdfast_feed f
       ON f.scope = NEW.scope AND f.collection = r.collection AND f.record = r.record
       WHERE r.conflict = c.id AND ifnull(f.op, 'leave') = 'leave')`
  const isSomewhere = `EXISTS (SELECT 1 FROM holdfast_feed o WHERE o.collection = r.collection AND o.record = r.record AND o.op = 'put')`
  const hasLeft = `EXISTS (SELECT 1 FROM holdfast_conflict_records r LEFT JOIN holdfast_feed f
       ON f.scope = holdfast_feed.scope AND f.collection = r.collection AND f.record = r.record
       WHERE r.conflict = holdfast_feed.record AND (f.op = 'leave' OR f.op IS NULL AND ${isSomewhere}))`
  const own = `(SELECT ${quoteText(personalScope(''))} || c.author FROM holdfast_conflicts c WHERE c.id = holdfast_feed.record)`
  const body = `BEGIN
  UPDATE holdfast_state SET counter = counter + 1;
  INSERT INTO holdfast_feed (scope, collection, record, position, version, op)
    SELECT NEW.scope, '_conflicts', c.id, ${counter}, c.version, 'put' FROM holdfast_conflicts c
    WHERE c.id IN (${concerned}) AND NOT ${isOutside}
    AND NOT EXISTS (SELECT 1 FROM holdfast_feed f WHERE f.scope = NEW.scope AND f.collection = '_conflicts' AND f.record = c.id AND f.op = 'put')
    ON CONFLICT (scope, collection, record) DO UPDATE SET position = excluded.position, version = excluded.version, op = 'put', at = NULL;
  UPDATE holdfast_feed SET op = 'leave', position = ${counter}, version = ${counter}, at = ${now}
    WHERE collection = '_conflicts' AND op <> 'leave' AND record IN (${concerned}) AND scope <> ${own} AND ${hasLeft};
END`
  return [
    `CREATE TRIGGER holdfast_feed_entered AFTER INSERT ON holdfast_feed WHEN EXISTS (${concerned}) ${body}`,
    `CREATE TRIGGER holdfast_feed_moved AFTER UPDATE OF op ON holdfast_feed
     WHEN (OLD.op = 'leave') IS NOT (NEW.op = 'leave') AND EXISTS (${concerned}) ${body}`,
  ]
}
