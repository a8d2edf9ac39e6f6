import type { EventPlace, EventReads, EventWrites, ParkedEvent } from '../event-store.ts'
import { auditedOf, consumerOf, parkedOf, recordKeyOf } from '../stored-rows.ts'
import type { Connection } from './connection.ts'

/** Who reads the audit, up to where, and the events that could not be delivered yet. */
export const eventTables = `CREATE TABLE holdfast_consumers (
  name TEXT PRIMARY KEY, position INTEGER NOT NULL, n INTEGER NOT NULL, owner TEXT NOT NULL DEFAULT '',
  beat INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE holdfast_parked (
  consumer TEXT NOT NULL, n INTEGER NOT NULL, collection TEXT NOT NULL, record TEXT NOT NULL, event TEXT NOT NULL,
  attempts INTEGER NOT NULL, due_ms INTEGER NOT NULL, is_dead INTEGER NOT NULL, reason TEXT NOT NULL,
  failed_ms INTEGER NOT NULL, PRIMARY KEY (consumer, n)) WITHOUT ROWID;
CREATE INDEX holdfast_parked_by_record ON holdfast_parked (consumer, collection, record, n) WHERE is_dead = 0;
CREATE INDEX holdfast_parked_dead ON holdfast_parked (consumer, n) WHERE is_dead = 1`

/** The time by which rounds erase, which is no clock's. */
export const erasingTable =
  'CREATE TABLE holdfast_erasing (one INTEGER PRIMARY KEY CHECK (one = 1), by_ms INTEGER NOT NULL)'

const ownedBy = 'WHERE name = ? AND owner = ?'

/** Reads of event consumers. SQLite has one writer, so that lines of the audit are in the order of their commits. */
export function eventQueries(db: Connection): EventReads {
  return {
    auditAfter: async ({ n }, limit) =>
      db
        .all(
          `SELECT a.*, 0 AS position, (SELECT json_group_array(f.scope) FROM holdfast_feed f WHERE f.collection = a.collection
             AND f.record = a.record AND f.op <> 'leave' AND f.scope <> '') AS scopes
           FROM holdfast_audit a WHERE a.n > ? ORDER BY a.n LIMIT ?`,
          n,
          limit,
        )
        .map(auditedOf),
    auditHead: async () => ({
      position: 0,
      n: Number(db.get('SELECT ifnull(max(n), 0) AS n FROM holdfast_audit')?.['n']),
    }),
    consumer: async (name) => {
      const row = db.get('SELECT * FROM holdfast_consumers WHERE name = ?', name)
      return row ? consumerOf(row) : null
    },
    waitingRecords: async (consumer, records) =>
      db
        .all(
          `SELECT DISTINCT p.collection, p.record FROM json_each(?) k CROSS JOIN holdfast_parked p
           ON p.consumer = ? AND p.is_dead = 0 AND p.collection = k.value ->> 0 AND p.record = k.value ->> 1`,
          JSON.stringify(records.map(({ collection, record }) => [collection, record])),
          consumer,
        )
        .map(recordKeyOf),
    dueEvents: async (consumer, { nowMs, latestMs }, limit) =>
      db
        .all(
          `SELECT p.* FROM holdfast_parked p WHERE p.consumer = ? AND p.is_dead = 0 AND (p.due_ms <= ? OR p.due_ms > ?) AND NOT EXISTS (
             SELECT 1 FROM holdfast_parked o WHERE o.consumer = p.consumer AND o.is_dead = 0
             AND o.collection = p.collection AND o.record = p.record AND o.n < p.n) ORDER BY p.due_ms, p.n LIMIT ?`,
          consumer,
          nowMs,
          latestMs,
          limit,
        )
        .map(parkedOf),
    parkedCounts: async (consumer) => {
      const row = db.get(
        'SELECT count(*) AS parked, ifnull(sum(is_dead), 0) AS dead FROM holdfast_parked WHERE consumer = ?',
        consumer,
      )
      const dead = Number(row?.['dead'])
      return { waiting: Number(row?.['parked']) - dead, dead }
    },
    deadEvents: async ({ consumer, n }, limit) =>
      db
        .all(
          'SELECT * FROM holdfast_parked WHERE is_dead = 1 AND (consumer, n) > (?, ?) ORDER BY consumer, n LIMIT ?',
          consumer,
          n,
          limit,
        )
        .map(parkedOf),
  }
}

