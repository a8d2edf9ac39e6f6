import { type CollectionSchema, conflictsCollection } from '@holdfast/core'
import type {
  FeedPage,
  PageBounds,
  Reached,
  ReadFrom,
  SnapshotPage,
  SnapshotPlace,
  StoreReader,
} from '../store.ts'
import { canonicalMembers, fieldMembers, iso, jsonObject, type Naming, quoteText } from './columns.ts'
import type { Connection, PgRow, PgValue } from './connection.ts'
import { type Moved, movedSince } from './moved-since.ts'
import { completeSql } from './read-devices.ts'
import type { Tables } from './read-records.ts'

type PageQueries = Pick<StoreReader, 'feedPage' | 'rowsPage' | 'snapshotPage'>

/** Rows are fetched so many at a time: a page of fat rows ends by its bytes before many of them were read. */
const chunkRows = 250

/** Pages of the feed and of snapshots. Every change is built as text by the database; no row becomes an object here. */
export function pageQueries(db: Connection, tables: Tables): PageQueries {
  const { change, row, put } = pageTexts(tables)
  return {
    feedPage: (from, bounds, device) => readPage(db, { from, bounds, text: change, extra: [device] }),
    rowsPage: (from, bounds, collection) =>
      readPage(db, {
        from,
        bounds,
        text: row,
        extra: [collection, from.scopes === '*' ? [] : from.scopes],
      }),
    snapshotPage: (scopes, after, bounds) => readSnapshot(db, { scopes, after, bounds, text: put }),
  }
}

interface PageTexts {
  readonly change: string
  readonly row: string
  readonly put: string
}

const texts = new WeakMap<Tables, PageTexts>()

/** They name every column of every collection: made once, and not for each transaction. */
function pageTexts(tables: Tables): PageTexts {
  let made = texts.get(tables)
  if (!made) {
    const { schema, naming } = tables
    const collections = [...schema.collections.values(), conflictsCollection]
    made = {
      change: changeExpression(naming, collections),
      row: rowExpression(naming, collections),
      put: putExpression(naming, collections),
    }
    texts.set(tables, made)
  }
  return made
}

/** One expression that is `of(collection)` for an entry `f` of each collection. */
function perCollection(
  naming: Naming,
  collections: readonly CollectionSchema[],
  of: (collection: CollectionSchema) => string,
): string {
  const cases = collections.map(
    (collection) =>
      `WHEN ${quoteText(collection.name)} THEN (SELECT ${of(collection)} FROM ${naming.table(collection)} r WHERE r.id = f.record)`,
  )
  return `CASE f.collection ${cases.join(' ')} END`
}

const entryMembers = [
  ['collection', 'f.collection'],
  ['record', 'f.record'],
] as const

/** One expression that is the `put` of an entry `f`. */
export function putExpression(naming: Naming, collections: readonly CollectionSchema[]): string {
  return perCollection(naming, collections, (collection) =>
    jsonObject([
      ...entryMembers,
      ['op', `'put'`],
      ['scope', 'f.scope'],
      ['version', 'r.version'],
      ['serverUpdatedAt', iso('r.server_updated_at')],
      [
        'data',
        jsonObject([
          ...fieldMembers(naming, collection, 'r'),
          ['created_at', iso('r.created_at')],
          ['updated_at', iso('r.updated_at')],
        ]),
      ],
    ]),
  )
}

/** $7 is the number of the device that reads. */
function changeExpression(naming: Naming, collections: readonly CollectionSchema[]): string {
  const have = perCollection(naming, collections, () =>
    jsonObject([
      ...entryMembers,
      ['op', `'have'`],
      ['scope', 'f.scope'],
      ['version', 'r.version'],
      ['serverUpdatedAt', iso('r.server_updated_at')],
    ]),
  )
  const gone = jsonObject([
    ...entryMembers,
    ['op', 'f.op'],
    ['scope', 'f.scope'],
    ['version', 'f.version'],
    ['serverUpdatedAt', iso('f.at')],
  ])
  return `CASE WHEN f.op <> 'put' THEN ${gone} WHEN f.maker = $7::integer THEN ${have} ELSE ${putExpression(naming, collections)} END`
}

/**
 * A canonical row for plain clients; $7 is the collection they ask for, $8 the scopes they see. A row that left one scope
 * but is still seen in another is no deletion.
 */
