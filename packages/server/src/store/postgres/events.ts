import type { EventReads, EventWrites } from '../event-store.ts'
import { auditedOf, consumerOf, parkedOf, recordKeyOf } from '../stored-rows.ts'
import type { Connection } from './connection.ts'
import { completeSql } from './read-devices.ts'
import { entryColumns } from './read-history.ts'

/** Who reads the audit, up to where, and the events that could not be delivered yet. */
export const eventTables: readonly string[] = [
  'CREATE INDEX IF NOT EXISTS audit_by_tx ON holdfast.audit (tx, n) WHERE tx IS NOT NULL',
  `CREATE TABLE IF NOT EXISTS holdfast.consumers (
    name text PRIMARY KEY, position bigint NOT NULL, n bigint NOT NULL, owner text NOT NULL DEFAULT '',
    beat bigint NOT NULL DEFAULT 0)`,
  `CREATE TABLE IF NOT EXISTS holdfast.parked (
    consumer text COLLATE "C" NOT NULL, n bigint NOT NULL, collection text NOT NULL, record text NOT NULL, event text NOT NULL,
    attempts integer NOT NULL, due_ms bigint NOT NULL, is_dead boolean NOT NULL, reason text NOT NULL,
    failed_ms bigint NOT NULL, PRIMARY KEY (consumer, n))`,
  'CREATE INDEX IF NOT EXISTS parked_by_record ON holdfast.parked (consumer, collection, record, n) WHERE NOT is_dead',
  // The time by which rounds erase, which is no clock's.
  `CREATE TABLE IF NOT EXISTS holdfast.erasing (one integer PRIMARY KEY CHECK (one = 1), by_ms bigint NOT NULL)`,
  'CREATE INDEX IF NOT EXISTS parked_dead ON holdfast.parked (consumer, n) WHERE is_dead',
]

/** As `ParkedEvent` names them, by column. */
const parkedColumns = `x ("consumer" text, "n" bigint, "collection" text, "record" text, "event" text, "attempts" integer,
  "dueMs" bigint, "isDead" boolean, "reason" text, "failedMs" bigint)`

/** Transactions get their positions as they commit, and are read once no earlier one can appear. */
const auditAfterSql = `SELECT ${entryColumns}, a.collection, a.record::text AS record, t.position,
    (SELECT coalesce(json_agg(f.scope), '[]') FROM holdfast.feed f WHERE f.collection = a.collection AND f.record = a.record
     AND f.op <> 'leave' AND f.scope <> '')::text AS scopes
  FROM holdfast.transactions t JOIN holdfast.audit a ON a.tx = t.n
  WHERE t.position >= $1 AND (t.position > $1 OR a.n > $2) AND t.position <= coalesce((${completeSql}), 0)
  ORDER BY t.position, a.n LIMIT $3`

/** Reads of event consumers. */
export function eventQueries(db: Connection): EventReads {
  return {
    auditAfter: async ({ position, n }, limit) =>
      (await db.all(auditAfterSql, position, n, limit)).map(auditedOf),
    auditHead: async () => {
      const row = await db.get(completeSql)
      return { position: Number(row?.['position'] ?? 0), n: Number.MAX_SAFE_INTEGER }
    },
    consumer: async (name) => {
      const row = await db.get('SELECT * FROM holdfast.consumers WHERE name = $1', name)
      return row ? consumerOf(row) : null
    },
    waitingRecords: async (consumer, records) => {
      const sql = `SELECT DISTINCT p.collection, p.record FROM holdfast.parked p
        JOIN unnest($2::text[], $3::text[]) k (collection, record) ON k.collection = p.collection AND k.record = p.record
        WHERE p.consumer = $1 AND NOT p.is_dead`
      const [collections, ids] = [records.map((each) => each.collection), records.map((each) => each.record)]
      return (await db.all(sql, consumer, collections, ids)).map(recordKeyOf)
    },
    dueEvents: async (consumer, { nowMs, latestMs }, limit) => {
      const sql = `SELECT p.* FROM holdfast.parked p WHERE p.consumer = $1 AND NOT p.is_dead AND (p.due_ms <= $2 OR p.due_ms > $3)
          AND NOT EXISTS (
          SELECT 1 FROM holdfast.parked o WHERE o.consumer = p.consumer AND NOT o.is_dead
          AND o.collection = p.collection AND o.record = p.record AND o.n < p.n) ORDER BY p.due_ms, p.n LIMIT $4`
      return (await db.all(sql, consumer, nowMs, latestMs, limit)).map(parkedOf)
    },
    parkedCounts: async (consumer) => {
      const row = await db.get(
        `SELECT count(*) FILTER (WHERE NOT is_dead) AS waiting, count(*) FILTER (WHERE is_dead) AS dead
         FROM holdfast.parked WHERE consumer = $1`,
        consumer,
      )
      return { waiting: Number(row?.['waiting']), dead: Number(row?.['dead']) }
    },
    deadEvents: async ({ consumer, n }, limit) => {
      const sql = `SELECT * FROM holdfast.parked WHERE is_dead AND (consumer, n) > ($1, $2::bigint)
        ORDER BY consumer, n LIMIT $3`
      return (await db.all(sql, consumer, n, limit)).map(parkedOf)
    },
  }
}

