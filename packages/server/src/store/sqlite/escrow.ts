import type { EscrowReads, EscrowWrites } from '../escrow-store.ts'
import { escrowedOf } from '../stored-rows.ts'
import type { Connection } from './connection.ts'

/** Edits of people who may not see the record any more. `n` is the order in which they came. */
export const escrowTable = `CREATE TABLE holdfast_escrow (
  n INTEGER PRIMARY KEY AUTOINCREMENT, unit TEXT NOT NULL, place INTEGER NOT NULL, id TEXT NOT NULL, user TEXT NOT NULL,
  device TEXT NOT NULL, collection TEXT NOT NULL, record TEXT NOT NULL, mutation TEXT NOT NULL, at TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'waiting', decided_by TEXT, decided_at TEXT, reason TEXT, verdict TEXT, version INTEGER,
  conflict TEXT);
CREATE INDEX holdfast_escrow_by_unit ON holdfast_escrow (unit, place);
CREATE INDEX holdfast_escrow_by_id ON holdfast_escrow (id, user);
CREATE INDEX holdfast_escrow_by_status ON holdfast_escrow (status, n) WHERE place = 0`

/** What uploads and the sweep look for. */
export const escrowIndex = 'CREATE INDEX holdfast_escrow_by_record ON holdfast_escrow (record)'

/** Reads of edits in escrow. */
export function escrowQueries(db: Connection): EscrowReads {
  return {
    escrowUnit: async (unit) =>
      db.all('SELECT * FROM holdfast_escrow WHERE unit = ? ORDER BY place', unit).map(escrowedOf),
    escrowUnits: async ({ status, after, limit }) =>
      db
        .all(
          `SELECT e.* FROM (SELECT unit, n FROM holdfast_escrow WHERE place = 0 AND n > ?1 AND (?2 IS NULL OR status = ?2)
             ORDER BY n LIMIT ?3) AS lead JOIN holdfast_escrow e ON e.unit = lead.unit ORDER BY lead.n, e.place`,
          after,
          status,
          limit,
        )
        .map(escrowedOf),
    escrowBefore: async ({ n, user, device, records }) =>
      db
        .all(
          `SELECT e.* FROM holdfast_escrow lead JOIN holdfast_escrow e ON e.unit = lead.unit
           WHERE lead.place = 0 AND lead.status = 'waiting' AND lead.n < ? AND e.user = ? AND e.device = ?
             AND e.record IN (SELECT value FROM json_each(?)) ORDER BY e.n`,
          n,
          user,
          device,
          JSON.stringify(records),
        )
        .map(escrowedOf),
    escrowAbout: async (records) =>
      db
        .all(
          `SELECT * FROM holdfast_escrow WHERE record IN (SELECT value FROM json_each(?)) AND status <> 'refused' ORDER BY n`,
          JSON.stringify(records),
        )
        .map(escrowedOf),
    escrowOf: async (user, ids) =>
      db
        .all(
          'SELECT e.* FROM json_each(?) k CROSS JOIN holdfast_escrow e ON e.id = k.value AND e.user = ? ORDER BY e.n',
          JSON.stringify(ids),
          user,
        )
        .map(escrowedOf),
  }
}

/** Writes of edits in escrow. */
export function escrowStatements(db: Connection): EscrowWrites {
  return {
    saveEscrow: async (edits) => {
      const insert = db.prepare(
        `INSERT INTO holdfast_escrow (unit, place, id, user, device, collection, record, mutation, at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      for (const { unit, place, id, user, device, collection, record, mutation, at } of edits)
        insert(unit, place, id, user, device, collection, record, mutation, at)
    },
    ruleOnEscrow: async (edits) => {
      const update = db.prepare(
        `UPDATE holdfast_escrow SET status = ?, decided_by = ?, decided_at = ?, reason = ?, verdict = ?, version = ?,
           conflict = ? WHERE n = ?`,
      )
      for (const { status, decidedBy, decidedAt, reason, verdict, version, conflict, n } of edits)
        update(status, decidedBy, decidedAt, reason, verdict, version, conflict, n)
    },
    forgetEscrow: async (decidedBefore) =>
      db.run(
        `DELETE FROM holdfast_escrow WHERE decided_at < ? AND unit NOT IN (
           SELECT m.unit FROM holdfast_escrow w JOIN holdfast_escrow m ON m.id = w.mutation ->> 'after' AND m.user = w.user
           WHERE w.status = 'waiting')`,
        decidedBefore,
      ),
  }
}
