import { type CollectionSchema, conflictsCollection } from '@holdfast/core'
import { hasDeletedAt, quoteName } from '../sql.ts'
import { conflictTriggers } from './capture-triggers.ts'
import { columnOf, tableOf, uuidCheck } from './columns.ts'
import { escrowIndex, escrowTable } from './escrow.ts'
import { erasingTable, eventTables } from './events.ts'
import { receiptTables } from './receipts.ts'

/** Version of our own tables' layout, kept in `user_version`. */
export const sqliteLayout = 11

/** Marks a file as ours, kept in `application_id`: "HoFa". */
export const sqliteApplicationId = 0x486f4661

const now = `strftime('%Y-%m-%dT%H:%M:%fZ', 'now')`

/**
 * Each time the store was opened: the position at which that began, and a random tag for the positions that follow, up to
 * where the next opening began.
 */
const openingsTable =
  'CREATE TABLE IF NOT EXISTS holdfast_openings (position INTEGER PRIMARY KEY, tag TEXT NOT NULL, at TEXT NOT NULL)'

/** By which keys outcomes are found, whatever device has them: their own, and those of what was folded into them. */
const outcomeKeys = `CREATE INDEX holdfast_outcomes_by_id ON holdfast_outcomes (id, device);
CREATE TABLE holdfast_folded (
  id TEXT NOT NULL, device INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (id, device, seq)) WITHOUT ROWID`

/** What the tables were made for, apart from the row that every write changes: it would be written again each time. */
const schemaTable =
  'CREATE TABLE holdfast_schema (one INTEGER PRIMARY KEY CHECK (one = 1), described TEXT NOT NULL)'

/** Our own tables. See docs/ARCHITECTURE.md for what each says. */
export const systemTables: string = `
CREATE TABLE holdfast_state (
  one INTEGER PRIMARY KEY CHECK (one = 1), epoch TEXT NOT NULL, counter INTEGER NOT NULL, horizon INTEGER NOT NULL,
  schema_version INTEGER NOT NULL, engine INTEGER, maker INTEGER, now TEXT);
${schemaTable};
${openingsTable};
CREATE TABLE holdfast_feed (
  scope TEXT NOT NULL, collection TEXT NOT NULL, record TEXT NOT NULL, position INTEGER NOT NULL,
  version INTEGER NOT NULL, op TEXT NOT NULL, maker INTEGER, at TEXT,
  PRIMARY KEY (scope, collection, record)) WITHOUT ROWID;
CREATE INDEX holdfast_feed_by_scope ON holdfast_feed (scope, position);
CREATE INDEX holdfast_feed_by_position ON holdfast_feed (position);
CREATE INDEX holdfast_feed_by_record ON holdfast_feed (collection, record);
CREATE TABLE holdfast_tombstones (
  collection TEXT NOT NULL, record TEXT NOT NULL, version INTEGER NOT NULL, deleted_at TEXT NOT NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, server_updated_at TEXT NOT NULL, data TEXT NOT NULL,
  PRIMARY KEY (collection, record)) WITHOUT ROWID;
CREATE TABLE holdfast_clocks (
  collection TEXT NOT NULL, record TEXT NOT NULL, clocks TEXT NOT NULL, PRIMARY KEY (collection, record)) WITHOUT ROWID;
CREATE TABLE holdfast_devices (
  n INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, device TEXT NOT NULL, finals TEXT NOT NULL, acked TEXT NOT NULL,
  pending TEXT, first_seen_at TEXT NOT NULL, last_seen_at TEXT NOT NULL, UNIQUE (user, device));
CREATE TABLE holdfast_outcomes (
  device INTEGER NOT NULL, seq INTEGER NOT NULL, covers TEXT NOT NULL, folded TEXT, id TEXT NOT NULL, hash TEXT NOT NULL,
  status TEXT NOT NULL, version INTEGER, stood_on INTEGER, server_updated_at TEXT, code TEXT, body TEXT, exact INTEGER NOT NULL,
  op TEXT NOT NULL, fields TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (device, seq)) WITHOUT ROWID;
${outcomeKeys};
CREATE TABLE holdfast_audit (
  n INTEGER PRIMARY KEY AUTOINCREMENT, collection TEXT NOT NULL, record TEXT NOT NULL, version INTEGER, op TEXT NOT NULL,
  user TEXT, device TEXT, mutation TEXT, at TEXT NOT NULL, received_at TEXT NOT NULL, before TEXT, after TEXT,
  status TEXT NOT NULL, decisions TEXT NOT NULL, code TEXT, trace TEXT, was TEXT, accepted_by TEXT);
CREATE INDEX holdfast_audit_by_record ON holdfast_audit (collection, record);
CREATE TABLE holdfast_unique (
  collection TEXT NOT NULL, key INTEGER NOT NULL, text TEXT NOT NULL, record TEXT NOT NULL,
  PRIMARY KEY (collection, key, text, record)) WITHOUT ROWID;
CREATE TABLE holdfast_foreign (n INTEGER PRIMARY KEY, collection TEXT NOT NULL, record TEXT NOT NULL, before TEXT);
CREATE TABLE holdfast_conflict_records (
  collection TEXT NOT NULL, record TEXT NOT NULL, conflict TEXT NOT NULL,
  PRIMARY KEY (collection, record, conflict)) WITHOUT ROWID;
CREATE INDEX holdfast_conflict_records_by_conflict ON holdfast_conflict_records (conflict);
CREATE TABLE holdfast_keys (
  user TEXT NOT NULL, key TEXT NOT NULL, hash TEXT NOT NULL, body TEXT NOT NULL, at TEXT NOT NULL,
  PRIMARY KEY (user, key)) WITHOUT ROWID;
CREATE TABLE holdfast_times (
  user TEXT NOT NULL, collection TEXT NOT NULL, time TEXT NOT NULL, position INTEGER NOT NULL, scopes TEXT NOT NULL,
  PRIMARY KEY (user, collection, time)) WITHOUT ROWID;
CREATE TABLE holdfast_scope_sets (hash TEXT PRIMARY KEY, scopes TEXT NOT NULL) WITHOUT ROWID;
${receiptTables};
${eventTables};
${erasingTable};
${escrowTable};
${escrowIndex};
${createTable(conflictsCollection)};
${createIndexes(conflictsCollection).join(';\n')};
`

