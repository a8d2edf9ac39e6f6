import { type CollectionSchema, conflictsCollection, type Schema } from '@holdfast/core'
import type {
  FeedPage,
  PageBounds,
  Reached,
  ReadFrom,
  SnapshotPage,
  SnapshotPlace,
  StoreReader,
} from '../store.ts'
import { quoteName } from '../sql.ts'
import { canonicalRow, fieldsObject, quoteText, tableOf } from './columns.ts'
import type { Connection } from './connection.ts'

type PageQueries = Pick<StoreReader, 'feedPage' | 'rowsPage' | 'snapshotPage'>

/** Pages of the feed and of snapshots. Every change is built as text by the database; no row becomes an object here. */
export function pageQueries(db: Connection, schema: Schema): PageQueries {
  const collections = [...schema.collections.values(), conflictsCollection]
  const change = changeExpression(collections)
  const row = rowExpression(collections)
  return {
    feedPage: async (from, bounds, device) => readPage(db, { from, bounds, text: change, extra: device }),
    rowsPage: async (from, bounds, collection) =>
      readPage(db, { from, bounds, text: row, extra: collection }),
    snapshotPage: async (scopes, after, bounds) =>
      readSnapshot(db, { scopes, after, bounds, text: putExpression(collections) }),
  }
}

/** One expression that is `of(collection)` for an entry `f` of each collection. */
function perCollection(
  collections: readonly CollectionSchema[],
  of: (collection: CollectionSchema) => string,
): string {
  const cases = collections.map(
    (collection) =>
      `WHEN ${quoteText(collection.name)} THEN (SELECT ${of(collection)} FROM ${quoteName(tableOf(collection))} r WHERE r.id = f.record)`,
  )
  return `CASE f.collection ${cases.join(' ')} END`
}

const entry = `'collection', f.collection, 'record', f.record`

/** One expression that is the `put` of an entry `f`. */
export function putExpression(collections: readonly CollectionSchema[]): string {
  return perCollection(collections, (collection) => {
    const data = fieldsObject(collection, 'r', [`'created_at', r.created_at`, `'updated_at', r.updated_at`])
    return `json_object(${entry}, 'op', 'put', 'scope', f.scope, 'version', r.version, 'serverUpdatedAt', r.server_updated_at, 'data', ${data})`
  })
}

function changeExpression(collections: readonly CollectionSchema[]): string {
  const have = perCollection(
    collections,
    () =>
      `json_object(${entry}, 'op', 'have', 'scope', f.scope, 'version', r.version, 'serverUpdatedAt', r.server_updated_at)`,
  )
  return `CASE WHEN f.op <> 'put' THEN json_object(${entry}, 'op', f.op, 'scope', f.scope, 'version', f.version, 'serverUpdatedAt', f.at)
    WHEN f.maker = ?3 THEN ${have} ELSE ${putExpression(collections)} END`
}

/** A canonical row for plain clients. A row that left one scope but is still seen in another is no deletion. */
function rowExpression(collections: readonly CollectionSchema[]): string {
  const stub = `json_object('id', f.record, 'collection', f.collection, 'version', f.version, 'updated_at', f.at, 'server_updated_at', f.at, 'deleted_at', f.at)`
  const whole = perCollection(collections, (collection) =>
    canonicalRow(collection, 'r', [`'collection', f.collection`]),
  )
  const isSeenElsewhere = `EXISTS (SELECT 1 FROM json_each(?4) s CROSS JOIN holdfast_feed o
    ON o.scope = s.value AND o.collection = f.collection AND o.record = f.record AND o.op = 'put')`
  return `CASE WHEN ifnull(f.collection <> ?3, f.collection = '_conflicts') THEN NULL
    WHEN f.op <> 'leave' THEN ifnull(${whole}, ${stub}) WHEN NOT ${isSeenElsewhere} THEN ${stub} END`
}

interface PageQuery {
  readonly from: ReadFrom
  readonly bounds: PageBounds
  /** An expression over an entry `f`; rows where it is NULL are passed over. */
  readonly text: string
  /** ?3 of the expression. */
  readonly extra: string | number | null
}

function readPage(db: Connection, query: PageQuery): FeedPage {
  const { from, bounds } = query
  const end = endOfPage(db, from, bounds.rows)
  const changes: string[] = []
  let [position, bytes] = [0, 0]
  if (end.last > 0) {
    for (const row of entriesUpTo(db, query, end)) {
      const at = Number(row['position'])
      // A page never ends between two entries of one position.
      if (bytes >= bounds.bytes && at !== position)
        return { changes, reached: reachedBy(from, position), more: true }
      position = at
      if (row['text'] === null) continue
      const text = String(row['text'])
      changes.push(text)
      bytes += text.length
    }
  }
  const head = Number(db.get('SELECT counter FROM holdfast_state')?.['counter'])
  return { changes, reached: reachedBy(from, end.more ? end.last : head), more: end.more }
}

/** One writer at a time: whatever lies up to a position that was read is there. */
function reachedBy(from: ReadFrom, position: number): Reached {
  return { position, ahead: Object.fromEntries(Object.entries(from.ahead).filter(([, at]) => at > position)) }
}

