import type { Environment } from '@holdfast/core'

import type { Store } from '../store/store.ts'

/** How far on the time may be from one round to the next, ms; rounds are about `limits.retentionIntervalMs` apart. */
const stepMs = 86_400_000

/**
 * The time by which rounds erase, ms since 1970: the wall clock, but from one round to the next at most a day on, whichever
 * process they are of. null in the first round of a process, which only looks: its machine may be told the time until the next
 * one; and in the first round of a database. Rules: OP-42.
 */
export function erasingClock(
  env: Pick<Environment, 'now'>,
  store: Pick<Store, 'write'>,
): () => Promise<number | null> {
  let hasWaited = false
  return async () => {
    if (hasWaited) return store.write((tx) => tx.moveErasing(Math.floor(env.now()), stepMs))
    hasWaited = true
    return null
  }
}
