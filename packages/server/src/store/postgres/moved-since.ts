import type { ReadFrom } from '../store.ts'
import { parseTexts } from '../stored-rows.ts'
import type { Connection, PgRow } from './connection.ts'

/** A transaction that touched a scope that is read; for a reader of everything the scope is null. */
export interface Moved {
  readonly position: number
  readonly tx: number
  readonly scope: string | null
  /** The scopes in which the reader is further once it was read. */
  readonly scopes: readonly string[]
}

/**
 * Transactions after a place in the order of their positions: at least `limit`, those of the last position together, or all
 * there are.
 */
export async function movedSince(db: Connection, from: ReadFrom, limit: number): Promise<readonly Moved[]> {
  if (from.scopes === '*') {
    // Within a scope positions appear in order: what was read beyond what is complete is known by its scopes.
    const rows = await db.all(
      `SELECT s.position, s.tx, json_agg(s.scope)::text AS scopes FROM holdfast.stamps s
       WHERE s.position > $1 AND s.position > coalesce(($2::jsonb ->> s.scope)::bigint, 0)
       GROUP BY s.position, s.tx ORDER BY s.position LIMIT $3`,
      from.position,
      JSON.stringify(from.ahead),
      limit,
    )
    return rows.map((row) => ({
      position: Number(row['position']),
      tx: Number(row['tx']),
      scope: null,
      scopes: parseTexts(String(row['scopes'])),
    }))
  }
  const after = new Map(
    from.scopes.map((scope) => [scope, Math.max(from.position, from.ahead[scope] ?? 0)] as const),
  )
  return (await amongRecent(db, { position: from.position, after, limit })) ?? amongTheirs(db, after, limit)
}

/** Above this many scopes a reader first looks whether there are stamps at all that it has not read. */
const manyScopes = 16
/** So many stamps are told apart faster than so many scopes are looked for. */
const fewStamps = 200

interface Recent {
  /** Up to here every scope was read. */
  readonly position: number
  readonly after: ReadonlyMap<string, number>
  readonly limit: number
}

/** What moved of many scopes, where few have moved at all: one look instead of one for each scope. Null where many have. */
async function amongRecent(
  db: Connection,
  { position, after, limit }: Recent,
): Promise<readonly Moved[] | null> {
  if (after.size <= manyScopes) return null
  const rows = await db.all(
    `SELECT t.position, t.tx, t.scope FROM holdfast.stamps t WHERE t.position > $1 ORDER BY t.position LIMIT ${fewStamps + 1}`,
    position,
  )
  if (rows.length > fewStamps) return null
  const moved = rows
    .map(movedOf)
    .filter(({ scope, position: at }) => at > (after.get(scope ?? '') ?? Number.POSITIVE_INFINITY))
  // Those of the last position come together.
  const last = moved[limit - 1]?.position ?? Number.POSITIVE_INFINITY
  return moved.filter(({ position: at }) => at <= last)
}

async function amongTheirs(
  db: Connection,
  after: ReadonlyMap<string, number>,
  limit: number,
): Promise<readonly Moved[]> {
  const rows = await db.all(
    `SELECT m.position, m.tx, m.scope FROM unnest($1::text[], $2::bigint[]) s (scope, after) CROSS JOIN LATERAL (
       SELECT t.scope, t.position, t.tx FROM holdfast.stamps t WHERE t.scope = s.scope AND t.position > s.after
       ORDER BY t.position LIMIT $3) m
     ORDER BY m.position FETCH FIRST $3 ROWS WITH TIES`,
    [...after.keys()],
    [...after.values()],
    limit,
  )
  return rows.map(movedOf)
}

function movedOf(row: PgRow): Moved {
  const scope = String(row['scope'])
  return { position: Number(row['position']), tx: Number(row['tx']), scope, scopes: [scope] }
}