function afterOf(from: ReadFrom, scope: string): number {
  return Math.max(from.position, from.ahead[scope] ?? 0)
}

interface PageEnd {
  /** The last position of the page; 0 when there is nothing. */
  readonly last: number
  readonly more: boolean
  readonly active: readonly (readonly [scope: string, after: number])[]
}

/** How far a page of that many entries reaches, from the positions alone. */
function endOfPage(db: Connection, from: ReadFrom, rows: number): PageEnd {
  if (from.scopes === '*') {
    const sql = 'SELECT position FROM holdfast_feed WHERE position > ? ORDER BY position LIMIT ?'
    const positions = db.all(sql, from.position, rows + 1).map((row) => Number(row['position']))
    return {
      last: positions[Math.min(rows, positions.length) - 1] ?? 0,
      more: positions.length > rows,
      active: [],
    }
  }
  let positions: number[] = []
  let bound = Number.MAX_SAFE_INTEGER
  const active: (readonly [string, number])[] = []
  for (const scope of from.scopes) {
    const after = afterOf(from, scope)
    const sql =
      'SELECT position FROM holdfast_feed WHERE scope = ? AND position > ? AND position <= ? ORDER BY position LIMIT ?'
    const found = db.all(sql, scope, after, bound, rows + 1)
    if (found.length === 0) continue
    active.push([scope, after])
    for (const row of found) positions.push(Number(row['position']))
    if (positions.length <= rows) continue
    positions = positions.sort((left, right) => left - right).slice(0, rows + 1)
    bound = positions[rows] ?? bound
  }
  positions.sort((left, right) => left - right)
  return { last: positions[Math.min(rows, positions.length) - 1] ?? 0, more: positions.length > rows, active }
}

/** Entries in order of position. They are sorted narrow, before the text of the first row is built. */
function entriesUpTo(
  db: Connection,
  { from, text, extra }: PageQuery,
  end: PageEnd,
): ReturnType<Connection['iterate']> {
  const columns = 'f.collection, f.record, f.position, f.version, f.op, f.maker, f.at'
  const all = text.includes('?4') ? [JSON.stringify(from.scopes === '*' ? [] : from.scopes)] : []
  if (from.scopes === '*') {
    const page = `SELECT '*' AS scope, f.collection, f.record, f.position, max(f.version) AS version, f.op, f.maker, f.at FROM holdfast_feed f
      WHERE f.position > ?1 AND f.position <= ?2 AND f.op <> 'leave' GROUP BY f.position, f.collection, f.record ORDER BY f.position LIMIT 1000000`
    return db.iterate(
      `WITH page AS MATERIALIZED (${page}) SELECT f.position, ${text} AS text FROM page f`,
      from.position,
      end.last,
      extra,
      ...all,
    )
  }
  const page = `SELECT f.scope, ${columns} FROM json_each(?1) s CROSS JOIN holdfast_feed f
    ON f.scope = s.value ->> 0 AND f.position > s.value ->> 1 AND f.position <= ?2 ORDER BY f.position LIMIT 1000000`
  return db.iterate(
    `WITH page AS MATERIALIZED (${page}) SELECT f.position, ${text} AS text FROM page f`,
    JSON.stringify(end.active),
    end.last,
    extra,
    ...all,
  )
}

interface SnapshotQuery {
  readonly scopes: readonly string[] | '*'
  readonly after: SnapshotPlace | null
  readonly bounds: PageBounds
  readonly text: string
}

/** Live rows in order of scope, collection and id: an order that no write can change. */
function readSnapshot(db: Connection, { scopes, after, bounds, text }: SnapshotQuery): SnapshotPage {
  const changes: string[] = []
  let bytes = 0
  let place = after
  for (const scope of scopes === '*' ? ['*'] : [...scopes].sort()) {
    if (after && scope < after.scope) continue
    const from = after?.scope === scope ? after : { collection: '', record: '' }
    const rows =
      scopes === '*'
        ? `(SELECT '*' AS scope, collection, record FROM holdfast_feed INDEXED BY holdfast_feed_by_record
            WHERE (collection, record) > (?, ?) AND op = 'put' GROUP BY collection, record ORDER BY collection, record LIMIT ?) f`
        : `(SELECT scope, collection, record FROM holdfast_feed WHERE (collection, record) > (?, ?) AND op = 'put' AND scope = ?
            ORDER BY collection, record LIMIT ?) f`
    let left = bounds.rows - changes.length
    const values = [from.collection, from.record, ...(scopes === '*' ? [] : [scope]), left + 1]
    for (const row of db.iterate(`SELECT f.collection, f.record, ${text} AS text FROM ${rows}`, ...values)) {
      if (left-- === 0 || bytes >= bounds.bytes) return { changes, place }
      place = { scope, collection: String(row['collection']), record: String(row['record']) }
      if (row['text'] === null) continue
      changes.push(String(row['text']))
      bytes += String(row['text']).length
    }
  }
  return { changes, place: null }
}
