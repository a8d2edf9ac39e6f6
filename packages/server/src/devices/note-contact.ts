import { type Environment, type Ranges, unionRanges } from '@holdfast/core'
import type { Caller, User } from '../engine.ts'
import type { Store } from '../store/store.ts'
import { intersectRanges, subtractRanges } from './range-sets.ts'

/** How stale "last seen" may be, ms: a pull writes nothing more often than that. */
const seenIntervalMs = 300_000

/** Remembers what a device acknowledges with a pull, and now and then that it was here. Rules: PU-23. */
export async function noteContact<U extends User>(
  store: Store,
  env: Environment,
  caller: Caller<U>,
  ack: Ranges,
): Promise<void> {
  const { user, device } = caller
  if (device === null) return
  const known = await store.read((tx) => tx.device(user.id, device))
  const nowMs = env.now()
  const now = new Date(nowMs).toISOString()
  const isAcknowledged = known && subtractRanges(intersectRanges(ack, known.finals), known.acked).length === 0
  if (isAcknowledged && nowMs - Date.parse(known.lastSeenAt) < seenIntervalMs) return
  await store.write(async (tx) => {
    const current = (await tx.device(user.id, device)) ?? {
      user: user.id,
      device,
      finals: [],
      acked: [],
      pending: null,
      firstSeenAt: now,
    }
    const acked = intersectRanges(unionRanges([...current.acked, ...ack]), current.finals)
    const n = await tx.saveDevice({ ...current, acked, lastSeenAt: now })
    await tx.acknowledge(n, ack)
  })
}
