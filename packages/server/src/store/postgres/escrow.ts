import { isUuid } from '@holdfast/core'
import type { EscrowReads, EscrowWrites } from '../escrow-store.ts'
import { escrowedOf } from '../stored-rows.ts'
import { iso } from './columns.ts'
import type { Connection } from './connection.ts'
import type { ReadOptions } from './read-devices.ts'

/** Edits of people who may not see the record any more. `n` is the order in which they came. */
export const escrowTable: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS holdfast.escrow (
    n bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, unit uuid NOT NULL, place integer NOT NULL, id text NOT NULL,
    account text NOT NULL, device text NOT NULL, collection text NOT NULL, record uuid NOT NULL, mutation json NOT NULL,
    at timestamptz NOT NULL, status text NOT NULL DEFAULT 'waiting', decided_by text, decided_at timestamptz, reason text,
    verdict text, version bigint, conflict uuid)`,
  'CREATE INDEX IF NOT EXISTS escrow_by_unit ON holdfast.escrow (unit, place)',
  'CREATE INDEX IF NOT EXISTS escrow_by_id ON holdfast.escrow (id, account)',
  'CREATE INDEX IF NOT EXISTS escrow_by_record ON holdfast.escrow (record)',
  'CREATE INDEX IF NOT EXISTS escrow_by_status ON holdfast.escrow (status, n) WHERE place = 0',
]

const columns = `e.n, e.unit::text AS unit, e.place, e.id, e.account AS "user", e.device, e.collection, e.record::text AS record,
  e.mutation::text AS mutation, ${iso('e.at')} AS at, e.status, e.decided_by, ${iso('e.decided_at')} AS decided_at, e.reason,
  e.verdict, e.version, e.conflict::text AS conflict`

/** Reads of edits in escrow. */
export function escrowQueries(db: Connection, { locks }: ReadOptions): EscrowReads {
  return {
    escrowUnit: async (unit) => {
      if (!isUuid(unit)) return []
      const sql = `SELECT ${columns} FROM holdfast.escrow e WHERE e.unit = $1 ORDER BY e.place ${locks ? 'FOR UPDATE' : ''}`
      return (await db.all(sql, unit)).map(escrowedOf)
    },
    escrowUnits: async ({ status, after, limit }) => {
      const sql = `SELECT ${columns} FROM (SELECT l.unit, l.n FROM holdfast.escrow l WHERE l.place = 0 AND l.n > $1
          AND ($2::text IS NULL OR l.status = $2) ORDER BY l.n LIMIT $3) AS lead
        JOIN holdfast.escrow e ON e.unit = lead.unit ORDER BY lead.n, e.place`
      return (await db.all(sql, after, status, limit)).map(escrowedOf)
    },
    escrowBefore: async ({ n, user, device, records }) => {
      const sql = `SELECT ${columns} FROM holdfast.escrow lead JOIN holdfast.escrow e ON e.unit = lead.unit
        WHERE lead.place = 0 AND lead.status = 'waiting' AND lead.n < $1 AND e.account = $2 AND e.device = $3
          AND e.record = ANY($4::uuid[]) ORDER BY e.n`
      return (await db.all(sql, n, user, device, records)).map(escrowedOf)
    },
    escrowAbout: async (records) => {
      const sql = `SELECT ${columns} FROM holdfast.escrow e WHERE e.record = ANY($1::uuid[]) AND e.status <> 'refused' ORDER BY e.n`
      return (await db.all(sql, records)).map(escrowedOf)
    },
    escrowOf: async (user, ids) => {
      const sql = `SELECT ${columns} FROM holdfast.escrow e WHERE e.id = ANY($1::text[]) AND e.account = $2 ORDER BY e.n`
      return (await db.all(sql, ids, user)).map(escrowedOf)
    },
  }
}

/** Writes of edits in escrow. */
export function escrowStatements(db: Connection): EscrowWrites {
  return {
    saveEscrow: async (edits) => {
      if (edits.length === 0) return
      db.send(
        `INSERT INTO holdfast.escrow (unit, place, id, account, device, collection, record, mutation, at)
         SELECT x.unit, x.place, x.id, x.user, x.device, x.collection, x.record, x.mutation::json, x.at
         FROM ROWS FROM (json_to_recordset($1::json) AS (unit uuid, place integer, id text, "user" text, device text,
           collection text, record uuid, mutation text, at timestamptz)) WITH ORDINALITY x ORDER BY x.ordinality`,
        JSON.stringify(edits),
      )
    },
    ruleOnEscrow: async (edits) => {
      db.send(
        `UPDATE holdfast.escrow e SET status = x.status, decided_by = x."decidedBy", decided_at = x."decidedAt",
           reason = x.reason, verdict = x.verdict, version = x.version, conflict = x.conflict
         FROM json_to_recordset($1::json) x (n bigint, status text, "decidedBy" text, "decidedAt" timestamptz, reason text,
           verdict text, version bigint, conflict uuid) WHERE e.n = x.n`,
        JSON.stringify(edits),
      )
    },
    forgetEscrow: async (decidedBefore) => {
      await db.all(
        `DELETE FROM holdfast.escrow WHERE decided_at < $1::timestamptz AND unit NOT IN (
           SELECT m.unit FROM holdfast.escrow w JOIN holdfast.escrow m ON m.id = w.mutation ->> 'after' AND m.account = w.account
           WHERE w.status = 'waiting')`,
        decidedBefore,
      )
    },
  }
}