/** Writes of event consumers. */
export function eventStatements(db: Connection): EventWrites {
  return { ...consumerStatements(db), ...parkedStatements(db) }
}

type ParkedStatements = Pick<EventWrites, 'parkEvents' | 'unparkEvents' | 'reviveEvent' | 'discardEvent'>

function consumerStatements(db: Connection): Omit<EventWrites, keyof ParkedStatements> {
  return {
    moveErasing: (nowMs, stepMs) => moveErasing(db, nowMs, stepMs),
    addConsumer: async (name, { position, n }) => {
      const sql =
        'INSERT INTO holdfast.consumers (name, position, n) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING'
      await db.all(sql, name, position, n)
    },
    removeConsumer: async (name) => {
      await db.all('DELETE FROM holdfast.parked WHERE consumer = $1', name)
      return changed(await db.all('DELETE FROM holdfast.consumers WHERE name = $1 RETURNING 1', name))
    },
    takeConsumer: async ({ name, beat }, owner) => {
      const sql =
        'UPDATE holdfast.consumers SET owner = $3, beat = beat + 1 WHERE name = $1 AND beat = $2 RETURNING 1'
      return changed(await db.all(sql, name, beat, owner))
    },
    keepConsumer: async (name, owner, place) => {
      const sql = `UPDATE holdfast.consumers SET beat = beat + 1, position = coalesce($3, position), n = coalesce($4, n)
        WHERE name = $1 AND owner = $2 RETURNING 1`
      return changed(await db.all(sql, name, owner, place?.position ?? null, place?.n ?? null))
    },
    freeConsumer: async (name, owner) => {
      const sql = `UPDATE holdfast.consumers SET owner = '', beat = beat + 1 WHERE name = $1 AND owner = $2`
      await db.all(sql, name, owner)
    },
  }
}

function parkedStatements(db: Connection): ParkedStatements {
  return {
    parkEvents: async (events) => {
      if (events.length === 0) return
      const sql = `INSERT INTO holdfast.parked (consumer, n, collection, record, event, attempts, due_ms, is_dead, reason, failed_ms)
        SELECT x."consumer", x."n", x."collection", x."record", x."event", x."attempts", x."dueMs", x."isDead", x."reason", x."failedMs"
        FROM json_to_recordset($1::json) ${parkedColumns}
        ON CONFLICT (consumer, n) DO UPDATE SET attempts = excluded.attempts, due_ms = excluded.due_ms,
          is_dead = excluded.is_dead, reason = excluded.reason, failed_ms = excluded.failed_ms`
      await db.all(sql, JSON.stringify(events))
    },
    unparkEvents: async (consumer, ns) => {
      if (ns.length > 0)
        await db.all(
          'DELETE FROM holdfast.parked WHERE consumer = $1 AND n = ANY($2::bigint[])',
          consumer,
          ns,
        )
    },
    reviveEvent: async (consumer, n) => {
      const sql = `UPDATE holdfast.parked SET is_dead = false, attempts = 0, due_ms = 0
        WHERE consumer = $1 AND n = $2 AND is_dead RETURNING 1`
      return changed(await db.all(sql, consumer, n))
    },
    discardEvent: async (consumer, n) => {
      const sql = 'DELETE FROM holdfast.parked WHERE consumer = $1 AND n = $2 AND is_dead RETURNING 1'
      return changed(await db.all(sql, consumer, n))
    },
  }
}

async function moveErasing(db: Connection, nowMs: number, stepMs: number): Promise<number | null> {
  const sql = 'UPDATE holdfast.erasing SET by_ms = least($1::bigint, by_ms + $2::bigint) RETURNING by_ms'
  const row = await db.get(sql, nowMs, stepMs)
  if (row) return Number(row['by_ms'])
  await db.all('INSERT INTO holdfast.erasing (one, by_ms) VALUES (1, $1) ON CONFLICT DO NOTHING', nowMs)
  return null
}

function changed(rows: readonly unknown[]): boolean {
  return rows.length > 0
}