/** What a file of an older layout lacks, by the layout that brought it. */
export const layoutSteps: Readonly<Record<number, string>> = {
  2: `${openingsTable};\nALTER TABLE holdfast_outcomes ADD COLUMN folded TEXT`,
  3: `${schemaTable};\nINSERT INTO holdfast_schema SELECT one, schema FROM holdfast_state;\nALTER TABLE holdfast_state DROP COLUMN schema`,
  4: 'ALTER TABLE holdfast_outcomes ADD COLUMN stood_on INTEGER',
  5: `DROP INDEX holdfast_outcomes_by_id;\n${outcomeKeys};\nINSERT OR IGNORE INTO holdfast_folded
    SELECT k.value, o.device, o.seq FROM holdfast_outcomes o, json_each(o.folded) k WHERE o.folded IS NOT NULL`,
  6: receiptTables,
  7: 'ALTER TABLE holdfast_audit ADD COLUMN was TEXT',
  8: eventTables,
  9: `${escrowTable};\nALTER TABLE holdfast_audit ADD COLUMN accepted_by TEXT`,
  // Triggers alone: those of collections are made anew for every older layout.
  10: ['DROP TRIGGER holdfast_feed_entered', 'DROP TRIGGER holdfast_feed_moved', ...conflictTriggers()].join(
    ';\n',
  ),
  11: `${erasingTable};\n${escrowIndex}`,
}

/** The table of a collection. Another writer may leave our columns out: capture fills them in. */
export function createTable(collection: CollectionSchema): string {
  const columns = [
    `id TEXT PRIMARY KEY NOT NULL CHECK (${uuidCheck('id')})`,
    ...collection.fields.map(columnOf),
    'version INTEGER NOT NULL DEFAULT 0',
    `created_at TEXT NOT NULL DEFAULT (${now})`,
    `updated_at TEXT NOT NULL DEFAULT (${now})`,
    `server_updated_at TEXT NOT NULL DEFAULT (${now})`,
    ...(hasDeletedAt(collection) ? ['deleted_at TEXT'] : []),
  ]
  return `CREATE TABLE ${quoteName(tableOf(collection))} (\n  ${columns.join(',\n  ')}\n)`
}

/** The declared indexes. Ids end them, so that pages by key need no sorting. */
export function createIndexes(collection: CollectionSchema): readonly string[] {
  return collection.indexes.map((fields) => {
    const name = quoteName(`holdfast_${collection.name}_${fields.join('_')}`)
    const columns = [...fields.map(quoteName), 'id'].join(', ')
    return `CREATE INDEX IF NOT EXISTS ${name} ON ${quoteName(tableOf(collection))} (${columns})`
  })
}