function rowExpression(naming: Naming, collections: readonly CollectionSchema[]): string {
  const at = iso('f.at')
  const stub = jsonObject([
    ['id', 'f.record'],
    ['collection', 'f.collection'],
    ['version', 'f.version'],
    ['updated_at', at],
    ['server_updated_at', at],
    ['deleted_at', at],
  ])
  const whole = perCollection(naming, collections, (collection) =>
    jsonObject([...canonicalMembers(naming, collection, 'r'), ['collection', 'f.collection']]),
  )
  const isSeenElsewhere = `EXISTS (SELECT 1 FROM holdfast.feed o WHERE o.collection = f.collection AND o.record = f.record
    AND o.op = 'put' AND o.scope = ANY($8::text[]))`
  return `CASE WHEN coalesce(f.collection <> $7::text, f.collection = '_conflicts') THEN NULL
    WHEN f.op <> 'leave' THEN coalesce(${whole}, ${stub}) WHEN NOT ${isSeenElsewhere} THEN ${stub} END`
}

interface PageQuery {
  readonly from: ReadFrom
  readonly bounds: PageBounds
  /** An expression over an entry `f`; rows where it is NULL are passed over. */
  readonly text: string
  /** $7 and what follows. */
  readonly extra: readonly PgValue[]
}

/**
 * Transactions first, from their positions alone, then their entries, in chunks. Within a position entries go by
 * collection and record, so that a page may end inside a transaction of any size. Rules: FE-26, FE-62.
 */
async function readPage(db: Connection, query: PageQuery): Promise<FeedPage> {
  const { from, bounds } = query
  const limit = bounds.rows + 1
  const [moved, newest] = await Promise.all([movedSince(db, from, limit), db.get(completeSql)])
  const complete = Number(newest?.['position'] ?? 0)
  const changes: string[] = []
  let inside: Place | undefined
  let [bytes, count, isCut] = [0, 0, false]
  while (moved.length > 0 && !isCut) {
    // The last record comes with all its scopes, and so may be more than was asked: whether another follows is open still.
    const asked = Math.max(1, Math.min(chunkRows, limit - count))
    const rows = await readChunk(db, { ...query, moved, inside, limit: asked })
    for (const row of rows) {
      const place = placeOf(row)
      const isNext = inside === undefined || !isSame(inside, place)
      if (isNext && (count >= bounds.rows || bytes >= bounds.bytes)) {
        isCut = true
        break
      }
      inside = place
      count += 1
      if (row['text'] === null) continue
      const text = String(row['text'])
      changes.push(text)
      bytes += text.length
    }
    if (rows.length < asked) break
  }
  const isTruncated = moved.length >= limit
  const end: PageEnd = isCut
    ? { inside, before: inside?.position ?? 0 }
    : { before: isTruncated ? (moved.at(-1)?.position ?? 0) + 1 : Number.POSITIVE_INFINITY }
  return { changes, reached: reachedBy(from, { moved, complete, end }), more: isCut || isTruncated }
}

type Place = NonNullable<Reached['inside']>

function placeOf(row: PgRow): Place {
  return {
    position: Number(row['position']),
    collection: String(row['collection']),
    record: String(row['record']),
  }
}

function isSame(left: Place, right: Place): boolean {
  return (
    left.position === right.position && left.record === right.record && left.collection === right.collection
  )
}

/** What a page has read. */
interface PageEnd {
  /** Every entry with a position below it. */
  readonly before: number
  /** And of that position the entries up to here. */
  readonly inside?: Place | undefined
}

function reachedBy(
  from: ReadFrom,
  {
    moved,
    complete,
    end,
  }: { readonly moved: readonly Moved[]; readonly complete: number; readonly end: PageEnd },
): Reached {
  // Beyond what is complete a scope was read as far as it showed something.
  const position = Math.max(from.position, Math.min(complete, end.before - 1))
  const ahead = new Map(Object.entries(from.ahead))
  for (const { scopes, position: at } of moved) {
    if (at <= position || at >= end.before) continue
    for (const scope of scopes) ahead.set(scope, Math.max(at, ahead.get(scope) ?? 0))
  }
  const beyond = Object.fromEntries([...ahead].filter(([, at]) => at > position))
  return { position, ahead: beyond, ...(end.inside && { inside: end.inside }) }
}

