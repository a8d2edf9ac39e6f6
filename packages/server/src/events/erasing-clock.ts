import type { Environment } from '@holdfast/core'

/** How far on the time may be from one round to the next, ms; rounds are about `limits.retentionIntervalMs` apart. */
const stepMs = 86_400_000

/**
 * The time by which rounds erase, ms since 1970: the wall clock, but from one round to the next at most a day on. null in
 * the first round, which only looks, for nobody knows yet what that clock says otherwise. Rules: OP-42.
 */
export function erasingClock(env: Pick<Environment, 'now'>): () => number | null {
  let believedMs: number | undefined
  return () => {
    const nowMs = env.now()
    const isFirst = believedMs === undefined
    believedMs = believedMs === undefined ? nowMs : Math.min(nowMs, believedMs + stepMs)
    return isFirst ? null : believedMs
  }
}
