import { conflictsCollection, digestSql, type Schema } from '@holdfast/core'
import { recordsByRange } from '../digest-store.ts'
import type { StoreReader } from '../store.ts'
import { storedDigests } from '../stored-rows.ts'
import type { Connection } from './connection.ts'
import { putExpression } from './read-pages.ts'

type DigestQueries = Pick<StoreReader, 'digests' | 'rangeRecords' | 'putsOf'>

/** The last digits of a record's id as a number. SQLite reads hexadecimal numbers in JSON alone. */
const digitsOf = (count: number): string => `('0x' || substr(record, -${count})) ->> '$'`

const everything = `SELECT '*' AS scope, collection, record, max(version) AS version FROM holdfast_feed INDEXED BY holdfast_feed_by_record
  WHERE op = 'put' GROUP BY collection, record`
const ofScopes = `SELECT f.scope, f.collection, f.record, f.version FROM json_each(?2) s CROSS JOIN holdfast_feed f ON f.scope = s.value
  WHERE f.op = 'put'`

/** What there is in scopes, in one scan of the feed, and the rows of ranges. Rules: CS-1, CS-3. */
export function digestQueries(db: Connection, schema: Schema): DigestQueries {
  const collections = [...schema.collections.values(), conflictsCollection]
  const names = JSON.stringify(collections.map(({ name }) => name))
  const put = putExpression(collections)
  const sums = (entries: string): string => {
    const held = `SELECT scope, collection, ${digitsOf(7)} AS x, version AS v FROM (${entries}) WHERE collection IN (SELECT value FROM json_each(?1))`
    return `WITH ${digestSql(held, ['scope', 'collection'])}`
  }
  return {
    digests: async (scopes) =>
      storedDigests(
        scopes === '*'
          ? db.all(sums(everything), names)
          : db.all(sums(ofScopes), names, JSON.stringify(scopes)),
      ),
    rangeRecords: async ({ scope, collection, of, ranges }) => {
      const entries =
        scope === '*'
          ? "SELECT DISTINCT record FROM holdfast_feed WHERE collection = ?1 AND op = 'put' AND ?2 = '*'"
          : "SELECT record FROM holdfast_feed WHERE collection = ?1 AND op = 'put' AND scope = ?2"
      const range = `(${digitsOf(3)}) % ?3`
      return recordsByRange(
        db.all(
          `SELECT record, ${range} AS range FROM (${entries}) WHERE ${range} IN (SELECT value FROM json_each(?4))`,
          collection,
          scope,
          of,
          JSON.stringify(ranges),
        ),
      )
    },
    putsOf: async ({ scope, collection, records }) => {
      const rows = db.all(
        `SELECT ${put} AS text FROM (SELECT ?2 AS scope, ?1 AS collection, value AS record FROM json_each(?3)) f`,
        collection,
        scope,
        JSON.stringify(records),
      )
      return rows.flatMap(({ text }) => (text === null ? [] : [String(text)]))
    },
  }
}