interface ChunkQuery extends PageQuery {
  readonly moved: readonly Moved[]
  readonly inside: Place | undefined
  readonly limit: number
}

/** Entries after a place, so many and all of the last record. */
async function readChunk(
  db: Connection,
  { from, text, extra, moved, inside, limit }: ChunkQuery,
): Promise<readonly PgRow[]> {
  const left = inside ? moved.filter(({ position }) => position >= inside.position) : moved
  // Where the last page ended goes on there; what became visible before that place since is read whole.
  const places = [inside, from.inside]
  const after = left.map(({ position }) => places.find((place) => place?.position === position))
  const entries =
    from.scopes === '*'
      ? `SELECT DISTINCT ON (f.collection, f.record) '*' AS scope, f.collection, f.record, f.version, f.op, f.maker, f.at
         FROM holdfast.feed f WHERE f.tx = m.tx AND f.op <> 'leave' AND ${afterInside} AND m.scope IS NULL
         ORDER BY f.collection, f.record, f.version DESC LIMIT $4`
      : `SELECT f.scope, f.collection, f.record, f.version, f.op, f.maker, f.at
         FROM holdfast.feed f WHERE f.tx = m.tx AND f.scope = m.scope AND ${afterInside}
         ORDER BY f.collection, f.record LIMIT $4`
  return db.all(
    `SELECT f.position, f.collection, f.record, ${text}::text AS text FROM (
       SELECT m.position, e.* FROM unnest($1::bigint[], $2::bigint[], $3::text[], $5::text[], $6::uuid[])
         m (position, tx, scope, collection, record)
       CROSS JOIN LATERAL (${entries}) e
       ORDER BY m.position, e.collection, e.record FETCH FIRST $4 ROWS WITH TIES) f
     ORDER BY f.position, f.collection, f.record`,
    left.map(({ position }) => position),
    left.map(({ tx }) => tx),
    left.map(({ scope }) => scope),
    limit,
    after.map((place) => place?.collection ?? ''),
    after.map((place) => place?.record ?? beforeAll),
    ...extra,
  )
}

const beforeAll = '00000000-0000-0000-0000-000000000000'

/** One comparison of rows, which the index can begin at: a page inside a large transaction reads none of it twice. */
const afterInside = `(f.collection, f.record) > (m.collection COLLATE "C", m.record)`

interface SnapshotQuery {
  readonly scopes: readonly string[] | '*'
  readonly after: SnapshotPlace | null
  readonly bounds: PageBounds
  readonly text: string
}

/** Live rows in order of scope, collection and id: an order that no write can change. */
async function readSnapshot(
  db: Connection,
  { scopes, after, bounds, text }: SnapshotQuery,
): Promise<SnapshotPage> {
  const changes: string[] = []
  let bytes = 0
  let place = after
  for (const scope of scopes === '*' ? ['*'] : [...scopes].sort()) {
    if (after && scope < after.scope) continue
    let from = after?.scope === scope ? after : { scope, collection: '', record: '' }
    for (;;) {
      const limit = Math.min(chunkRows, bounds.rows - changes.length + 1)
      const rows =
        scopes === '*'
          ? `SELECT DISTINCT '*' AS scope, collection, record FROM holdfast.feed
              WHERE (collection, record) > ($1, $2::uuid) AND op = 'put' ORDER BY collection, record LIMIT $3`
          : `SELECT scope, collection, record FROM holdfast.feed WHERE (collection, record) > ($1, $2::uuid)
              AND op = 'put' AND scope = $4 ORDER BY collection, record LIMIT $3`
      const found = await db.all(
        `SELECT f.collection, f.record, ${text}::text AS text FROM (${rows}) f ORDER BY f.collection, f.record`,
        from.collection,
        from.record === '' ? beforeAll : from.record,
        limit,
        ...(scopes === '*' ? [] : [scope]),
      )
      for (const row of found) {
        if (changes.length >= bounds.rows || bytes >= bounds.bytes) return { changes, place }
        place = { scope, collection: String(row['collection']), record: String(row['record']) }
        from = place
        if (row['text'] === null) continue
        changes.push(String(row['text']))
        bytes += String(row['text']).length
      }
      if (found.length < limit) break
    }
  }
  return { changes, place: null }
}
