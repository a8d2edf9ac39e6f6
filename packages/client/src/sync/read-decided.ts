import { limits, type PullRequest } from '@holdfast/core'
import type { LocalReader } from '../local/local-database.ts'
import { coversOf } from '../outbox/outbox.ts'
import { retainedMs } from '../outbox/retained.ts'

/** What a pull says of mutations that had been decided before they were answered. */
export type DecidedBefore = Pick<PullRequest, 'answered' | 'decided'>

/**
 * Numbers and keys of what had been decided before: of an outcome that a copy of this database has acknowledged no page
 * speaks, and neither does a server that was put back to before it. Keys are named no longer than any server remembers
 * them. Rules: SY-21.
 */
export async function readDecided(tx: LocalReader, nowMs: number): Promise<DecidedBefore> {
  const rows = await tx.all(
    // That they are not pending is said for the index.
    `SELECT seq, id, held_by, coalesce(server_updated_at, created_at) AS at FROM _outbox
     WHERE status = 'answered' AND status <> 'pending' AND held_by IN ('known', 'repeated') ORDER BY seq DESC`,
  )
  if (rows.length === 0) return {}
  const since = new Date(nowMs - retainedMs).toISOString()
  const numbers = rows.flatMap(({ held_by: heldBy, seq }) => (heldBy === 'repeated' ? [Number(seq)] : []))
  const keys = rows.flatMap(({ id, at }) => (String(at) > since ? [String(id)] : []))
  return { answered: coversOf(numbers), decided: keys.slice(0, limits.decidedAsked) }
}
