import { conflictsCollection } from '@holdfast/core'
import type { StoreReader } from '../store.ts'
import { changeOf, conflictOf, ownerOf } from '../stored-rows.ts'
import { fieldsObject } from './columns.ts'
import type { Connection } from './connection.ts'

type DecisionQueries = Pick<
  StoreReader,
  'changesSince' | 'conflicts' | 'openConflicts' | 'uniqueOwners' | 'scopesOf'
>

/** Reads of what decides about a mutation beside the record itself. */
export function decisionQueries(db: Connection): DecisionQueries {
  return {
    changesSince: async (name, since) =>
      since.length === 0
        ? []
        : db
            .all(changesSql, JSON.stringify(since.map((each) => [each.record, each.version])), name)
            .map(changeOf),
    conflicts: async (ids) =>
      ids.length === 0
        ? []
        : db
            .all(
              `${conflictSql} FROM json_each(?) k CROSS JOIN holdfast_conflicts r ON r.id = k.value`,
              JSON.stringify(ids),
            )
            .map(conflictOf),
    openConflicts: async (author, records) =>
      records.length === 0
        ? []
        : db
            .all(
              openConflictsSql,
              JSON.stringify(records.map((each) => [each.collection, each.record])),
              author?.user ?? null,
              author?.device ?? null,
            )
            .map(conflictOf),
    uniqueOwners: async (texts) =>
      texts.length === 0
        ? []
        : db
            .all(ownersSql, JSON.stringify(texts.map((each) => [each.collection, each.key, each.text])))
            .map(ownerOf),
    scopesOf: async (name, record) =>
      db
        .all(
          `SELECT scope FROM holdfast_feed WHERE collection = ? AND record = ? AND op <> 'leave'`,
          name,
          record,
        )
        .map((row) => String(row['scope'])),
  }
}

const changesSql = `SELECT a.record, a.version, a.op, a.user, a.device, a.received_at, a.was, a.decisions,
  (SELECT json_group_array(key) FROM (SELECT key FROM json_each(ifnull(a.before, '{}')) UNION SELECT key FROM json_each(ifnull(a.after, '{}')))) AS fields
  FROM json_each(?) k CROSS JOIN holdfast_audit a ON a.collection = ? AND a.record = k.value ->> 0 AND a.version > k.value ->> 1`

const conflictSql = `SELECT r.id, r.version, r.updated_at, ${fieldsObject(conflictsCollection, 'r')} AS data`

const openConflictsSql = `WITH RECURSIVE line(id) AS (
  SELECT r.id FROM json_each(?1) k CROSS JOIN holdfast_conflict_records c ON c.collection = k.value ->> 0 AND c.record = k.value ->> 1
  CROSS JOIN holdfast_conflicts r ON r.id = c.conflict AND (?2 IS NULL OR r.author = ?2) AND (?3 IS NULL OR r.device = ?3)
  UNION SELECT r.resolution ->> '$.by' FROM line CROSS JOIN holdfast_conflicts r ON r.id = line.id)
  ${conflictSql} FROM line CROSS JOIN holdfast_conflicts r ON r.id = line.id AND r.status = 'open'`

const ownersSql = `SELECT u.collection, u.key, u.text, u.record FROM json_each(?) k CROSS JOIN holdfast_unique u
  ON u.collection = k.value ->> 0 AND u.key = k.value ->> 1 AND u.text = k.value ->> 2`
