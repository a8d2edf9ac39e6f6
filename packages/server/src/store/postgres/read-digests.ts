import { conflictsCollection, digestSql } from '@holdfast/core'
import { recordsByRange } from '../digest-store.ts'
import type { StoreReader } from '../store.ts'
import { storedDigests } from '../stored-rows.ts'
import type { Connection } from './connection.ts'
import { putExpression } from './read-pages.ts'
import type { Tables } from './read-records.ts'

type DigestQueries = Pick<StoreReader, 'digests' | 'rangeRecords' | 'putsOf'>

/** The last digits of a record's id as a number. */
const digitsOf = (count: number): string =>
  `('x' || right(record::text, ${count}))::bit(${4 * count})::integer`

const everything = `SELECT '*'::text AS scope, collection, record, max(version) AS version FROM holdfast.feed
  WHERE op = 'put' AND $2::text[] IS NULL GROUP BY collection, record`
const ofScopes =
  "SELECT scope, collection, record, version FROM holdfast.feed WHERE op = 'put' AND scope = ANY($2::text[])"

/** The sums of as many ranges as `rangeCountFor` says, made here: the smallest ones would be a row for almost each record. */
function foldedSql(held: string): string {
  return `SELECT scope, collection, part % ranges AS part, sum(n) AS n, sum(total) AS total FROM (
      SELECT d.*, CASE WHEN all_rows <= $3::bigint THEN 1 WHEN all_rows <= 16 * $3::bigint THEN 16
        WHEN all_rows <= 256 * $3::bigint THEN 256 ELSE 4096 END AS ranges
      FROM (SELECT d.*, sum(n) OVER (PARTITION BY scope, collection) AS all_rows
        FROM (WITH ${digestSql(held, ['scope', 'collection'])}) d) d) d
    GROUP BY scope, collection, part % ranges`
}

/** What there is in scopes, in one scan of the feed, and the rows of ranges. Rules: CS-1, CS-3. */
export function digestQueries(db: Connection, { schema, naming }: Tables): DigestQueries {
  const collections = [...schema.collections.values(), conflictsCollection]
  const names = collections.map(({ name }) => name)
  return {
    digests: async (scopes, rangeRows) => {
      const entries = scopes === '*' ? everything : ofScopes
      const held = `SELECT scope, collection, ${digitsOf(7)}::bigint AS x, version AS v FROM (${entries}) f WHERE collection = ANY($1::text[])`
      return storedDigests(await db.all(foldedSql(held), names, scopes === '*' ? null : scopes, rangeRows))
    },
    rangeRecords: async ({ scope, collection, of, ranges }) => {
      const entries =
        scope === '*'
          ? "SELECT DISTINCT record FROM holdfast.feed WHERE collection = $1 AND op = 'put' AND $2::text = '*'"
          : "SELECT record FROM holdfast.feed WHERE collection = $1 AND op = 'put' AND scope = $2"
      return recordsByRange(
        await db.all(
          `SELECT record, range FROM (SELECT record, ${digitsOf(3)} % $3::integer AS range FROM (${entries}) f) f WHERE range = ANY($4::integer[])`,
          collection,
          scope,
          of,
          ranges,
        ),
      )
    },
    putsOf: async ({ scope, collection, records }) => {
      const rows = await db.all(
        `SELECT ${putExpression(naming, collections)}::text AS text
         FROM (SELECT $2::text AS scope, $1::text AS collection, record FROM unnest($3::uuid[]) AS record) f`,
        collection,
        scope,
        records,
      )
      return rows.flatMap(({ text }) => (text === null ? [] : [String(text)]))
    },
  }
}