/** Writes of event consumers. */
export function eventStatements(db: Connection): EventWrites {
  /** Whether a statement that returns what it changed did change something. */
  const changes = (sql: string, ...values: readonly (string | number)[]): boolean =>
    db.get(`${sql} RETURNING 1`, ...values) !== undefined
  const moveOn = (name: string, owner: string, { position, n }: EventPlace): boolean =>
    changes(
      `UPDATE holdfast_consumers SET beat = beat + 1, position = ?, n = ? ${ownedBy}`,
      position,
      n,
      name,
      owner,
    )
  return {
    addConsumer: async (name, { position, n }) =>
      db.run(
        'INSERT OR IGNORE INTO holdfast_consumers (name, position, n) VALUES (?, ?, ?)',
        name,
        position,
        n,
      ),
    removeConsumer: async (name) => {
      db.run('DELETE FROM holdfast_parked WHERE consumer = ?', name)
      return changes('DELETE FROM holdfast_consumers WHERE name = ?', name)
    },
    takeConsumer: async ({ name, beat }, owner) =>
      changes(
        'UPDATE holdfast_consumers SET owner = ?, beat = beat + 1 WHERE name = ? AND beat = ?',
        owner,
        name,
        beat,
      ),
    keepConsumer: async (name, owner, place) =>
      place
        ? moveOn(name, owner, place)
        : changes(`UPDATE holdfast_consumers SET beat = beat + 1 ${ownedBy}`, name, owner),
    freeConsumer: async (name, owner) =>
      db.run(`UPDATE holdfast_consumers SET owner = '', beat = beat + 1 ${ownedBy}`, name, owner),
    parkEvents: async (events) => parkEvents(db, events),
    unparkEvents: async (consumer, ns) =>
      db.run(
        'DELETE FROM holdfast_parked WHERE consumer = ? AND n IN (SELECT value FROM json_each(?))',
        consumer,
        JSON.stringify(ns),
      ),
    reviveEvent: async (consumer, n) =>
      changes(
        'UPDATE holdfast_parked SET is_dead = 0, attempts = 0, due_ms = 0 WHERE consumer = ? AND n = ? AND is_dead = 1',
        consumer,
        n,
      ),
    moveErasing: async (nowMs, stepMs) => moveErasing(db, nowMs, stepMs),
    discardEvent: async (consumer, n) =>
      changes('DELETE FROM holdfast_parked WHERE consumer = ? AND n = ? AND is_dead = 1', consumer, n),
  }
}

function moveErasing(db: Connection, nowMs: number, stepMs: number): number | null {
  const sql = 'UPDATE holdfast_erasing SET by_ms = min(?, by_ms + ?) RETURNING by_ms'
  const row = db.get(sql, nowMs, stepMs)
  if (row) return Number(row['by_ms'])
  db.run('INSERT INTO holdfast_erasing (one, by_ms) VALUES (1, ?)', nowMs)
  return null
}

function parkEvents(db: Connection, events: readonly ParkedEvent[]): void {
  const park = db.prepare(
    `INSERT OR REPLACE INTO holdfast_parked (consumer, n, collection, record, event, attempts, due_ms, is_dead, reason, failed_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  for (const each of events) {
    const { consumer, n, collection, record, event, attempts, dueMs, isDead, reason, failedMs } = each
    park(consumer, n, collection, record, event, attempts, dueMs, isDead ? 1 : 0, reason, failedMs)
  }
}
