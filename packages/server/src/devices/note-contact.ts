import { type Environment, type Ranges, unionRanges } from '@holdfast/core'
import type { Caller, User } from '../engine.ts'
import type { Store, StoredDevice } from '../store/store.ts'
import { intersectRanges, subtractRanges } from './range-sets.ts'

/** How stale "last seen" may be, ms: a pull writes nothing more often than that. */
const seenIntervalMs = 300_000

/** A device that asked for a page. */
export interface Contact<U extends User> {
  readonly caller: Caller<U>
  readonly ack: Ranges
  /** As the page found it. */
  readonly known: StoredDevice | null
}

/**
 * Remembers what a device acknowledges with a pull, and now and then that it was here. Only an acknowledgement is waited
 * for: reading must not depend on who is writing. Rules: PU-23.
 */
export async function noteContact<U extends User>(
  store: Store,
  env: Environment,
  { caller, ack, known }: Contact<U>,
): Promise<void> {
  const { user, device } = caller
  if (device === null) return
  const nowMs = env.now()
  const news = known ? subtractRanges(intersectRanges(ack, known.finals), known.acked) : []
  // Later than now is the time of a clock that was ahead.
  const isFresh = known && Math.abs(nowMs - Date.parse(known.lastSeenAt)) < seenIntervalMs
  if (news.length === 0 && isFresh) return
  const noted = store.write(async (tx) => {
    const now = new Date(nowMs).toISOString()
    const first = { user: user.id, device, finals: [], acked: [], pending: null, firstSeenAt: now }
    const current = (await tx.device(user.id, device)) ?? first
    const acked = intersectRanges(unionRanges([...current.acked, ...news]), current.finals)
    const n = await tx.saveDevice({ ...current, acked, lastSeenAt: now })
    await tx.acknowledge(n, news)
  })
  if (news.length > 0) await noted
  // The next contact tries again.
  else noted.catch(() => undefined)
}
