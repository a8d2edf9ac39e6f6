import { conflictsCollection, isUuid, SyncError } from '@holdfast/core'
import type { StoreReader, UniqueText } from '../store.ts'
import { changeOf, conflictOf, ownerOf } from '../stored-rows.ts'
import { fieldMembers, iso, jsonObject, Naming } from './columns.ts'
import type { Connection } from './connection.ts'
import type { KeyNumbers } from './key-numbers.ts'
import { type ReadOptions, uuidsOf } from './read-devices.ts'
import type { Tables } from './read-records.ts'

type DecisionQueries = Pick<
  StoreReader,
  'changesSince' | 'conflicts' | 'openConflicts' | 'uniqueOwners' | 'scopesOf'
>

/** Reads of what decides about a mutation beside the record itself. */
export function decisionQueries(
  db: Connection,
  { keys }: Pick<Tables, 'keys'>,
  { locks }: ReadOptions,
): DecisionQueries {
  return {
    changesSince: async (name, since) => {
      if (since.length === 0) return []
      const rows = await db.all(
        changesSql,
        name,
        since.map((each) => each.record),
        since.map((each) => each.version),
      )
      return rows.map(changeOf)
    },
    conflicts: async (asked) => {
      const ids = uuidsOf(asked)
      if (ids.length === 0) return []
      const lock = locks ? 'ORDER BY r.id FOR NO KEY UPDATE OF r' : ''
      const sql = `${conflictSql} FROM holdfast.conflicts r WHERE r.id = ANY($1::uuid[]) ${lock}`
      return (await db.all(sql, ids)).map(conflictOf)
    },
    openConflicts: async (author, asked) => {
      const records = asked.filter(({ record }) => isUuid(record))
      if (records.length === 0) return []
      const collections = records.map((each) => each.collection)
      const ids = records.map((each) => each.record)
      const { user = null, device = null } = author ?? {}
      return (await db.all(openConflictsSql, collections, ids, user, device)).map(conflictOf)
    },
    uniqueOwners: (texts) => readOwners(db, keys, texts),
    scopesOf: async (name, record) => {
      if (!isUuid(record)) return []
      const sql = `SELECT scope FROM holdfast.feed WHERE collection = $1 AND record = $2 AND op <> 'leave'`
      return (await db.all(sql, name, record)).map((row) => String(row['scope']))
    },
  }
}

/**
 * Who has unique keys. Errors: STORE_BUSY where a later schema has given one up, so that nobody else's records are found by it
 * any more: a server that knows that schema is to answer.
 */
async function readOwners(
  db: Connection,
  keys: KeyNumbers,
  texts: readonly UniqueText[],
): ReturnType<StoreReader['uniqueOwners']> {
  if (texts.length === 0) return []
  const numbers = texts.map(({ collection, key }) => keys.get(collection)?.[key] ?? null)
  const places = new Map(texts.map(({ collection, key }, at) => [`${collection} ${numbers[at]}`, key]))
  const collections = texts.map((each) => each.collection)
  const [given, rows] = await Promise.all([
    db.get(
      `SELECT 1 FROM (SELECT DISTINCT collection, key FROM unnest($1::text[], $2::integer[]) k (collection, key)) k
       WHERE NOT EXISTS (SELECT 1 FROM holdfast.key_numbers n WHERE n.collection = k.collection AND n.key = k.key)`,
      collections,
      numbers,
    ),
    db.all(
      `SELECT u.collection, u.key, u.text, u.record FROM holdfast.unique_keys u
       JOIN unnest($1::text[], $2::integer[], $3::text[]) k (collection, key, text)
       ON u.collection = k.collection AND u.key = k.key AND u.text = k.text`,
      collections,
      numbers,
      texts.map((each) => each.text),
    ),
  ])
  if (given)
    throw new SyncError('STORE_BUSY', 'a later schema has other unique keys: this server is to be replaced')
  return rows.map((row) =>
    ownerOf({ ...row, key: places.get(`${String(row['collection'])} ${Number(row['key'])}`) ?? -1 }),
  )
}

const changesSql = `SELECT a.record, a.version, a.op, a.account AS "user", a.device, ${iso('a.received_at')} AS received_at, a.was::text AS was, a.decisions::text AS decisions, (SELECT coalesce(json_agg(k), '[]') FROM (
    SELECT json_object_keys(coalesce(a.before, '{}')) k UNION SELECT json_object_keys(coalesce(a.after, '{}'))) keys)::text AS fields
  FROM unnest($2::uuid[], $3::bigint[]) k (record, version)
  JOIN holdfast.audit a ON a.collection = $1 AND a.record = k.record AND a.version > k.version`

const conflictSql = `SELECT r.id, r.version, ${iso('r.updated_at')} AS updated_at,
  ${jsonObject(fieldMembers(new Naming(), conflictsCollection, 'r'))}::text AS data`

const openConflictsSql = `WITH RECURSIVE line (id) AS (
  SELECT r.id FROM unnest($1::text[], $2::uuid[]) k (collection, record)
  JOIN holdfast.conflict_records c ON c.collection = k.collection AND c.record = k.record
  JOIN holdfast.conflicts r ON r.id = c.conflict AND ($3::text IS NULL OR r.author = $3) AND ($4::text IS NULL OR r.device = $4)
  UNION SELECT (r.resolution ->> 'by')::uuid FROM line JOIN holdfast.conflicts r ON r.id = line.id)
  ${conflictSql} FROM line JOIN holdfast.conflicts r ON r.id = line.id AND r.status = 'open'`
